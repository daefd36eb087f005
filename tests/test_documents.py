"""What a lead document may say, and that it says the same as a table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import documents
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
    assert parsed.events["touchpoints"].time == data.logs["touchpoints"].time


def test_a_declared_time_format_holds_in_documents_too(tmp_path):
    changes = {"events.touchpoints.time_format": "%d/%m/%Y", "leads.time_format": "%m/%d/%Y"}
    parsed = parse(
        document(event(occurred_at="03/04/2026", ingested_at="04/04/2026"), created_at="03/04/2026"), changes
    )
    assert parsed.created == parse_instant("2026-03-04", "UTC")
    assert parsed.events["touchpoints"].time == [parse_instant("2026-04-03", "UTC")]
    assert parsed.events["touchpoints"].known == [parse_instant("2026-04-04", "UTC")]
    assert parse(document(created_at="2026-03-04T00:00:00Z"), changes).created == parsed.created


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
    raw = document() | {"context": {"owner.open_leads": "12", "origin.rate": None}}
    assert parse(raw).context == pytest.approx({"owner.open_leads": 12.0, "origin.rate": np.nan}, nan_ok=True)


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
