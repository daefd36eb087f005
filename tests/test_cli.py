"""The command as people and machines meet it."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import time, tracking
from leadscore.batch import write_page
from leadscore.cli import find, main
from leadscore.errors import DataError

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
VERBS = (
    *("backtest", "check", "demo", "evaluate", "explain", "init", "monitor", "promote"),
    *("score", "serve", "simulate", "train", "tune"),
)


def run(*command: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(word) for word in command])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches(verb) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert "--json" in out


def test_help_lists_every_verb() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in VERBS)


def test_failure_is_1_and_says_so_in_both_tongues(tmp_path) -> None:
    code, out, err = run("train", tmp_path, "--json")
    assert code == 1
    assert json.loads(out)["error"]["type"] == "ProjectError"
    assert err.startswith("leadscore train: ")
    assert "Traceback" not in err


def test_wrong_usage_is_2() -> None:
    assert run("score", SAMPLE)[0] == 2
    assert run("frobnicate")[0] == 2


def test_nothing_trained_yet_names_the_remedy(fresh_sample, tmp_path) -> None:
    code, _, err = run("score", fresh_sample(), "--out", tmp_path / "out.csv")
    assert code == 1
    assert "leadscore train" in err
    assert not (tmp_path / "out.csv").exists()


def test_a_model_is_found_again_by_the_address_that_is_printed(sample_scorer, fresh_sample) -> None:
    """The registry takes no slash: what it calls the model is not the project's name."""
    folder = fresh_sample()
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    (folder / "leadscore.toml").write_text(text.replace('name = "market"', 'name = "acme/north"'), encoding="utf-8")
    scorer = copy.copy(sample_scorer)
    scorer.project = dataclasses.replace(sample_scorer.project, name="acme/north")
    scorer.manifest = {**sample_scorer.manifest, "name": "acme/north"}
    tracking.log(scorer, folder, metrics={}, parameters={})
    _, described = find(folder, None)
    assert described == {"name": "acme/north", "version": "1", "uri": "models:/acme-north/1"}
    assert find(folder, described["uri"])[1] == described


def test_score_ranks_open_leads_and_keeps_nothing_half_written(sample_scorer_folder, sample, tmp_path) -> None:
    out = tmp_path / "scored.csv"
    code, printed, _ = run("score", SAMPLE, "--model", sample_scorer_folder, "--out", out, "--json")
    assert code == 0
    told = json.loads(printed)
    scored = pd.read_csv(out)
    assert told["n"] == len(scored) == sum(told["grades"].values())
    assert told["as_of"] == "2026-06-30T00:00:00Z"
    low, high = told["expected_wins_90pct"]
    assert told["expected_wins"] == pytest.approx(scored["probability"].sum())
    assert low <= told["expected_wins"] <= high
    assert scored["probability"].is_monotonic_decreasing
    assert set(scored["lead_id"]) <= set(sample.leads.ids)
    assert [path.name for path in tmp_path.iterdir()] == ["scored.csv"]
    assert all(json.loads(text) is not None for text in scored["reasons"])


def test_score_takes_a_new_list_without_outcomes(sample_scorer_folder, tmp_path) -> None:
    leads = pd.read_csv(SAMPLE / "leads.csv", dtype=str).head(40)
    leads["lead_id"] = "N" + leads["lead_id"]
    leads["created_at"] = "2026-07-04T10:00:00Z"
    leads.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "new_scored.parquet"
    code, printed, err = run(
        "score", SAMPLE, "--model", sample_scorer_folder, "--leads", tmp_path / "new.csv", "--out", out, "--json"
    )
    assert code == 0, err
    assert json.loads(printed)["n"] == 40
    assert pd.read_parquet(out)["warnings"].str.contains("no event is known yet").all()


def test_score_refuses_an_unknown_ending(sample_scorer_folder, tmp_path) -> None:
    code, _, err = run("score", SAMPLE, "--model", sample_scorer_folder, "--out", tmp_path / "out.xlsx")
    assert code == 1
    assert err.strip().endswith("out.xlsx must end with .csv or .parquet: the ending chooses the format")


