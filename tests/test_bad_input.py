"""What users get wrong, and exactly what they are told: the thing, the requirement, what was found, where, what to do.

One table for project files, one for tables, one for lead documents; then rubbish by the thousand, which must never
bring up another exception than ours.
"""

# ruff: noqa: E501  (messages stand here whole, as a user reads them)

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
import random
import string
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import leadscore as ls
from leadscore import documents
from leadscore.errors import ArtifactError, DataError, DocumentError, LeadScoreError, ProjectError
from tests import builders

NOW = 1_777_593_600_000_000  # 2026-05-01

PROJECTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "an unknown key",
        {"leads.categorial": ["x"]},
        "leadscore.toml: unknown key 'categorial' in [leads]. Did you mean 'categorical'? Known keys: source, id, created, account, origin, owner, known, categorical, numeric, missing, time_format",
    ),
    (
        "an unknown section",
        {"touchpoints": {"source": "t.csv"}},
        "leadscore.toml: unknown key 'touchpoints' in the top level. Known keys: name, timezone, store, leads, events, outcome, task, features, model, grades, reasons, sla",
    ),
    (
        "no leads",
        {"leads": None},
        'leadscore.toml has no [leads] section, and needs one; found name, events, outcome, task. Add [leads] with source = "leads.csv" and the names of its columns',
    ),
    (
        "no outcome",
        {"outcome": None},
        'leadscore.toml has no [outcome] section, and needs one; found name, leads, events, task. Add [outcome] with source = "outcome.csv" and the names of its columns',
    ),
    (
        "leads is text",
        {"leads": "leads.csv"},
        "leadscore.toml: [leads] must be a table, with its keys on the lines below it; found 'leads.csv'",
    ),
    (
        "events is a list",
        {"events": []},
        "leadscore.toml: [events] must be a table, with its keys on the lines below it; found []",
    ),
    (
        "an event table is text",
        {"events.calls": "calls.csv"},
        "leadscore.toml: [events.calls] must be a table, with its keys on the lines below it; found 'calls.csv'",
    ),
    (
        "no source",
        {"leads.source": None},
        'leadscore.toml: [leads] needs source = "file.csv" (or a glob, or { sql = "select …", url = "env:NAME" })',
    ),
    (
        "an empty source",
        {"leads.source": ""},
        'leadscore.toml: [leads] needs source = "file.csv" (or a glob, or { sql = "select …", url = "env:NAME" })',
    ),
    (
        "a secret in the file",
        {"leads.source": {"sql": "select 1", "url": "postgresql://u:p@h/d"}},
        'leadscore.toml: [leads.source] url must name an environment variable, as in url = "env:CRM_URL": no secret in files',
    ),
    (
        "a query without url",
        {"leads.source": {"sql": "select 1"}},
        'leadscore.toml: [leads.source] needs url = "…"; found sql',
    ),
    (
        "an unknown zone",
        {"timezone": "Berlin"},
        "leadscore.toml: timezone: 'Berlin' is not a time zone; use an IANA name such as 'UTC' or 'Europe/Berlin'",
    ),
    ("a name that is a number", {"name": 5}, 'leadscore.toml: name must be text in quotes, as in name = "…"; found 5'),
    ("no id", {"leads.id": None}, "leadscore.toml: [leads] needs id = the column that names a lead"),
    (
        "no created",
        {"leads.created": None},
        "leadscore.toml: [leads] needs created = the column that says when a lead came in",
    ),
    (
        "a column that is a number",
        {"leads.id": 3},
        'leadscore.toml: [leads] id must be text in quotes, as in id = "…"; found 3',
    ),
    (
        "columns as text",
        {"leads.categorical": "source"},
        'leadscore.toml: [leads] categorical must be a list of texts, as in categorical = ["…", "…"]; found \'source\'',
    ),
    (
        "a column twice",
        {"leads.categorical": ["source", "source"]},
        "leadscore.toml: [leads] categorical names 'source' twice; remove one",
    ),
    (
        "a column of two kinds",
        {"leads.numeric": ["source"]},
        "leadscore.toml: [leads] lists 'source' as categorical and as numeric; choose one",
    ),
    (
        "versions without id",
        {"leads.id": None, "leads.known": "updated_at"},
        "leadscore.toml: [leads] declares known, so versions of a lead; that needs id as well",
    ),
    (
        "an event table without time",
        {"events.touchpoints.time": None},
        'leadscore.toml: [events.touchpoints] needs time = "…"; found source, lead, known, id, categorical, numeric',
    ),
    (
        "a reserved event table",
        {"events.account": {"source": "a.csv"}},
        "leadscore.toml: [events.account] takes a reserved name; rename it (reserved: lead, profile, calendar, owner, account, origin, leads, outcome)",
    ),
    (
        "an event table named leads",
        {"events.leads": {"source": "a.csv"}},
        "leadscore.toml: [events.leads] takes a reserved name; rename it (reserved: lead, profile, calendar, owner, account, origin, leads, outcome)",
    ),
    (
        "a nameless event table",
        {"events.": {"source": "a.csv"}},
        "leadscore.toml: an event table needs a name, as in [events.touchpoints]; found an empty one",
    ),
    (
        "no wins named",
        {"outcome.won": None},
        "leadscore.toml: [outcome] reads column 'status' but does not say which values are wins; add won = [\"…\"]",
    ),
    (
        "wins without column",
        {"outcome.column": None},
        'leadscore.toml: [outcome] lists won or lost but no column to find them in; add column = "…"',
    ),
    (
        "won and lost at once",
        {"outcome.lost": ["won"]},
        "leadscore.toml: [outcome] counts 'won' as won and as lost; keep it in one",
    ),
    (
        "outcome without lead",
        {"outcome.lead": None},
        "leadscore.toml: [outcome] needs lead = the column that holds the lead's id, because it reads another source than [leads]",
    ),
    (
        "neither time nor column",
        {"outcome.time": None, "outcome.column": None, "outcome.won": None, "outcome.lost": None},
        "leadscore.toml: [outcome] needs time (when a lead was won), or column and won for a labelled list without times",
    ),
    (
        "events without time",
        {"outcome.time": None, "task.horizon": None},
        "leadscore.toml: [events] need [outcome] time: without it nobody can say which events came before",
    ),
    (
        "a horizon without time",
        {"outcome.time": None, "events": None},
        "leadscore.toml: [task] sets horizon, but [outcome] has no time; add [outcome] time, or remove horizon",
    ),
    (
        "no horizon",
        {"task": None},
        'leadscore.toml: [task] needs horizon = "30d": within what time must a lead convert to count as a win?',
    ),
    (
        "a horizon as number",
        {"task.horizon": 30},
        'leadscore.toml: [task] horizon must be text in quotes, as in horizon = "…"; found 30',
    ),
    (
        "a horizon without unit",
        {"task.horizon": "30"},
        "leadscore.toml: [task] horizon: '30' is not a duration; write a whole number and m, h, d or w, as in '12h' or '30d'",
    ),
    ("an empty horizon", {"task.horizon": "0d"}, "leadscore.toml: [task] horizon: '0d' is empty; use at least '1m'"),
    (
        "an endless horizon",
        {"task.horizon": "all"},
        "leadscore.toml: [task] horizon: 'all' is not a duration; write a whole number and m, h, d or w, as in '12h' or '30d'",
    ),
    (
        "a split with times",
        {"task.split": "random"},
        "leadscore.toml: [task] sets split, which is for lists without times; here blocks follow time. Remove split",
    ),
    (
        "a date without quotes",
        {"task.observed_until": dt.date(2026, 6, 30)},
        'leadscore.toml: [task] observed_until must be a string; put it in quotes: observed_until = "2026-06-30"',
    ),
    (
        "an unreadable date",
        {"task.observed_until": "June"},
        "leadscore.toml: [task] observed_until = 'June': not a time; write ISO 8601, as in '2026-05-01T09:00:00Z'",
    ),
    (
        "observed the wrong way round",
        {"task.observed_from": "2026-01-01", "task.observed_until": "2025-01-01"},
        "leadscore.toml: [task] observed_from '2026-01-01' is not before observed_until '2025-01-01': nothing would be observed. Swap or mend them",
    ),
    (
        "two rules of cutoffs",
        {"task.cutoffs": {"every": "7d", "after": "events"}},
        'leadscore.toml: [task.cutoffs] needs exactly one of every, after, at_age, source; found every, after. The default is cutoffs = { every = "7d", max_per_lead = 8 }',
    ),
    (
        "no rule of cutoffs",
        {"task.cutoffs": {"max_per_lead": 8}},
        'leadscore.toml: [task.cutoffs] needs exactly one of every, after, at_age, source; found none. The default is cutoffs = { every = "7d", max_per_lead = 8 }',
    ),
    (
        "an endless step",
        {"task.cutoffs": {"every": "all"}},
        "leadscore.toml: [task.cutoffs] every: 'all' is not a duration; write a whole number and m, h, d or w, as in '12h' or '30d'",
    ),
    (
        "cutoffs after something else",
        {"task.cutoffs": {"after": "calls"}},
        "leadscore.toml: [task.cutoffs] after must be \"events\", not 'calls'",
    ),
    (
        "cutoffs after no events",
        {"task.cutoffs": {"after": "events"}, "events": None},
        'leadscore.toml: [task.cutoffs] says after = "events", but there is no [events.…] table; add one, or say every or at_age',
    ),
    (
        "no ages",
        {"task.cutoffs": {"at_age": []}},
        'leadscore.toml: [task.cutoffs] at_age is empty; write at least at_age = ["0d"]',
    ),
    (
        "no cutoff per lead",
        {"task.cutoffs": {"every": "7d", "max_per_lead": 0}},
        "leadscore.toml: [task.cutoffs] max_per_lead must be a whole number above 0, not 0",
    ),
    (
        "no windows",
        {"features.windows": []},
        "leadscore.toml: [features] windows is empty; leave it out for the default",
    ),
    (
        "smoothing beyond all numbers",
        {"features.smoothing": 10**400},
        f"leadscore.toml: [features] smoothing must be a number above 0, at most 1,000,000,000; found {10**400}",
    ),
    (
        "a column of leads without a name",
        {"leads.numeric": [""]},
        'leadscore.toml: [leads] lists a column without a name, ""; leave it out, or give it a name in its source',
    ),
    (
        "a column of events without a name",
        {"events.touchpoints.categorical": ["channel", ""]},
        'leadscore.toml: [events.touchpoints] lists a column without a name, ""; leave it out, or give it a name in '
        "its source",
    ),
    (
        "an unknown window",
        {"features.windows": ["7y"]},
        "leadscore.toml: [features] windows: '7y' is not a duration; write a whole number and m, h, d or w, as in '12h' or '30d'",
    ),
    (
        "a parameter as text",
        {"model.learning_rate": "fast"},
        "leadscore.toml: [model] learning_rate must be a number, not 'fast'",
    ),
    (
        "a parameter that is no number",
        {"model.learning_rate": math.nan},
        "leadscore.toml: [model] learning_rate must be a number, not nan",
    ),
    (
        "a fractional seed",
        {"model.seed": 1.5},
        "leadscore.toml: [model] seed must be a whole number, 0 or above, not 1.5",
    ),
    (
        "unknown boosting",
        {"model.boosting": "xgboost"},
        "leadscore.toml: [model] boosting must be 'gbdt', 'dart' or 'rf', not 'xgboost'",
    ),
    (
        "a number for a switch",
        {"model.extra_trees": 1},
        "leadscore.toml: [model] extra_trees must be true or false, not 1",
    ),
    (
        "grades that rise",
        {"grades": {"A": 40, "B": 70}},
        "leadscore.toml: [grades] must fall from A to C between 100 and 0, as A = 90, B = 70, C = 40 do; found A = 40, B = 70, C = 40.0",
    ),
    (
        "a grade as text",
        {"grades": {"A": "best"}},
        "leadscore.toml: [grades] must fall from A to C between 100 and 0, as A = 90, B = 70, C = 40 do; found A = best, B = 70.0, C = 40.0",
    ),
    (
        "nothing to learn from",
        {"leads.categorical": None, "leads.numeric": None, "events": None},
        "leadscore.toml: nothing to learn from: list categorical or numeric columns, or add an [events.…] table",
    ),
]


