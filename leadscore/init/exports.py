"""Exports of CRMs as they come: what their columns are called, and what their values look like.

Names are compared as words: ``CreatedDate``, ``created_date`` and ``Created Date`` are one. A list of patterns names
one role, the likeliest first; HubSpot, Salesforce and plain exports are in the same lists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leadscore.columns import instants, numbers, text_column
from leadscore.errors import DataError
from leadscore.project import Source
from leadscore.sources import header, read_rows
from leadscore.time import NEVER

_WHEN = r"( (at|on|date|time|day|timestamp|utc))+"
_WHO = r"(lead|contact|deal|account|opportunity|record|sales)"
ID = (
    *(r"lead id", r"(record|contact|prospect|opportunity|deal|mql|inquiry|application) id", r"id"),
    *(r"record id .*", r".* (id|uuid|key)", r"(lead|contact|prospect|customer) (number|no|code)"),
)
LEAD_KEY = (r"lead", r".*\b(lead|contact|who|prospect|record|opportunity|deal) ids?", r".* ids?")
CREATED = (
    *(rf"({_WHO} )?(create[ds]?|creation)({_WHEN})?", r"date (created|entered|received|added)"),
    *(
        rf"first (contact|seen|touch)({_WHEN})?",
        rf"(engaged?|sign ?up|[ie]nquiry|registered|received|submitted){_WHEN}",
    ),
)
CLOSED = (
    rf"(actual )?(closed?|outcome|decision|decided|resolved|ended|end){_WHEN}|date closed",
    rf"(won|win|converted|conversion|activated|customer|signed|purchased?|sold){_WHEN}|became a customer.*",
)
KNOWN = (rf"(known|ingested|recorded|received|loaded|inserted|synced|imported)({_WHEN})?",)
CHANGED = (rf"(last )?(updated|modified|changed)({_WHEN})?|system modstamp",)
HAPPENED = (rf"(occurred|happened|event|activity)({_WHEN})?", r"timestamp|time|date|datetime", *CREATED, rf".*{_WHEN}")
EVENT_ID = (r"(event|activity|engagement|touchpoint|interaction|message|task|call) (id|uuid)", r"id")
ACCOUNT = (
    r"((primary|associated) )*(account|company|organi[sz]ation) ids?( primary)?",
    r"((primary|associated) )*(account|company|organi[sz]ation)( name)?",
)
ORIGIN = (
    r"((original|lead|first)( traffic)? )?source( type)?",
    r"utm source|traffic source",
    r"(lead )?origin|channel",
)
OWNER = (rf"({_WHO} )?owner( id| name)?", r"(sales )?(rep|agent)( id)?|assigned to")
STATUS = (
    *(r"(is|has)? ?(won|converted|customer)", rf"({_WHO} )?(stage|outcome|result|status)( name)?"),
    r"lifecycle stage|state|disposition|conversion|activated|purchased?|subscribed|target|label|y",
)
NOT_FOR_LEADS = r"outcome|deal|won|conversion|closed|customer|sale|order|event|touchpoint|interaction|activit|task|call"
OUTCOME_FILE = r"outcome|deal|won|conversion|closed|customer|sale|order|opportunit"
LEADS_FILE = r"lead|contact|prospect|opportunit|pipeline|application"

WON = r"(?<!not )\b(won|converted|activated|closedwon)\b|^(win|customer|signed|purchased|yes|true|1|y)$"
LOST = r"\b(lost|closedlost|disqualified|declined|cancell?ed|rejected|unqualified|not converted)\b"

_PERSONAL = r"\b(e ?mail|phone|mobile|fax|street|address|zip|postal|postcode|ip|url|website|linkedin|birth\w*)\b"
_NAMES = rf"(({_WHO}|first|last|full|middle|sur|given|family|company) ?)?name"
_PERSONAL_NUMBER = r"\b(phone|mobile|fax|zip|postal|postcode|birth\w*)\b"
_AFTER = (
    r"\b(clos(e|ed|ing)|won|lost|loss|reason|converted|conversion|became a|stage|outcome|deal|forecast|probability|"
    r"(?<!marital )(?<!employment )status|recent|latest|last|next|updated|modified|tags?|quality|rating|lead profile|"
    r"score|index|duration|days to)\b"
)
_COUNTED = (
    r"\b(number of|num|total|count)\b.*\b(page ?views|sessions|visits|events?|times|forms?|emails?|opens?|clicks|"
    r"meetings|calls|activities)\b"
)
_CODE = r"\b(id|code|rep|agent|owner|user|number(?! of))\b"
NUMERIC, CATEGORICAL = "numeric", "categorical"


@dataclass(frozen=True, eq=False)
class Column:
    """One column, and what its values look like."""

    name: str
    raw: pa.ChunkedArray
    time_format: str | None

    @cached_property
    def words(self) -> str:
        """The name as lower-case words."""
        return words(self.name)

    @cached_property
    def text(self) -> pa.Array:
        """All values as trimmed text, null where empty."""
        return text_column(self.raw)

    @cached_property
    def filled(self) -> pa.Array:
        """Its values without nulls."""
        return self.text.drop_null()

    @cached_property
    def distinct(self) -> list[str]:
        """Each value once, the commonest first."""
        counts = pc.value_counts(self.filled).to_pylist()
        return [item["values"] for item in sorted(counts, key=lambda item: (-item["counts"], item["values"]))]

    @cached_property
    def _sample(self) -> pa.ChunkedArray:
        every = len(self.filled) // 1000 + 1
        return pa.chunked_array([self.filled.take(pa.array(range(0, len(self.filled), every), pa.int64()))])

    @property
    def unique(self) -> bool:
        """Whether every row has a value, and no other row has the same."""
        return 0 < len(self.text) == len(self.distinct)

    @cached_property
    def numeric(self) -> bool:
        """Whether it holds numbers, but for the odd one."""
        return len(self.filled) > 0 and numbers(self._sample)[1] <= 0.02 * len(self._sample)

    @cached_property
    def timed(self) -> bool:
        """Whether it holds times, but for the odd one."""
        if pa.types.is_temporal(self.raw.type):
            return True
        if not len(self.filled):
            return False
        looks = pc.match_substring_regex(self._sample, r"^(\d{1,4}[-/. ]\w+[-/. ]\d|\d{10}$|\d{13}$|\w+ \d+, \d{4})")
        return bool(self.formatted or (pc.mean(looks).as_py() > 0.8 and self._reads(None)))

    def share_filled(self, rows: pa.Array | None = None) -> float:
        """Share of its values (in the rows of a mask) that are not null; 0 of none."""
        values = self.text if rows is None else self.text.filter(rows)
        return 1 - values.null_count / len(values) if len(values) else 0.0

    @property
    def formatted(self) -> bool:
        """Whether the time format that a person gave reads it."""
        return self.time_format is not None and len(self.filled) > 0 and self._reads(self.time_format)

    def _reads(self, time_format: str | None) -> bool:
        try:
            read, _ = instants(self._sample, "UTC", time_format)
        except ValueError:  # dates whose day and month can't be told apart: reading the project says so
            return True
        return bool((read != NEVER).mean() > 0.8)

    def use(self, *, profile: bool, timed: bool) -> str:
        """Return `NUMERIC`, `CATEGORICAL`, or the reason not to learn from it.

        Parameters
        ----------
        profile : the column describes a lead, not an event: its values stand as they were on the day of the export
        timed : leads are looked at as of cutoffs
        """
        n_filled, n_distinct = len(self.filled), len(self.distinct)
        number = self.numeric and not re.search(_CODE, self.words)
        may_be_a_person = re.search(_PERSONAL_NUMBER if self.numeric else _PERSONAL, self.words) and n_distinct > 3
        if not n_filled or (n_distinct == 1 and n_filled == len(self.text)):
            return "says the same in every row" if n_filled else "is empty"
        if may_be_a_person or re.fullmatch(_NAMES, self.words) or (not number and _addresses(self.filled)):
            return "may name a person"
        if profile and re.search(_AFTER, self.words):
            return "looks filled in during or after the sale: it would give the outcome away"
        if profile and timed and re.search(_COUNTED, self.words):
            return "counts up to the day of the export, so past the cutoff"
        if self.timed:
            return "is a time"
        if number:
            return NUMERIC
        if pc.mean(pc.utf8_length(self.filled)).as_py() > 60:
            return "is free text"
        if n_distinct > 10 and n_distinct * 5 > n_filled:
            return "has nearly as many values as rows" if n_distinct * 2 > n_filled else "has too many values"
        return CATEGORICAL


@dataclass(eq=False)
class Table:
    """One file, its columns, and those (None: all of it) that are left out, with the reason."""

    path: Path
    columns: list[Column]
    left_out: list[tuple[str | None, str]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, time_format: str | None) -> Table:
        """Read every column that has a name of its own; raises DataError as `read_rows`."""
        source, where, table = Source(path=os.path.abspath(path)), path.name, cls(path, [])
        names = header(source, Path(), where=where)
        clear = [name for name in names if name.strip() and names.count(name) == 1]
        table.left_out += [(name, "has no name of its own") for name in dict.fromkeys(names) if name not in clear]
        if not clear:
            raise DataError(f"{path.name} has no column with a name of its own. It needs one header row")
        try:
            rows = read_rows(source, Path(), clear, where=where).table
        except DataError:
            clear, nested = _apart(source, clear)
            if not clear:
                raise
            table.left_out += [(name, "does not hold one value a row") for name in nested]
            rows = read_rows(source, Path(), clear, where=where).table
        table.columns = [Column(name, rows[name], time_format) for name in clear]
        return table

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def is_called(self, pattern: str) -> bool:
        """Whether a word of the file's name starts so."""
        return re.search(rf"\b({pattern})", words(self.path.stem)) is not None

    def named(self, patterns: Sequence[str]) -> list[Column]:
        """Columns with such names, the likeliest first."""
        found = [column for pattern in patterns for column in self.columns if re.fullmatch(pattern, column.words)]
        return list({column.name: column for column in found}.values())

    def times(self, patterns: Sequence[str]) -> list[Column]:
        """Those of them that hold times."""
        return [column for column in self.named(patterns) if column.timed]


def _apart(source: Source, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split columns into those that can be read and those that can't, as lists in Parquet."""
    readable = []
    for name in names:
        with suppress(DataError):
            read_rows(source, Path(), [name], where=name)
            readable.append(name)
    return readable, [name for name in names if name not in readable]


def words(name: str) -> str:
    """Lower-case words of a name: ``CreatedDate`` and ``created_date`` are ``created date``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.removesuffix("__c"))
    return " ".join(re.findall(r"[^\W_]+", apart.lower()))


def _addresses(text: pa.Array) -> bool:
    return bool(pc.mean(pc.match_substring_regex(text, r"^\S+@\S+\.\S+$")).as_py() > 0.2)