def test_evaluate_judges_on_all_mature_snapshots(sample_scorer_folder, sample_snapshots) -> None:
    code, printed, _ = run("evaluate", SAMPLE, "--model", sample_scorer_folder, "--json")
    told = json.loads(printed)
    assert code == 0
    assert told["metrics"]["n"] == told["snapshots"]["n"] == len(sample_snapshots)
    assert 0.5 < told["metrics"]["auc"] < 1
    assert "base_rate" in told["baselines"]


def test_explain_adds_up(sample_scorer_folder, sample: ls.Data) -> None:
    lead = ls.snapshots(sample).frame()["lead_id"].iloc[-1]
    code, printed, _ = run(
        "explain", SAMPLE, "--lead", lead, "--as-of", "2026-05-01", "--model", sample_scorer_folder, "--json"
    )
    told = json.loads(printed)
    assert code == 0
    parts = told["base"] + told["fit_effect"] + told["intent_effect"] + told["context_effect"]
    assert parts == pytest.approx(told["margin"], abs=1e-9)


def explain_between(scorer: Path, *more: object) -> tuple[int, str, str]:
    lead = ls.snapshots(ls.Project.load(SAMPLE).read()).frame()["lead_id"].iloc[-1]
    return run("explain", SAMPLE, "--lead", lead, "--model", scorer, *more)


def test_explain_between_two_times_adds_up(sample_scorer_folder) -> None:
    times = ("--from", "2026-05-30", "--to", "2026-06-15")
    code, printed, err = explain_between(sample_scorer_folder, *times, "--from-model", sample_scorer_folder, "--json")
    assert code == 0, err
    told = json.loads(printed)
    assert [part["part"] for part in told["parts"]] == ["time", "fields", "events", "others", "model"]
    for what in ("margin", "probability", "score"):
        moved = sum(part[what] for part in told["parts"])
        assert moved == pytest.approx(told["after"][what] - told["before"][what], abs=1e-12)


def test_explain_between_two_times_reads_as_a_receipt(sample_scorer_folder) -> None:
    code, printed, _ = explain_between(sample_scorer_folder, "--from", "2026-05-30", "--to", "2026-06-15")
    assert code == 0
    assert ", 30 May → 15 June 2026" in printed.splitlines()[0]
    assert "time that passed" in printed


@pytest.mark.parametrize(
    "wrong",
    [
        ("--from", "2026-05-20"),
        ("--from", "2026-05-20", "--to", "2026-06-01", "--as-of", "2026-05-01"),
        ("--from-model", "6"),
    ],
)
def test_explain_refuses_half_a_receipt(sample_scorer_folder, wrong) -> None:
    assert explain_between(sample_scorer_folder, *wrong)[0] == 2


def test_explain_says_for_and_against(sample_scorer_folder) -> None:
    code, printed, _ = explain_between(sample_scorer_folder, "--as-of", "2026-06-01")
    lines = printed.splitlines()
    assert code == 0
    assert "  for it:" in lines
    assert "  against it:" in lines


def test_explain_names_no_one_it_does_not_know(sample_scorer_folder) -> None:
    code, _, err = run("explain", SAMPLE, "--lead", "nobody", "--model", sample_scorer_folder)
    assert code == 1
    assert "there is no lead 'nobody' in [leads]: an id is column 'lead_id' of leads.csv" in err
    assert "(2,000 leads). leadscore score --out FILE lists the open ones" in err


def test_a_table_in_the_place_of_a_project_is_told_how_to_become_one() -> None:
    for verb in ("train", "check"):
        code, _, err = run(verb, SAMPLE / "leads.csv")
        assert code == 1
        assert "leads.csv is a file, and a project is a folder that holds a leadscore.toml" in err
        assert f"leadscore init {SAMPLE / 'leads.csv'} --out DIR" in err


