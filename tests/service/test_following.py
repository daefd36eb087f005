"""An alias moves, and so does the model in use: in one process, and from MLflow to HTTP."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import leadscore as ls
from leadscore import tracking
from leadscore.errors import LeadScoreError, TrackingError
from service.following import Follower, Pointer, Signpost
from tests.service.test_cli import start

if TYPE_CHECKING:
    from tests.service.conftest import Service

N_SWAPS = 20
SECONDS = 60


@pytest.fixture(scope="module")
def two_versions(
    sample: ls.Data,
    sample_snapshots: ls.Snapshots,
    sample_scorer: ls.LeadScorer,
    fresh_sample: Callable[[], Path],
) -> Path:
    """A project whose second version knows only two features."""
    folder = fresh_sample()
    plan = ls.FeaturePlan.of(sample.project, sample_scorer.plan.names[:2])
    other = ls.LeadScorer(parameters={"num_iterations": 5}, features=plan).fit(sample, sample_snapshots)
    for scorer in (sample_scorer, other):
        tracking.log(scorer, folder, metrics={}, parameters={})
    return folder


@pytest.fixture
def pointers(two_versions: Path) -> list[Pointer]:
    return [Pointer(tracking.find_scorer(two_versions, version)[0], version) for version in ("1", "2")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pointer.json"


@pytest.fixture
def follower(bare_service: Service, pointers: list[Pointer], file: Path) -> Iterator[Follower]:
    """One that has taken the first version; the collector is afterwards as it was."""
    threshold = gc.get_threshold()
    pointers[0].write(file)
    follower = Follower(bare_service.model, bare_service.observer, file)
    follower.look()
    yield follower
    gc.unfreeze()
    gc.set_threshold(*threshold)


def refused(service: Service, error: str = "ArtifactError") -> float | None:
    return service.registry.get_sample_value("leadscore_model_refused_total", {"error": error})


def move_champion(folder: Path, version: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking.tracking_uri(folder))
    client.set_registered_model_alias("market", tracking.CHAMPION, version)


def test_a_pointer_is_read_as_written(file: Path, tmp_path: Path) -> None:
    pointer = Pointer(tmp_path / "ä scorer", "7")
    pointer.write(file)
    assert Pointer.read(file) == pointer
    assert list(tmp_path.iterdir()) == [file]


def test_scorers_that_no_registry_knows_have_names_of_their_own(pointers: list[Pointer], tmp_path: Path) -> None:
    first, second = (Pointer.unregistered(pointer.folder) for pointer in pointers)
    assert first.version != second.version
    assert re.fullmatch("local-[0-9a-f]{8}", first.version)
    assert Pointer.of({"LEADSCORE_SCORER": str(first.folder)}) == first
    assert Pointer.unregistered(Path(shutil.copytree(first.folder, tmp_path / "copy"))).version == first.version
    assert [pointer.registered for pointer in (first, pointers[0])] == [False, True]
    assert Pointer.unregistered(tmp_path / "none").version == "local"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"folder": "x"}', '{"folder": 1, "version": "7"}'])
def test_what_is_no_pointer_is_said_to_be_none(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(LeadScoreError, match="names no scorer"):
        Pointer.read(file)


def test_what_the_pointer_names_is_in_use(
    bare_service: Service, follower: Follower, pointers: list[Pointer], file: Path
) -> None:
    first = bare_service.get("/v1/model").json()
    pointers[1].write(file)
    follower.look()
    second = bare_service.get("/v1/model").json()
    assert (first["version"], second["version"]) == ("1", "2")
    assert first["plan"] != second["plan"]
    assert second["since"] >= first["since"]
    assert f'plan="{first["plan"]}",version="1"}} 0.0' in bare_service.metrics()
    assert f'plan="{second["plan"]}",version="2"}} 1.0' in bare_service.metrics()
    assert [line["version"] for line in bare_service.log_lines() if line["event"] == "model"] == ["1", "2"]


def test_a_pointer_written_again_with_what_is_in_use_loads_nothing(
    bare_service: Service, follower: Follower, pointers: list[Pointer], file: Path
) -> None:
    before = bare_service.model.current
    pointers[0].write(file)
    follower.look()
    assert bare_service.model.current is before


def damaged(pointer: Pointer, folder: Path) -> Path:
    copied = Path(shutil.copytree(pointer.folder, folder / "damaged"))
    with (copied / "model.txt").open("a") as model:
        model.write("\n")
    return copied


def of_golden_leads_that_differ(pointer: Pointer, folder: Path) -> Path:
    scorer = ls.LeadScorer.load(pointer.folder)
    for golden in scorer.golden:
        golden["score"]["probability"] /= 2
    return scorer.save(folder / "differs")


def of_another_project(pointer: Pointer, folder: Path) -> Path:
    scorer = ls.LeadScorer.load(pointer.folder)
    scorer.project = ls.Project.from_dict({**scorer.project.raw, "name": "elsewhere"})
    return scorer.save(folder / "elsewhere")


def missing(pointer: Pointer, folder: Path) -> Path:
    return folder / "missing"


@pytest.mark.parametrize("spoil", [damaged, of_golden_leads_that_differ, of_another_project, missing])
def test_a_model_that_fails_is_refused_once_and_the_old_one_stays(
    bare_service: Service, follower: Follower, pointers: list[Pointer], file: Path, tmp_path: Path, spoil: Any
) -> None:
    Pointer(spoil(pointers[1], tmp_path), "2").write(file)
    for _ in range(3):
        follower.look()
    assert bare_service.model.current.version == "1"
    assert refused(bare_service) == 1
    assert bare_service.log_lines()[-1]["fault"].startswith("ArtifactError at ")
    pointers[1].write(file)
    follower.look()
    assert (bare_service.model.current.version, refused(bare_service)) == ("2", 1)


def test_a_pointer_that_cannot_be_read_is_refused(bare_service: Service, follower: Follower, file: Path) -> None:
    file.write_text("{")
    follower.look()
    assert (bare_service.model.current.version, refused(bare_service, "LeadScoreError")) == ("1", 1)


def test_over_many_swaps_no_answer_is_mixed_and_none_fails(
    bare_service: Service, follower: Follower, pointers: list[Pointer], file: Path
) -> None:
    scorers = [ls.LeadScorer.load(pointer.folder, version=pointer.version) for pointer in pointers]
    document = {"as_of": "2026-05-01T09:00:00Z"} | dict(scorers[0].golden[0]["document"])
    whole = [json.dumps(scorer.score_documents([document], now=0)[0]) for scorer in scorers]
    assert whole[0] != whole[1]
    done = threading.Event()

    async def ask() -> list[str]:
        answers = []
        transport = httpx.ASGITransport(bare_service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            while not done.is_set():
                response = await client.post("/v1/score", json=document)
                answers.append(json.dumps(response.json()) if response.status_code == 200 else response.text)
        return answers

    async def ask_at_once() -> list[list[str]]:
        return await asyncio.gather(*(ask() for _ in range(4)))

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asyncio.run, ask_at_once())
        try:
            for turn in range(N_SWAPS):
                pointers[(turn + 1) % 2].write(file)
                follower.look()
        finally:
            done.set()
        answers = [answer for one in asking.result() for answer in one]
    assert set(answers) == set(whole)
    assert "leadscore_model_refused_total{" not in bare_service.metrics()


def test_the_signpost_turns_when_the_alias_moves_and_outlives_its_registry(
    two_versions: Path, tmp_path: Path, file: Path
) -> None:
    project = Path(shutil.copytree(two_versions, tmp_path / "project"))
    warnings: list[str] = []

    def find() -> Pointer:
        folder, version = tracking.find_scorer(project)
        return Pointer(folder, str(version))

    signpost = Signpost(find, find(), file, warnings.append)
    signpost.look()
    assert not file.exists()
    move_champion(project, "2")
    signpost.look()
    assert Pointer.read(file) == find()
    database = (project / "mlflow.db").rename(tmp_path / "away")
    for _ in range(2):
        signpost.look()
    [warning] = warnings
    assert warning.startswith("Version 2 stays in use: ")
    assert "mlflow.db does not exist" in warning
    database.rename(project / "mlflow.db")
    move_champion(project, "1")
    signpost.look()
    assert (Pointer.read(file).version, len(warnings)) == ("1", 1)


def test_a_fault_of_the_registry_is_told_without_its_message(file: Path) -> None:
    warnings: list[str] = []

    def find() -> Pointer:
        raise ConnectionError("zq7-secret")

    Signpost(find, Pointer(file, "1"), file, warnings.append).look()
    assert warnings[0].startswith("Version 1 stays in use: ConnectionError at ")
    assert "zq7-secret" not in warnings[0]


def test_versions_aren_t_followed_and_aliases_are(two_versions: Path) -> None:
    moving = [None, "champion", "challenger", "models:/market", "models:/market@champion", "models:/market/champion"]
    fixed = ["2", "models:/market/2", "runs:/abc/model"]
    assert [tracking.names_alias(model) for model in moving + fixed] == [True] * len(moving) + [False] * len(fixed)
    for model in moving:
        assert tracking.find_scorer(two_versions, model)[1] in ("1", "2")
    with pytest.raises(TrackingError):
        tracking.find_scorer(two_versions, "nobody")


def test_the_service_answers_with_the_new_champion_without_restart(two_versions: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(two_versions, tmp_path / "project"))
    running = start(tmp_path, project, "--follow", "0.2")
    document = ls.LeadScorer.load(tracking.find_scorer(project, "1")[0]).golden[0]["document"]
    statuses, versions = [], []
    try:
        with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as client:

            def ask() -> str:
                response = client.post("/v1/score", json=document)
                statuses.append(response.status_code)
                versions.append(response.json()["model"]["version"])
                return str(versions[-1])

            assert ask() == "1"
            move_champion(project, "2")
            deadline = threading.Event()
            timer = threading.Timer(SECONDS, deadline.set)
            timer.start()
            while ask() == "1" and not deadline.is_set():
                pass
            timer.cancel()
            assert client.get("/v1/model").json()["version"] == "2"
    finally:
        running.process.terminate()
        assert running.process.wait(timeout=60) == 0
    assert set(statuses) == {200}
    assert versions == sorted(versions)
