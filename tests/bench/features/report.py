"""Results as Markdown: what each engine took, what it cost in memory, how both grow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.bench.features.columns import SETS
from tests.bench.features.run import Result

TITLES = {
    "leadscore": "leadscore",
    "duckdb": "DuckDB",
    "polars": "Polars",
    "featuretools": "featuretools",
    "getml": "getML FastProp",
}
GROUPED = "seconds_grouped_before"
MEGABYTE = 1_000_000
MOST_GROWTH = 11.0
MOST_MEMORY = 2.0


def report(results: Sequence[Result]) -> list[str]:
    """Return lines of Markdown: a table per size and set, then growth, faults, promises, and how it was measured."""
    lines: list[str] = []
    for n_events in dict.fromkeys(result.n_events for result in results):
        for columns in SETS:
            lines += _table([one for one in results if (one.n_events, one.columns) == (n_events, columns)])
    return [*lines, *_growth(results), *_verdict(results), *_notes(results)]


def faults(results: Sequence[Result]) -> list[str]:
    """Return whose values differ from leadscore's, and who failed."""
    return [
        f"{TITLES[result.engine]}, {result.n_events:,} events, {result.columns}: {reason}"
        for result in results
        for reason in [*result.differences, *([result["failed"]] if "failed" in result.found else [])]
    ]


def missed(results: Sequence[Result]) -> list[str]:
    """Return what is promised of leadscore's time and memory, and not kept in this run."""
    lines = []
    for smaller, larger in _steps(results, "leadscore"):
        times, most = _times(smaller, larger), larger.n_events / smaller.n_events * MOST_GROWTH / 10
        if times > most:
            lines.append(f"{larger.columns}, {larger.n_events:,} events: {times:.1f} times as long, not {most:.1f}")
    for result in results:
        if result.engine == "leadscore" and result.done and peak_of_given(result) > MOST_MEMORY:
            peak = f"{peak_of_given(result):.2f} × (input + output), not {MOST_MEMORY:.1f}"
            lines.append(f"{result.columns}, {result.n_events:,} events: a peak of {peak}")
    return lines


def _table(results: Sequence[Result]) -> list[str]:
    ours = next(result for result in results if result.engine == "leadscore")
    n_columns = len(ours["names"])
    n_cutoffs = ours["n_cells"] // n_columns
    lines = [
        f"### {ours.n_events:,} events, {n_cutoffs:,} cutoffs, {ours.columns} set of {n_columns} columns",
        "",
        "| engine | seconds | ns per cell | ÷ leadscore | peak MB | ÷ (input + output) | values |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        title = TITLES[result.engine]
        if not result.done:
            lines.append(f"| {title} | {result.found.get('skipped') or result['failed']} | | | | | |")
            continue
        memory = "– | –"
        if result["peak_bytes"] is not None:
            memory = f"{result['peak_bytes'] / MEGABYTE:,.0f} | {peak_of_given(result):.2f}"
        agreed = _agreed(result, n_columns)
        lines.append(f"| {title} | {_cells(result, ours, result['seconds'])} | {memory} | {agreed} |")
        if GROUPED in result.found:
            cells = _cells(result, ours, result[GROUPED])
            lines.append(f"| {title}, events grouped before | {cells} | | | {agreed} |")
    return [*lines, ""]


def _cells(result: Result, ours: Result, seconds: float) -> str:
    ratio = seconds / result["n_cells"] * ours["n_cells"] / ours["seconds"]
    return f"{seconds:,.3f} | {seconds / result['n_cells'] * 1e9:,.1f} | {ratio:,.2f}"


def _agreed(result: Result, n_columns: int) -> str:
    if result.engine == "leadscore":
        return "–"
    n_compared = len(result["names"])
    extent = "all" if n_compared == n_columns else f"{n_compared} columns"
    return f"{len(result.differences)} columns differ" if result.differences else f"{extent} agree"


def _growth(results: Sequence[Result]) -> list[str]:
    lines = ["### More events", "", "| engine | columns | from | to | times as long | times the peak |"]
    lines.append("|---|---|---|---|---|---|")
    rows = []
    for engine, title in TITLES.items():
        for smaller, larger in _steps(results, engine):
            peak = larger["peak_bytes"] / max(smaller["peak_bytes"], 1)
            sizes = f"{smaller.n_events:,} | {larger.n_events:,}"
            rows.append(f"| {title} | {larger.columns} | {sizes} | {_times(smaller, larger):.1f} | {peak:.1f} |")
            if GROUPED in larger.found:
                times = _times(smaller, larger, GROUPED)
                rows.append(f"| {title}, events grouped before | {larger.columns} | {sizes} | {times:.1f} | |")
    return [*lines, *rows, ""] if rows else []


def _verdict(results: Sequence[Result]) -> list[str]:
    wrong, slow = faults(results), missed(results)
    lines = ["Values differ, or an engine failed:", "", *(f"- {line}" for line in wrong), ""] if wrong else []
    if not slow:
        return [*lines, "leadscore keeps its promises of time and memory.", ""]
    return [*lines, "What leadscore promises and didn't keep in this run:", "", *(f"- {line}" for line in slow), ""]


def _steps(results: Sequence[Result], engine: str) -> list[tuple[Result, Result]]:
    return [
        pair
        for columns in SETS
        for pair in pairwise(one for one in results if one.done and (one.engine, one.columns) == (engine, columns))
    ]


def _times(smaller: Result, larger: Result, key: str = "seconds") -> float:
    return float(larger[key] / smaller[key])


def peak_of_given(result: Result) -> float:
    """Peak over what any engine is given and gives: input and output."""
    return float(result["peak_bytes"] / (result["input_bytes"] + result["output_bytes"]))


def _notes(results: Sequence[Result]) -> list[str]:
    engines = {result.engine: result for result in results if result.done}
    lines = [f"- {TITLES[engine]} {one['version']}: {one['note']}." for engine, one in engines.items()]
    inexact = "" if all(one["peak_is_exact"] for one in engines.values()) else " (here: at most that, see measure.py)"
    return [
        "How it was measured:",
        "",
        *lines,
        "- Every engine starts from the same typed arrays in memory (a tenth as many leads and cutoffs as events; "
        "channels are integer codes), has two threads, a process of its own and a warm-up, and ends with its own kind "
        "of result in memory, float32: a matrix in the order of the cutoffs for leadscore, columns in any order for "
        "the others. Loading isn't timed. Seconds are those of the fastest run.",
        f"- Peak MB is what resident memory rose above the loaded tables during one run{inexact}, result included; "
        "input is the typed arrays, output the float32 matrix.",
        "- Counts, distinct numbers, recencies and maxima must be the same float32 as leadscore's, the rest equal to "
        "1e-6.",
        "",
    ]
