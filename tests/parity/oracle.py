"""The specification: what every feature is, as a person would work it out from raw rows, one at a time.

Rows are dicts; instants are integers of microseconds. Nothing here calls the library but to take names apart.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import statistics
import zoneinfo
from collections import Counter
from typing import Any

from leadscore.features.names import FeatureName
from tests.parity.rows import Row, deduplicated, kept, plain, trimmed, version_order, visible
from tests.parity.streams import (
    ANSWERED,
    COLUMNS,
    DAY,
    DIRECTIONS,
    HALF_LIVES,
    HORIZON,
    LOST,
    PROFILE,
    ROLES,
    SMOOTHING,
    WINDOWS,
    WON,
    Stream,
)  # fmt: skip

NAN = math.nan
MOST_OF_ACCOUNT = 10_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


parsed = functools.cache(FeatureName.parse)


class Oracle:
    """All features of one stream, the slow way."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.zone = zoneinfo.ZoneInfo(stream.timezone)
        self.events = {name: deduplicated([trimmed(row) for row in rows], name) for name, rows in stream.events.items()}
        self.outcomes = [trimmed(row) for row in stream.outcomes if None not in (row["closed_at"], row["recorded_at"])]
        self.versions: dict[str, list[Row]] = {row["lead_id"]: [] for row in stream.leads}
        for row in sorted(map(trimmed, stream.leads), key=version_order):
            self.versions[row["lead_id"]].append(row)
        self.codes: dict[str, list[str]] = {}
        self.prior = NAN
        for slow in (
            self.rows,
            self.profile,
            self.created,
            self.others,
            self.seen,
            self.local,
        ):  # the same again, for every feature
            setattr(self, slow.__name__, functools.cache(slow))

    def learn(self, train: list[tuple[str, int]]) -> None:
        """The 30 commonest categories among rows visible at a training cutoff of their lead; then the two others.

        And how many of all leads had been won by the last training cutoff, of those that had come to an end.
        """
        for table, rows in self.events.items():
            seen = [row for row in rows if any(lead == row["lead_id"] and visible(row, t) for lead, t in train)]
            for column in COLUMNS[table]["categorical"]:
                self.codes[f"{table}.{column}"] = kept([row[column] for row in seen])
        last = {lead: max(t for other, t in train if other == lead) for lead, _ in train}
        profiles = [self.profile(lead, t) for lead, t in last.items()]
        for column in PROFILE["categorical"]:
            self.codes[f"lead.{column}"] = kept([profile[column] for profile in profiles if profile])
        n_won, n_resolved = self.resolved(list(self.versions), max(last.values()))
        self.prior = (n_won + 1) / (n_resolved + 2)

    def value(self, name: str, lead: str, t: int) -> float:
        """One feature of one lead as of one cutoff."""
        feature = parsed(name)
        if feature.table in self.events:
            rows = self.rows(feature.scope, feature.table, lead, t)
            if rows is None:
                return NAN
            start = start_of(feature, t)
            rows = rows if start is None else [row for row in rows if start <= row["occurred_at"]]
            return EVENT_ORACLES[feature.op, subject(feature)](self, feature, rows, t)
        if feature.table in ROLES:
            others = self.others(feature.table, lead, t)
            others = None if others is None else [other for other in others if existed(self.created(other), t)]
            return NAN if others is None else HISTORY_ORACLES[feature.op](self, others, t)
        if feature.table == "lead":
            kind = "categorical" if feature.column in PROFILE["categorical"] else "numeric"
            return PROFILE_ORACLES[kind](self, str(feature.column), lead, t)
        return LEAD_ORACLES[name](self, lead, t)

    def rows(self, scope: str | None, table: str, lead: str, t: int) -> list[Row] | None:
        """Visible events of the lead, or of the others of its account; None if nobody knows which account."""
        whose = [lead] if scope is None else self.others("account", lead, t)
        if whose is None:
            return None
        rows = [row for row in self.events[table] if row["lead_id"] in whose and visible(row, t)]
        return rows if scope is None else rows[-MOST_OF_ACCOUNT:]

    def others(self, role: str, lead: str, t: int) -> list[str] | None:
        """Every other lead that then belonged where this one did; None if this one belonged nowhere."""
        place = (self.profile(lead, t) or {}).get(ROLES[role])
        if place is None:
            return None
        there = [other for other in self.versions if (self.profile(other, t) or {}).get(ROLES[role]) == place]
        return [other for other in there if other != lead]

    def profile(self, lead: str, t: int) -> Row | None:
        """The version of a lead known last before t; equal instants by content."""
        versions = self.versions[lead]
        if self.stream.versions:
            versions = [row for row in versions if row["updated_at"] < t]
        return versions[-1] if versions else None

    def created(self, lead: str) -> int | None:
        """What the first version that states it says."""
        return next((row["created_at"] for row in self.versions[lead] if row["created_at"] is not None), None)

    def seen(self, lead: str, statuses: tuple[str, ...]) -> float:
        """When the first of these outcomes had both happened and been recorded; a win before creation is none."""
        created = self.created(lead)
        rows = [row for row in self.outcomes if row["lead_id"] == lead and row["status"] in statuses]
        rows = [
            row for row in rows if not (row["status"] in WON and created is not None and row["closed_at"] < created)
        ]
        return min((max(row["closed_at"], row["recorded_at"]) for row in rows), default=math.inf)

    def won(self, lead: str) -> float:
        return self.seen(lead, tuple(WON))

    def closed(self, lead: str) -> float:
        return min(self.won(lead), self.seen(lead, tuple(LOST)))

    def resolved(self, leads: list[str], t: int) -> tuple[int, int]:
        """How many of these leads had been won before t, and how many had come to an end: also by waiting too long."""
        came = {lead: created for lead in leads if existed(created := self.created(lead), t)}
        n_won = sum(self.won(lead) < t for lead in came)
        return n_won, sum(self.closed(lead) < t or created + HORIZON < t for lead, created in came.items())

    def fold(self, table: str, column: str, word: str | None) -> str:
        codes = self.codes[f"{table}.{column}"]
        return "(missing)" if word is None else word if word in codes[:-2] else "(other)"

    def code(self, feature: FeatureName, word: str | None) -> float:
        table, column = feature.table, str(feature.column)
        return float(self.codes[f"{table}.{column}"].index(self.fold(table, column, word)))

    def of_category(self, feature: FeatureName, rows: list[Row]) -> list[Row]:
        """A word is itself, even outside the kept top; (other) is all words outside it, (missing) is null."""
        column = str(feature.column)
        if feature.category in ("(other)", "(missing)"):
            return [row for row in rows if self.fold(feature.table, column, row[column]) == feature.category]
        return [row for row in rows if row[column] == feature.category]

    def local(self, t: int) -> dt.datetime:
        return (_EPOCH + dt.timedelta(microseconds=t)).astimezone(self.zone)


