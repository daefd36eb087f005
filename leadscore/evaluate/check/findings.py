"""What a check finds, how grave it is, and how the line that mends it is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leadscore.features.names import encode
from leadscore.project import ROLES, Project

Severity = Literal["severe", "warning", "note"]
GRAVEST_FIRST: tuple[Severity, ...] = ("severe", "warning", "note")


@dataclass(frozen=True)
class Series:
    """The few numbers that a picture of a finding needs.

    Attributes
    ----------
    shape : ``lines`` over time, or ``bars`` from the top
    title : what the picture shows, as a sentence
    labels : periods, or what each bar stands for
    values : by name one value per label, None for none; bars have one name
    share : whether values are shares of 1, shown in percent
    mark : position of the label that the finding speaks of
    """

    shape: Literal["lines", "bars"]
    title: str
    labels: tuple[str, ...]
    values: Mapping[str, tuple[float | None, ...]]
    share: bool = True
    mark: int | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, doubtful or worth knowing about the data.

    Attributes
    ----------
    severity : ``severe``: a model trained on this will disappoint; ``warning``: look before you train; ``note``: mere
        knowledge
    kind : a word that stays the same from release to release, as ``predicts_too_well``
    table : ``leads``, ``outcome``, ``task`` or the name of an event table
    column : the column as the source names it, or None
    evidence : counts and rates; category values may be quoted, ids and rows never
    remedy : what to do, with the line of leadscore.toml where there is one
    series : what a picture of it would show; no part of the JSON
    """

    severity: Severity
    kind: str
    table: str
    column: str | None
    evidence: str
    remedy: str
    series: Series | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return the finding as JSON holds it."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "table": self.table,
            "column": self.column,
            "evidence": self.evidence,
            "remedy": self.remedy,
        }


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the gravest first; those alike keep the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: GRAVEST_FIRST.index(finding.severity)))


def setting(section: str, key: str, value: str | Sequence[str]) -> str:
    """Return a line of leadscore.toml with its section, as ``[task] observed_from = "2025-01-01"``."""
    written = value if isinstance(value, str) else list(value)
    return f"[{section}] {key} = {json.dumps(written, ensure_ascii=False)}"


def leave_out(project: Project, table: str, column: str | None, also: Iterable[str] = ()) -> str:
    """Return the line of leadscore.toml without a column; `also` names others of the table to leave out with it."""
    if column is None:
        return setting("features", "drop", [f"{encode(table)}.*"])
    spec = next((spec for spec in project.events if spec.name == table), None)
    declared = {key: getattr(spec or project.leads, key) for key in ("categorical", "numeric")}
    for key, names in declared.items():
        if column in names:
            return setting(section_of(table), key, [name for name in names if name != column and name not in also])
    role = next((role for role in ROLES if getattr(project.leads, role) == column), None)
    return f"remove {role or column} from [{section_of(table)}]"


def section_of(table: str) -> str:
    """Return the section of leadscore.toml that declares a table."""
    return table if table in ("leads", "outcome", "task") else f"events.{table}"


def percent(share: float) -> str:
    """Return a share as people read it: ``0 %``, ``0.4 %``, ``45 %``."""
    points = 100 * share
    return f"{points:.1f} %" if 0 < points < 2 or 98 < points < 100 else f"{points:.0f} %"


def quoted(value: str) -> str:
    """Return a category in quotes, cut short where it is long."""
    return f'"{value[:40]}…"' if len(value) > 40 else f'"{value}"'


def verb(n: int, one: str, many: str) -> str:
    """Return a count with its noun: ``1 row``, ``1,204 rows``."""
    return f"{n:,} {one if n == 1 else many}"
