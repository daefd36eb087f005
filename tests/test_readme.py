"""README tells the truth: its Python runs, its document scores, its verbs and files exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_runs(fresh_sample, monkeypatch, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    fresh_sample().rename(tmp_path / "data" / "sample")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert list(names["scores"].columns)[:3] == ["lead_id", "as_of", "probability"]
    assert names["matrix"].shape == (len(names["snapshots"]), 2)
    assert (tmp_path / "scorer" / "manifest.json").exists()


def test_the_document_of_the_curl_scores(sample_scorer) -> None:
    (document,) = re.findall(r"-d '(\{.*?\})'", README, flags=re.DOTALL)
    (record,) = sample_scorer.score_documents([json.loads(document)], now=0)
    assert 0 < record["probability"] < 1
    (warning,) = record["warnings"]
    assert warning.startswith("context: account.win_rate")


def test_the_agreement_works_when_it_is_pasted(fresh_sample, sample_scorer_folder, tmp_path) -> None:
    (pasted,) = [block for block in blocks("toml") if "[sla]" in block]
    project = fresh_sample()
    with (project / "leadscore.toml").open("a", encoding="utf-8") as file:
        file.write(pasted)
    assert ls.Project.load(project).sla.attempts == {"A": 6}
    command = [
        "report",
        "agreement",
        str(project),
        "--out",
        str(tmp_path / "out"),
        "--model",
        str(sample_scorer_folder),
    ]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"^leadscore (\w+)", README, flags=re.MULTILINE))))
def test_every_verb_exists(verb) -> None:
    assert verb in main.commands


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_every_link_leads_somewhere(link) -> None:
    assert (ROOT / link).exists()


def test_every_room_of_the_map_exists() -> None:
    house = README.split("## The map of the house")[1]
    rooms = re.findall(r"^  (\w+(?:\.py|/))", house, flags=re.MULTILINE)
    assert len(rooms) > 15
    for room in rooms:
        assert (ROOT / "leadscore" / room).exists(), room
