"""What a lead document may say, and that it says the same as a table."""

from __future__ import annotations

import json
from collections import OrderedDict, UserDict, defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import documents
from leadscore.errors import DocumentError
from leadscore.tables import Cutoffs
from leadscore.time import FOREVER, NEVER, parse_instant
from tests import builders

NOW = parse_instant("2026-05-01T09:00:00Z", "UTC")
PROJECT = builders.project()


def event(**fields: object) -> dict[str, object]:
    return {"occurred_at": "2026-04-01", **fields}


def document(*events: dict[str, object], **lead: object) -> dict[str, object]:
    return {"lead": {"lead_id": "L1", **lead}, "events": {"touchpoints": list(events)}}


def parse(raw: object, changes: dict[str, object] | None = None) -> documents.LeadDocument:
    return documents.parse(builders.project(changes), raw, now=NOW)


def features(*raw: object, changes: dict[str, object] | None = None, names: list[str]) -> list[list[float]]:
    project = builders.project(changes)
    data, at = documents.to_data(project, [documents.parse(project, one, now=NOW) for one in raw])
    return ls.FeaturePlan.of(project, names).transform(data, Cutoffs(np.arange(len(raw)), at)).tolist()


def test_only_the_lead_is_required():
    parsed = parse({"lead": {"lead_id": "L1"}})
    assert (parsed.lead_id, parsed.as_of, parsed.created) == ("L1", NOW, NEVER)
    assert len(parsed.events["touchpoints"]) == 0
    assert parsed.categories == [None]
    assert np.isnan(parsed.numbers[0])
    assert parsed.warnings == []


@pytest.mark.parametrize("nothing", [None, {}, {"touchpoints": None}, {"touchpoints": []}])
def test_no_events_may_be_said_in_many_ways(nothing):
    assert len(parse({"lead": {"lead_id": "L1"}, "events": nothing}).events["touchpoints"]) == 0


@pytest.mark.parametrize(
    ("value", "number"),
    [(120, 120), ("120", 120), (" 1e3 ", 1_000), (1.5, 1.5), (True, 1), (None, None), ("", None), (-0.0, 0)],
)
def test_numbers_may_arrive_as_text(value, number):
    parsed = parse(document(employees=value))
    assert parsed.numbers == pytest.approx([np.nan if number is None else number], nan_ok=True)
    assert parsed.warnings == []


@pytest.mark.parametrize("value", ["many", "inf", "1e31", 1e300, 10**400, "1_000"])
def test_what_is_no_number_is_missing_with_a_warning(value):
    parsed = parse(document(employees=value))
    assert np.isnan(parsed.numbers[0])
    assert parsed.warnings == ["lead.employees: not a finite number, taken as missing"]


@pytest.mark.parametrize(
    ("value", "text"), [(5, "5"), (5.0, "5"), (True, "true"), (" a ", "a"), ("", None), (0.5, "0.5")]
)
def test_categories_read_as_tables_read_them(value, text):
    assert parse(document(source=value)).categories == [text]


def test_values_named_as_missing_are():
    parsed = parse(document(source="Select", employees="Select"), {"leads.missing": ["Select"]})
    assert parsed.categories == [None]
    assert parsed.warnings == []


@pytest.mark.parametrize("value", ["-1", -1, -1.0, "-1.0", " -1 "])
def test_a_number_named_as_missing_is_however_it_is_typed(tmp_path, value):
    changes = {"leads.missing": ["-1"]}
    parsed = parse(document(employees=value), changes)
    assert np.isnan(parsed.numbers[0])
    assert parsed.warnings == []
    row = {"lead_id": ["L1"], "created_at": ["2025-01-01"], "source": ["ads"], "employees": [value]}
    frames = {"leads": pd.DataFrame(row), "outcome": pd.DataFrame({"lead_id": [], "closed_at": [], "status": []})}
    builders.folder_of(tmp_path)
    data = ls.read(builders.project(changes, folder=tmp_path), frames=frames)
    assert np.isnan(data.leads.values[0, 0])
    assert [note.kind for note in data.notes if note.table == "leads"] == []