def existed(created: int | None, t: int) -> bool:
    return created is not None and created < t


def start_of(feature: FeatureName, t: int) -> int | None:
    """The first instant of the window; a trend looks back twice as far, and a decay has none."""
    length = None if feature.op == "decay" or feature.window is None else WINDOWS[feature.window]
    return None if length is None else t - (2 * length if feature.op == "trend" else length)


def subject(feature: FeatureName) -> str:
    if feature.column is None:
        return "any"
    if feature.category is not None:
        return "category"
    return "categorical" if feature.column in COLUMNS[feature.table]["categorical"] else "numeric"


def filled(feature: FeatureName, rows: list[Row]) -> list[float]:
    return [float(row[str(feature.column)]) for row in rows if row[str(feature.column)] is not None]


def words(feature: FeatureName, rows: list[Row]) -> list[str]:
    return [row[str(feature.column)] for row in rows if row[str(feature.column)] is not None]


def days(t: int, row: Row) -> float:
    return (t - row["occurred_at"]) / DAY


def mode(oracle: Oracle, feature: FeatureName, rows: list[Row]) -> float:
    if not rows:
        return NAN
    codes = [oracle.code(feature, row[str(feature.column)]) for row in rows]
    most = max(codes.count(code) for code in codes)
    return next(code for code in reversed(codes) if codes.count(code) == most)


