"""MLflow: log a training run, register its scorer, find it again."""

from leadscore.tracking.connection import (
    ARTIFACTS,
    CHALLENGER,
    CHAMPION,
    DATABASE,
    registered_name,
    require_writable,
    tracking_uri,
)
from leadscore.tracking.registry import find_scorer, names_alias
from leadscore.tracking.runs import Registered, log

__all__ = [
    "ARTIFACTS",
    "CHALLENGER",
    "CHAMPION",
    "DATABASE",
    "Registered",
    "find_scorer",
    "log",
    "names_alias",
    "registered_name",
    "require_writable",
    "tracking_uri",
]
