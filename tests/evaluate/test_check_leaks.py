"""Leaks that no column shows alone: totals that count on, columns filled in backwards, histories entered afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leadscore.evaluate.check import Checked, at_a_glance, check
from leadscore.evaluate.check.power import Ranking
from leadscore.project import Project
from tests.leadforge_world import TRAP, flat_world, world
from tests.planted import DAY, N_LEADS, checked_in, fates, healthy, named, settings, severe, write


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Checked]:
    """Write tables and settings as a project, and check it."""
    return partial(checked_in, tmp_path)


def kinds(result: Checked) -> set[tuple[str, str | None]]:
    return {(finding.kind, finding.column) for finding in result.findings}


# --- ablation


def test_a_total_that_counts_on_is_found_by_what_it_adds(checked: Callable[..., Checked]) -> None:
    """Alone .55; beside the count of the day of the snapshot it says what came after."""
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    so_far = rng.poisson(12, N_LEADS)
    tables["leads"]["touches"] = so_far
    tables["leads"]["sum"] = so_far + rng.poisson(np.where(fates(tables) == "won", 2.0, 1.0))
    raw["leads"]["numeric"] = ["size", "touches", "sum"]
    result = checked(tables, raw)
    finding = named(result, "carries_the_model")
    assert (finding.severity, finding.column) == ("warning", "sum")
    assert '[leads] numeric = ["size", "touches"]' in finding.remedy
    assert severe(result) == set()


def test_the_best_honest_column_is_a_note(checked: Callable[..., Checked]) -> None:
    tables = healthy()
    source = np.random.default_rng(1).choice(["hot", "cold"], N_LEADS, p=[0.3, 0.7])
    tables["leads"]["source"] = np.where(np.random.default_rng(2).random(N_LEADS) < 0.3, "hot", source)
    lost = (tables["leads"]["source"] == "cold").to_numpy() & (np.random.default_rng(3).random(N_LEADS) < 0.7)
    cold = set(tables["leads"]["id"][lost])
    tables["outcome"] = tables["outcome"][
        ~(tables["outcome"]["id"].isin(cold) & (tables["outcome"]["status"] == "won"))
    ]
    finding = named(checked(tables, settings()), "carries_the_model")
    assert (finding.severity, finding.column) == ("note", "source")


def test_missingness_that_predicts_is_named_though_no_gap_is_wide(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    names = [f"field_{i}" for i in range(6)]
    chance = np.where(fates(tables) == "won", 0.62, 0.40)
    for name in names:
        tables["leads"][name] = np.where(rng.random(N_LEADS) < chance, rng.choice(["a", "b"], N_LEADS), None)
    raw["leads"]["categorical"] = ["source", *names]
    result = checked(tables, raw)
    said = [finding for finding in result.findings if "columns are filled in reaches AUC" in finding.evidence]
    assert [finding.column in names for finding in said] == [True]
    assert severe(result) == set()


def test_columns_written_together_share_a_suspicion(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    written = rng.random(N_LEADS) < np.where(fates(tables) == "won", 0.9, 0.5)
    tables["leads"]["grade_of_rep"] = np.where(written, rng.choice(["a", "b"], N_LEADS), None)
    tables["leads"]["mood"] = np.where(written, rng.choice(["c", "d"], N_LEADS), None)
    raw["leads"]["categorical"] = ["source", "grade_of_rep", "mood"]
    result = checked(tables, raw)
    suspected = {finding.column for finding in result.findings if finding.severity != "note"}
    assert {"grade_of_rep", "mood"} <= suspected


def test_a_name_and_some_power_ask_for_a_look(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    told = np.where(rng.random(N_LEADS) < 0.45, fates(tables) == "won", rng.random(N_LEADS) < 0.3)
    tables["leads"]["LastActivity"] = np.where(told, "call", "mail")
    raw["leads"]["categorical"] = ["source", "LastActivity"]
    assert ("rewritten_by_name", "LastActivity") in kinds(checked(tables, raw))
    tables["leads"] = tables["leads"].rename(columns={"LastActivity": "medium"})
    raw["leads"]["categorical"] = ["source", "medium"]
    assert "rewritten_by_name" not in {kind for kind, _ in kinds(checked(tables, raw))}


def test_a_glance_finds_every_severe_one(checked: Callable[..., Checked], tmp_path: Path) -> None:
    tables, raw = healthy(), settings()
    written = np.random.default_rng(0).random(N_LEADS) < np.where(fates(tables) == "won", 0.98, 0.1)
    tables["leads"]["contract"] = np.where(written, "yes", None)
    raw["leads"]["categorical"] = ["source", "contract"]
    whole = checked(tables, raw)
    glance = at_a_glance(write(tmp_path, tables, raw))
    assert all(finding in whole.findings for finding in glance)
    assert all(finding in glance for finding in whole.findings if finding.severity == "severe")
    assert "contract" in {finding.column for finding in glance if finding.severity == "severe"}


# --- stretches


def test_a_stretch_filled_in_backwards_for_won_leads_is_severe(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    created = tables["leads"]["created"]
    old = ((created >= "2025-02-01") & (created < "2025-05-01")).to_numpy()
    fill = np.where(old & (fates(tables) == "won"), rng.random(N_LEADS) < 0.95, rng.random(N_LEADS) < 0.2)
    tables["leads"]["site"] = np.where(fill, rng.choice(["a", "b", "c"], N_LEADS), None)
    raw["leads"]["categorical"] = ["source", "site"]
    result = checked(tables, raw)
    held = [finding for finding in result.findings if finding.column == "site"]
    assert [finding.severity for finding in held] == ["severe"]
    assert "2025-0" in held[0].evidence
    assert held[0].series is not None
    assert held[0].series.shape == "lines"


def test_a_column_filled_up_to_a_day_only_is_a_warning(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    old = (tables["leads"]["created"] < "2025-06-01").to_numpy()
    tables["leads"]["firm"] = np.where(old, np.random.default_rng(0).choice(["a", "b"], N_LEADS), None)
    raw["leads"]["categorical"] = ["source", "firm"]
    result = checked(tables, raw)
    finding = named(result, "fill_breaks")
    assert (finding.severity, finding.column) == ("warning", "firm")
    assert "2025-06-0" in finding.evidence
    assert '[leads] categorical = ["source"]' in finding.remedy
    assert severe(result) == set()


# --- first known


def versioned(tables: dict[str, pd.DataFrame], second: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A first version of every lead without `extra`, and a second with it."""
    first = tables["leads"].assign(known=tables["leads"]["created"], extra=None)
    return tables | {"leads": pd.concat([first, second])}


