"""A lead document says what the same rows say as tables: the tables are the oracle, column type by column type."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import documents, fields
from leadscore.fields import Field
from leadscore.time import NEVER, format_instant, parse_instant
from tests import builders

SEEDS = range(24)
NOW = parse_instant("2026-05-01T09:00:00Z", "UTC")
ROLES = {"leads.account": "account_id", "leads.owner": "owner", "leads.missing": ["Select", "-1"]}
COLUMNS = {
    "events.touchpoints.categorical": ["channel", "campaign", "action"],
    "events.touchpoints.numeric": ["cost", "clicks"],
    "leads.numeric": ["employees", "revenue"],
}
CATEGORIES: list[list[Any]] = [
    ["email", " email", "email\t", "Email", "ünï", "", "  ", None, "5", "x" * 200],
    [5, 0, 12, None],
    [5.0, 2.5, -0.0, None, float("nan")],
    [True, False, None],
]
NUMBERS: list[list[Any]] = [
    [1, 0, -7, None],
    [1.0, 2.5, -0.0, 1e29, -1e31, float("inf"), float("nan"), None],
    ["1", " 2.5 ", "1e3", "-0", "", None, "many", "1_000", "inf"],
    [True, False, None],
]
TIMES: list[list[Any]] = [
    ["2026-04-01T09:00:00Z", "2026-04-01T09:00:01Z", "1969-12-31T23:59:59Z", "2024-02-29T00:00:00Z"],
    ["2026-04-01T09:00:00Z", "2026-04-01T09:00:00.000001Z", "2026-04-01T09:00:00.5Z"],
    ["2026-04-01T09:00:00+00:00", "2026-04-01T11:00:00+02:00", "2026-04-01 09:00:00.25-03:30"],
    ["2026-04-01T09:00", "2025-10-26 02:30", "2025-03-30 03:00:00", "2025-10-26T02:59:59.999999", "2026-04-01"],
    ["2026-04-01T09:00:00Z", "2026-04-01 11:00", " 2026-04-01T09:00:00Z ", "2026-04-01", "1775034000"],
    [1775034000, 1775034001, 1775034000000, 1775034000000001],
    ["1775034000", "1775034000123", "1775034000123456"],
]


def project(seed: int) -> ls.Project:
    timezone = ("UTC", "Europe/Berlin", "Asia/Kathmandu")[seed % 3]
    return builders.project({**COLUMNS, **ROLES, "timezone": timezone})


def rows(seed: int) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Leads, and events of each: columns of one type, times that tie, ids that come again."""
    rng = random.Random(seed)
    kinds = {
        name: rng.choice(CATEGORIES) for name in ("channel", "campaign", "action", "source", "account_id", "owner")
    }
    kinds |= {name: rng.choice(NUMBERS) for name in ("cost", "clicks", "employees", "revenue")}
    kinds |= {name: rng.choice(TIMES) for name in ("occurred_at", "ingested_at", "created_at")}
    fields_of = {
        "leads": ("created_at", "source", "account_id", "owner", "employees", "revenue"),
        "events": ("occurred_at", "ingested_at", "channel", "campaign", "action", "cost", "clicks"),
    }

    def row(table: str) -> dict[str, Any]:
        return {name: rng.choice(kinds[name]) for name in fields_of[table]}

    leads = [{"lead_id": f"L{number}", **row("leads")} for number in range(4)]
    events = {}
    for lead in leads:
        n_events = rng.choice((0, 1, 6, 25))
        events[lead["lead_id"]] = [{"event_id": _id(rng, lead["lead_id"]), **row("events")} for _ in range(n_events)]
    return leads, events


def _id(rng: random.Random, lead: str) -> str | None:
    number = rng.randint(1, 30)
    return rng.choice((None, "", f"{lead}-{number}", f" {lead}-{number} "))


def documents_of(seed: int, rng: random.Random) -> list[dict[str, Any]]:
    """The rows as documents; a null may be left out, the lead's id may be repeated, the order is any."""
    leads, events = rows(seed)
    found = []
    for lead in leads:
        mine = [
            _some_nulls_left_out(rng, row) | rng.choice(({}, {"lead_id": lead["lead_id"]}))
            for row in events[lead["lead_id"]]
        ]
        rng.shuffle(mine)
        found.append({"lead": _some_nulls_left_out(rng, lead), "events": {"touchpoints": mine}})
    return found


def _some_nulls_left_out(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None or rng.random() < 0.5}


def as_tables(seed: int) -> ls.Data:
    leads, events = rows(seed)
    touchpoints = [{"lead_id": lead, **row} for lead, mine in events.items() for row in mine]
    names = ["lead_id", "event_id", "occurred_at", "ingested_at", "channel", "campaign", "action", "cost", "clicks"]
    frames = {
        "leads": _frame(leads, list(leads[0])),
        "touchpoints": _frame(touchpoints, names),
        "outcome": pd.DataFrame({"lead_id": [], "closed_at": [], "status": []}, dtype="str"),
    }
    return ls.read(project(seed), frames=frames)


def _frame(found: list[dict[str, Any]], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row[name] for row in found], dtype=object) for name in names})


