"""The grammar of feature names: ``[account.]{table}[.{column}[={category}]].{op}[.{window}]``, with an exact inverse.

``touchpoints.count.30d`` · ``touchpoints.channel=webinar.count.7d`` · ``interactions.minutes.sum.90d`` ·
``interactions.since_last`` · ``account.touchpoints.count.30d`` · ``account.win_rate`` · ``lead.employees`` ·
``profile.age`` · ``calendar.weekday``. The window of a ``decay`` is its half-life.

A ``.``, ``=`` or ``%`` inside a table, column or category is percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from leadscore.errors import PlanError

MISSING = "(missing)"
OTHER = "(other)"
ACCOUNT = "account"
_WINDOW = re.compile(r"\d{1,6}[mhdw]|all")


def encode(text: str) -> str:
    """Percent-encode what the grammar uses."""
    return text.replace("%", "%25").replace(".", "%2E").replace("=", "%3D")


@dataclass(frozen=True)
class FeatureName:
    """One feature, taken apart; ``str()`` puts it together again.

    `scope` is `ACCOUNT` where the events are those of the account's other leads.
    """

    table: str
    op: str
    column: str | None = None
    category: str | None = None
    window: str | None = None
    scope: str | None = None

    def __str__(self) -> str:
        subject = [] if self.scope is None else [self.scope]
        subject.append(encode(self.table))
        if self.column is not None:
            subject.append(encode(self.column) + ("" if self.category is None else "=" + encode(self.category)))
        if self.table != "lead":
            subject.append(self.op)
        return ".".join(subject + ([self.window] if self.window else []))

    @classmethod
    def parse(cls, text: str) -> FeatureName:
        """Take a name apart; raises PlanError if it doesn't follow the grammar."""
        parts = text.split(".")
        scope = ACCOUNT if parts[0] == ACCOUNT and len(parts) > 2 else None
        parts = parts if scope is None else parts[1:]
        if len(parts) < 2 or not all(parts):
            raise PlanError(f"'{text}' is not a feature name; write table[.column[=category]].op[.window]")
        table, *rest = parts
        if unquote(table) == "lead" and scope is None:
            if len(rest) != 1 or "=" in rest[0]:
                raise PlanError(f"'{text}' is not a feature name; a profile column is lead.column")
            return cls("lead", "value", column=unquote(rest[0]))
        window = rest.pop() if len(rest) > 1 and _WINDOW.fullmatch(rest[-1]) else None
        op = rest.pop()
        if len(rest) > 1:
            raise PlanError(f"'{text}' is not a feature name; a '.' inside a column or category is written %2E")
        if not rest:
            return cls(unquote(table), op, window=window, scope=scope)
        column, equals, category = rest[0].partition("=")
        if "=" in category:
            raise PlanError(f"'{text}' is not a feature name; a '=' inside a column or category is written %3D")
        return cls(unquote(table), op, unquote(column), unquote(category) if equals else None, window, scope)
