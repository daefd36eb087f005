"""Channels, funnel and agreement of six leads, every number worked out by hand."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import time
from leadscore.alignment import Cohort, Verdicts, agreement, channels, dimensions, funnel, handovers
from leadscore.alignment.channel_page import channels_page
from leadscore.alignment.pages import tables_of
from leadscore.cli import main
from leadscore.errors import DataError, ProjectError
from leadscore.reports import write_csv
from tests.alignment.conftest import PROJECT


def at(text: str) -> int:
    return time.parse_instant(text, "UTC")


END = at("2026-03-01T00:00:00Z")


def by(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    """One column by the first."""
    return dict(zip(frame.iloc[:, 0], frame[name], strict=True))


def handed(data: ls.Data, scorer: Any, until: int = END) -> Any:
    return handovers(data, scorer, qualified="B", until=until)


def test_the_usual_dimensions_are_found(tiny: ls.Data) -> None:
    assert dimensions(tiny) == ["lead.source", "touchpoints.channel"]


def test_channels_by_touches(tiny: ls.Data, by_touches: Any) -> None:
    found = channels(tiny, by_touches, by="touchpoints.channel", as_of=END)
    table = found.table
    assert table["channel"].tolist() == ["ads", "email", "web", "(missing)"]
    assert by(table, "leads") == {"ads": 2, "email": 2, "web": 2, "(missing)": 1}
    # L1 and L2 came by ads, L3 and L4 by web; nobody had seen an email within a day; L5, L6: untouched, too young.
    assert by(table, "judged") == {"ads": 2, "email": 0, "web": 2, "(missing)": 0}
    assert by(table, "won") == {"ads": 1, "email": 0, "web": 0, "(missing)": 0}
    assert by(table, "expected") == pytest.approx({"ads": 0.4, "email": 0, "web": 0.4, "(missing)": 0})
    assert by(table, "wins_so_far") == {"ads": 1, "email": 1, "web": 0, "(missing)": 0}
    # Open at the end: L3 with one touch, L4 with two, L6 with one that is known.
    assert by(table, "open_expected") == pytest.approx({"ads": 0, "email": 0.4, "web": 0.6, "(missing)": 0.2})
    cost = by(table, "cost")
    assert math.isnan(cost.pop("web")), "nobody says what it cost: that isn't nothing"
    assert cost == {"ads": 4, "email": 3, "(missing)": 2}
    per_win = {"ads": 4 / 0.5, "email": 3 / 0.7, "web": math.nan, "(missing)": 10}
    assert by(table, "cost_per_win") == pytest.approx(per_win, nan_ok=True)
    assert by(table, "credit_first_touch") == {"ads": 1, "email": 0, "web": 0, "(missing)": 0}
    assert by(table, "credit_shapley") == {"ads": 0.5, "email": 0.5, "web": 0, "(missing)": 0}
    assert by(table, "days_half")["ads"] == 5
    assert (found.n_leads, found.n_immature, found.n_untouched) == (6, 1, 1)


def test_channels_by_profile(tiny: ls.Data, by_touches: Any) -> None:
    table = channels(tiny, by_touches, by="lead.source", as_of=END).table
    assert by(table, "leads") == {"ads": 3, "web": 3}
    assert by(table, "judged") == {"ads": 2, "web": 3}
    assert by(table, "cost") == {"ads": 8, "web": 1}


def test_what_is_no_channel_comes_last_however_large_it_is(tiny: ls.Data, by_touches: Any) -> None:
    log = tiny.logs["touchpoints"]
    words = log.vocabularies[0]
    codes = np.where(log.codes == words.index("email"), log.codes, -1)
    data = replace(tiny, logs={**tiny.logs, "touchpoints": replace(log, codes=codes)})
    found = channels(data, by_touches, by="touchpoints.channel", as_of=END)
    assert found.table["channel"].tolist() == ["email", "(missing)"]
    assert found.table["leads"].tolist() == [2, 5]
    for frame in (found.months, found.leads):
        assert [*dict.fromkeys(frame["channel"])] == ["email", "(missing)"]


def test_an_earlier_date_sees_no_more_than_was_known_then(tiny: ls.Data, by_touches: Any) -> None:
    found = channels(tiny, by_touches, by="touchpoints.channel", as_of=at("2026-01-09T00:00:00Z"))
    assert found.table["wins_so_far"].sum() == 0
    assert (found.n_leads, found.n_immature) == (3, 3)
    assert found.table["judged"].sum() == 0
    assert np.isnan(found.table["won_rate"]).all()


def test_months_are_those_of_the_project_s_clock(tiny: ls.Data, by_touches: Any) -> None:
    found = channels(tiny, by_touches, by="lead.source", as_of=END).months
    assert found[["channel", "month", "leads"]].to_numpy().tolist() == [
        ["ads", "2026-01", 2],
        ["ads", "2026-02", 1],
        ["web", "2026-01", 2],
        ["web", "2026-02", 1],
    ]


def test_an_unknown_column_names_those_that_there_are(tiny: ls.Data, by_touches: Any) -> None:
    with pytest.raises(DataError, match=r"'touchpoints\.chanel'.* Did you mean 'touchpoints\.channel'"):
        channels(tiny, by_touches, by="touchpoints.chanel", as_of=END)


def test_a_lead_is_handed_over_once_at_its_first_moment(tiny: ls.Data, by_touches: Any) -> None:
    found = handed(tiny, by_touches)
    assert tiny.leads.ids[found.lead].tolist() == ["L1", "L2", "L3", "L4", "L6"]
    assert found.grade.tolist() == ["B"] * 5
    # L2's touch of nine became known at noon.
    assert found.at[1] == at("2026-01-06T12:00:00Z") + 1
    assert found.caused_at[1] == at("2026-01-06T09:00:00Z")


def test_nothing_after_the_date_hands_over(tiny: ls.Data, by_touches: Any) -> None:
    assert len(handed(tiny, by_touches, until=at("2026-01-06T12:00:00Z") + 1)) == 1


def test_the_funnel(tiny: ls.Data, by_touches: Any) -> None:
    found = funnel(Cohort.of(tiny, as_of=END), handed(tiny, by_touches)).table
    assert by(found, "leads") == {"lead": 6, "touched": 5, "qualified": 5, "worked": 3, "answered": 1, "won": 1}
    assert by(found, "lost") == {"lead": 0, "touched": 0, "qualified": 0, "worked": 1, "answered": 0, "won": 0}
    assert by(found, "open") == {"lead": 1, "touched": 0, "qualified": 2, "worked": 1, "answered": 0, "won": 0}
    assert by(found, "skipped") == dict.fromkeys(by(found, "leads"), 0)
    assert by(found, "of_before")["worked"] == 0.6
    assert found["stopped"].sum() + found["leads"].iloc[-1] == 6


def test_who_came_further_without_a_stage_has_skipped_it(tiny: ls.Data, by_touches: Any) -> None:
    found = funnel(Cohort.of(tiny, as_of=END), handovers(tiny, by_touches, qualified="A", until=END))
    assert by(found.table, "leads")["qualified"] == 4
    assert by(found.table, "skipped")["qualified"] == 2
    assert by(found.leads, "skipped") == {"L1": "", "L2": "qualified", "L3": "qualified", "L4": "", "L5": "", "L6": ""}


def test_the_funnel_without_a_grade_and_by_month(tiny: ls.Data) -> None:
    found = funnel(Cohort.of(tiny, as_of=END))
    assert found.names == ("lead", "touched", "worked", "answered", "won")
    january = found.months[found.months["month"] == "2026-01"]
    assert january["leads"].tolist() == [4, 4, 3, 1, 1]


def test_what_sales_owed(tiny: ls.Data, by_touches: Any) -> None:
    leads = agreement(Cohort.of(tiny, as_of=END), handed(tiny, by_touches)).leads
    assert by(leads, "response_state") == {"L1": "kept", "L2": "missed", "L3": "kept", "L4": "missed", "L6": "missed"}
    assert by(leads, "n_attempts") == {"L1": 1, "L2": 1, "L3": 2, "L4": 0, "L6": 0}
    # L1 answered; L6 has two days left.
    assert by(leads, "attempts_state") == {
        "L1": "waived",
        "L2": "missed",
        "L3": "kept",
        "L4": "missed",
        "L6": "pending",
    }
    assert leads["verdict_state"].isna().all()
    assert by(leads, "human_hours")["L1"] == pytest.approx(1)
    assert by(leads, "system_hours")["L2"] == pytest.approx(3)


def test_what_is_not_due_yet_is_pending(tiny: ls.Data, by_touches: Any) -> None:
    early = at("2026-01-06T20:00:00Z")
    leads = agreement(Cohort.of(tiny, as_of=early), handed(tiny, by_touches)).leads
    assert by(leads, "response_state") == {"L1": "kept", "L2": "pending"}


def test_the_last_verdict_counts(tiny: ls.Data, by_touches: Any) -> None:
    said = Verdicts(
        np.array([0, 1, 1, 3]),
        np.array([*map(at, ("2026-01-06", "2026-01-07", "2026-01-12", "2026-01-20"))]),
        np.array([True, True, False, True]),
    )
    leads = agreement(Cohort.of(tiny, as_of=END), handed(tiny, by_touches), said).leads
    assert by(leads, "verdict") | {"L3": None, "L6": None} == {
        "L1": "accepted", "L2": "rejected", "L3": None, "L4": "accepted", "L6": None
    }  # fmt: skip
    assert leads["verdict"].isna().tolist() == [False, False, True, False, True]
    states = {"L1": "kept", "L2": "kept", "L3": "missed", "L4": "missed", "L6": "pending"}
    assert by(leads, "verdict_state") == states


def test_marketing_owes_a_share_for_every_day(tiny: ls.Data, by_touches: Any) -> None:
    found = agreement(Cohort.of(tiny, as_of=END), handed(tiny, by_touches)).marketing
    whole = found[found["origin"] == "*"].set_index("week")
    # 31 a month: one a day in January, 31/28 in February, from the first lead on, in Berlin.
    assert whole.loc["2026-01-05", "promised"] == pytest.approx(7)
    assert whole.loc["2026-01-26", "promised"] == pytest.approx(6 + 31 / 28)
    assert whole.loc["2026-01-05", "delivered"] == 3
    assert whole.loc["2026-01-05", "missing"] == pytest.approx(4)
    assert not whole.loc["2026-01-05", "unfinished"]
    assert whole.index[-1] == "2026-02-23"
    assert whole.loc["2026-02-23", "unfinished"], "the first hour of March ends the report in Berlin, not the week"
    assert found[found["origin"] == "ads"]["delivered"].sum() == 3


def test_speed_is_split_into_system_and_people(tiny: ls.Data, by_touches: Any) -> None:
    speed = agreement(Cohort.of(tiny, as_of=END), handed(tiny, by_touches)).speed.iloc[0]
    assert (speed["grade"], speed["leads"], speed["responded"]) == ("B", 5, 3)
    assert speed["system_half"] == 0
    assert speed["human_half"] == pytest.approx(1)


def test_the_score_is_held_to_what_it_promised_at_the_handover(tiny: ls.Data, by_touches: Any) -> None:
    found = agreement(Cohort.of(tiny, as_of=END), handed(tiny, by_touches))
    # L6 was handed over two days before the end; L1 was won on the fifth of its ten days.
    assert by(found.leads, "judged") == {"L1": True, "L2": True, "L3": True, "L4": True, "L6": False}
    assert by(found.leads, "won") == {"L1": True, "L2": False, "L3": False, "L4": False, "L6": False}
    assert found.wins["grade"].tolist() == ["B", "all"]
    for row in found.wins.to_dict("records"):
        assert (row["judged"], row["won"], row["expected"]) == (4, 1, pytest.approx(0.8))
        assert (row["expected_low"], row["expected_high"]) == (0, 2)


@pytest.mark.parametrize(("days", "won"), [(5, True), (4, False)])
def test_a_win_at_the_horizon_s_end_is_not_in_time(tiny: ls.Data, by_touches: Any, days: int, won: bool) -> None:
    data = replace(tiny, project=ls.Project.from_dict(PROJECT | {"task": PROJECT["task"] | {"horizon": f"{days}d"}}))
    leads = agreement(Cohort.of(data, as_of=END), handed(data, by_touches)).leads
    assert by(leads, "won")["L1"] is won, "handed over on the 5th at 09:00, won on the 10th at 08:00"


def test_without_an_agreement_there_is_nothing_to_keep(tiny: ls.Data, by_touches: Any) -> None:
    raw = {key: value for key, value in PROJECT.items() if key != "sla"}
    data = replace(tiny, project=ls.Project.from_dict(raw))
    with pytest.raises(ProjectError, match=r"no \[sla\]") as refused:
        agreement(Cohort.of(data, as_of=END), handed(data, by_touches))
    _, *examples = str(refused.value).split("as in:")
    assert len(examples) == 1
    for example in examples:
        added = ls.Project.from_dict({**raw, **tomllib.loads(example)})
        assert (added.sla.qualified, added.sla.leads) == ("A", {"*": 40})


def test_every_promise_of_sales_has_a_column_of_its_state(tiny: ls.Data, by_touches: Any) -> None:
    found = agreement(Cohort.of(tiny, as_of=END), handed(tiny, by_touches), Verdicts(*np.empty((3, 0), dtype=int)))
    leads = tables_of(found)["agreement_leads"]
    states = {"kept", "missed", "pending", "waived"}
    assert {*found.sales["promise"]} == {"response", "attempts", "verdict"}
    for promise in found.sales["promise"].unique():
        assert {*leads[f"{promise}_state"].dropna()} <= states
        assert leads[f"{promise}_state"].notna().any()


@pytest.mark.parametrize(
    ("sla", "told"),
    [
        ({"qualified": "Z"}, "grade 'Z'; the project has A, B, C"),
        ({"respond": {"A": "soon"}}, r"\[sla.respond\] A"),
        ({"leads": {"ads": 0}}, "whole number above 0"),
        ({"sales": ["emails"]}, "responses from 'emails'"),
        ({"respnd": {}}, "Did you mean 'respond'"),
    ],
)
def test_a_wrong_agreement_says_where(sla: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectError, match=told):
        ls.Project.from_dict({**PROJECT, "sla": sla})


def test_a_list_without_times_has_nobody_to_follow() -> None:
    raw = {"leads": {"source": "leads.csv", "categorical": ["source"]},
           "outcome": {"source": "leads.csv", "column": "won", "won": ["1"]}}  # fmt: skip
    frame = pd.DataFrame({"source": ["a", "b"], "won": ["1", "0"]})
    data = ls.read(ls.Project.from_dict(raw), frames={"leads": frame, "outcome": frame})
    with pytest.raises(DataError, match="without times"):
        Cohort.of(data, as_of=END)


@pytest.mark.parametrize("report", ["channels", "funnel", "agreement"])
def test_a_report_is_a_page_and_tables(
    report: str, fresh_sample: Any, sample_scorer_folder: Path, tmp_path: Path
) -> None:
    project = fresh_sample(every=4)
    with (project / "leadscore.toml").open("a") as file:
        file.write('\n[sla]\nqualified = "B"\nleads = 60\nrespond = { A = "4h", B = "24h" }\nattempts = { B = 2 }\n')
    command = ["report", report, str(project), "--out", str(tmp_path), "--model", str(sample_scorer_folder), "--json"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert all(Path(file).is_file() for file in told["files"])
    assert all(len(pd.read_csv(tmp_path / f"{name}.csv")) == n for name, n in told["rows"].items())
    page = (tmp_path / f"{report}.html").read_text()
    assert "<h1>" in page
    assert "nan" not in page.replace("finance", "").lower().split("<svg")[0]


def test_a_table_is_text_and_numbers_to_a_spreadsheet(tmp_path: Path) -> None:
    texts = ["=1+1", "+49 30", "-", "@now", "\tx", "\rx", "\nx", "a=b", "", None, "'=1"]
    table = pd.DataFrame({"lead_id": texts, "effect": -1.5, "n": -1, "at": pd.Timestamp("2026-01-01", tz="UTC")})
    table["owner"] = pd.Categorical(["-x"] * len(texts))
    table["mixed"] = pd.Series([-1, "=2", *[None] * 9], dtype=object)
    with write_csv(tmp_path / "table.csv", table).open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [row["lead_id"] for row in rows] == [*(f"'{text}" for text in texts[:7]), "a=b", "", "", "'=1"]
    assert {(row["effect"], row["n"], row["owner"]) for row in rows} == {("-1.5", "-1", "'-x")}
    assert [row["mixed"] for row in rows[:2]] == ["-1", "'=2"]
    assert rows[0]["at"] == "2026-01-01T00:00:00.000000Z"


def test_the_same_data_make_the_same_bytes(fresh_sample: Any, sample_scorer_folder: Path, tmp_path: Path) -> None:
    project = fresh_sample(every=4)
    for out in ("one", "two"):
        command = ["report", "channels", str(project), "--out", str(tmp_path / out), "--model",
                   str(sample_scorer_folder), "--months", "4", "--by", "lead.source"]  # fmt: skip
        assert CliRunner().invoke(main, command).exit_code == 0
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_expected_and_found_agree_where_the_model_was_made(sample: ls.Data, sample_scorer: ls.LeadScorer) -> None:
    found = channels(sample, sample_scorer, by="lead.source", as_of=sample.observed_until).table
    assert 0.6 < found["won"].sum() / found["expected"].sum() < 1.6
    assert not math.isnan(found["won_rate"].iloc[0])


def test_a_lead_of_several_channels_is_judged_and_won_once(sample: ls.Data, sample_scorer: ls.LeadScorer) -> None:
    cohort = Cohort.of(sample, as_of=sample.observed_until)
    source, touch = (
        channels(sample, sample_scorer, by=by, as_of=cohort.as_of) for by in ("lead.source", "touchpoints.channel")
    )
    for name, once in (("judged", touch.n_judged), ("won", touch.n_won), ("expected", touch.expected)):
        assert source.table[name].sum() == pytest.approx(once)
        assert touch.table[name].sum() > 1.05 * once
    assert channels_page(cohort, [touch]).verdict == channels_page(cohort, [source]).verdict
