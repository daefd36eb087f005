"""A backtest as a page: the verdict, promise against truth over time, reliability, and the age of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadscore.evaluate import plots
from leadscore.evaluate.backtest_plots import Point, promise_and_truth
from leadscore.evaluate.page import Block, Listing, Page, Picture, Section, Table, Text, render
from training.backtesting import told
from training.backtesting.judged import day
from training.backtesting.verdict import span

if TYPE_CHECKING:
    from training.backtest import Backtest


def page(found: Backtest) -> str:
    """Return the page as HTML.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib isn't installed.
    """
    sections = [
        Section("What it says", [Listing(found.verdict.sentences[1:]), *_notes(found)]),
        _origins(found),
        _reliability(found),
        Section(
            "Beside plainer rungs",
            [Table(told.BASELINES, told.baseline_rows(found), "All matured snapshots; each rung as it stood at each "
                   "origin. Below zero in log-loss, above it in AUC: the scores are better.")],
        ),
        _ages(found),
    ]  # fmt: skip
    pooled = found.judged.pooled
    return render(
        Page(
            title=f"{found.name}: scores as they stood, and what came true",
            verdict=found.verdict.sentence,
            tone=found.verdict.tone,
            facts=[
                ("Origins", f"{len(found.judged.periods)}, {found.every_days:g} days apart"),
                ("First, last", " and ".join(day(found.judged.periods[place].origin) for place in (0, -1))),
                ("Matured since", f"{pooled.n:,} snapshots"),
                ("Won among them", f"{pooled.n_won:,} leads"),
                ("AUC within periods", span(found.judged.auc)),
            ],
            sections=[section for section in sections if section.blocks],
        )
    )


def _notes(found: Backtest) -> list[Block]:
    return [Text(told.looked_at(found) + "."), *([Listing(found.notes)] if found.notes else [])]


def _origins(found: Backtest) -> Section:
    periods = found.judged.periods
    promised = [Point(p.promise["metrics"]["auc"], p.promise["intervals"]["auc"]) for p in periods]
    came_true = [Point(p.truth.metrics["auc"], p.truth.intervals["auc"]) for p in periods]
    title = "AUC: what came true less what was promised"
    title = f"{title} is {span(found.judged.gap, signed=True)}" if found.judged.gap else "AUC, promised and come true"
    names = [day(period.origin) for period in periods]
    alt = "; ".join(
        f"{name}: AUC promised {row[3]}, came true {row[4]}"
        for name, row in zip(names, told.origin_rows(found), strict=True)
    )
    rows = told.origin_rows(found)
    rest = [[row[0], *row[9:]] for row in rows]
    caption = "Each model was trained on what was known at its origin; its scores are judged until the next origin."
    return Section(
        "Promise and truth, origin by origin",
        [
            Picture(promise_and_truth(names, promised, came_true, title), alt),
            Table(told.ORIGINS[:9], [row[:9] for row in rows], caption, words=(1,)),
            Table((told.ORIGINS[0], *told.ORIGINS[9:]), rest, "Lift is of the best 10 %."),
        ],
    )


def _reliability(found: Backtest) -> Section:
    scored = found.scored
    rows = scored.rows.take(scored.settled)
    if not rows.label.any():
        return Section("Probabilities", [])
    figure = plots.reliability(
        rows.label, scored.as_they_stood[scored.settled], seed=found.seed, weight=rows.weight, cluster=rows.clusters()
    )
    alt = "Observed against predicted rates of all matured scores as they stood"
    return Section("Do the probabilities hold?", [Picture(figure, alt)])


def _ages(found: Backtest) -> Section:
    caption = (
        "Every model that was so old, beside the newest one there was, on the same snapshots. Below zero in AUC, above "
        "it in log-loss: age costs."
    )
    rows = told.age_rows(found)
    return Section("Age of the model", [Table(told.AGES, rows, caption)] if rows else [])