def test_a_column_first_known_after_the_outcome_is_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    closed = tables["outcome"].set_index("id")["closed"].reindex(tables["leads"]["id"]).to_numpy()
    late = tables["leads"].assign(known=closed + np.timedelta64(3, "D"), extra="filled")[~pd.isna(closed)]
    raw["leads"] |= {"known": "known", "categorical": ["source", "extra"]}
    result = checked(versioned(tables, late), raw)
    finding = named(result, "known_after_outcome")
    assert (finding.severity, finding.column) == ("warning", "extra")
    known = {row.column: row for row in result.first_known}
    assert known["extra"].after == 1.0
    assert known["source"].before == 1.0
    assert severe(result) == set()


def test_a_profile_column_filled_in_bulk_is_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    old = tables["leads"][tables["leads"]["created"] < "2025-08-01"]
    bulk = old.assign(known=pd.Timestamp("2025-09-10 04:00"), extra="x")
    raw["leads"] |= {"known": "known", "categorical": ["source", "extra"]}
    finding = named(checked(versioned(tables, bulk), raw), "backfilled_column")
    assert finding.column == "extra"
    assert "2025-09-10" in finding.evidence


def test_a_back_filled_stretch_of_events_is_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    calls = tables["calls"]
    old = (calls["at"] >= "2025-03-01") & (calls["at"] < "2025-04-01")
    tables["calls"] = calls.assign(loaded=calls["loaded"].mask(old, pd.Timestamp("2025-07-15 06:00") + calls["at"].sub(
        calls["at"].min()) / 1_000))  # fmt: skip
    finding = named(checked(tables, raw), "backfilled_events")
    assert (finding.severity, finding.column) == ("warning", "loaded")
    assert "dated 2025-03-0" in finding.evidence
    assert "2025-07-15" in finding.evidence


def test_rows_entered_after_the_win_are_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    won = tables["outcome"][tables["outcome"]["status"] == "won"]
    notes = pd.DataFrame({"id": won["id"], "at": won["closed"] - DAY, "loaded": won["closed"] + DAY, "kind": "in"})
    notes = pd.concat([notes, notes.assign(at=notes["at"] - DAY)]).assign(minutes=3.0)
    tables["calls"] = pd.concat([tables["calls"], notes[notes["loaded"] < "2026-01-01"]])
    assert named(checked(tables, raw), "entered_after_win").table == "calls"


# --- leadforge


@pytest.mark.slow
def test_leadforge_declares_a_trap_and_check_suspects_it(tmp_path: Path) -> None:
    result = check(Project.load(flat_world(tmp_path, seed=2)))
    finding = named(result, "carries_the_model")
    assert (finding.severity, finding.column) == ("warning", TRAP)
    assert severe(result) == set()


@pytest.mark.slow
def test_without_its_trap_leadforge_has_no_suspicious_column(tmp_path: Path) -> None:
    result = check(Project.load(flat_world(tmp_path, seed=2, trap=False)))
    suspected = {finding.column for finding in result.findings if finding.severity != "note"}
    assert suspected == {None}  # no_times


@pytest.mark.slow
def test_leadforge_with_times_has_a_signal_and_nothing_severe(tmp_path: Path) -> None:
    result = check(Project.load(world(tmp_path, n_leads=1_500, seed=1)))
    assert severe(result) == set()
    assert '"current_stage"' in named(result, "rightly_left_out").evidence


# --- arithmetic


def test_the_error_of_an_auc_is_that_of_resampling() -> None:
    rng = np.random.default_rng(0)
    label = rng.random(800) < 0.3
    score = label * 0.7 + rng.normal(size=800)
    other = score + rng.normal(size=800) * 0.5
    one, two = Ranking.of(label, score), Ranking.of(label, other)
    drawn = [rng.integers(0, 800, 800) for _ in range(400)]
    resampled = [(Ranking.of(label[r], score[r]).auc, Ranking.of(label[r], other[r]).auc) for r in drawn]
    aucs, others = np.array(resampled).T
    assert one.error() == pytest.approx(aucs.std(), rel=0.15)
    gain, error = one.gain_over(two)
    assert gain == pytest.approx(one.auc - two.auc)
    assert error == pytest.approx((aucs - others).std(), rel=0.15)


def test_repeated_rows_of_one_lead_count_as_one() -> None:
    rng = np.random.default_rng(0)
    label, score = rng.random(300) < 0.4, rng.normal(size=300)
    once = Ranking.of(label, score).error()
    thrice = Ranking.of(np.tile(label, 3), np.tile(score, 3))
    assert thrice.error(np.tile(np.arange(300), 3)) == pytest.approx(once)
    assert thrice.error() == pytest.approx(once / np.sqrt(3))
