"""Look pinned packages up among known vulnerabilities, with pip-audit: python .ci/advisories.py constraints.txt.

Ends with 1 if one is found. Where no advisory database answers it says so and ends with 0. pip-audit's own exit code
can't tell these apart: it is 1 for both, and 0 where the index it asked knows none of the packages. Its report can.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 120
NOT_LOOKED_UP = "!!! NOT LOOKED UP: no advisory database answered for {}. Run make advisories where there is a network"


def report(requirements: Path) -> list[dict[str, Any]]:
    """Return what pip-audit says of every package; nothing, if it could not look."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--output", str(output), "--progress-spinner", "off", "--timeout", "10"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return []
        if not output.is_file():
            print(done.stderr.strip().rpartition("\n")[2])
            return []
        packages: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["dependencies"]
        return packages


def judge(packages: Sequence[Mapping[str, Any]]) -> int:
    """Say what a report tells; return the exit code."""
    n_skipped = sum("skip_reason" in package for package in packages)
    n_found = 0
    for package in packages:
        for found in package.get("vulns", ()):
            n_found += 1
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {mended}")
    if n_skipped or not packages:
        print(NOT_LOOKED_UP.format(f"{n_skipped} of {len(packages)} packages" if packages else "any package"))
    if n_skipped < len(packages):
        print(f"{n_found or 'No'} known vulnerabilities in {len(packages) - n_skipped} packages")
    return 1 if n_found else 0


if __name__ == "__main__":
    raise SystemExit(judge(report(Path(sys.argv[1]))))
