"""What can go wrong, and what to catch.

::

    LeadScoreError                 everything below; catch this at the edge
    ├── ProjectError (ValueError)      leadscore.toml says something it can't mean
    ├── DataError (ValueError)         a table can't be read, lacks a column, or holds too many bad rows
    │   └── NoSourceError                  nothing is where a table should be
    ├── PlanError (ValueError)         a feature name isn't understood, or a plan doesn't fit the data
    ├── TrainingError (ValueError)     the data can't support a model
    ├── ArtifactError (ValueError)     a scorer folder is damaged, or fails its golden leads
    ├── DocumentError (ValueError)     a lead document is wrong
    ├── TrackingError (RuntimeError)   MLflow doesn't hold what was asked for
    ├── StoreError (RuntimeError)      the service's store can't be opened, or is another's
    ├── ClusterError (RuntimeError)    Spark doesn't start, or gave up
    └── MissingExtraError (ImportError)  an optional package isn't installed

    LeadScoreWarning (UserWarning)     something was counted and left out; never silent

Messages say: the thing, the requirement, what was found, where, what to do. They never quote personal data.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LeadScoreError(Exception):
    """Root of every error that leadscore raises on purpose."""


class ProjectError(LeadScoreError, ValueError):
    """``leadscore.toml`` is missing, unreadable, or says something it can't mean."""


class DataError(LeadScoreError, ValueError):
    """A table can't be read, lacks a column, or holds too many bad rows."""


class NoSourceError(DataError):
    """Nothing is where a table should be: no such file, or no address of its database."""


class PlanError(LeadScoreError, ValueError):
    """A feature name isn't understood, or a plan doesn't fit the data it was given."""


class TrainingError(LeadScoreError, ValueError):
    """The data can't support a model: no wins, one class, nothing mature."""


class ArtifactError(LeadScoreError, ValueError):
    """A scorer folder is incomplete, damaged, or fails its golden leads."""


class DocumentError(LeadScoreError, ValueError):
    """A lead document is wrong; ``where`` points at the field, as in ``events.touchpoints[3].occurred_at``."""

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where


class TrackingError(LeadScoreError, RuntimeError):
    """MLflow doesn't hold the model, version or alias that was asked for."""


class StoreError(LeadScoreError, RuntimeError):
    """The service's store can't be opened, is newer than this program, or belongs to another project."""


class ClusterError(LeadScoreError, RuntimeError):
    """Spark doesn't start, can't be reached, or gave up for a reason that isn't in the data."""


class MissingExtraError(LeadScoreError, ImportError):
    """An optional package isn't installed; the message names the extra that brings it."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an extra. Install it with: pip install 'leadscore[{extra}]'")


class LeadScoreWarning(UserWarning):
    """Something was counted and left out, or holds only in part."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word closest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