def nth(place: int) -> Any:
    """The category at a place in time order: −1 the last, −2 the one before."""

    def read(oracle: Oracle, feature: FeatureName, rows: list[Row], t: int) -> float:
        there = len(rows) > (-place - 1 if place < 0 else place)
        return oracle.code(feature, rows[place][str(feature.column)]) if there else NAN

    return read


def entropy(said: list[str]) -> float:
    shares = [n / len(said) for n in Counter(said).values()]
    return math.fsum(share * math.log(1 / share) for share in shares) if said else NAN


def n_local_days(oracle: Oracle, rows: list[Row]) -> int:
    return len({oracle.local(row["occurred_at"]).date() for row in rows})


def gaps(rows: list[Row]) -> list[float]:
    """Days between each event and the next."""
    return [days(later["occurred_at"], earlier) for earlier, later in itertools.pairwise(rows)]


def gap_mean(rows: list[Row]) -> float:
    return days(rows[-1]["occurred_at"], rows[0]) / (len(rows) - 1) if len(rows) > 1 else NAN


def gap_now(rows: list[Row], t: int) -> float:
    usual = gap_mean(rows)
    return days(t, rows[-1]) / usual if len(rows) > 1 and usual > 0 else NAN


def trend(feature: FeatureName, rows: list[Row], t: int) -> int:
    """Rows of this window less rows of the one before."""
    turn = t - WINDOWS[str(feature.window)]
    n_before = sum(row["occurred_at"] < turn for row in rows)
    return len(rows) - 2 * n_before


def decay(feature: FeatureName, rows: list[Row], t: int) -> float:
    half_life = HALF_LIVES[str(feature.window)] / DAY
    return math.fsum(0.5 ** (days(t, row) / half_life) for row in rows)


def direction(feature: FeatureName, row: Row) -> str | None:
    """Whether an event went out or came in; neither, where its word is of neither list."""
    declared = DIRECTIONS[feature.table]
    word = plain(row[declared["column"]])
    return next((way for way in ("outbound", "inbound") if word in [plain(other) for other in declared[way]]), None)


def answered(feature: FeatureName, row: Row) -> bool:
    """Whether both spoke: a word says so, or none says the contrary and it lasted; of what has a direction."""
    declared = ANSWERED[feature.table]
    word = plain(row[declared["column"]]) if "column" in declared else None
    if direction(feature, row) is None or word == "no answer":
        return False
    lasted = (row[declared["duration"]] or 0) > 0
    return lasted or (word is not None and word in [plain(other) for other in declared["words"]])


def they_spoke(feature: FeatureName, row: Row) -> bool:
    return direction(feature, row) == "inbound" or answered(feature, row)


def reply(feature: FeatureName, rows: list[Row]) -> float:
    """Days that the latest answer took since the last thing we had said before it, or while they answered."""
    answer, pending = NAN, None
    for row in rows:
        if direction(feature, row) == "outbound" and not (pending and they_spoke(feature, row)):
            pending = row
        if they_spoke(feature, row) and pending is not None:
            answer, pending = days(row["occurred_at"], pending), None
    return answer


def waiting(feature: FeatureName, rows: list[Row], t: int) -> float:
    """Days since the first thing we said after they last spoke."""
    spoke = max((place for place, row in enumerate(rows) if they_spoke(feature, row)), default=-1)
    unanswered = [row for row in rows[spoke + 1 :] if direction(feature, row) == "outbound"]
    return days(t, unanswered[0]) if unanswered else NAN