def test_undeclared_fields_give_one_warning_a_table():
    raw = document(event(a=1, b=2), event(a=3), phone="secret", name="secret")
    assert parse(raw).warnings == [
        "lead: 2 undeclared field(s) ignored",
        "events.touchpoints: 2 undeclared field(s) ignored",
    ]


def test_warnings_come_row_by_row_and_what_is_ignored_last():
    changes = {"events.touchpoints.numeric": ["cost", "clicks"]}
    raw = document(event(clicks="few"), event(cost="free", clicks="few", colour="red"), event(cost="free"))
    assert parse(raw | {"context": {"owner.open_leads": "few"}}, changes).warnings == [
        "events.touchpoints[0].clicks: not a finite number, taken as missing",
        "events.touchpoints[1].cost: not a finite number, taken as missing",
        "events.touchpoints[1].clicks: not a finite number, taken as missing",
        "events.touchpoints[2].cost: not a finite number, taken as missing",
        "events.touchpoints: 1 undeclared field(s) ignored",
        "context.owner.open_leads: not a finite number, taken as missing",
    ]


@pytest.mark.parametrize(
    ("faults", "where"),
    [
        ({5: {"occurred_at": "soon"}, 2: {"channel": []}}, "[2].channel"),
        ({5: {"lead_id": "L2"}, 6: {"occurred_at": None}}, "[5].lead_id"),
        ({6: {"occurred_at": "soon", "lead_id": "L2"}}, "[6].lead_id"),
        ({0: {"cost": {}}, 1: {"event_id": []}, 2: None}, "[0].cost"),
        ({1: {"event_id": []}, 2: None}, "[1].event_id"),
        ({3: "click", 4: {"ingested_at": "soon"}}, "[3]"),
        ({3: {"channel": "\ud800", "ingested_at": True}}, "[3].ingested_at"),
        ({6: {"channel": "x" * 10_001}}, "[6].channel"),
    ],
)
def test_of_many_faults_the_first_of_the_first_row_is_told(faults, where):
    events = [event() for _ in range(7)]
    for row, fault in faults.items():
        events[row] = event(**fault) if isinstance(fault, dict) else fault
    with pytest.raises(DocumentError) as caught:
        parse(document(*events))
    assert caught.value.where == f"events.touchpoints{where}"


@pytest.mark.parametrize("kind", [UserDict, OrderedDict, lambda row: defaultdict(str, row)])
def test_any_mapping_is_an_object(kind):
    raw = document(event(channel="email"), event(cost=2, colour="red"))
    expected = parse(raw)
    for rows in ([kind(row) for row in raw["events"]["touchpoints"]], tuple(raw["events"]["touchpoints"])):
        found = parse(kind({"lead": kind(raw["lead"]), "events": kind({"touchpoints": rows})}))
        assert found.events["touchpoints"].categories == expected.events["touchpoints"].categories == [["email", None]]
        np.testing.assert_equal(found.events["touchpoints"].numbers, expected.events["touchpoints"].numbers)
        assert found.warnings == expected.warnings == ["events.touchpoints: 1 undeclared field(s) ignored"]


def test_two_columns_may_be_one():
    """A table without a second time may name one column as time and as known."""
    changes = {"events.touchpoints.known": "occurred_at", "events.touchpoints.categorical": ["event_id"]}
    rows = parse(document(event(event_id="1"), event(event_id="2", occurred_at="2026-04-02")), changes)
    assert rows.events["touchpoints"].time.tolist() == rows.events["touchpoints"].known.tolist()
    assert rows.events["touchpoints"].categories == [["1", "2"]]


def test_the_lead_column_of_an_event_may_be_left_out_or_match():
    assert len(parse(document(event(), event(lead_id="L1"), event(lead_id=" L1 "))).events["touchpoints"]) == 3


def test_the_delivery_known_first_is_the_row():
    raw = document(
        event(event_id="1", ingested_at="2026-04-03", channel="late"),
        event(event_id="1", ingested_at="2026-04-02", channel="first"),
        event(event_id=None), event(event_id=""),
    )  # fmt: skip
    (channels,) = parse(raw).events["touchpoints"].categories
    assert sorted(map(str, channels)) == ["None", "None", "first"]


