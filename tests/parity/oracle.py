"""The specification: what every feature is, as a person would work it out from raw rows, one at a time.

Rows are dicts; instants are integers of microseconds. Nothing here calls the library but to take names apart.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
import zoneinfo
from collections import Counter
from typing import Any

from leadscore.features.names import FeatureName
from tests.parity.streams import COLUMNS, DAY, PROFILE, WINDOWS, Stream

NAN = math.nan


class Oracle:
    """All features of one stream, the slow way."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.events = {name: deduplicated(rows, name) for name, rows in stream.events.items()}
        self.codes: dict[str, list[str]] = {}

    def learn(self, train: list[tuple[str, int]]) -> None:
        """The 30 commonest categories among rows visible at a training cutoff of their lead; then the two others."""
        for table, rows in self.events.items():
            seen = [row for row in rows if any(lead == row["lead_id"] and visible(row, t) for lead, t in train)]
            for column in COLUMNS[table]["categorical"]:
                self.codes[f"{table}.{column}"] = kept([row[column] for row in seen])
        last = {lead: max(t for other, t in train if other == lead) for lead, _ in train}
        profiles = [self.profile(lead, t) for lead, t in last.items()]
        for column in PROFILE["categorical"]:
            self.codes[f"lead.{column}"] = kept([profile[column] for profile in profiles if profile])

    def value(self, name: str, lead: str, t: int) -> float:
        """One feature of one lead as of one cutoff."""
        feature = FeatureName.parse(name)
        if feature.table in self.events:
            rows = [row for row in self.events[feature.table] if row["lead_id"] == lead and visible(row, t)]
            if feature.window is not None and WINDOWS[feature.window] is not None:
                rows = [row for row in rows if t - WINDOWS[feature.window] <= row["occurred_at"]]
            return EVENT_ORACLES[feature.op, subject(feature)](self, feature, rows, t)
        if feature.table == "lead":
            kind = "categorical" if feature.column in PROFILE["categorical"] else "numeric"
            return PROFILE_ORACLES[kind](self, str(feature.column), lead, t)
        return LEAD_ORACLES[name](self, lead, t)

    def profile(self, lead: str, t: int) -> dict[str, Any] | None:
        """The version of a lead known last before t; equal instants by content."""
        versions = [row for row in self.stream.leads if row["lead_id"] == lead]
        if self.stream.versions:
            versions = [row for row in versions if row["updated_at"] < t]
        return max(versions, key=version_order, default=None)

    def created(self, lead: str) -> int | None:
        """What the first version that states it says."""
        versions = sorted((row for row in self.stream.leads if row["lead_id"] == lead), key=version_order)
        return next((row["created_at"] for row in versions if row["created_at"] is not None), None)

    def fold(self, table: str, column: str, word: str | None) -> str:
        codes = self.codes[f"{table}.{column}"]
        return "(missing)" if word is None else word if word in codes[:-2] else "(other)"

    def code(self, feature: FeatureName, word: str | None) -> float:
        table, column = feature.table, str(feature.column)
        return float(self.codes[f"{table}.{column}"].index(self.fold(table, column, word)))

    def of_category(self, feature: FeatureName, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A word is itself, even outside the kept top; (other) is all words outside it, (missing) is null."""
        column = str(feature.column)
        if feature.category in ("(other)", "(missing)"):
            return [row for row in rows if self.fold(feature.table, column, row[column]) == feature.category]
        return [row for row in rows if row[column] == feature.category]


def visible(row: dict[str, Any], t: int) -> bool:
    return row["occurred_at"] < t and row.get("ingested_at", row["occurred_at"]) < t


def content(row: dict[str, Any], columns: dict[str, list[str]]) -> tuple[Any, ...]:
    """Null words first, missing numbers last."""
    words = [(row[column] is not None, row[column] or "") for column in columns["categorical"]]
    return (*words, *((row[column] is None, row[column] or 0) for column in columns["numeric"]))


def order(row: dict[str, Any], table: str) -> tuple[Any, ...]:
    known = row.get("ingested_at", row["occurred_at"])
    return row["occurred_at"], known, content(row, COLUMNS[table])


def version_order(row: dict[str, Any]) -> tuple[Any, ...]:
    created = row["created_at"]
    return row.get("updated_at", 0), (created is not None, created or 0), content(row, PROFILE)


def deduplicated(rows: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    """In time order; of rows that share an id the one known first. Rows without id all stay."""
    first: dict[str, dict[str, Any]] = {}
    without = [row for row in rows if row.get("event_id") is None]
    for row in rows:
        if row.get("event_id") is not None:
            rival = first.setdefault(row["event_id"], row)
            if delivery(row, table) < delivery(rival, table):
                first[row["event_id"]] = row
    return sorted([*without, *first.values()], key=lambda row: order(row, table))


def delivery(row: dict[str, Any], table: str) -> tuple[Any, ...]:
    return row["ingested_at"], row["occurred_at"], content(row, COLUMNS[table]), row["lead_id"]


def kept(words: list[str | None]) -> list[str]:
    tally = Counter(word for word in words if word is not None)
    ranked = sorted(tally, key=lambda word: (-tally[word], word))
    return [*ranked[:30], "(other)", "(missing)"]


def subject(feature: FeatureName) -> str:
    if feature.column is None:
        return "any"
    if feature.category is not None:
        return "category"
    return "categorical" if feature.column in COLUMNS[feature.table]["categorical"] else "numeric"


def filled(feature: FeatureName, rows: list[dict[str, Any]]) -> list[float]:
    return [float(row[str(feature.column)]) for row in rows if row[str(feature.column)] is not None]


def days(t: int, row: dict[str, Any]) -> float:
    return (t - row["occurred_at"]) / DAY


def mode(oracle: Oracle, feature: FeatureName, rows: list[dict[str, Any]]) -> float:
    if not rows:
        return NAN
    codes = [oracle.code(feature, row[str(feature.column)]) for row in rows]
    most = max(codes.count(code) for code in codes)
    return next(code for code in reversed(codes) if codes.count(code) == most)


def nth(place: int) -> Any:
    """The category at a place in time order: −1 the last, −2 the one before."""

    def read(oracle: Oracle, feature: FeatureName, rows: list[dict[str, Any]], t: int) -> float:
        there = len(rows) > (-place - 1 if place < 0 else place)
        return oracle.code(feature, rows[place][str(feature.column)]) if there else NAN

    return read


EVENT_ORACLES: dict[tuple[str, str], Any] = {
    ("count", "any"): lambda o, f, rows, t: len(rows),
    ("count", "category"): lambda o, f, rows, t: len(o.of_category(f, rows)),
    ("sum", "numeric"): lambda o, f, rows, t: math.fsum(filled(f, rows)),
    ("mean", "numeric"): lambda o, f, rows, t: statistics.fmean(filled(f, rows)) if filled(f, rows) else NAN,
    ("min", "numeric"): lambda o, f, rows, t: min(filled(f, rows), default=NAN),
    ("max", "numeric"): lambda o, f, rows, t: max(filled(f, rows), default=NAN),
    ("std", "numeric"): lambda o, f, rows, t: statistics.pstdev(filled(f, rows)) if filled(f, rows) else NAN,
    ("since_last", "any"): lambda o, f, rows, t: days(t, rows[-1]) if rows else NAN,
    ("since_first", "any"): lambda o, f, rows, t: days(t, rows[0]) if rows else NAN,
    ("since_last", "category"): lambda o, f, rows, t: min((days(t, r) for r in o.of_category(f, rows)), default=NAN),
    ("since_first", "category"): lambda o, f, rows, t: max((days(t, r) for r in o.of_category(f, rows)), default=NAN),
    ("last", "categorical"): nth(-1),
    ("previous", "categorical"): nth(-2),
    ("first", "categorical"): nth(0),
    ("mode", "categorical"): lambda o, f, rows, t: mode(o, f, rows),
}


def profile_word(oracle: Oracle, column: str, lead: str, t: int) -> float:
    word = (oracle.profile(lead, t) or {}).get(column)
    return oracle.code(FeatureName("lead", "value", column), word)


def profile_number(oracle: Oracle, column: str, lead: str, t: int) -> float:
    number = (oracle.profile(lead, t) or {}).get(column)
    return NAN if number is None else float(number)


def age(oracle: Oracle, lead: str, t: int) -> float:
    created = oracle.created(lead)
    return NAN if created is None else (t - created) / DAY


def n_missing(oracle: Oracle, lead: str, t: int) -> float:
    profile = oracle.profile(lead, t) or {}
    return sum(profile.get(column) is None for column in [*PROFILE["categorical"], *PROFILE["numeric"]])


def local(oracle: Oracle, t: int) -> dt.datetime:
    utc = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=t)
    return utc.astimezone(zoneinfo.ZoneInfo(oracle.stream.timezone))


def days_to_month_end(oracle: Oracle, lead: str, t: int) -> float:
    today = local(oracle, t).date()
    n_days = 0
    while (today + dt.timedelta(days=n_days + 1)).month == today.month:
        n_days += 1
    return n_days


PROFILE_ORACLES: dict[str, Any] = {"categorical": profile_word, "numeric": profile_number}
LEAD_ORACLES: dict[str, Any] = {
    "profile.age": age,
    "profile.missing": n_missing,
    "calendar.weekday": lambda oracle, lead, t: local(oracle, t).weekday(),
    "calendar.hour": lambda oracle, lead, t: local(oracle, t).hour,
    "calendar.days_to_month_end": days_to_month_end,
}