def parquet(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


EVENTS = "event_id,lead_id,occurred_at,ingested_at,channel,cost\n"
LEAD = {"lead_id": ["a"], "created_at": ["2025-01-01"], "source": ["ads"], "employees": [1]}
TABLES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "a missing file",
        {"leads.csv": None},
        {},
        "[leads] source 'leads.csv' matches no file in FOLDER. Did you mean 'outcomes.csv'? Paths are relative to leadscore.toml",
    ),
    (
        "a file with another name",
        {"leads.csv": None, "leeds.csv": "x"},
        {},
        "[leads] source 'leads.csv' matches no file in FOLDER. Did you mean 'leeds.csv'? Paths are relative to leadscore.toml",
    ),
    ("an empty file", {"leads.csv": ""}, {}, "leads.csv is empty; it needs a header row. It is the source of [leads]"),
    (
        "another header",
        {"touchpoints.csv": "id,lead_id,occurred,ingested_at,channel,cost\n"},
        {},
        "touchpoints.csv is missing column 'occurred_at'; found 'id', 'lead_id', 'occurred', 'ingested_at', 'channel', 'cost'. Did you mean 'occurred'? Mend it there, or the name in [events.touchpoints] of leadscore.toml",
    ),
    (
        "a header twice",
        {"leads.csv": "lead_id,created_at,source,source,employees\n"},
        {},
        "leads.csv has 2 columns named 'source', which [leads] reads. Rename all but one",
    ),
    (
        "a ragged row",
        {"leads.csv": builders.LEADS + "d,2025-01-01,ads,1,2,3\n"},
        {},
        "leads.csv row 4 has 6 fields, the header has 4 (1 such rows). Quote fields that hold the delimiter ',', or mend the rows",
    ),
    (
        "an id twice",
        {"leads.csv": builders.LEADS + "a,2025-01-01,ads,1\n"},
        {},
        "leads.csv: column 'lead_id' repeats an id (1 ids; first at leads.csv row 1, leads.csv row 4). Remove the repeats, or say which column tells versions of a lead apart: [leads] known",
    ),
    (
        "leads without id",
        {"leads.csv": builders.LEADS + ",2025-01-01,ads,1\n"},
        {},
        "leads.csv: 1 of 4 rows have no readable 'lead_id' (at most 5% may be rejected): leads.csv row 4 is empty. Mend the rows, or the column or time_format in [leads]",
    ),
    (
        "unreadable times",
        {"touchpoints.csv": EVENTS + "1,a,soon,2025-01-05,email,\n"},
        {},
        "touchpoints.csv: 1 of 1 rows have no readable 'occurred_at' (at most 5% may be rejected): touchpoints.csv row 1 looks like 'aaaa'. Mend the rows, or the column or time_format in [events.touchpoints]",
    ),
    (
        "times that never were known",
        {"touchpoints.csv": EVENTS + "1,a,2025-01-05,,email,\n"},
        {},
        "touchpoints.csv: 1 of 1 rows have no readable 'ingested_at' (at most 5% may be rejected): touchpoints.csv row 1 is empty. Mend the rows, or the column or time_format in [events.touchpoints]",
    ),
    (
        "dates that read both ways",
        {"touchpoints.csv": EVENTS + "1,a,03/04/2025,03/04/2025,email,\n"},
        {},
        "touchpoints.csv column 'occurred_at': its dates read both as '%d/%m/%Y' and as '%m/%d/%Y'; say which with time_format = \"%d/%m/%Y\" in [events.touchpoints]",
    ),
    (
        "a format that reads nothing",
        {},
        {"leads.time_format": "%d/%m/%Y", "leads.known": "created_at"},
        "leads.csv: 3 of 3 rows have no readable 'created_at' (at most 5% may be rejected): leads.csv row 1 looks like '9999-99-99a99:99:99a'; leads.csv row 2 looks like '9999-99-99a99:99:99a'; leads.csv row 3 looks like '9999-99-99a99:99:99a'. Mend the rows, or the column or time_format in [leads]",
    ),
    (
        "an hour that never was",
        {"outcomes.csv": "lead_id,closed_at,status\na,2025-03-30 02:30,won\n"},
        {"timezone": "Europe/Berlin"},
        "outcomes.csv: 1 of 1 rows have no readable 'closed_at' (at most 5% may be rejected): outcomes.csv row 1 looks like '9999-99-99 99:99'. Mend the rows, or the column or time_format in [outcome]",
    ),
    (
        "events of nobody",
        {"touchpoints.csv": EVENTS + "1,,2025-01-05,2025-01-05,email,\n"},
        {},
        "touchpoints.csv: 1 of 1 rows have no readable 'lead_id' (at most 5% may be rejected): touchpoints.csv row 1 is empty. Mend the rows, or the column or time_format in [events.touchpoints]",
    ),
    (
        "a damaged archive",
        {"leads.csv.gz": b"\x1f\x8bnot really"},
        {"leads.source": "leads.csv.gz"},
        "leads.csv.gz can't be read (zlib inflate failed). It is the source of [leads]: export it again, as CSV or Parquet, with one header row",
    ),
    (
        "half an archive",
        {"leads.csv.gz": gzip.compress(builders.LEADS.encode(), mtime=0)[:40]},
        {"leads.source": "leads.csv.gz"},
        "leads.csv.gz can't be read (Truncated compressed stream). It is the source of [leads]: export it again, as CSV or Parquet, with one header row",
    ),
    (
        "a damaged Parquet file",
        {"leads.csv": b"PAR1 and nothing"},
        {},
        "leads.csv can't be read (Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file). It is the source of [leads]: export it again, as CSV or Parquet, with one header row",
    ),
    (
        "half of UTF-16",
        {"leads.csv": b"\xff\xfe" + builders.LEADS.encode("utf-16-le") + b"\x00"},
        {},
        "leads.csv can't be read ('utf-16-le' codec can't decode byte 0x00 in position 0). It is the source of [leads]: export it again, as CSV or Parquet, with one header row",
    ),
    (
        "a stray carriage return",
        {"leads.csv": b"lead_id,created_at,sou\rce,employees\na,2025-01-01,ads,1\n"},
        {},
        "leads.csv is missing column 'source'; found 'lead_id', 'created_at', 'sou'. Did you mean 'sou'? Mend it there, or the name in [leads] of leadscore.toml",
    ),
    (
        "lists in Parquet",
        {"leads.csv": parquet(**LEAD | {"source": [["ads"]]})},
        {},
        "leads.csv column 'source' holds list<element: string>; it needs one text, number or time a row. Flatten it, or leave it out of [leads] in leadscore.toml",
    ),
    (
        "bytes in Parquet",
        {"leads.csv": parquet(**LEAD | {"source": [b"\xff"]})},
        {},
        "leads.csv column 'source' holds binary; it needs one text, number or time a row. Flatten it, or leave it out of [leads] in leadscore.toml",
    ),
    (
        "text that is none in Parquet",
        {"leads.csv": parquet(**LEAD).replace(b"2025-01-01", b"2025-01-\xff1")},
        {},
        "leads.csv can't be read (it holds text that is not UTF-8, or is damaged). It is the source of [leads]: export it again, as CSV or Parquet, with one header row",
    ),
    (
        "a column missing in Parquet",
        {"leads.csv": parquet(lead_id=["a"], created_at=["2025-01-01"], source=["x"])},
        {},
        "leads.csv is missing column 'employees'; found 'lead_id', 'created_at', 'source'. Mend it there, or the name in [leads] of leadscore.toml",
    ),
    (
        "files that disagree",
        {
            "part1.csv": parquet(**LEAD),
            "part2.csv": parquet(lead_id=["b"], created_at=["2025-01-01"], source=["x"], employees=[True]),
        },
        {"leads.source": "part*.csv"},
        "[leads] source part*.csv: its files don't agree on a column's type (Unable to merge: Field employees has incompatible types: int64 vs bool). Write them alike",
    ),
    (
        "no database",
        {},
        {"leads.source": {"sql": "select 1", "url": "env:LEADSCORE_TEST_NO_URL"}},
        "[leads] reads SQL from the environment variable LEADSCORE_TEST_NO_URL, which is not set. Set it to a database URL, as in postgresql://user:password@host/name",
    ),
    (
        "a folder as source",
        {},
        {"leads.source": "."},
        "[leads] source '.' matches no file in FOLDER. Paths are relative to leadscore.toml",
    ),
]


