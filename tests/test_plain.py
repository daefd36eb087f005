"""Plain rows are read as objects are, to the bit and to the word of every refusal; what isn't plain is left alone."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadscore import documents, fields
from leadscore.errors import DocumentError
from leadscore.fields import Field
from leadscore.plain import MOST_ROWS, Columns, Fields, Layout
from service import payload
from service.problems import Problem
from tests import builders
from tests.properties.test_lead_documents import NOW, documents_of, project

SEEDS = range(48)
ROW = {
    "event_id": "e1",
    "occurred_at": "2026-04-01T09:00:00Z",
    "ingested_at": "2026-04-02T09:00:00Z",
    "channel": "email",
    "cost": 2.5,
}
BODY = json.dumps(
    {"lead": {"lead_id": "a", "x": ["}", {}]}, "events": {"touchpoints": [ROW, ROW | {"event_id": "e2"}]}}
)
TOKENS = [
    *('"', "\\", '\\"', "{", "}", "[", "]", ",", ":", " ", "\n", "\t", "\0", "\x7f", "ü", "\u00a0", "\u2003", "\u3000"),
    *(
        "\ud7ff",
        "null",
        "nul",
        "true",
        "0",
        "00",
        "1",
        "-",
        "-0",
        ".",
        ".5",
        "e5",
        "E-3",
        "1e400",
        "123456789012345678",
    ),
    *("Z", "+02:00", "T", "2026-02-30", "events", '"events":', '"lead_id":"b",', '"cost":1,', '"channel":null,'),
    *('"new":1,', "{},", '"touchpoints":[],', '"events":{},', "\\u0065vents"),
]
"""What may fall into a text anywhere."""


@pytest.fixture(scope="module")
def layout() -> Layout:
    found = documents.plain_layout(builders.project())
    assert found is not None
    return found


def told(declared: Any, parsed: Any) -> Any:
    """What comes of a document: its warnings and its tables, or the error."""
    try:
        document = documents.parse(declared, parsed, now=NOW)
    except DocumentError as error:
        return error.where, str(error)
    data, _ = documents.to_data(declared, [document])
    logs = [
        (log.offsets.tolist(), log.time.tolist(), log.known.tolist(), log.codes.tolist(), log.vocabularies,
         log.values.tobytes(), log.codes.dtype, log.codes.flags.c_contiguous, log.values.flags.c_contiguous)
        for log in data.logs.values()
    ]  # fmt: skip
    return document.warnings, logs


def answered(declared: Any, body: bytes, layout: Layout | None) -> Any:
    try:
        return told(declared, payload.parse_document(body, layout))
    except Problem as problem:
        return problem.detail


@pytest.mark.parametrize("seed", SEEDS)
def test_documents_of_any_values_come_to_the_same(seed):
    declared, rng = project(seed), random.Random(seed)
    for document in documents_of(seed, rng):
        text = json.dumps(document, ensure_ascii=seed % 2 == 0, indent=rng.choice((None, 1)))
        if re.search("NaN|Infinity", text) is None:
            layout = documents.plain_layout(declared)
            assert answered(declared, text.encode(), layout) == answered(declared, text.encode(), None)


@given(st.lists(st.tuples(st.integers(0, len(BODY)), st.integers(0, 12), st.sampled_from(["", *TOKENS])), max_size=3))
@settings(deadline=None, max_examples=1_500)
def test_a_text_in_which_anything_was_changed_is_read_or_refused_alike(layout, changes):
    text = BODY
    for place, n_lost, token in changes:
        text = text[:place] + token + text[place + n_lost :]
    declared, body = builders.project(), text.encode("utf-8", "surrogatepass")
    assert answered(declared, body, layout) == answered(declared, body, None)


@given(st.binary(max_size=3), st.integers(0, len(BODY)))
@settings(deadline=None, max_examples=300)
def test_bytes_that_are_no_text_are_refused_alike(layout, noise, place):
    body = BODY[:place].encode() + noise + BODY[place:].encode()
    assert answered(builders.project(), body, layout) == answered(builders.project(), body, None)


def read(texts: list[str], numbers: list[str] | None = None, instants: list[str] | None = None) -> Columns | None:
    """Rows of three fields, whose values are JSON as they stand."""
    rows = zip(texts, numbers or ["1"] * len(texts), instants or [f'"{ROW["occurred_at"]}"'] * len(texts), strict=True)
    lines = ",".join(f'{{"at": {at}, "word": {word}, "n": {n}}}' for word, n, at in rows)
    layout = Layout.of({"rows": Fields(("word",), ("n",), ("at",))})
    assert layout is not None
    return layout.read_rows(f"[{lines}]".encode("utf-8", "surrogatepass"))


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=40))
@settings(deadline=None)
def test_texts_are_trimmed_and_ranked_as_python_does(values):
    found = read([json.dumps(value, ensure_ascii=False) for value in values])
    expected = fields.texts(values, lambda row: Field("row", row))
    if found is not None:
        (words,) = found.vocabularies
        assert list(words) == sorted({*expected} - {None})
        assert [None if code < 0 else words[code] for code in found.codes[0]] == expected
    plain = re.compile(r"(?:[ !#-\[\]-~]|[\u00c0-\u00ff])*")  # nobody could take these for anything else
    assert found is not None or not all(plain.fullmatch(value or "") for value in values)


@given(
    st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True), min_size=1)
)
@settings(deadline=None)
def test_numbers_are_the_nearest_to_what_is_written(written):
    found = read(['"a"'] * len(written), written)
    if found is not None:
        assert found.numbers.tobytes() == (np.array([list(map(float, written))]) + 0.0).tobytes()
    assert found is not None or any(len(re.sub(r"\D", "", one)) > 15 or "e" in one.lower() for one in written)


@given(
    st.lists(
        st.from_regex(r"[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,7})?"
                      r"(Z|[+-][0-2][0-9]:[0-6][0-9])", fullmatch=True),
        min_size=1, max_size=4,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=400)
def test_instants_are_those_of_the_slow_way_or_none(written):
    found = read(['"a"'] * len(written), None, [f'"{one}"' for one in written])
    if found is not None:
        expected = [fields.instant(one, "UTC", None, Field("row", 0)) for one in written]
        assert found.instants[0].tolist() == expected


@pytest.mark.parametrize("year", [1000, 1582, 1899, 1900, 1970, 2000, 2024, 2025, 9998])
def test_every_day_of_a_year_is_where_it_was(year):
    days = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="M8[D]")
    found = read(['"a"'] * len(days), None, [f'"{day}T00:00:00Z"' for day in days])
    assert found is not None
    assert found.instants[0].tolist() == days.astype("M8[us]").astype(np.int64).tolist()


@pytest.mark.parametrize(
    "row",
    [
        ROW | {"channel": "e\u0301\\"},
        ROW | {"channel": 5},
        ROW | {"channel": "\u00a0email"},
        ROW | {"channel": "x" * 10_001},
        ROW | {"cost": "2.5"},
        ROW | {"cost": True},
        ROW | {"cost": 10**16},
        ROW | {"occurred_at": None},
        ROW | {"occurred_at": "2026-04-01T09:00:00"},
        ROW | {"occurred_at": 1775034000},
        ROW | {"undeclared": 1},
        [ROW],
        None,
    ],
)
def test_what_is_not_plain_is_left_to_others(layout, row):
    body = json.dumps({"lead": {"lead_id": "a"}, "events": {"touchpoints": [ROW, row]}}, ensure_ascii=False).encode()
    assert layout.read_document(body) is None


def test_what_is_plain_is_read_and_the_rest_left_as_it_is(layout):
    body = BODY.encode()
    found = layout.read_document(body)
    assert found is not None
    rest = json.loads(body[: found.begin] + b"{}" + body[found.end :])
    assert rest == json.loads(BODY) | {"events": {}}
    rows = found.tables["touchpoints"]
    assert rows.vocabularies == (("email",), (), ("e1", "e2"))
    assert rows.numbers.tolist() == [[2.5, 2.5]]


def test_a_table_of_many_words_is_plain_up_to_a_limit():
    words = [f"w{number}" for number in range(4_096)]
    found = read([f'"{word}"' for word in reversed(words)])
    assert found is not None
    assert found.vocabularies == (tuple(sorted(words)),)
    assert read([*(f'"{word}"' for word in words), '"one more"']) is None


def test_no_room_is_made_for_millions_of_rows(layout):
    """Who sends eight million braces must not be given half a gigabyte for them."""
    assert layout.read_document(b'{"events": {"touchpoints": [' + b"{" * (MOST_ROWS + 1)) is None
    assert read(['"a"'] * MOST_ROWS) is not None
    assert read(['"a"'] * (MOST_ROWS + 1)) is None


def test_a_bracket_in_a_text_does_not_end_the_list():
    found = read(['"a]"', '"b"', '"]]]"'])
    assert found is not None
    assert found.vocabularies == (("]]]", "a]", "b"),)


def test_fields_of_two_meanings_are_never_plain():
    assert Layout.of({"rows": Fields(("a",), ("a",))}) is None
    assert Layout.of({"rows": Fields(tuple(f"c{n}" for n in range(65)))}) is None
    assert documents.plain_layout(builders.project({"events.touchpoints.time_format": "%d/%m/%Y"})) is None