@pytest.mark.parametrize("options", [("--out", "there/and/below/scored.csv"), ("--out", "kept.csv", "--keep", "a/b")])
def test_folders_that_are_missing_are_made(options, sample_scorer_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("score", SAMPLE, "--model", sample_scorer_folder, "--reasons", 0, *options)
    assert (code, (tmp_path / options[1]).is_file()) == (0, True), err
    assert all(Path(option).exists() for option in options[1::2])


def test_pages_make_their_folder_too_but_not_in_a_file(tmp_path) -> None:
    page = write_page(tmp_path / "a" / "b" / "page.html", "<p>")
    assert page.read_text() == "<p>"
    code, _, err = run("check", SAMPLE, "--html", page / "c" / "check.html")
    assert code == 2
    assert "page.html is a file, and no folder" in " ".join(err.split())
    with pytest.raises(DataError, match="a file is in its place, or above it"):
        write_page(page / "c.html", "<p>")


def test_a_reader_that_leaves_early_sees_no_traceback(fresh_sample) -> None:
    """As ``leadscore check | head`` does."""
    project = str(fresh_sample(every=20))
    assert run("check", project)[0] == 0, "whoever reads to the end sees no failure"
    for options in ([], ["--json"]):
        command = [sys.executable, "-c", "from leadscore.cli import main; main()", "check", project, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        with process.stderr as said:
            assert not {"Traceback", "Broken", "BrokenPipeError"} & set(said.read().split())
        assert process.wait() == 1


def test_simulate_writes_a_project(tmp_path) -> None:
    code, printed, _ = run("simulate", tmp_path / "market", "--leads", "50", "--seed", "1", "--json")
    assert code == 0
    assert json.loads(printed)["n_leads"] == 50
    assert len(ls.Project.load(tmp_path / "market").read().leads.ids) == 50


@pytest.mark.parametrize("asked", ["2027-02-03", "today"])
def test_simulate_ends_when_it_is_asked_to(tmp_path, asked: str) -> None:
    days = [dt.datetime.now(dt.UTC).date()]
    code, _, _ = run("simulate", tmp_path / "market", "--leads", "50", "--until", asked)
    assert code == 0
    days.append(dt.datetime.now(dt.UTC).date())
    until = ls.Project.load(tmp_path / "market").task.observed_until
    expected = {asked} if asked != "today" else {str(day) for day in days}
    assert time.format_instant(until)[:10] in expected


def test_simulate_says_how_a_day_is_written(tmp_path) -> None:
    code, _, said = run("simulate", tmp_path / "market", "--until", "3.2.2027")
    assert code == 2
    assert "write one as 2026-03-31, or today" in said


def test_explain_warns_of_what_is_no_forecast(sample_scorer_folder, sample: ls.Data) -> None:
    won = int((sample.outcomes.won_at > 0).argmax())
    code, printed, _ = run(
        "explain", SAMPLE, "--lead", sample.leads.ids[won], "--as-of", "2030-01-01", "--model", sample_scorer_folder,
        "--json",
    )  # fmt: skip
    assert code == 0
    warnings = json.loads(printed)["warnings"]
    assert any(warning.startswith("the lead was won on ") for warning in warnings)
    assert any(warning.startswith("the data end at 2026-06-30T00:00:00Z") for warning in warnings)


def test_a_list_without_times_takes_no_time(tmp_path) -> None:
    rows = "\n".join(f"{row},{row % 7},{'yes' if row % 3 == 0 else 'no'}" for row in range(600))
    (tmp_path / "leads.csv").write_text("id,size,won\n" + rows)
    (tmp_path / "leadscore.toml").write_text(
        '[leads]\nsource = "leads.csv"\nid = "id"\nnumeric = ["size"]\n'
        '[outcome]\nsource = "leads.csv"\nlead = "id"\ncolumn = "won"\nwon = ["yes"]\n'
    )
    assert run("train", tmp_path, "--no-track", "--out", tmp_path / "scorer")[0] == 0
    code, _, err = run(
        "score", tmp_path, "--model", tmp_path / "scorer", "--out", tmp_path / "o.csv", "--as-of", "2026-01-01"
    )
    assert code == 2
    assert "needs times" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--master", "local"), "give --engine spark as well"),
        (("--engine", "spark", "--memory", "2GiB"), "set in Spark"),
    ],
)
def test_each_engine_has_its_own_options(options, said, sample_scorer_folder, tmp_path) -> None:
    code, _, err = run("score", SAMPLE, "--out", tmp_path / "a.csv", "--model", sample_scorer_folder, *options)
    assert code == 2
    assert said in " ".join(err.split())
