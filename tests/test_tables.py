"""CSV of every make, Parquet, SQL and DataFrames become the same tables; what is left out is counted."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import sqlite3

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.errors import DataError
from leadscore.time import NEVER, format_instant, parse_instant
from tests import builders

LINES = [line.split(",") for line in builders.LEADS.splitlines()]


def shown(instants: np.ndarray) -> list[str | None]:
    return [None if at == NEVER else format_instant(at) for at in instants]


def notes(data: ls.Data) -> dict[str, tuple[str, int]]:
    return {note.kind: (note.table, note.n) for note in data.notes}


def joined(delimiter: str) -> str:
    return "\n".join(delimiter.join(line) for line in LINES) + "\n"


def parquet(text: str, **types: str) -> bytes:
    sink = io.BytesIO()
    pd.read_csv(io.StringIO(text)).astype(types).to_parquet(sink)
    return sink.getvalue()


@pytest.fixture
def plain(tmp_path):
    (tmp_path / "plain").mkdir()
    return builders.read(tmp_path / "plain")


@pytest.mark.parametrize(
    "leads",
    [
        *(joined(delimiter) for delimiter in ",;\t|"),
        builders.LEADS.encode("utf-8-sig"),
        builders.LEADS.encode("utf-16"),
        builders.LEADS.encode("cp1252"),
        builders.LEADS.replace("\n", "\r\n"),
        builders.LEADS.replace("\n", "\r"),
        builders.LEADS.replace("ads", '" ads "').replace("10", '" 10"'),
        "\n".join(f"{n},{line},x" for n, line in enumerate(builders.LEADS.splitlines())),
        "\n".join([builders.LEADS.splitlines()[0], *reversed(builders.LEADS.splitlines()[1:])]),
        parquet(builders.LEADS),
        parquet(builders.LEADS, source="category"),
        parquet(builders.LEADS, created_at="datetime64[ms, UTC]"),
        parquet(builders.LEADS, created_at="datetime64[ns, UTC]", employees="Int32"),
    ],
    ids=["comma", "semicolon", "tab", "bar", "bom", "utf-16", "cp1252", "crlf", "cr", "quoted", "more columns",
         "backwards", "parquet", "dictionary", "milliseconds", "nanoseconds"],
)  # fmt: skip
def test_the_same_leads_however_they_were_written(tmp_path, plain, leads):
    assert builders.read(tmp_path, {"leads.csv": leads}).fingerprint == plain.fingerprint


def test_compressed_files(tmp_path, plain):
    files = {"leads.csv": None, "leads.csv.gz": gzip.compress(builders.LEADS.encode("utf-8-sig"))}
    data = builders.read(tmp_path, files, {"leads.source": "leads.csv.gz"})
    assert data.fingerprint == plain.fingerprint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_letters_beyond_ascii(tmp_path, encoding):
    leads = builders.LEADS.replace("ads", "Büro Café").encode(encoding)
    assert builders.read(tmp_path, {"leads.csv": leads}).leads.vocabularies == (("Büro Café", "webinar"),)


def test_letters_of_windows_far_down_in_the_file(tmp_path):
    rows = "".join(f"x{n},2025-01-01,plain,1\n" for n in range(5_000)).encode()
    leads = builders.LEADS.encode() + rows + "last,2025-01-01,Büro,1\n".encode("cp1252")
    assert "Büro" in builders.read(tmp_path, {"leads.csv": leads}).leads.vocabularies[0]


def test_a_glob_reads_all_its_files_in_any_order(tmp_path, plain):
    header, *rows = builders.LEADS.splitlines(keepends=True)
    files = {f"part-{n}.csv": header + row for n, row in enumerate(reversed(rows))}
    data = builders.read(tmp_path, {"leads.csv": None, **files}, {"leads.source": "part-*.csv"})
    assert data.fingerprint == plain.fingerprint


def test_folders_and_files_with_brackets_are_no_globs(tmp_path, plain):
    folder = tmp_path / "acme [2026]"
    folder.mkdir()
    files = {"leads.csv": None, "leads [all].csv": builders.LEADS}
    data = builders.read(folder, files, {"leads.source": "leads [all].csv"})
    assert data.fingerprint == plain.fingerprint
    assert builders.read(folder, files, {"leads.source": "lead*.csv"}).fingerprint == plain.fingerprint


def test_an_absolute_path_is_taken_as_it_is(tmp_path, plain):
    elsewhere = builders.folder_of(tmp_path) / "leads.csv"
    (tmp_path / "project").mkdir()
    folder = builders.folder_of(tmp_path / "project", {"leads.csv": None})
    data = builders.project({"leads.source": str(elsewhere)}, folder=folder).read()
    assert data.fingerprint == plain.fingerprint


def test_a_query_on_a_database_from_the_environment(tmp_path, plain, monkeypatch):
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        pd.read_csv(io.StringIO(builders.LEADS)).to_sql("leads", connection, index=False)
    monkeypatch.setenv("LEADSCORE_TEST_CRM", f"sqlite:///{tmp_path / 'crm.db'}")
    source = {"sql": "select * from leads where created_at > '2000'", "url": "env:LEADSCORE_TEST_CRM"}
    assert builders.read(tmp_path, changes={"leads.source": source}).fingerprint == plain.fingerprint
    for sql, told in (("select * from nowhere", "no such table: nowhere"), ("selekt", 'near "selekt": syntax error')):
        with pytest.raises(DataError) as caught:
            builders.read(tmp_path, changes={"leads.source": source | {"sql": sql}})
        assert str(caught.value) == f"[leads] the query on LEADSCORE_TEST_CRM failed: {told}"


def test_data_frames_stand_in_for_files(tmp_path, plain):
    frames = {
        "leads": pd.read_csv(io.StringIO(builders.LEADS)),
        "touchpoints": pd.read_csv(io.StringIO(builders.TOUCHPOINTS), parse_dates=["occurred_at"]),
        "outcome": pd.read_csv(io.StringIO(builders.OUTCOMES)).iloc[::-1],
    }
    assert ls.read(builders.project(folder=tmp_path / "nowhere"), frames=frames).fingerprint == plain.fingerprint


def test_columns_named_by_numbers():
    frame = pd.DataFrame([["a", "2025-01-01", 5]])
    changes = {"leads.id": "0", "leads.created": "1", "leads.categorical": [], "leads.numeric": ["2"], "events": None}
    nothing = pd.DataFrame(columns=["lead_id", "closed_at", "status"], dtype=object)
    data = ls.read(builders.project(changes), frames={"leads": frame, "outcome": nothing})
    assert data.leads.values.tolist() == [[5.0]]


def test_the_fingerprint_is_of_the_content(tmp_path, plain):
    for number, (old, new) in enumerate([("250", "251"), ("ads", "web"), ("2025-01-03", "2025-01-04"), ("c,", "d,")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = builders.read(folder, {"leads.csv": builders.LEADS.replace(old, new)})
        assert data.fingerprint != plain.fingerprint


def test_the_fingerprint_sees_accounts(tmp_path):
    changes = {"leads.account": "source"}
    one = builders.read(tmp_path, changes=changes | {"leads.categorical": []})
    other = builders.read(
        tmp_path, {"leads.csv": builders.LEADS.replace("ads", "web")}, changes | {"leads.categorical": []}
    )
    assert one.fingerprint != other.fingerprint


def test_values_are_trimmed_and_missing_ones_named(tmp_path):
    leads = "lead_id,created_at,source,employees\n a ,2025-01-01, ads ,Select\nb,,Select,1e3\nc,2025-01-01, ,-\n"
    data = builders.read(tmp_path, {"leads.csv": leads}, {"leads.missing": ["Select"]})
    assert data.leads.ids.tolist() == ["a", "b", "c"]
    assert data.leads.codes.tolist() == [[0, -1, -1]]
    assert data.leads.values[0].tolist() == pytest.approx([np.nan, 1_000, np.nan], nan_ok=True)
    assert notes(data)["without_created"] == ("leads", 1)
    assert notes(data)["not_a_number"] == ("leads", 1)


@pytest.mark.parametrize("text", ["inf", "-inf", "1e31", "nan", "1_000", "0x10", "five", "1e400"])
def test_what_is_no_amount_is_missing_and_counted(tmp_path, text):
    data = builders.read(tmp_path, {"leads.csv": builders.LEADS.replace("10\n", f"{text}\n")})
    assert np.isnan(data.leads.values[0, 0])
    assert notes(data).get("not_a_number") == ("leads", 1)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([1, 2.5, None], ("1", "2.5")),
        ([173688.0, 1.0, 1.0], ("1", "173688")),
        ([True, False, None], ("false", "true")),
        (["1", 1, 1.0], ("1", "1.0")),
    ],
)
def test_numbers_as_categories_read_as_a_person_writes_them(column, words):
    frame = pd.DataFrame({"lead_id": list("abc"), "created_at": "2025-01-01", "source": column, "employees": 1})
    frames = {"leads": frame, "touchpoints": pd.read_csv(io.StringIO(builders.TOUCHPOINTS))}
    data = ls.read(builders.project(), frames={**frames, "outcome": pd.read_csv(io.StringIO(builders.OUTCOMES))})
    assert data.leads.vocabularies == (words,)


def test_not_a_number_is_no_category():
    import pyarrow as pa

    from leadscore import columns

    column = pa.chunked_array([pa.array([1.5, float("nan"), None])])
    assert columns.text_column(column).to_pylist() == ["1.5", None, None]


@pytest.mark.parametrize(
    ("texts", "trimmed"),
    [
        (["a", "bc"], ["a", "bc"]),
        (["a", "b "], ["a", "b"]),
        ([" a", "b"], ["a", "b"]),
        (["a", "\u00a0b", "é\u2003"], ["a", "b", "é"]),
        (["a", "", None], ["a", None, None]),
        (["a", None], ["a", None]),
        (["a\x1f", "\tb\n"], ["a", "b"]),
    ],
)
def test_text_is_trimmed_whether_or_not_it_has_to_be(texts, trimmed):
    """Also in the midst of an array, whose other values may be of any kind."""
    import pyarrow as pa

    from leadscore import columns

    alone = pa.chunked_array([pa.array(texts)])
    amidst = pa.concat_arrays([pa.array([" ", ""]), pa.array(texts), pa.array([None, " "])]).slice(2, len(texts))
    assert columns.text_column(alone).to_pylist() == trimmed
    assert columns.text_column(pa.chunked_array([amidst])).to_pylist() == trimmed


@pytest.mark.parametrize("value", [0.1, 1e-5, 1 / 3, 5.0, -0.0, 2.0**53, 2.0**53 + 2, 1e16, 1.6e17, 1e300, 5e-324])
def test_a_number_is_the_same_category_in_a_table_and_in_a_document(value):
    import pyarrow as pa

    from leadscore import columns

    column = pa.chunked_array([pa.array([value, None]), pa.array([value])])
    assert columns.text_column(column).to_pylist() == [columns.text_value(value), None, columns.text_value(value)]


def test_large_whole_numbers_and_wrong_epochs(tmp_path):
    frame = pd.DataFrame({"lead_id": ["a"], "created_at": "2025-01-01", "source": "x", "employees": [2**60 + 1]})
    frames = {"leads": frame, "outcome": pd.read_csv(io.StringIO(builders.OUTCOMES))}
    touchpoints = pd.read_csv(io.StringIO(builders.TOUCHPOINTS))
    data = ls.read(builders.project(), frames={**frames, "touchpoints": touchpoints})
    assert data.leads.values.tolist() == [[2.0**60]]
    with pytest.raises(DataError, match="3 of 3 rows have no readable 'occurred_at'"):
        ls.read(builders.project(), frames={**frames, "touchpoints": touchpoints.assign(occurred_at=10**18)})


VERSIONS = """lead_id,created_at,source,employees,updated_at
a,,ads,1,2025-01-01
a,2025-01-01,webinar,2,2025-02-01
a,2024-01-01,referral,3,2025-03-01
b,2025-01-05,ads,9,2025-04-01
"""


def test_versions_of_a_lead_follow_what_was_known(tmp_path):
    data = builders.read(tmp_path, {"leads.csv": VERSIONS}, {"leads.known": "updated_at"})
    assert data.leads.ids.tolist() == ["a", "b"]
    assert data.leads.offsets.tolist() == [0, 3, 4]
    assert shown(data.leads.created) == ["2025-01-01T00:00:00Z", "2025-01-05T00:00:00Z"]
    plan = ls.FeaturePlan.of(data.project, ["lead.employees", "profile.missing"])
    asked = [
        ("a", day) for day in ("2025-01-01", "2025-01-02", "2025-02-01", "2025-02-01T00:00:00.000001", "2026-01-01")
    ]
    found = plan.transform(data, pd.DataFrame([*asked, ("b", "2025-04-01")], columns=["lead_id", "cutoff"]))
    assert found[:, 0].tolist() == pytest.approx([np.nan, 1, 1, 2, 3, np.nan], nan_ok=True)
    assert found[:, 1].tolist() == [2, 0, 0, 0, 0, 2]


def test_redelivered_events_are_the_delivery_known_first(tmp_path):
    rows = """1,a,2025-01-05,2025-01-09,late,5