def events_of(data: ls.Data, lead: int) -> list[tuple[Any, ...]]:
    """The events of a lead in their order, whatever their codes; NaN as null, for it equals nothing."""
    log = data.logs["touchpoints"]
    return [
        (
            int(log.time[row]),
            int(log.known[row]),
            *(
                None if code < 0 else words[code]
                for code, words in zip(log.codes[:, row], log.vocabularies, strict=True)
            ),
            *(None if np.isnan(value) else float(value) for value in log.values[:, row]),
        )
        for row in range(log.offsets[lead], log.offsets[lead + 1])
    ]


def profile_of(data: ls.Data, lead: int) -> tuple[Any, ...]:
    leads = data.leads
    coded = [(codes[lead], words) for codes, words in zip(leads.codes, leads.vocabularies, strict=True)]
    coded += [(codes[lead], words) for codes, words in leads.roles.values()]
    return (
        leads.ids[lead],
        leads.created[lead],
        *(None if code < 0 else words[code] for code, words in coded),
        *(None if np.isnan(value) else float(value) for value in leads.values[:, lead]),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_documents_say_what_tables_say(seed):
    expected = as_tables(seed)
    raw = documents_of(seed, random.Random(seed))
    parsed = [documents.parse(expected.project, document, now=NOW) for document in raw]
    together, _ = documents.to_data(expected.project, parsed)
    for place, document in enumerate(parsed):
        alone, at = documents.to_data(expected.project, [document])
        lead = int(expected.leads.find([document.lead_id])[0])
        assert at.tolist() == [NOW]
        assert events_of(together, place) == events_of(alone, 0) == events_of(expected, lead)
        assert profile_of(together, place) == profile_of(alone, 0) == profile_of(expected, lead)
        log = alone.logs["touchpoints"]
        for codes, words in zip(log.codes, log.vocabularies, strict=True):
            assert list(words) == sorted(words)
            assert {*codes.tolist()} - {-1} == {*range(len(words))}


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_of_one_document_have_the_types_that_kernels_take(seed):
    declared = project(seed)
    for raw in documents_of(seed, random.Random(seed)):
        data, at = documents.to_data(declared, [documents.parse(declared, raw, now=NOW)])
        log, leads = data.logs["touchpoints"], data.leads
        for array, kind in (
            (log.offsets, "int64"), (log.time, "int64"), (log.known, "int64"), (log.codes, "int32"), (at, "int64"),
            (log.values, "float64"), (leads.codes, "int32"), (leads.created, "int64"), (leads.offsets, "int64"),
        ):  # fmt: skip
            assert array.dtype == kind
            assert array.flags.c_contiguous
            assert array.flags.writeable
        assert (log.codes.shape, log.values.shape) == ((3, log.n_events), (2, log.n_events))


def nowhere(position: int) -> Field:
    return Field("values", position)


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("kind", range(len(TIMES)))
def test_an_instant_reads_the_same_in_any_company(kind, timezone):
    """A column of plain texts takes a short way; one value that is not plain sends all of them the long way."""
    times = [value for value in TIMES[kind] if value != "2025-03-30 03:00:00"]
    long_way = fields.instants([*times, None], timezone, None, nowhere, np.full(len(times) + 1, NEVER))
    assert fields.instants(times, timezone, None, nowhere).tolist() == long_way[:-1].tolist()
    assert [fields.instant(value, timezone, None, nowhere(0)) for value in times] == long_way[:-1].tolist()


@pytest.mark.parametrize("values", CATEGORIES)
def test_a_category_reads_the_same_in_any_company(values):
    unlike = np.array([1, 2])  # what can't be remembered
    alone = [fields.categories([value], nowhere)[0] for value in values]
    assert fields.categories(values, nowhere) == alone
    assert fields.categories([*values, unlike], nowhere)[:-1] == alone
    assert fields.texts(values, nowhere) == [fields.texts([value], nowhere)[0] for value in values] == alone
    assert fields.texts([*values, "ü"], nowhere)[:-1] == alone


def test_values_that_python_holds_for_equal_stay_apart():
    values = [True, 1, 1.0, "1", "true", "True", False, 0, -0.0]
    assert fields.categories(values, nowhere) == ["true", "1", "1", "1", "true", "True", "false", "0", "0"]
    assert fields.categories(values[::-1], nowhere) == fields.categories(values, nowhere)[::-1]


def test_more_texts_than_are_remembered():
    texts = [f" {number} " for number in range(25_000)]
    for _ in range(2):
        assert fields.categories(texts, nowhere) == [text.strip() for text in texts]


@pytest.mark.parametrize("seed", range(40))
def test_texts_that_are_nearly_instants_are_read_as_one_by_one(seed):
    """The short way lets NumPy read the digits: nothing may pass that Python's own parser would refuse."""
    rng = random.Random(seed)
    for _ in range(200):
        letters = list(format_instant(rng.randint(-62_135_596_800, 253_402_300_799) * 1_000_000))
        for _ in range(rng.randint(1, 3)):
            letters[rng.randrange(20)] = chr(rng.choice((rng.randrange(256), rng.randrange(48, 58), 0x663)))
        text = "".join(letters)
        found = []
        for read in (
            lambda text: int(fields.instants([text, "2026-05-01T09:00:00Z"], "UTC", None, nowhere)[0]),
            lambda text: parse_instant(text, "UTC"),
        ):
            try:
                found.append(read(text))
            except ValueError:
                found.append(None)
        assert found[0] == found[1], text
