"""The pinned requirements, the image's recipe, and a bento that is built and served where somebody asks for it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.keys import Key

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "service" / "requirements.txt"
HEAD = "# What the service needs of constraints.txt. Refresh with: LEADSCORE_WRITE_REQUIREMENTS=1 pytest " + str(
    Path(__file__).relative_to(ROOT)
)
RECIPE = (ROOT / "service" / "Containerfile").read_text(encoding="utf-8")
STEPS = [
    step.strip()
    for step in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", RECIPE, flags=re.MULTILINE)).splitlines()
    if step.strip()
]


def steps(instruction: str) -> list[str]:
    return [step.partition(" ")[2].strip() for step in STEPS if step.startswith(f"{instruction} ")]


def needed() -> set[str]:
    """Names of all distributions that ``leadscore[service,sql]`` brings here."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = declared["optional-dependencies"]
    todo = [Requirement(line) for line in [*declared["dependencies"], *extras["service"], *extras["sql"]]]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        for wanted in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), wanted)
            if key not in seen:
                seen.add(key)
                brought = [Requirement(line) for line in distribution(requirement.name).requires or ()]
                todo += [one for one in brought if one.marker is None or one.marker.evaluate({"extra": wanted})]
    return {name for name, _ in seen}


@pytest.mark.skipif(sys.platform != "linux", reason="the image is Linux; elsewhere other packages are brought")
def test_the_requirements_are_what_the_service_needs_of_the_constraints() -> None:
    names = needed()
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    found = [pin for pin in pins if canonicalize_name(pin.partition("==")[0]) in names]
    assert len(found) == len(names)
    text = "\n".join([HEAD, *found, ""])
    if os.environ.get("LEADSCORE_WRITE_REQUIREMENTS"):
        REQUIREMENTS.write_text(text, encoding="utf-8")
    assert REQUIREMENTS.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("file", ["constraints.txt", "service/requirements.txt"])
def test_every_pin_is_exact_and_names_no_index(file: str) -> None:
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines()[1:]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line), line


def test_the_image_starts_from_a_small_base_of_a_stated_version() -> None:
    [base] = steps("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base)


def test_the_image_installs_pins_alone_and_keeps_no_cache() -> None:
    pins, package = (step for step in steps("RUN") if "pip" in step)
    assert pins == "pip install --no-cache-dir --no-deps -r service/requirements.txt"
    assert package == "pip install --no-cache-dir --no-deps ."
    [apt] = [step for step in steps("RUN") if "apt-get" in step]
    assert "--no-install-recommends" in apt
    assert "rm -rf /var/lib/apt/lists/*" in apt


def test_the_image_runs_as_nobody_in_particular_and_tells_how_it_is() -> None:
    assert steps("USER") == ["10001"]
    assert STEPS.index("USER 10001") > max(place for place, step in enumerate(STEPS) if step.startswith("RUN"))
    assert "/readyz" in steps("HEALTHCHECK")[0]
    [command] = steps("ENTRYPOINT")
    assert command.startswith('["leadscore"')  # no shell between the signals and the server


def test_the_image_holds_code_alone_and_no_secret() -> None:
    copied = [step.split()[:-1] for step in steps("COPY")]
    code = [["leadscore/"], ["service/"], ["training/"]]
    assert copied == [["service/requirements.txt"], ["pyproject.toml", "README.md"], *code]
    assert not steps("ADD")
    assert not re.search(r"KEY|SECRET|TOKEN|PASSWORD|KEYLESS", " ".join([*steps("ENV"), *steps("ARG")]))


def test_the_bento_packs_the_library_and_the_service() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["bentoml"]["build"]
    assert build["service"] == "service.app:LeadScore"
    assert build["include"] == ["leadscore/**", "service/**"]
    assert build["python"]["requirements_txt"] == REQUIREMENTS.relative_to(ROOT).as_posix()


@pytest.mark.skipif(not os.environ.get("LEADSCORE_TEST_BENTO"), reason="slow; LEADSCORE_TEST_BENTO=1 asks for it")
def test_a_bento_is_built_and_scores_from_its_folder(sample_scorer_folder: Path, tmp_path: Path) -> None:
    elsewhere = {"PYTHONPATH", "NUMBA_CACHE_DIR"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    environment |= {"BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    bentoml = [sys.executable, "-m", "bentoml"]
    built = subprocess.run([*bentoml, "build", str(ROOT)], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    [bento] = (folder for folder in (tmp_path / "home" / "bentos" / "leadscore").iterdir() if folder.is_dir())
    assert {path.name for path in (bento / "src").iterdir()} == {"leadscore", "service", "bentofile.yaml"}
    pins = (bento / "env" / "python" / "requirements.txt").read_text(encoding="utf-8")
    assert set(REQUIREMENTS.read_text(encoding="utf-8").splitlines()[1:]) <= set(pins.splitlines())

    key, secret = Key.mint("crm", ["score"])
    environment |= {"LEADSCORE_SCORER": str(sample_scorer_folder), "LEADSCORE_API_KEYS": key.as_variable}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = [*bentoml, "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(serve, cwd=tmp_path, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            wait_until_ready(client)
            document = client.get("/openapi.json").json()["components"]["schemas"]["LeadDocument"]["examples"][0]
            assert client.post("/v1/score", json=document).status_code == 401
            answer = client.post("/v1/score", json=document, headers={"x-api-key": secret})
            assert (answer.status_code, answer.json()["lead_id"]) == (200, "L42")
    finally:
        server.terminate()
        server.wait(timeout=60)
    # Kernels are compiled beside the code that answers: the bento's own.
    assert [*(bento / "src" / "leadscore").rglob("*.nbi")]


def wait_until_ready(client: httpx.Client, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the bento was not ready in time")