@pytest.mark.parametrize(("changes", "message"), [case[1:] for case in PROJECTS], ids=[case[0] for case in PROJECTS])
def test_a_project_that_cannot_be_meant(changes, message):
    with pytest.raises(ProjectError) as caught:
        builders.project(changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist. Name a folder that holds a leadscore.toml, "
         "or write one from your tables: leadscore init FILES --out DIR"),
        (b"[leads\n", "can't be read as TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"),
        (b'name="a"\nname="b"', "can't be read as TOML: Cannot overwrite a value (at end of document)"),
        (b'name = "caf\xe9"', "can't be read as TOML: 'utf-8' codec can't decode byte 0xe9 in position 11: "
         "invalid continuation byte"),
    ],
)  # fmt: skip
def test_a_project_file_that_cannot_be_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "leadscore.toml").write_bytes(content)
    with pytest.raises(ProjectError) as caught:
        ls.Project.load(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'leadscore.toml'} {message}"


@pytest.mark.parametrize(
    ("files", "changes", "message"), [case[1:] for case in TABLES], ids=[case[0] for case in TABLES]
)
def test_tables_that_cannot_be_read(tmp_path, files, changes, message):
    with pytest.raises(DataError) as caught:
        builders.read(tmp_path, files, changes)
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == message


