"""A cluster of its own processes, a master and a worker on the loopback: the bytes are those of one machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import leadscore as ls
from tests.batch.scoring import at_once

pyspark = pytest.importorskip("pyspark", reason="needs the extra spark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
}  # fmt: skip
SPOKEN = {"deploy.master.Master": "New state: ALIVE", "deploy.worker.Worker": "Successfully registered"}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(kind: str, *options: str) -> Iterator[None]:
    """A process of the cluster, once it says that it is ready."""
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), f"org.apache.spark.{kind}"]
    command += ["--host", "127.0.0.1", "--webui-port", "0", *options]
    process = subprocess.Popen(command, env=ENVIRONMENT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        said = next((line for line in process.stderr if SPOKEN[kind] in line), None)
        assert said is not None, f"{kind} ended with {process.wait()}"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Iterator[str]:
    port, work = str(free_port()), tmp_path_factory.mktemp("work")
    url = f"spark://127.0.0.1:{port}"
    worker = ["--cores", "2", "--memory", "2g", "--work-dir", str(work), url]
    with running("deploy.master.Master", "--port", port), running("deploy.worker.Worker", *worker):
        yield url


def leadscore(*arguments: object, **environment: str) -> None:
    command = [sys.executable, "-c", "from leadscore.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_master_is_the_address_of_a_cluster(master, sample, sample_scorer, fresh_sample, tmp_path) -> None:
    expected, _ = at_once(sample_scorer, sample.project, tmp_path / "one.csv")
    sample_scorer.save(tmp_path / "scorer")
    folder, on_cluster = fresh_sample(), ["--engine", "spark", "--master", master]
    leadscore("score", folder, "--model", tmp_path / "scorer", "--out", tmp_path / "many.csv", *on_cluster)
    assert (tmp_path / "many.csv").read_bytes() == expected
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    (folder / "leadscore.toml").write_text(f"{text}\n[model]\nnum_iterations = 10\n", encoding="utf-8")
    trained = ["train", folder, "--no-track", "--no-check", "--out"]
    leadscore(*trained, tmp_path / "there", "--engine", "spark", SPARK_MASTER=master)
    leadscore(*trained, tmp_path / "here")
    there, here = (ls.LeadScorer.load(tmp_path / name) for name in ("there", "here"))
    assert there.model.to_text() == here.model.to_text()