EVENT_ORACLES: dict[tuple[str, str], Any] = {
    ("count", "any"): lambda o, f, rows, t: len(rows),
    ("count", "category"): lambda o, f, rows, t: len(o.of_category(f, rows)),
    ("sum", "numeric"): lambda o, f, rows, t: math.fsum(filled(f, rows)),
    ("mean", "numeric"): lambda o, f, rows, t: statistics.fmean(filled(f, rows)) if filled(f, rows) else NAN,
    ("min", "numeric"): lambda o, f, rows, t: min(filled(f, rows), default=NAN),
    ("max", "numeric"): lambda o, f, rows, t: max(filled(f, rows), default=NAN),
    ("std", "numeric"): lambda o, f, rows, t: deviation(filled(f, rows)),
    ("nunique", "categorical"): lambda o, f, rows, t: len(set(words(f, rows))),
    ("entropy", "categorical"): lambda o, f, rows, t: entropy(words(f, rows)),
    ("since_last", "any"): lambda o, f, rows, t: days(t, rows[-1]) if rows else NAN,
    ("since_first", "any"): lambda o, f, rows, t: days(t, rows[0]) if rows else NAN,
    ("since_last", "category"): lambda o, f, rows, t: min((days(t, r) for r in o.of_category(f, rows)), default=NAN),
    ("since_first", "category"): lambda o, f, rows, t: max((days(t, r) for r in o.of_category(f, rows)), default=NAN),
    ("active_days", "any"): lambda o, f, rows, t: n_local_days(o, rows),
    ("gap_mean", "any"): lambda o, f, rows, t: gap_mean(rows),
    ("gap_std", "any"): lambda o, f, rows, t: deviation(gaps(rows)),
    ("gap_now", "any"): lambda o, f, rows, t: gap_now(rows, t),
    ("trend", "any"): lambda o, f, rows, t: trend(f, rows, t),
    ("decay", "any"): lambda o, f, rows, t: decay(f, rows, t),
    ("decay", "category"): lambda o, f, rows, t: decay(f, o.of_category(f, rows), t),
    ("reply", "any"): lambda o, f, rows, t: reply(f, rows),
    ("waiting", "any"): lambda o, f, rows, t: waiting(f, rows, t),
    ("last", "categorical"): nth(-1),
    ("previous", "categorical"): nth(-2),
    ("first", "categorical"): nth(0),
    ("mode", "categorical"): lambda o, f, rows, t: mode(o, f, rows),
}


def deviation(numbers: list[float]) -> float:
    """Population standard deviation, worked out from every number's distance to the mean."""
    if not numbers:
        return NAN
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers))


def win_rate(oracle: Oracle, others: list[str], t: int) -> float:
    n_won, n_resolved = oracle.resolved(others, t)
    return (n_won + SMOOTHING * oracle.prior) / (n_resolved + SMOOTHING)


HISTORY_ORACLES: dict[str, Any] = {
    "win_rate": win_rate,
    "n_won": lambda oracle, others, t: oracle.resolved(others, t)[0],
    "n_resolved": lambda oracle, others, t: oracle.resolved(others, t)[1],
    "open_leads": lambda oracle, others, t: sum(not oracle.closed(other) < t for other in others),
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


def days_to_month_end(oracle: Oracle, lead: str, t: int) -> float:
    today = oracle.local(t).date()
    n_days = 0
    while (today + dt.timedelta(days=n_days + 1)).month == today.month:
        n_days += 1
    return n_days


PROFILE_ORACLES: dict[str, Any] = {"categorical": profile_word, "numeric": profile_number}
LEAD_ORACLES: dict[str, Any] = {
    "profile.age": age,
    "profile.missing": n_missing,
    "calendar.weekday": lambda oracle, lead, t: oracle.local(t).weekday(),
    "calendar.hour": lambda oracle, lead, t: oracle.local(t).hour,
    "calendar.days_to_month_end": days_to_month_end,
}
