"""A list that is killed again and again: ``python -m tests.bench.killed`` (``--times 20``, ``--leads 1000000``).

Scores a list of its own world to the end; then anew, killed with SIGKILL at random moments and gone on with each time.
The bytes must be the same, and nothing may lie beside the list while it is not whole, but the folder of the run.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.lists import AS_OF, FOLDER, ROOT, model, world


def run(n_leads: int, times: int, memory: str, seed: int) -> list[str]:
    """Return lines of Markdown; exits with an error where the bytes differ."""
    project, scorer = world(FOLDER / f"{n_leads}", n_leads), model(FOLDER / "scorer")
    start = time.perf_counter()
    expected = FOLDER / "whole.parquet"
    assert _score(project, scorer, expected, memory, "--fresh").wait() == 0
    seconds = time.perf_counter() - start
    chance, n_whole, died_at = random.Random(seed), 0, []
    out = FOLDER / "killed" / "list.parquet"
    out.parent.mkdir(exist_ok=True)
    out.unlink(missing_ok=True)
    while len(died_at) < times:
        process, after = _score(project, scorer, out, memory), chance.uniform(1.0, seconds)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            died_at.append(after)
        if out.exists():  # once more from the start
            n_whole += 1
            _require_same(out, expected)
            out.unlink()
        left = [path.name for path in out.parent.iterdir() if not path.is_dir()]
        assert not left, f"left behind: {left}"
    assert _score(project, scorer, out, memory).wait() == 0
    _require_same(out, expected)
    return [
        f"### A list of {n_leads:,} leads, killed {times} times after 1 to {seconds:.0f} seconds",
        "",
        f"Gone on with each time: the same bytes as of a run that nobody stopped ({_digest(out)}). "
        f"Seconds until each death: {', '.join(f'{after:.1f}' for after in died_at)}; "
        f"{n_whole} lists were whole by then, of the same bytes as well, and were begun anew.",
    ]


def _score(project: Path, scorer: Path, out: Path, memory: str, *more: str) -> subprocess.Popen[bytes]:
    verb = [sys.executable, "-c", "from leadscore.cli import main; main()", "score", project, "--model", scorer]
    options = ["--out", out, "--as-of", AS_OF, "--reasons", "0", "--memory", memory, *more]
    return subprocess.Popen([*map(str, [*verb, *options])], cwd=ROOT, stdout=subprocess.DEVNULL)


def _require_same(out: Path, expected: Path) -> None:
    if _digest(out) != _digest(expected):
        raise SystemExit(f"{out} differs from {expected}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("\n".join(run(options.leads, options.times, options.memory, options.seed)))