def test_cutoffs_that_cannot_be_read(tmp_path):
    data = builders.read(tmp_path, changes={"task.cutoffs": {"source": "cutoffs.csv"}})
    with pytest.raises(DataError) as caught:
        ls.snapshots(data)
    assert str(caught.value) == (
        f"[task.cutoffs] source 'cutoffs.csv' matches no file in {tmp_path}. Did you mean 'outcomes.csv'? "
        "Paths are relative to leadscore.toml"
    )
    for text, message in [
        ("lead_id,cutoff\nz,2025-01-05\n", "cutoffs: 1 rows name a lead_id that is not in [leads] (first: row 1)"),
        ("lead_id,cutoff\na,soon\n",
         "cutoffs: 1 rows have no readable cutoff; write ISO 8601, as in 2026-05-01T09:00:00Z (first: row 1)"),
        ("lead_id,when\na,soon\n", "cutoffs.csv is missing column 'cutoff'; found 'lead_id', 'when'. "
         "Mend it there"),
    ]:  # fmt: skip
        (tmp_path / "cutoffs.csv").write_text(text)
        with pytest.raises(DataError) as caught:
            ls.snapshots(data)
        assert str(caught.value) == message


def test_frames_that_cannot_be_read():
    frame = pd.DataFrame({**LEAD, "source": pd.Series(["\ud800"], dtype=object)})
    with pytest.raises(DataError) as caught:
        ls.read(builders.project(), frames={"leads": frame})
    assert str(caught.value) == (
        "the DataFrame of [leads] column 'source' holds half a surrogate pair, which is no text. Decode it from UTF-8"
    )


