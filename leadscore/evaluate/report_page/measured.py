"""What the test says: baselines, reliability, lists, months and other parts, what drives conversion."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from leadscore.evaluate import plots
from leadscore.evaluate._measures import Rows
from leadscore.evaluate.capacity import capacity_curve
from leadscore.evaluate.drivers import Driver
from leadscore.evaluate.page import Block, Picture, Section, Table, Text
from leadscore.evaluate.report import LIST_SHARES, Report
from leadscore.evaluate.report_page.cells import FEW_WINS, METRICS, count, difference, number, share, span, words
from leadscore.evaluate.report_page.pictures import shapes
from leadscore.model.ladder import Ladder

_TITLES = {
    "month": "By month of the cutoff",
    "lead_age": "By age of the lead",
    "touches": "By number of events known at the cutoff",
    "history": "Cold leads (no event yet) and warm ones",
    "account": "By company: known from training, or never seen (account-disjoint test)",
}


def baselines(report: Report, ladder: Ladder | None) -> Section:
    """The model beside everything simpler, and why it is this model."""
    rows = [["the model", *(number(report.metrics.get(name)) for name in METRICS), ""]]
    rows.append(["  95 % interval", *(span(report.intervals.get(name)) for name in METRICS), ""])
    for name, metrics in report.baselines.items():
        against = report.against.get(name, {}).get("log_loss")
        cells = [number(metrics.get(metric)) for metric in METRICS]
        rows.append([words(name), *cells, difference(against) if name in report.against else "this is the model"])
    blocks: list[Block] = [
        Table(
            ["", *METRICS.values(), "Log-loss of the model less this one's"], rows,
            "On the test block; differences are paired, intervals are clustered by company or lead",
            words=(7,), strong=0,
        )
    ]  # fmt: skip
    if ladder is not None:
        blocks += [Text(ladder.why), _rungs(ladder)]
    return Section("Beside the baselines", blocks)


def _rungs(ladder: Ladder) -> Table:
    rows = []
    for rung in ladder.rungs:
        pairs = (rung.against_base, rung.against_stood_on)
        cells = ["–" if pair is None else f"{pair.difference:+.4f} ± {pair.standard_error:.4f}" for pair in pairs]
        rows.append([words(rung.name), number(rung.log_loss, 4), *cells, "yes" if rung.stepped_on else "no"])
    return Table(
        ["Rung", "Log-loss", "Against the base rate", "Against the rung stood on", "Stepped on"], rows,
        "The ladder, on held-out time before the test (tune and calibrate); ± is one standard error",
        strong=[rung.name for rung in ladder.rungs].index(ladder.stands_on),
    )  # fmt: skip


def reliability(report: Report, seed: int) -> Section | None:
    """Whether the probabilities hold, by band and inside the call list."""
    rows, judged = report.judged.snapshots, report.judged
    if not rows.label.any():
        return None
    sorted_rows = Rows.of(rows.label, judged.probability, weight=rows.weight, cluster=rows.clusters())
    bands = plots._bands(sorted_rows, seed, 200, 0.95)
    cells = [
        [share(predicted), share(observed), f"{share(low)} to {share(high)}"]
        for predicted, observed, low, high in zip(*bands, strict=True)
    ]
    figure = plots.reliability(rows.label, judged.probability, seed=seed, weight=rows.weight, cluster=rows.clusters())
    blocks: list[Block] = [
        Picture(figure, "Observed against predicted conversion in bands of equal size"),
        Table(["Predicted", "Converted", "95 % interval"], cells, "Bands of equal size, from the lowest probability"),
    ]
    listed = report.calibration.get("in_top_10pct")
    if listed is not None:
        held = listed["low"] <= listed["observed"] <= listed["high"]
        blocks.append(Text(
            f"In the best 10 %, where sellers call: {listed['expected']:.0f} wins promised, "
            f"{listed['observed']:.0f} came ({listed['low']:.0f} to {listed['high']:.0f} would be chance). Whoever "
            f"picks the highest scores picks some that are high by luck; here the promise "
            f"{'holds' if held else 'does NOT hold'}.",
            "plain" if held else "bad",
        ))  # fmt: skip
    return Section("Do the probabilities hold?", blocks)


def lists(report: Report) -> Section | None:
    """What lists of several lengths would have held."""
    rows, judged = report.judged.snapshots, report.judged
    if not rows.label.any():
        return None
    curve = capacity_curve(rows.label, judged.probability, rows.weight, margin=judged.margin, shares=LIST_SHARES)
    cells = [
        [share(part), count(wins), count(expected), share(recall), share(precision), f"{lift:.1f}"]
        for part, wins, expected, recall, precision, lift in zip(
            curve.share, curve.wins, curve.expected_wins, curve.recall, curve.precision, curve.lift, strict=True
        )
    ]
    figure = plots.capacity(rows.label, judged.probability, weight=rows.weight, margin=judged.margin)
    headings = ["Best … of the leads", "Wins found", "Wins promised", "Of all wins", "Of the list", "Lift"]
    return Section(
        "If you can only call some",
        [
            Picture(figure, "Share of all wins found by calling a share of the list, best first"),
            Table(headings, cells, "Each open lead at each cutoff counts once; missed is what is not found"),
        ],
    )


def parts(report: Report) -> Section | None:
    """Months and segments; those with few wins are said to be too small."""
    blocks: list[Block] = []
    for name, groups in report.groups.items():
        rows = []
        for group in groups:
            few = group["n_positive"] < FEW_WINS
            judged = ["too few wins", ""] if few else [number(group["auc"]), number(group["lift_at_10pct"], 1)]
            rates = [share(group["mean_probability"]), share(group["base_rate"])]
            rows.append([str(group["group"]), count(group["n"]), count(group["n_positive"]), *rates, *judged])
        headings = ["", "Snapshots", "Wins", "Predicted", "Converted", "AUC", "Lift at 10 %"]
        blocks.append(Table(headings, rows, _TITLES.get(name, words(name).capitalize())))
    return Section("Where it holds, and where not", blocks) if blocks else None


def conversion(found: Iterable[Driver]) -> Section | None:
    """Reasons in general."""
    shown = tuple(found)
    if not shown:
        return None
    blocks: list[Block] = [
        Picture(shapes(shown), "Mean effect on the score by value, for the groups of features that move it most"),
        Table(
            ["What", "Share of all movement", "With its value the score"],
            [[driver.name, share(driver.share), driver.direction or "differs by category"] for driver in shown],
            "Mean absolute effect (exact, in log-odds) over an even sample of the test",
            words=(2,),
        ),
        Text("These are associations in past data: what sellers did with leads is part of them. They don't say what "
             "would happen if you did otherwise."),
    ]  # fmt: skip
    return Section("What drives conversion here", blocks)


def mean_probability(report: Report) -> float:
    """Weighted mean of what was predicted on the test."""
    return float(np.average(report.judged.probability, weights=report.judged.snapshots.weight))
