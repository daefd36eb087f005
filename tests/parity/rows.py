"""Raw rows put in order, one at a time: which delivery is the row, who comes before whom, what is visible at t."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.parity.streams import COLUMNS, PROFILE

Row = dict[str, Any]


def trimmed(row: Row) -> Row:
    return {column: value.strip() or None if isinstance(value, str) else value for column, value in row.items()}


def visible(row: Row, t: int) -> bool:
    return row["occurred_at"] < t and row.get("ingested_at", row["occurred_at"]) < t


def content(row: Row, columns: dict[str, list[str]]) -> tuple[Any, ...]:
    """Null words first, missing numbers last."""
    words = [(row[column] is not None, row[column] or "") for column in columns["categorical"]]
    return (*words, *((row[column] is None, row[column] or 0) for column in columns["numeric"]))


def order(row: Row, table: str) -> tuple[Any, ...]:
    known = row.get("ingested_at", row["occurred_at"])
    return row["occurred_at"], known, content(row, COLUMNS[table])


def version_order(row: Row) -> tuple[Any, ...]:
    created, belonging = row["created_at"], {"categorical": ["rep", "source", "account"], "numeric": []}
    return row.get("updated_at", 0), (created is not None, created or 0), content(row, PROFILE), content(row, belonging)


def deduplicated(rows: list[Row], table: str) -> list[Row]:
    """In time order; of rows that share an id the one known first. Rows without id all stay."""
    first: dict[str, Row] = {}
    without = [row for row in rows if row.get("event_id") is None]
    for row in rows:
        if row.get("event_id") is not None:
            rival = first.setdefault(row["event_id"], row)
            if delivery(row, table) < delivery(rival, table):
                first[row["event_id"]] = row
    return sorted([*without, *first.values()], key=lambda row: order(row, table))


def delivery(row: Row, table: str) -> tuple[Any, ...]:
    return row["ingested_at"], row["occurred_at"], content(row, COLUMNS[table]), row["lead_id"]


def kept(words: list[str | None]) -> list[str]:
    tally = Counter(word for word in words if word is not None)
    ranked = sorted(tally, key=lambda word: (-tally[word], word))
    return [*ranked[:30], "(other)", "(missing)"]


def plain(word: str | None) -> str | None:
    """A word without case, whatever stands between its letters and digits as one blank."""
    return None if word is None else re.sub(r"[\W_]+", " ", word.casefold()).strip()