DOCUMENT: dict[str, Any] = {
    "lead": {"lead_id": "L1", "created_at": "2026-04-01", "source": "webinar", "employees": 120},
    "events": {
        "touchpoints": [{"event_id": "1", "occurred_at": "2026-04-02T09:00:00Z", "channel": "email", "cost": 1.5}],
        "interactions": [{"occurred_at": 1_775_000_000, "kind": "call", "minutes": "5"}],
    },
    "as_of": "2026-05-01T09:00:00Z",
}


def document(path: str, value: Any) -> dict[str, Any]:
    """The document with one field, named by dotted path, set."""
    changed = json.loads(json.dumps(DOCUMENT))
    *parents, key = path.split(".")
    place: Any = changed
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    place[int(key) if isinstance(place, list) else key] = value
    return changed


TIME = "is not a readable time; write ISO 8601, as in '2026-05-01T09:00:00Z'"
DOCUMENTS: list[tuple[str, Any, str]] = [
    ("nothing", None, "must be a JSON object, not nothing"),
    ("a list", [], "must be a JSON object, not a list"),
    ("text", "L1", "must be a JSON object, not text"),
    ("no lead", {"events": {}}, "lead: must be an object with the lead's fields, not nothing"),
    ("a lead that is its id", {"lead": "L1"}, "lead: must be an object with the lead's fields, not text"),
    (
        "an unknown part",
        document("event", {}),
        "event: unknown part. Did you mean 'events'? A lead document has: lead, events, as_of, context",
    ),
    (
        "half a surrogate as key",
        document("\ud800", 1),
        "?: unknown part. A lead document has: lead, events, as_of, context",
    ),
    ("no id", document("lead.lead_id", None), "lead.lead_id: is missing; every lead needs its 'lead_id'"),
    ("an empty id", document("lead.lead_id", "  "), "lead.lead_id: is missing; every lead needs its 'lead_id'"),
    ("an id that is a list", document("lead.lead_id", [1]), "lead.lead_id: must be a single value, not a list"),
    (
        "a nested field",
        document("lead.source", {"first": "ads"}),
        "lead.source: must be a single value, not an object",
    ),
    (
        "a nested number",
        document("lead.employees", [120]),
        "lead.employees: must be a single value, not a list",
    ),
    (
        "an endless field",
        document("lead.source", "x" * 10_001),
        "lead.source: has 10001 characters; at most 10000 are allowed",
    ),
    (
        "an endless number",
        document("lead.lead_id", 10**300),
        "lead.lead_id: has more than 300 digits; write it as text",
    ),
    (
        "half a surrogate",
        document("lead.source", "\ud83d"),
        "lead.source: holds half a surrogate pair, which is no text; send UTF-8",
    ),
    ("an unreadable creation", document("lead.created_at", "soon"), f"lead.created_at: {TIME}"),
    ("a creation that is true", document("lead.created_at", True), f"lead.created_at: {TIME}"),
    ("an unreadable cutoff", document("as_of", "now"), f"as_of: {TIME}"),
    ("a cutoff that is a list", document("as_of", []), f"as_of: {TIME}"),
    (
        "a cutoff before the calendar",
        document("as_of", "0001-01-01T00:00:00+05:00"),
        "as_of: lies outside the years 1 to 9999",
    ),
    ("events in a list", document("events", []), "events: must be an object of event tables, not a list"),
    (
        "an unknown table",
        document("events.touchpoint", []),
        "events.touchpoint: unknown event table. Did you mean 'touchpoints'? the project has: touchpoints, interactions",
    ),
    (
        "events that are text",
        document("events.touchpoints", "none"),
        "events.touchpoints: must be a list of events, not text",
    ),
    (
        "an event that is text",
        document("events.touchpoints.0", "click"),
        "events.touchpoints[0]: must be an object with the event's fields, not text",
    ),
    (
        "an event without time",
        document("events.touchpoints.0.occurred_at", None),
        "events.touchpoints[0].occurred_at: is missing; write a time such as '2026-05-01T09:00:00Z'",
    ),
    (
        "an unreadable event",
        document("events.touchpoints.0.occurred_at", "03/04/2026"),
        f"events.touchpoints[0].occurred_at: {TIME}",
    ),
    (
        "an unreadable arrival",
        document("events.touchpoints.0.ingested_at", -1),
        f"events.touchpoints[0].ingested_at: {TIME}",
    ),
    (
        "an event of another lead",
        document("events.touchpoints.0.lead_id", "L2"),
        "events.touchpoints[0].lead_id: names another lead than the document",
    ),
    (
        "too many events",
        document("events.touchpoints", [{}] * 50_001),
        "events.touchpoints: holds 50001 events; at most 50000 are allowed",
    ),
    (
        "a context in a list",
        document("context", [1]),
        "context: must be an object of feature names and values, not a list",
    ),
    (
        "an endless context",
        document("context", {f"owner.{number}": 1 for number in range(1_001)}),
        "context: holds 1001 values; at most 1000 are allowed",
    ),
]