@pytest.mark.parametrize(
    ("as_of", "count"),
    [
        ("2026-04-01T00:00:00Z", 0),
        ("2026-04-01T00:00:00.000001Z", 1),
        ("2026-05-01T00:00:00Z", 1),
        ("2026-05-01T00:00:00.000001Z", 0),
    ],
)
def test_the_cutoff_is_exact(as_of, count):
    raw = document(event()) | {"as_of": as_of}
    assert features(raw, names=["touchpoints.count.30d"]) == [[count]]


def test_an_event_known_late_is_not_seen():
    raw = document(event(ingested_at="2026-05-01T09:00:00Z"), event(ingested_at="2026-05-01T08:59:59Z"))
    assert features(raw, names=["touchpoints.count.all"]) == [[1]]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("text", ["2026-04-25 02:00", "25/04/2026 02:00", "2026-04-25T02:00:00Z", "1777082400"])
def test_times_read_as_tables_read_them(tmp_path, zone, text):
    changes = {"timezone": zone}
    table = builders.TOUCHPOINTS.splitlines()[0] + f"\n1,a,{text},{text},email,1\n"
    data = builders.read(tmp_path, {"touchpoints.csv": table}, changes)
    parsed = parse(document(event(occurred_at=text)), changes)
    assert parsed.events["touchpoints"].time.tolist() == data.logs["touchpoints"].time.tolist()


def test_a_declared_time_format_holds_in_documents_too(tmp_path):
    changes = {"events.touchpoints.time_format": "%d/%m/%Y", "leads.time_format": "%m/%d/%Y"}
    parsed = parse(
        document(event(occurred_at="03/04/2026", ingested_at="04/04/2026"), created_at="03/04/2026"), changes
    )
    assert parsed.created == parse_instant("2026-03-04", "UTC")
    assert parsed.events["touchpoints"].time.tolist() == [parse_instant("2026-04-03", "UTC")]
    assert parsed.events["touchpoints"].known.tolist() == [parse_instant("2026-04-04", "UTC")]
    assert parse(document(created_at="2026-03-04T00:00:00Z"), changes).created == parsed.created


def test_a_document_is_written_so_that_a_declared_format_does_not_misread_it(tmp_path):
    zulu = "%Y-%m-%dT%H:%M:%SZ"  # this Z is a letter: such readings are local, here as in the table
    changes = {"timezone": "Asia/Kathmandu", "events.touchpoints.time_format": zulu, "leads.time_format": zulu}
    data = builders.read(tmp_path, changes=changes)
    parsed = parse(json.loads(json.dumps(documents.from_data(data, 0, parse_instant("2025-02-01", "UTC")))), changes)
    assert parsed.created == data.leads.created[0] == parse_instant("2024-12-31T18:15:00Z", "UTC")
    log = data.logs["touchpoints"]
    assert parsed.events["touchpoints"].time.tolist() == log.time[:2].tolist()
    assert parsed.events["touchpoints"].known.tolist() == log.known[:2].tolist()


def test_ids_may_repeat_in_a_batch():
    raw = [document(event()), document(), document(event(), event())]
    assert features(*raw, names=["touchpoints.count.all"]) == [[1], [0], [2]]


def test_the_order_of_events_does_not_matter():
    events = [event(channel=c, cost=n) for n, c in enumerate(("a", "b", None, "a", "c"))]
    names = [
        "touchpoints.cost.sum.all",
        "touchpoints.cost.std.all",
        "touchpoints.count.30d",
        "touchpoints.channel=a.since_last",
    ]
    assert features(document(*events), names=names) == features(document(*reversed(events)), names=names)


def test_a_context_is_kept_as_numbers():
    raw = document() | {"context": {"owner.open_leads": "12", "origin.rate": None, "account.win_rate": -0.0}}
    parsed = parse(raw)
    assert parsed.context == pytest.approx(
        {"owner.open_leads": 12.0, "origin.rate": np.nan, "account.win_rate": 0.0}, nan_ok=True
    )
    assert parsed.warnings == []


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_document_may_have_no_context(nothing):
    assert parse(document() | {"context": nothing}).context == parse(document()).context == {}


