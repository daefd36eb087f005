"""Rows that no person makes, blocks that aren't alike, segments too small, and projects without a signal."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from leadscore.cli import main
from leadscore.evaluate.check import Checked, render
from leadscore.evaluate.check.bursts import in_burst
from leadscore.features.plan import FeaturePlan
from tests.planted import DAY, N_LEADS, checked_as_listed, checked_in, fates, healthy, named, settings, severe, write


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Checked]:
    """Write tables and settings as a project, and check it."""
    return partial(checked_in, tmp_path)


def of_kind(result: Checked) -> set[str]:
    return {finding.kind for finding in result.findings}


# --- bots


def scanned(n_leads: int = 60, n_rows: int = 12) -> pd.DataFrame:
    """A scanner clicks every link of a mail within three seconds."""
    leads = healthy()["leads"].iloc[50 : 50 + n_leads]
    at = np.repeat((leads["created"] + DAY).to_numpy(), n_rows)
    at = at + np.tile(np.arange(n_rows) * 250, n_leads).astype("m8[ms]")
    rows = pd.DataFrame({"id": np.repeat(leads["id"].to_numpy(), n_rows), "at": at, "kind": "click", "minutes": 0.0})
    return rows.assign(loaded=rows["at"] + pd.Timedelta("1h"))


def test_a_burst_of_clicks_is_named_with_the_lines_that_mend_it(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["calls"] = pd.concat([tables["calls"], scanned()])
    finding = named(checked(tables, raw), "bot_bursts")
    assert (finding.severity, finding.table, finding.column) == ("warning", "calls", "kind")
    assert "720 rows" in finding.evidence
    assert "60 leads" in finding.evidence
    assert '"click" (720 of 720 rows)' in finding.evidence
    assert '[features] drop = ["calls.count*", "calls.kind=click.*"]' in finding.remedy


def test_what_a_burst_is_mended_by_is_read_by_a_project(tmp_path: Path) -> None:
    tables, raw = healthy(), settings()
    tables["calls"] = pd.concat([tables["calls"], scanned()])
    raw["features"] = {"drop": ["calls.count*", "calls.kind=click.*"]}
    project = write(tmp_path, tables, raw)
    data = project.read()
    cutoffs = pd.DataFrame({"lead_id": data.leads.ids, "cutoff": pd.Timestamp("2025-12-31", tz="UTC")})
    names = FeaturePlan.default(project).fit(data, cutoffs).names
    assert not [name for name in names if "click" in name or name.startswith("calls.count")]
    assert "calls.active_days.7d" in names


def test_one_burst_is_a_note_and_slow_hands_are_none(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["calls"] = pd.concat([tables["calls"], scanned(n_leads=1, n_rows=6)])
    assert named(checked(tables, raw), "bot_bursts").severity == "note"
    slow = scanned(n_leads=200, n_rows=6)
    slow["at"] = slow["at"].dt.floor("D") + pd.to_timedelta(np.tile(np.arange(6) * 3, 200), "s")
    assert "bot_bursts" not in of_kind(checked(healthy() | {"calls": pd.concat([healthy()["calls"], slow])}, raw))


def test_rows_that_are_always_written_at_once_are_no_bots(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["calls"] = pd.concat([tables["calls"], scanned(n_leads=600)])
    result = checked(tables, raw)
    assert named(result, "rows_in_batches").severity == "note"
    assert "bot_bursts" not in of_kind(result)


def test_dates_without_times_are_no_bursts(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["calls"] = pd.concat([tables["calls"], scanned()])
    tables["calls"]["at"] = tables["calls"]["at"].dt.date
    assert not {"bot_bursts", "rows_in_batches"} & of_kind(checked(tables, raw))


def test_a_burst_is_six_rows_of_one_lead_in_ten_seconds(tmp_path: Path) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    seconds = rng.integers(0, 600, 4_000)
    at = pd.Timestamp("2025-06-01") + pd.to_timedelta(seconds, "s")
    tables["calls"] = pd.DataFrame({"id": rng.choice(tables["leads"]["id"][:40], 4_000), "at": at, "loaded": at})
    raw["events"]["calls"] |= {"categorical": [], "numeric": []}
    log = write(tmp_path, tables, raw).read().logs["calls"]
    lead, time, inside = log.lead_of_rows(), log.time, in_burst(log)
    for row in range(0, log.n_events, 7):
        mine = time[lead == lead[row]]
        starts = mine[(mine <= time[row]) & (mine >= time[row] - 10_000_000)]
        most = max(int(((mine >= start) & (mine <= start + 10_000_000)).sum()) for start in starts)
        assert bool(inside[row]) == (most >= 6)


# --- blocks


def test_a_column_whose_mix_changes_tells_train_from_test(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    late = (tables["leads"]["created"] > "2025-08-15").to_numpy()
    share = np.where(late, 0.95, 0.05)
    tables["leads"]["plan"] = np.where(np.random.default_rng(0).random(N_LEADS) < share, "new", "old")
    raw["leads"]["categorical"] = ["source", "plan"]
    finding = named(checked(tables, raw), "train_and_test_differ")
    assert (finding.severity, finding.table, finding.column) == ("warning", "leads", "plan")
    assert '[leads] categorical = ["source"]' in finding.remedy


def test_accounts_in_both_blocks_are_counted(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["firm"] = np.random.default_rng(0).choice([f"F{i}" for i in range(300)], N_LEADS)
    raw["leads"]["account"] = "firm"
    finding = named(checked(tables, raw), "accounts_in_both_blocks")
    assert (finding.severity, finding.column) == ("note", "firm")
    assert "F1" not in finding.evidence


def listed(leads: pd.DataFrame, label: np.ndarray) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """A labelled list without times."""
    raw = {
        "leads": {"source": "leads.csv", "id": "id", "categorical": ["source"], "numeric": ["size", "spent"]},
        "outcome": {"source": "leads.csv", "column": "label", "won": ["1"]},
    }
    return {"leads": leads.drop(columns=["created"]).assign(label=label.astype(int))}, raw


def test_leads_entered_twice_on_both_sides_of_a_random_split_are_named(checked: Callable[..., Checked]) -> None:
    tables = healthy()
    rng = np.random.default_rng(0)
    leads = tables["leads"].assign(spent=rng.lognormal(2, 1, N_LEADS).round(3))
    label = fates(tables) == "won"
    twice = leads.iloc[:400].assign(id=[f"T{i}" for i in range(400)])
    finding = named(
        checked(*listed(pd.concat([leads, twice]), np.concatenate([label, label[:400]]))), "leads_in_both_blocks"
    )
    assert finding.severity == "warning"
    assert "leads_in_both_blocks" not in of_kind(checked(*listed(leads, label)))


# --- segments


def test_small_segments_are_one_note(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    few = np.arange(N_LEADS) % 20 == 0
    tables["leads"]["source"] = np.where(few, [f"fair {i % 9}" for i in range(N_LEADS)], tables["leads"]["source"])
    raw["leads"]["origin"] = "source"
    result = checked(tables, raw)
    assert [finding.kind for finding in result.findings].count("small_segments") == 1
    finding = named(result, "small_segments")
    assert (finding.severity, finding.column) == ("note", "source")
    assert finding.evidence.startswith("9 of 12 values")
    assert "mixed with 20 average leads" in finding.evidence


# --- signal


def test_a_project_that_nothing_predicts_ends_by_saying_so(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    many = pd.concat([tables["leads"].assign(id=tables["leads"]["id"] + f"-{i}") for i in range(6)], ignore_index=True)
    many["source"], many["size"] = rng.choice(["a", "b"], len(many)), rng.normal(size=len(many))
    won = rng.random(len(many)) < 0.3
    closed = many["created"] + pd.to_timedelta(rng.uniform(2, 20, len(many)), "D").round("s")
    outcome = pd.DataFrame({"id": many["id"], "closed": closed, "status": np.where(won, "won", "lost")})
    raw["events"] = {}
    result = checked({"leads": many, "outcome": outcome[outcome["closed"] < "2026-01-01"]}, raw)
    assert named(result, "no_signal").severity == "warning"
    assert result.signal.verdict == "none"
    assert render(result).strip().splitlines()[-1].startswith("NO SIGNAL: nothing here predicts the outcome")
    assert severe(result) == set()


def test_a_signal_is_measured_in_forward_time(checked: Callable[..., Checked]) -> None:
    """What tells won from lost turns round again and again: shuffled it is there, forward it never is."""
    tables, raw = healthy(), settings()
    phase = np.maximum(0, np.arange(N_LEADS) * 5 // N_LEADS - 1)  # leads are in order of creation
    honest = np.random.default_rng(0).random(N_LEADS) < 0.8
    tables["leads"]["medium"] = np.where(((fates(tables) == "won") == (phase % 2 == 0)) == honest, "a", "b")
    tables["leads"]["size"] = phase
    raw["leads"]["categorical"] = ["medium"]
    raw["events"] = {}
    result = checked({name: tables[name] for name in ("leads", "outcome")}, raw)
    assert result.signal.verdict == "does not last"
    assert "signal_does_not_last" in of_kind(result)


def test_too_few_wins_for_a_probe_are_told_so(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["outcome"] = tables["outcome"].iloc[:60]
    result = checked(tables, raw)
    assert result.signal.verdict == "too few wins"
    assert result.signal.auc is None
    assert render(result).strip().splitlines()[-1].startswith("Too few wins")


# --- the page


def test_the_page_shows_every_finding_and_quotes_nothing_raw(tmp_path: Path) -> None:
    from leadscore.evaluate.check.pages import as_html

    tables, raw = healthy(), settings()
    tables["leads"]["stage"] = np.where(fates(tables) == "won", "<b>Customer</b>", "Other")
    raw["leads"]["categorical"] = ["source", "stage"]
    tables["calls"] = pd.concat([tables["calls"], scanned()])
    result = checked_in(tmp_path, tables, raw)
    page = as_html(result, "planted")
    assert page == as_html(result, "planted")
    for finding in result.findings:
        assert finding.kind.replace("_", " ") in page
    assert page.count("<svg") == 3 + sum(finding.series is not None for finding in result.findings)
    assert "<b>Customer" not in page
    assert "L00001" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.index("Severe:") < page.index("Note:") < page.index("Over time</h2>")


def test_every_severe_finding_and_warning_of_a_column_has_a_picture(tmp_path: Path) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["stage"] = fates(tables)
    raw["leads"]["categorical"] = ["source", "stage"]
    finding = named(checked_in(tmp_path, tables, raw), "predicts_too_well")
    assert finding.series is not None
    assert [label.split(" (")[0] for label in finding.series.labels] == ["won", "lost"]
    assert "series" not in finding.to_dict()


def test_the_verb_writes_the_page_whole_and_fails_where_ci_asks(tmp_path: Path) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["stage"] = fates(tables)
    raw["leads"]["categorical"] = ["source", "stage"]
    write(tmp_path, tables, raw)
    toml = ['name = "planted"', *(f"{key} = {_inline(value)}" for key, value in raw.items() if key != "name")]
    (tmp_path / "leadscore.toml").write_text("\n".join(toml), encoding="utf-8")
    page = tmp_path / "check.html"
    done = CliRunner().invoke(main, ["check", str(tmp_path), "--html", str(page), "--strict", "--json"])
    assert done.exit_code == 1
    printed = json.loads(done.stdout)
    assert printed["findings"][0]["column"] == "stage"
    assert printed["signal"]["verdict"] == "signal"
    assert printed["html"] == str(page)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert not list(tmp_path.glob(".*"))
    assert CliRunner().invoke(main, ["check", str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(main, ["check", str(tmp_path), "--html", str(page / "x.html")]).exit_code == 2


def _inline(value: Any) -> str:
    """A value as TOML holds it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


# --- real data


def test_the_sample_has_a_signal_no_bots_and_no_warning() -> None:
    result = checked_as_listed("sample")
    assert result.signal.verdict == "signal"
    assert {finding.severity for finding in result.findings} == {"note"}


def test_control_null_has_no_signal() -> None:
    result = checked_as_listed("control_null")
    assert result.signal.verdict == "none"
    assert result.signal.auc is not None
    assert result.signal.auc < 0.56
    assert render(result).strip().splitlines()[-1].startswith("NO SIGNAL")


@pytest.mark.slow
def test_bank_has_a_signal_that_does_not_last() -> None:
    result = checked_as_listed("bank")
    assert result.signal.verdict == "does not last"
    assert "train_and_test_differ" in of_kind(result)
