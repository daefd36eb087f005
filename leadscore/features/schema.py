"""Whether a project has the tables and columns that a plan was made for; it is said by name where it hasn't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leadscore.errors import PlanError
from leadscore.features.names import ACCOUNT, FeatureName
from leadscore.features.primitives import RESPONSE, is_of_company


def check_schema(expected: Mapping[str, Any], found: Mapping[str, Any], features: Sequence[FeatureName]) -> None:
    """Compare the schema that features were made for with a project's; raises PlanError where they need another."""
    for name, columns in expected["events"].items():
        if name not in found["events"]:
            raise PlanError(f"the plan was made for a project with [events.{name}], this one has none")
        _check_same(f"[events.{name}]", columns, found["events"][name])
        if any(feature.table == name and feature.op in RESPONSE for feature in features):
            _check_direction(name, columns, found["events"][name])
    _check_same("[leads]", expected["leads"], found["leads"])
    roles = {ACCOUNT if name.scope else name.table for name in features if is_of_company(name)}
    for role in sorted(roles):
        if found["roles"].get(role) != expected["roles"][role]:
            here = f"says {found['roles'][role]!r}" if role in found["roles"] else "has none"
            raise PlanError(f"the plan was made for [leads] {role} = {expected['roles'][role]!r}, this project {here}")
    for key in ("timezone", "timed", *(["horizon"] if roles else [])):
        if expected[key] != found[key]:
            raise PlanError(f"the plan was made with {key} {expected[key]!r}, this project has {found[key]!r}")


def _check_same(where: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for kind in ("categorical", "numeric"):
        columns = expected[kind]
        if list(columns) != list(found[kind]):
            raise PlanError(
                f"the plan was made for {where} {kind} = {list(columns)}, this project says {list(found[kind])}. "
                "Use the columns the model was trained on, in their order, or train anew"
            )


def _check_direction(table: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse another direction; a plan that knows of no answers goes on without, as its model was trained."""
    here = found.get("direction")
    if here is not None and "answered" not in expected["direction"]:
        here = {key: value for key, value in here.items() if key != "answered"}
    if expected["direction"] != here:
        raise PlanError(
            f"the plan was made for [events.{table}] direction = {expected['direction']}, this project says "
            f"{found.get('direction')}. Use the direction the model was trained on, or train anew"
        )