@pytest.mark.parametrize("value", ["many", "inf", "1e31", 1e300, 10**400, "1_000", [], {}, ["1"], "x" * 20_000])
def test_what_is_no_number_in_a_context_is_missing_with_a_warning(value):
    parsed = parse(document() | {"context": {"owner.open_leads": value, "origin.rate": 1}})
    assert parsed.context == pytest.approx({"owner.open_leads": np.nan, "origin.rate": 1.0}, nan_ok=True)
    assert parsed.warnings == ["context.owner.open_leads: not a finite number, taken as missing"]


@pytest.mark.parametrize("value", [None, float("nan"), "", "  "])
def test_a_null_in_a_context_is_given_but_unknown(value):
    parsed = parse(document() | {"context": {"owner.open_leads": value}})
    assert list(parsed.context) == ["owner.open_leads"]
    assert np.isnan(parsed.context["owner.open_leads"])
    assert parsed.warnings == []


def test_a_context_has_an_end():
    values = {f"owner.{number}": number for number in range(1_001)}
    with pytest.raises(DocumentError, match="context: holds 1001 values; at most 1000 are allowed") as caught:
        parse(document() | {"context": values})
    assert caught.value.where == "context"
    del values["owner.7"]
    assert len(parse(document() | {"context": values}).context) == 1_000


def test_contexts_become_columns_with_a_gap_where_one_is_not_given():
    contexts = [{"owner.open_leads": 3, "origin.win_rate": 0.25}, None, {"origin.win_rate": None, "account.n_won": 1}]
    parsed = [parse(document() | {"context": context}) for context in contexts]
    data, _ = documents.to_data(PROJECT, parsed)
    assert list(data.context) == ["owner.open_leads", "origin.win_rate", "account.n_won"]
    assert len(data.context) == 3
    assert "owner.n_won" not in data.context
    assert {column.dtype.name for column in data.context.values()} == {"float64"}
    table = np.array(list(data.context.values()))
    np.testing.assert_equal(table, [[3, np.nan, np.nan], [0.25, np.nan, np.nan], [np.nan, np.nan, 1]])


def test_contexts_that_share_no_name_stay_small():
    one = parse(document())
    contexts = [{f"owner.{n}.{m}": 1.0 for m in range(1_000)} for n in range(300)]
    data, _ = documents.to_data(PROJECT, [replace(one, context=context) for context in contexts])
    assert len(data.context) == 300_000
    assert np.nansum(data.context["owner.299.7"]) == data.context["owner.299.7"][299] == 1


def test_documents_always_have_a_context_and_tables_never(sample):
    assert documents.to_data(PROJECT, [parse(document())])[0].context == {}
    assert documents.to_data(PROJECT, [])[0].context == {}
    assert sample.context is None


def test_a_context_that_is_written_is_read_back(sample):
    context = {"owner.open_leads": np.float64(12), "origin.win_rate": 1 / 3, "account.n_won": float("nan")}
    raw = json.loads(json.dumps(documents.from_data(sample, 3, NOW, context), allow_nan=False))
    assert raw["context"] == {"owner.open_leads": 12.0, "origin.win_rate": 1 / 3, "account.n_won": None}
    assert documents.parse(sample.project, raw, now=0).context == pytest.approx(context, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_context_is_not_written(sample, nothing):
    assert "context" not in documents.from_data(sample, 3, NOW, nothing)


def test_a_list_without_times_has_documents_without_them():
    project = builders.project(base=builders.LABELLED)
    parsed = documents.parse(project, {"lead": {"source": "ads", "visits": "3"}}, now=NOW)
    assert (parsed.lead_id, parsed.as_of, parsed.categories, parsed.numbers) == (None, FOREVER, ["ads"], [3.0])
    data = builders.labelled(3)
    assert documents.from_data(data, 0, FOREVER) == {"lead": {"source": "ads", "visits": 0.0}}


def test_a_document_from_a_table_parses_back_without_warnings(sample):
    for lead in (0, 700, 1_500):
        raw = json.loads(json.dumps(documents.from_data(sample, lead, NOW), allow_nan=False))
        parsed = documents.parse(sample.project, raw, now=0)
        assert parsed.warnings == []
        assert parsed.as_of == NOW
        assert parsed.lead_id == sample.leads.ids[lead]
        assert parsed.created == sample.leads.created[lead]


def test_no_documents_are_no_data():
    data, at = documents.to_data(PROJECT, [])
    assert len(data.leads.ids) == len(at) == 0