@pytest.mark.parametrize(("raw", "message"), [case[1:] for case in DOCUMENTS], ids=[case[0] for case in DOCUMENTS])
def test_a_document_that_is_wrong(sample_scorer, raw, message):
    good, bad = sample_scorer.score_documents([DOCUMENT, raw], now=NOW)
    assert good["lead_id"] == "L1"
    assert isinstance(bad, DocumentError)
    assert str(bad) == message


def change(folder: Path, name: str, edit: Any, *, sign: bool = True) -> None:
    """Edit a file of a scorer; sign it, so that the digest doesn't give it away."""
    import hashlib

    path = folder / name
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    if sign and name != "manifest.json":
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def sign_plan(folder: Path, edit: Any) -> None:
    """Edit the plan, and name it in the manifest by the hash that it then has."""
    change(folder, "plan.json", edit)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    manifest["plan"] = ls.FeaturePlan.from_dict(raw).hash
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def without(key: str) -> Any:
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key})


SCORERS: list[tuple[str, Any, str]] = [
    ("no manifest", lambda f: (f / "manifest.json").unlink(), "{f} has no manifest.json: it is no scorer, or was never finished"),
    ("a missing file", lambda f: (f / "model.txt").unlink(), "{f} lacks a readable model.txt; write the scorer anew"),
    ("a changed file", lambda f: change(f, "plan.json", lambda text: text + " ", sign=False),
     "{f}/plan.json was changed after the scorer was saved; write the scorer anew"),
    ("another format", lambda f: change(f, "manifest.json", lambda text: text.replace('"format": 1', '"format": 9')),
     "{f} has scorer format 9; this version of leadscore reads 1"),
    ("a manifest that is a list", lambda f: change(f, "manifest.json", lambda _: "[]"),
     "{f} has scorer format None; this version of leadscore reads 1"),
    ("a manifest without digests", lambda f: change(f, "manifest.json", without("files")),
     "{f}/plan.json was changed after the scorer was saved; write the scorer anew"),
    ("a manifest without seed", lambda f: change(f, "manifest.json", without("seed")),
     "{f} holds a scorer that can't be read (KeyError: 'seed'). Save the scorer anew"),
    ("a manifest without plan", lambda f: change(f, "manifest.json", without("plan")),
     "{f}: plan.json is not the plan that manifest.json names. Save the scorer anew"),
    ("another plan", lambda f: change(f, "plan.json", lambda text: text.replace('"expands": false', '"expands": true')),
     "{f}: plan.json is not the plan that manifest.json names. Save the scorer anew"),
    ("a plan of another table, signed", lambda f: sign_plan(f, lambda text: text.replace('"touchpoints.count.30d"', '"calls.count.30d"')),
     "{f}: plan.json is no plan of its project ('calls.count.30d' is no feature. Did you mean 'account'?). Save the scorer anew"),
    ("a plan of another schema, signed", lambda f: sign_plan(f, lambda text: text.replace('"timed": true', '"timed": false')),
     "{f}: plan.json is no plan of its project (the plan was made with timed False, this project has True). Save the scorer anew"),
    ("a plan that learnt nothing, signed", lambda f: sign_plan(f, lambda text: json.dumps(json.loads(text) | {"prior": None})),
     "{f}: plan.json is no plan of its project ('account.win_rate' has something to learn first: "
     "plan = plan.fit(data, cutoffs), with cutoffs of the train block). Save the scorer anew"),
    ("a plan that is a list", lambda f: change(f, "plan.json", lambda _: "[]"),
     "{f} holds a scorer that can't be read (AttributeError: 'list' object has no attribute 'get'). Save the scorer anew"),
    ("a population of words", lambda f: change(f, "population.json", lambda _: '{"margin": {"values": ["x"], "weights": [1]}}'),
     "{f} holds a scorer that can't be read (ValueError: could not convert string to float: 'x'). Save the scorer anew"),
    ("no golden leads", lambda f: change(f, "golden.json", lambda _: '[{"document": {}}]'),
     "{f}: golden.json holds no golden leads ('score'). Save the scorer anew"),
    ("a golden lead refused", lambda f: change(f, "golden.json", lambda text: text.replace('"lead_id"', '"id"')),
     "{f}: golden lead 0 is refused: lead.lead_id: is missing; every lead needs its 'lead_id'"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in SCORERS], ids=[case[0] for case in SCORERS])
