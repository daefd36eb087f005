"""A story of versions: compared on later snapshots, promoted, refused, forced, rolled back, and all of it on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import tracking
from leadscore.cli import main
from leadscore.errors import TrackingError
from leadscore.evaluate.metrics import evaluate
from leadscore.tracking import aliases
from training.promote import Decider, Promotion, history, promote, rollback
from training.promoting.told import page, text
from training.train import train

BETTER = {"num_iterations": 120, "learning_rate": 0.1}
SIGNED = Decider("ada", "2026-07-01T09:00:00+00:00")


@pytest.fixture(scope="module")
def trained_twice(fresh_sample: Callable[[], Path]) -> Path:
    """A project with a champion that learnt little, and a challenger that learnt more."""
    project = ls.Project.load(fresh_sample())
    for parameters in ({"num_iterations": 60, "learning_rate": 0.1}, BETTER):
        train(project, parameters=parameters)
    return project.folder


@pytest.fixture
def two_versions(trained_twice: Path, tmp_path: Path) -> ls.Project:
    """A copy of it: a project may be moved with its models."""
    return ls.Project.load(copytree(trained_twice, tmp_path / "sample"))


@pytest.fixture(scope="module")
def dry(trained_twice: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ls.Project, Promotion]:
    """A copy of it, only to be read, and what a dry run found there."""
    project = ls.Project.load(copytree(trained_twice, tmp_path_factory.mktemp("dry") / "sample"))
    return project, promote(project, decider=SIGNED, dry_run=True)


def champion(project: ls.Project) -> str | None:
    return tracking.find_scorer(project.folder)[1]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["promote", *arguments])
    return done.exit_code, done.output


def test_a_dry_run_shows_everything_and_changes_nothing(dry) -> None:
    project, found = dry
    assert champion(project) == "1"
    assert history(project) == []
    assert found.decision.startswith("would ")
    assert {gate.name for gate in found.gates} == {
        "golden leads", "schema", "size", "signal", "calibration slope", "log-loss", "precision at capacity",
    }  # fmt: skip
    told = text(found)
    assert told.startswith(found.verdict)
    assert "change grade" in told
    json.dumps(found.to_dict(), allow_nan=False)


def test_both_are_judged_on_the_same_snapshots_that_neither_learnt_from(dry) -> None:
    project, found = dry
    models = [ls.LeadScorer.load(tracking.find_scorer(project.folder, version)[0]) for version in ("2", "1")]
    since = max(pd.Timestamp(model.manifest["learnt_until"]) for model in models)
    rows = found.beside.rows
    assert (rows.frame()["cutoff"] >= since).all()
    for model, said in zip(models, (found.beside.challenger, found.beside.champion), strict=True):
        margin = model.model.margin(model.plan.transform(rows.data, rows.cutoffs))
        chance = model.calibrator.apply(margin)
        assert said.metrics == evaluate(rows.label, chance, weight=rows.weight, margin=margin)
    difference = found.beside.against_champion["log_loss"].difference
    assert difference == pytest.approx(
        found.beside.challenger.metrics["log_loss"] - found.beside.champion.metrics["log_loss"]
    )


def test_flips_are_counted_lead_by_lead(dry) -> None:
    project, found = dry
    as_of = project.read().observed_until
    scores = [
        ls.LeadScorer.load(tracking.find_scorer(project.folder, version)[0])
        .score(project.read(), as_of=as_of, n_reasons=0)
        .set_index("lead_id")["grade"]
        for version in ("1", "2")
    ]
    naive = pd.crosstab(scores[0], scores[1].reindex(scores[0].index))
    for one, row in found.flips.matrix.items():
        for other, n in row.items():
            assert n == (naive.loc[one, other] if one in naive.index and other in naive.columns else 0)
    for flip in found.flips.moved:
        assert (scores[0][flip.lead_id], scores[1][flip.lead_id]) == flip.grades
        assert flip.grades[0] != flip.grades[1]


def test_a_promotion_is_used_at_once_kept_on_record_and_taken_back(two_versions) -> None:
    found = promote(two_versions, decider=SIGNED, force="the story needs it", page=page)
    assert found.decision == "promoted"
    assert champion(two_versions) == "2"
    assert tracking.find_scorer(two_versions.folder, aliases.PREVIOUS)[1] == "1"
    done = CliRunner().invoke(
        main, ["score", str(two_versions.folder), "--out", str(two_versions.folder / "s.csv"), "--reasons", "0"]
    )
    assert done.exit_code == 0, done.output
    assert set(pd.read_csv(two_versions.folder / "s.csv", dtype=str)["model_version"]) == {"2"}
    assert rollback(two_versions, decider=SIGNED, reason="sellers complained") == ("2", "1")
    assert champion(two_versions) == "1"
    trail = history(two_versions)
    assert [(one["decision"], one["version"], one["by"]) for one in trail] == [
        ("rolled back", "1", "ada"), ("promoted", "2", "ada")
    ]  # fmt: skip
    assert trail[0]["reason"] == "sellers complained"
    with pytest.raises(TrackingError, match="first champion"):
        rollback(two_versions, decider=SIGNED)


def test_what_is_kept_names_no_lead(two_versions) -> None:
    found = promote(two_versions, decider=SIGNED, page=page)
    assert found.flips.moved
    kept = list(two_versions.folder.rglob("promotion.*"))
    assert {path.suffix for path in kept} == {".json", ".html"}
    for path in kept:
        written = path.read_text(encoding="utf-8")
        assert not [flip.lead_id for flip in found.flips.moved if flip.lead_id in written]
    assert found.flips.moved[0].lead_id in page(found, leads=True)


@pytest.mark.slow
def test_a_worse_challenger_is_refused_by_the_gates_it_fails(fresh_sample) -> None:
    project = ls.Project.load(fresh_sample())
    train(project, parameters=BETTER)
    _shuffle_outcomes(project.folder)
    train(ls.Project.load(project.folder), parameters=BETTER)
    code, told = run(str(project.folder))
    assert code == 1
    assert told.startswith("NO SIGNAL BEYOND THE NOISE")
    assert champion(project) == "1"
    assert history(project)[0]["decision"] == "refused"


def _shuffle_outcomes(folder: Path) -> None:
    """Give each outcome to some other lead: what is left predicts nothing."""
    leads = pd.read_csv(folder / "leads.csv", dtype=str)
    outcomes = pd.read_csv(folder / "outcomes.csv", dtype=str)
    rng = np.random.default_rng(0)
    known = outcomes["lead_id"].isin(leads["lead_id"])
    outcomes.loc[known, "lead_id"] = rng.permutation(outcomes.loc[known, "lead_id"].to_numpy())
    outcomes.to_csv(folder / "outcomes.csv", index=False)


def test_another_schema_and_a_damaged_model_are_refused_even_by_force(two_versions) -> None:
    settings = two_versions.folder / "leadscore.toml"
    before = settings.read_text(encoding="utf-8")
    unnamed = before.partition("[reasons.nouns]")[0]  # phrases of a column that goes would be refused before
    settings.write_text(unnamed.replace('numeric = ["cost"]', ""), encoding="utf-8")
    changed = promote(ls.Project.load(two_versions.folder), decider=SIGNED, force="I insist")
    assert changed.decision == "refused"
    assert "schema (it was trained on another schema: events.touchpoints. Train anew)" in changed.verdict
    settings.write_text(before, encoding="utf-8")
    golden = tracking.find_scorer(two_versions.folder, "2")[0] / "golden.json"
    golden.write_text(golden.read_text(encoding="utf-8").replace('"grade": "', '"grade": "X'), encoding="utf-8")
    damaged = promote(two_versions, decider=SIGNED, force="I insist")
    assert damaged.decision == "refused"
    assert "golden leads" in damaged.verdict
    assert champion(two_versions) == "1"


def test_a_champion_that_cannot_be_read_is_not_no_champion(two_versions) -> None:
    golden = tracking.find_scorer(two_versions.folder, "1")[0] / "golden.json"
    golden.write_text(golden.read_text(encoding="utf-8").replace('"grade": "', '"grade": "X'), encoding="utf-8")
    found = promote(two_versions, decider=SIGNED, dry_run=True)
    assert found.decision == "would refuse"
    assert "champion (it can't be compared with: " in found.verdict
    forced = promote(two_versions, decider=SIGNED, force="its files are lost")
    assert (forced.decision, champion(two_versions)) == ("promoted", "2")


def test_back_and_back_again_ends_at_the_first(two_versions) -> None:
    for version in ("2", "1"):
        promote(two_versions, decider=SIGNED, challenger=version, force="to and fro")
    assert rollback(two_versions, decider=SIGNED) == ("1", "2")
    assert rollback(two_versions, decider=SIGNED) == ("2", "1")
    with pytest.raises(TrackingError, match="first champion"):
        rollback(two_versions, decider=SIGNED)


def test_only_the_projects_own_versions_and_only_with_a_reason(two_versions, tmp_path) -> None:
    for address in ("models:/market/2", str(tmp_path)):
        with pytest.raises(TrackingError, match="own registry"):
            promote(two_versions, decider=SIGNED, challenger=address, force="mine")
    folder = str(two_versions.folder)
    assert run(folder, "--force", " ")[0] == 2
    (tmp_path / "file").touch()
    assert run(folder, "--force", "x", "--html", str(tmp_path / "file" / "p.html"))[0] == 2
    assert champion(two_versions) == "1"


def test_a_switch_that_failed_is_no_promotion(two_versions, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TrackingError("the registry is read-only")

    monkeypatch.setattr(aliases, "switch_champion", refuse)
    with pytest.raises(TrackingError, match="read-only"):
        promote(two_versions, decider=SIGNED, force="try")
    assert history(two_versions)[0]["decision"] == "not carried out"
    assert champion(two_versions) == "1"


def test_whoever_comes_second_is_told(two_versions) -> None:
    promote(two_versions, decider=SIGNED, force="first")
    with pytest.raises(TrackingError, match="the champion already"):
        promote(two_versions, decider=SIGNED, challenger="2")
    with pytest.raises(TrackingError, match="somebody else switched it"):
        aliases.switch_champion(two_versions.folder, two_versions.name, "1", expected="1", tags={})
    assert champion(two_versions) == "2"


def test_the_verb_speaks_json_and_writes_a_page(two_versions, tmp_path) -> None:
    code, told = run(str(two_versions.folder), "--dry-run", "--json", "--html", str(tmp_path / "p.html"))
    found = json.loads(told[told.index("{") :])
    assert code == (0 if found["decision"] == "would promote" else 1)
    assert found["comparison"]["n"] > 0
    assert "Who changes grade" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert run(str(two_versions.folder), "--history") == (0, "No decision was taken here yet\n")
    assert run(str(two_versions.folder), "--dry-run", "--rollback")[0] == 2


@pytest.mark.slow
def test_too_little_that_is_new_to_both_is_a_reason_to_wait(fresh_sample) -> None:
    project = ls.Project.load(fresh_sample())
    for seed in (0, 1):
        train(project, seed=seed, parameters=BETTER)
    settings = project.folder / "leadscore.toml"
    earlier = settings.read_text(encoding="utf-8")
    if "observed_until" in earlier:
        earlier = "\n".join(line for line in earlier.splitlines() if not line.startswith("observed_until"))
    settings.write_text(earlier.replace("[task]", '[task]\nobserved_until = "2026-05-10"'), encoding="utf-8")
    found = promote(ls.Project.load(project.folder), decider=SIGNED)
    assert isinstance(found, Promotion)
    assert found.decision == "refused"
    assert "Wait for labels to mature" in found.verdict
