"""How soon a seller sees the call list of a large base: first contentful paint in Chromium; ``make bench-pages``."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from leadscore.simulate import simulate
from tests.bench.stored import _ours, _scorer

N_TIMES = 9
PAGES = (
    ("an empty page (sign-in)", "/app/sign-in"),
    ("the call list", "/app"),
    ("the call list, 200 calls", "/app?calls=200"),
    ("one lead", "/app/leads/L000123"),
)
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def run(n_leads: int) -> list[str]:
    """Return lines of Markdown."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "base"
        simulate(project, n_leads=n_leads, seed=3, truth=False)
        with (
            _ours(project, _scorer(Path(folder)), str(project / "store.db")) as (url, told),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            found = {title: _paints(browser, f"{url}{path}") for title, path in PAGES}
            browser.close()
    empty = float(np.median(next(iter(found.values()))))
    lines = [
        f"### First paint, {n_leads:,} leads, SQLite",
        "",
        "| page | first visit ms | median ms |",
        "|---|---|---|",
    ]
    lines += [f"| {title} | {paints[0]:.0f} | {np.median(paints):.0f} |" for title, paints in found.items()]
    slowest = max(max(paints) for title, paints in found.items() if "list" in title)
    bound = 2 * empty + 300
    return [*lines, "", f"Slowest call list {slowest:.0f} ms; twice an empty page and 300 ms are {bound:.0f}.", told]


def _paints(browser: Any, address: str) -> list[float]:
    """Milliseconds to the first paint, each time with an empty cache."""
    paints = []
    for _ in range(N_TIMES):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address, wait_until="load")
        page.wait_for_function(_PAINT)
        paints.append(float(page.evaluate(_PAINT)))
        context.close()
    return paints


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000)
    print("\n".join(run(parser.parse_args().leads)))
