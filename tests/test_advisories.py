"""What is made of pip-audit's report."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "advisories.py"
SPEC = importlib.util.spec_from_file_location("advisories", SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
advisories = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(advisories)

SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
SKIPPED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (2.4.6)"}
VULNERABLE = {
    "name": "requests",
    "version": "2.0.0",
    "vulns": [
        {"id": "PYSEC-2018-28", "fix_versions": ["2.20.0"], "aliases": ["CVE-2018-18074"], "description": ""},
        {"id": "PYSEC-2014-13", "fix_versions": [], "aliases": [], "description": ""},
    ],
}


def test_a_found_vulnerability_fails_and_says_what_mends_it(capsys):
    assert advisories.judge([SOUND, VULNERABLE]) == 1
    said = capsys.readouterr().out
    assert "requests 2.0.0: PYSEC-2018-28, mended in 2.20.0\n" in said
    assert "PYSEC-2014-13, mended in no version yet\n" in said
    assert "2 known vulnerabilities in 2 packages" in said


def test_none_found_passes_quietly(capsys):
    assert advisories.judge([SOUND]) == 0
    assert capsys.readouterr().out == "No known vulnerabilities in 1 packages\n"


@pytest.mark.parametrize(
    ("packages", "what"), [([], "any package"), ([SKIPPED], "1 of 1"), ([SOUND, SKIPPED], "1 of 2")]
)
def test_what_could_not_be_looked_up_passes_loudly(capsys, packages, what):
    assert advisories.judge(packages) == 0
    assert f"!!! NOT LOOKED UP: no advisory database answered for {what}" in capsys.readouterr().out


def test_a_vulnerability_fails_even_where_others_could_not_be_looked_up():
    assert advisories.judge([SKIPPED, VULNERABLE]) == 1


def test_what_pip_audit_refuses_is_said(tmp_path):
    (tmp_path / "requirements.txt").write_text("click\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "requirements.txt")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "click" in done.stdout
    assert "NOT LOOKED UP" in done.stdout
