from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leadscore import LeadScorer
from leadscore.errors import ArtifactError, DocumentError
from service.problems import Problem

if TYPE_CHECKING:
    from tests.service.conftest import Service

NOW = 1_777_626_000_000_000


def test_without_a_model_nothing_is_scored(bare_service: Service) -> None:
    assert not bare_service.model.ready
    with pytest.raises(Problem) as caught:
        bare_service.model.score([{}], now=NOW)
    assert caught.value.status == 503


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"{}", 503)])
def test_without_a_model_a_body_that_is_no_json_is_told_first(bare_service: Service, body: bytes, status: int) -> None:
    """As where documents are scored together: nobody may tell the ways apart."""
    with pytest.raises(Problem) as caught:
        bare_service.model.score_body(body, now=NOW)
    assert caught.value.status == status


def test_scores_are_the_scorers_own(service: Service, scorer: LeadScorer, documents: list[dict[str, Any]]) -> None:
    assert service.model.score(documents, now=NOW) == scorer.score_documents(documents, now=NOW)


def test_what_is_no_object_is_refused_at_its_place(service: Service, documents: list[dict[str, Any]]) -> None:
    results = service.model.score([None, documents[0], [], "text", 1, True], now=NOW)
    messages = [result.message for result in results if isinstance(result, DocumentError)]
    assert messages == [
        f"must be a JSON object, not {found}" for found in ("nothing", "a list", "text", "a number", "true or false")
    ]
    assert not isinstance(results[1], DocumentError)


def test_a_loaded_folder_is_in_use_under_its_version(bare_service: Service, sample_scorer_folder: Path) -> None:
    bare_service.model.load(sample_scorer_folder, "12")
    current = bare_service.model.current
    assert (current.version, current.scorer.version) == ("12", "12")
    assert 'version="12"' in bare_service.metrics()


def test_a_swap_is_seen_by_the_next_request_and_not_by_one_under_way(
    service: Service, sample_scorer_folder: Path, documents: list[dict[str, Any]]
) -> None:
    under_way = service.model.current
    service.model.load(sample_scorer_folder, "8")
    [result] = service.model.score(documents[:1], now=NOW)
    assert isinstance(result, dict)
    assert result["model"]["version"] == "8"
    assert under_way.version == "7"


def test_a_damaged_folder_leaves_the_model_in_use(service: Service, sample_scorer_folder: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(sample_scorer_folder, tmp_path / "scorer")
    (damaged / "manifest.json").unlink()
    with pytest.raises(ArtifactError):
        service.model.load(damaged, "8")
    assert service.model.current.version == "7"


def test_the_collector_is_settled_in_a_process_of_its_own() -> None:
    code = (
        "import gc; from service.serving import settle_garbage_collector as settle; settle();"
        "print(gc.get_threshold(), gc.get_freeze_count() > 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(50000, 20, 100) True"