def test_a_scorer_that_is_damaged(sample_scorer, tmp_path, damage, message):
    folder = sample_scorer.save(tmp_path / "scorer")
    damage(folder)
    with pytest.raises(ArtifactError) as caught:
        ls.LeadScorer.load(folder)
    assert str(caught.value) == message.format(f=folder)


def test_no_message_quotes_a_cell():
    told = " ".join(case[-1] for case in [*TABLES, *DOCUMENTS])
    assert not any(word in told for word in ("soon", "03/04", "2025-03-30", "webinar"))


RUBBISH = [
    *(None, True, False, 0, -0.0, -1, 1e308, -1e308, 10**400, 2**63, float("nan"), float("inf"), 1_777_593_600),
    *(
        "",
        " ",
        "x" * 20_000,
        "\ud800",
        "\x00",
        "🦄",
        "2026-05-01",
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01",
        "1e999",
    ),
    *([], {}, [[]], {"lead": {}}, [None], {"": ""}, [{}], {"\udfff": [1]}, "lead_id", "__proto__", "%s%n", "{0}"),
    *("2026-05-01T00:00:00+99:99", "2025-10-26 02:30", "NaN", "Infinity", "-0", "1_000", "٣", "0x10", b"bytes"),
]


def mutated(rng: random.Random, value: Any) -> Any:
    """The value with some part of it replaced, removed, repeated or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        if rng.random() < 0.1:
            changed[rng.choice(["", "\ud800", str(key).upper(), 5, "x" * 500])] = changed.pop(key)
        elif rng.random() < 0.1:
            del changed[key]
        else:
            changed[key] = mutated(rng, changed[key])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], mutated(rng, value[place]), *value[place:]]
    if isinstance(value, str) and value and rng.random() < 0.3:
        place = rng.randrange(len(value))
        return value[:place] + rng.choice(string.printable) + value[place + 1 :]
    return rng.choice(RUBBISH)


def test_thousands_of_broken_documents_are_scored_or_refused(sample, sample_scorer):
    rng = random.Random(5)
    whole = documents.from_data(sample, int(sample.leads.find(["L000001"])[0]), 1_737_000_000_000_000)
    broken = []
    for _ in range(4_000):
        raw = rng.choice((DOCUMENT, whole))
        for _ in range(rng.randint(1, 4)):
            raw = mutated(rng, raw)
        broken.append(raw)
    results = sample_scorer.score_documents(broken, now=NOW, n_reasons=40)
    n_refused = 0
    for result in results:
        if isinstance(result, DocumentError):
            n_refused += 1
            str(result).encode()
        else:
            assert 0 < result["probability"] < 1
            json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
    assert 500 < n_refused < 3_900


@pytest.mark.parametrize("seed", [6, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (8, 9))])
def test_hundreds_of_broken_files_are_read_or_refused(tmp_path, seed):
    rng = random.Random(seed)
    small = builders.project(folder=builders.folder_of(tmp_path))
    n_read = 0
    for _ in range(500):
        name = rng.choice(list(builders.FILES))
        content = bytearray(builders.FILES[name].encode(rng.choice(("utf-8", "utf-8", "utf-16"))))
        for _ in range(rng.choice((1, 1, 2, 5, 30))):
            place = rng.randrange(len(content) + 1)
            content[place : place + rng.choice((0, 1, 1, 8))] = rng.choice(
                (b"", bytes([rng.randrange(256)]), b'"', b"\r", b"\n", b",", b"\x00", b"\xff\xfe", b"PAR1", b"\x1f\x8b")
            )
        (tmp_path / name).write_bytes(content)
        try:
            data = small.read()
        except LeadScoreError as error:
            str(error).encode()
        else:
            n_read += len(data.leads.ids) >= 0
            ls.snapshots(data)
        (tmp_path / name).write_text(builders.FILES[name], encoding="utf-8")
    assert 33 < n_read < 467


def test_thousands_of_broken_project_files_are_loaded_or_refused(tmp_path):
    rng = random.Random(7)
    text = (Path(__file__).parents[1] / "data" / "sample" / "leadscore.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    values = (
        '""',
        "5",
        "true",
        "[]",
        "{}",
        '["a", "a"]',
        "2026-01-01",
        "nan",
        '"7d"',
        '"all"',
        '"env:X"',
        "[[1]]",
        '"\\u0000"',
    )
    n_loaded = 0
    for _ in range(1_500):
        changed = list(lines)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(changed))
            key = changed[place].split("=")[0]
            changed[place] = rng.choice((f"{key}= {rng.choice(values)}", "", rng.choice(lines), changed[place][:-1]))
        (tmp_path / "leadscore.toml").write_text("\n".join(changed), encoding="utf-8")
        try:
            n_loaded += bool(ls.Project.load(tmp_path).name)
        except ProjectError as error:
            str(error).encode()
    assert 100 < n_loaded < 1_400