1,a,2025-01-06,2025-01-07,first,7
,a,2025-01-05,2025-01-07,twice,1
,a,2025-01-05,2025-01-07,twice,1
2,zz,2025-01-05,2025-01-06,nobody's,1
2,a,2025-01-05,2025-01-08,ours,1
"""
    data = builders.read(tmp_path, {"touchpoints.csv": builders.TOUCHPOINTS.splitlines()[0] + "\n" + rows})
    log = data.logs["touchpoints"]
    said = [log.vocabularies[0][code] for code in log.codes[0]]
    assert said == ["twice", "twice", "ours", "first"]
    assert notes(data)["redelivered"] == ("touchpoints", 1)
    assert notes(data)["unknown_lead"] == ("touchpoints", 1)


@pytest.mark.parametrize(("n_bad", "n_good"), [(1, 19), (5, 95)])
def test_up_to_one_in_twenty_rows_may_be_rejected(tmp_path, n_bad, n_good):
    header = builders.TOUCHPOINTS.splitlines()[0] + "\n"
    good, bad = ",a,2025-01-05,2025-01-05,x,1\n" * n_good, ",a,soon,2025-01-05,x,1\n" * n_bad
    data = builders.read(tmp_path, {"touchpoints.csv": header + bad + good})
    assert data.logs["touchpoints"].n_events == n_good
    assert notes(data)["rejected"] == ("touchpoints", n_bad)
    with pytest.raises(DataError, match=f"{n_bad + 1} of {n_bad + 1 + n_good} rows have no readable 'occurred_at'"):
        builders.read(tmp_path, {"touchpoints.csv": header + bad + good + ",a,soon,2025-01-05,x,1\n"})


def outcomes(*rows: tuple[str, str, str]) -> ls.Data:
    leads = [("a", "2025-01-10"), ("b", "2025-01-10"), ("c", "")]
    return builders.history(leads, list(rows))


def test_the_first_win_and_the_first_loss_count():
    data = outcomes(
        ("a", "2025-03-01", "won"), ("a", "2025-02-01", "won"), ("a", "2025-02-15", "lost"), ("a", "2025-04-01", "lost")
    )
    assert shown(data.outcomes.won_at) == ["2025-02-01T00:00:00Z", None, None]
    assert shown(data.outcomes.lost_at) == ["2025-02-15T00:00:00Z", None, None]


def test_a_win_is_seen_once_any_has_happened_and_is_known():
    """The first win is recorded after the second: it is the label's, but can't take back what was seen by then."""
    frames = {
        "leads": pd.read_csv(io.StringIO(builders.LEADS)),
        "touchpoints": pd.read_csv(io.StringIO(builders.TOUCHPOINTS)),
        "outcome": pd.DataFrame(
            [
                ("a", "2025-02-01", "2025-03-15", "won"),
                ("a", "2025-02-10", "2025-02-11", "won"),
                ("b", "2025-02-01", "2025-01-15", "lost"),
            ],
            columns=["lead_id", "closed_at", "recorded_at", "status"],
        ),
    }
    data = ls.read(builders.project({"outcome.known": "recorded_at"}), frames=frames)
    assert shown(data.outcomes.won_at) == ["2025-02-01T00:00:00Z", None, None]
    assert shown(data.outcomes.won_known) == ["2025-03-15T00:00:00Z", None, None]
    assert shown(data.outcomes.won_seen) == ["2025-02-11T00:00:00Z", None, None]
    assert shown(data.outcomes.lost_seen) == [None, "2025-02-01T00:00:00Z", None]


def test_a_win_before_the_lead_is_no_win_and_counted():
    data = outcomes(
        ("a", "2025-01-09T23:59:59.999999", "won"), ("a", "2025-02-01", "won"), ("b", "2025-01-10", "won"),
        ("c", "2020-01-01", "won"),
    )  # fmt: skip
    assert shown(data.outcomes.won_at) == ["2025-02-01T00:00:00Z", "2025-01-10T00:00:00Z", "2020-01-01T00:00:00Z"]
    assert notes(data)["won_before_created"] == ("outcome", 1)


def test_a_status_that_is_neither_is_no_outcome_whatever_its_date():
    data = outcomes(("a", "2025-02-01", "open"), ("a", "", "open"), ("b", "nonsense", ""), ("b", "2025-02-01", "Won"))
    assert shown(data.outcomes.won_at) == shown(data.outcomes.lost_at) == [None, None, None]
    assert "rejected" not in notes(data)
    assert next(note.text for note in data.notes if note.kind == "no_wins") == (
        "no row says won; found open, Won. Mend won in [outcome]"
    )


def test_outcomes_of_nobody_are_left_out_and_counted():
    data = outcomes(("zz", "2025-02-01", "won"), ("a", "2025-02-01", "won"))
    assert notes(data)["unknown_lead"] == ("outcome", 1)
    assert shown(data.outcomes.won_at)[0] == "2025-02-01T00:00:00Z"


def test_without_a_status_column_every_row_is_a_win(tmp_path):
    changes = {"outcome.column": None, "outcome.won": None, "outcome.lost": None}
    data = builders.read(tmp_path, changes=changes)
    assert shown(data.outcomes.won_at) == ["2025-01-20T00:00:00Z", "2025-01-21T00:00:00Z", None]


def test_outcomes_may_stand_in_the_leads_file(tmp_path):
    leads = "lead_id,created_at,source,employees,won_at\na,2025-01-01,x,1,2025-02-01\nb,2025-01-01,x,1,\n"
    outcome = {"source": "leads.csv", "lead": "lead_id", "time": "won_at"}
    data = builders.read(tmp_path, {"leads.csv": leads}, {"outcome": outcome})
    assert shown(data.outcomes.won_at) == ["2025-02-01T00:00:00Z", None]
    assert not data.notes[1:]
    with pytest.raises(DataError, match="1 of 2 rows have no readable 'won_at'"):
        builders.read(tmp_path, {"leads.csv": leads.replace("1,\n", "1,soon\n")}, {"outcome": outcome})


def test_scoring_needs_no_outcome(tmp_path):
    with pytest.raises(DataError, match="matches no file"):
        builders.read(tmp_path, {"outcomes.csv": None})
    data = ls.read(builders.project(folder=tmp_path), outcome="optional")
    assert shown(data.outcomes.won_at) == [None, None, None]
    assert notes(data)["no_outcomes"] == ("outcome", 0)


def test_outcomes_that_are_there_but_damaged_are_no_absence(tmp_path):
    """Taken for absent, they would put every closed lead on the call list."""
    folder = builders.folder_of(tmp_path, {"outcomes.csv": builders.OUTCOMES.replace("status", "stage")})
    with pytest.raises(DataError, match="missing column 'status'"):
        ls.read(builders.project(folder=folder), outcome="optional")


def test_a_list_of_leads_without_the_columns_of_its_outcome_is_all_open(tmp_path):
    changes = {"outcome.source": "leads.csv"}
    data = ls.read(builders.project(changes, folder=builders.folder_of(tmp_path)), outcome="optional")
    assert notes(data)["no_outcomes"] == ("outcome", 0)


def test_a_labelled_list():
    frame = pd.DataFrame({"source": list("xyxy"), "visits": [1, 2, 3, 4], "converted": ["1", "0", "", "maybe"]})
    data = ls.read(builders.project(base=builders.LABELLED), frames={"leads": frame, "outcome": frame})
    assert data.leads.ids.tolist() == ["1", "2", "3", "4"]
    assert data.outcomes.label.tolist() == [1, 0, -1, 0]
    assert len(ls.snapshots(data)) == 3


def test_a_labelled_list_in_two_files_wins_anywhere():
    changes = {"leads.id": "id", "outcome.lead": "id", "outcome.source": "other.csv"}
    leads = pd.DataFrame({"id": [3, 1, 2], "source": "x", "visits": 1})
    outcome = pd.DataFrame({"id": [1, 1, 2, 9], "converted": ["0", "1", "0", "1"]})
    data = ls.read(builders.project(changes, base=builders.LABELLED), frames={"leads": leads, "outcome": outcome})
    assert data.leads.ids.tolist() == ["1", "2", "3"]
    assert data.outcomes.label.tolist() == [1, 0, -1]


def test_ambiguous_local_times_are_counted(tmp_path):
    leads = builders.LEADS.replace("2025-01-01T00:00:00Z", "2025-10-26 02:30:00")
    data = builders.read(tmp_path, {"leads.csv": leads}, {"timezone": "Europe/Berlin"})
    assert shown(data.leads.created)[0] == "2025-10-26T01:30:00Z"
    assert notes(data)["ambiguous_time"] == ("leads", 1)


def test_the_end_of_what_is_observed(tmp_path):
    assert format_instant(builders.read(tmp_path).observed_until) == "2025-01-21T00:00:00Z"
    declared = builders.read(tmp_path, changes={"task.observed_until": "2025-06-30"})
    assert format_instant(declared.observed_until) == "2025-06-30T00:00:00Z"


def test_tables_without_rows(tmp_path):
    empty = {name: text.splitlines()[0] + "\n" for name, text in builders.FILES.items()}
    data = builders.read(tmp_path, empty)
    assert len(data.leads.ids) == data.logs["touchpoints"].n_events == len(ls.snapshots(data)) == 0


def test_unused_columns_do_not_matter(tmp_path, plain):
    text = (
        builders.OUTCOMES.replace("status\n", "status,comment\n")
        .replace("won\n", "won,private\n")
        .replace("lost\n", "lost,\n")
    )
    assert builders.read(tmp_path, {"outcomes.csv": text}).fingerprint == plain.fingerprint


def test_rows_are_named_as_a_person_finds_them(tmp_path):
    header = "lead_id,created_at,source,employees\n"
    files = {
        "leads.csv": None,
        "p1.csv": header + "a,2025-01-01,x,1\n",
        "p2.csv": header + "b,2025-01-01,x,1\na,2025-01-01,x,1\n",
    }
    with pytest.raises(DataError, match=r"p1\.csv \(and 1 more files\): .* first at p1\.csv row 1, p2\.csv row 2"):
        builders.read(tmp_path, files, {"leads.source": "p*.csv"})


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York"])
def test_a_cutoff_without_zone_is_utc_as_a_timestamp_and_local_as_text(tmp_path, timezone):
    data = builders.read(tmp_path, changes={"timezone": timezone})
    moment = dt.datetime(2025, 1, 6, 12)
    columns = {
        "typed": pd.Series(pd.to_datetime([moment])),
        "objects": pd.Series([moment], dtype=object),
        "aware": pd.Series([moment.replace(tzinfo=dt.UTC)], dtype=object),
        "text": pd.Series([format_instant(parse_instant(moment.isoformat(), "UTC"))]),
    }
    for name, cutoff in columns.items():
        asked = ls.Cutoffs.of(data, pd.DataFrame({"lead_id": ["a"], "cutoff": cutoff}))
        assert asked.at.tolist() == [parse_instant("2025-01-06T12:00:00Z", "UTC")], name
    local = ls.Cutoffs.of(data, pd.DataFrame({"lead_id": ["a"], "cutoff": ["2025-01-06 12:00"]}))
    assert local.at.tolist() == [parse_instant("2025-01-06 12:00", timezone)]
