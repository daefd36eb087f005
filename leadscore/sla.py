"""``[sla]``: what marketing and sales have promised each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leadscore import time
from leadscore.section import Section, checked

EVERYWHERE = "*"
"""Stands for all origins together, where marketing promises a number of leads from anywhere."""
DEFAULT_WITHIN = "14d"
QUALIFIED = "B"
"""The grade from which on a lead is qualified where nobody says."""


@dataclass(frozen=True)
class Sla:
    """The service-level agreement of a project. Durations in microseconds.

    Attributes
    ----------
    qualified : a lead of this grade or a better one is qualified; None where nothing is agreed
    leads : origin (or `EVERYWHERE`) → qualified leads that marketing owes a month
    respond : grade → within what time sales owes a first response
    attempts : grade → how many attempts sales owes a lead that doesn't answer
    within : the time for these attempts
    verdict : within what time sales owes a verdict, accepted or rejected
    sales : event tables whose outbound rows are responses; empty means those that state a direction
    """

    qualified: str | None = None
    leads: Mapping[str, int] = field(default_factory=dict)
    respond: Mapping[str, int] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    within: int = time.parse_span(DEFAULT_WITHIN)
    verdict: int | None = None
    sales: tuple[str, ...] = ()


def sla_options(raw: Any, grades: Sequence[str], tables: Sequence[str]) -> Sla:
    """Check ``[sla]``; `grades` and `tables` are those of the project, best grade first.

    Raises
    ------
    ProjectError
        Naming the key, if a grade or table isn't the project's, or a number or duration can't be read.
    """
    section = Section(raw, "sla", "qualified leads respond attempts within verdict sales")
    if not section.raw:
        return Sla()
    qualified = section.text("qualified") or QUALIFIED
    verdict = section.text("verdict")
    found = Sla(
        qualified=qualified,
        leads=_quotas(section),
        respond={grade: checked(time.parse_span, span, f"[sla.respond] {grade}")
                 for grade, span in _of_grades(section, "respond", "text").items()},
        attempts=_of_grades(section, "attempts", "whole"),
        within=checked(time.parse_span, section.text("within") or DEFAULT_WITHIN, "[sla] within"),
        verdict=None if verdict is None else checked(time.parse_span, verdict, "[sla] verdict"),
        sales=section.texts("sales"),
    )  # fmt: skip
    for grade in (qualified, *found.respond, *found.attempts):
        if grade not in grades:
            raise section.fail(f"speaks of grade {grade!r}; the project has {', '.join(grades)}")
    for table in found.sales:
        if table not in tables:
            raise section.fail(f"takes responses from {table!r}; the event tables are {', '.join(tables) or 'none'}")
    return found


def _quotas(section: Section) -> dict[str, int]:
    if isinstance(section.raw.get("leads", {}), Mapping):
        inner = Section(section.raw.get("leads", {}), "sla.leads", "")
        return {origin: inner.whole(origin) or 0 for origin in inner.raw}
    return {EVERYWHERE: section.whole("leads") or 0}


def _of_grades(section: Section, key: str, read: str) -> dict[str, Any]:
    inner = Section(section.raw.get(key, {}), f"sla.{key}", "")
    return {grade: getattr(inner, read)(grade) for grade in inner.raw}
