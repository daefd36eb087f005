"""A backtest for a terminal: the verdict, then one line an origin, the pool, and the age of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from leadscore.evaluate.metrics import Difference
from leadscore.model.ladder import words
from training.backtesting.judged import Period, day
from training.backtesting.verdict import span
from training.monitoring.told import columns, number, percent

if TYPE_CHECKING:
    from training.backtest import Backtest

ORIGINS = (
    *("origin", "rung", "won then", "AUC promised", "AUC came true", "95 % interval", "won since", "predicted"),
    *("observed", "slope promised", "slope", "lift promised", "lift", "log-loss promised", "log-loss"),
)
BASELINES = ("", "log-loss", "AUC", "the scores less it, log-loss", "AUC less it")
AGES = (
    *("age", "snapshots", "won leads", "AUC", "of the newest", "less it"),
    *("log-loss", "of the newest", "less it"),
)


def text(found: Backtest) -> str:
    """Return everything a person should read, the verdict first."""
    rows = origin_rows(found)
    judging, rest = [row[:9] for row in rows], [[row[0], *row[9:]] for row in rows]
    beside = "All periods, beside the ladder's rungs as they stood at each origin:"
    aged = "Age of the model, against the newest one on the same snapshots:"
    parts = [
        list(found.verdict.sentences),
        [f"! {note}" for note in found.notes],
        [looked_at(found), *columns(judging, ORIGINS[:9], words=2)],
        columns(rest, (ORIGINS[0], *ORIGINS[9:])),
        [beside, *columns(baseline_rows(found), BASELINES)],
        [aged, *columns(age_rows(found), AGES)] if found.judged.ages else [],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def looked_at(found: Backtest) -> str:
    """Say whose scores were judged, and how many could not be."""
    pooled, periods = found.judged.pooled, found.judged.periods
    origins = "1 origin" if len(periods) == 1 else f"{len(periods)} origins, {found.every_days:g} days apart"
    return (
        f"{origins}; matured since: {pooled.n:,} snapshots of {pooled.n_leads:,} leads, {pooled.n_won:,} of them won; "
        f"not judged, for their outcome is open: {sum(period.n_immature for period in periods):,} snapshots"
    )


def origin_rows(found: Backtest) -> list[list[str]]:
    """One row of cells an origin, the oldest first; its columns are `ORIGINS`."""
    return [_origin(period) for period in found.judged.periods]


def _origin(period: Period) -> list[str]:
    promise, truth = period.promise, period.truth
    promised, came = promise["metrics"], truth.metrics
    interval = truth.intervals["auc"]
    both = [
        cell
        for metric, digits in (("calibration_slope", 2), ("lift_at_10pct", 2), ("log_loss", 4))
        for cell in (number(promised[metric], digits), number(came[metric], digits))
    ]
    return [
        day(period.origin), words(promise["rung"]), f"{promise['n_won_known']:,}", number(promised["auc"]),
        number(came["auc"]), "–" if interval is None else f"[{interval[0]:.2f}, {interval[1]:.2f}]",
        f"{truth.n_won:,}", percent(truth.predicted), percent(came["base_rate"]), *both,
    ]  # fmt: skip


def baseline_rows(found: Backtest) -> list[list[str]]:
    """The pooled scores, then every rung, as cells; its columns are `BASELINES`."""
    own = found.judged.pooled.metrics
    rows = [["scores as they stood", number(own["log_loss"], 4), number(own["auc"]), "", ""]]
    for name, beside in found.judged.baselines.items():
        rows.append(
            [words(name), number(beside.other["log_loss"], 4), number(beside.other["auc"]),
             *_differences(beside.difference)]
        )  # fmt: skip
    return rows


def age_rows(found: Backtest) -> list[list[str]]:
    """One row of cells an age; its columns are `AGES`."""
    rows = []
    for age, beside in found.judged.ages.items():
        loss, auc = _differences(beside.difference)
        rows.append(
            [f"{age * found.every_days:g} days", f"{beside.n:,}", f"{beside.n_won:,}", number(beside.of["auc"]),
             number(beside.other["auc"]), auc, number(beside.of["log_loss"], 4), number(beside.other["log_loss"], 4),
             loss]
        )  # fmt: skip
    return rows


def _differences(found: Mapping[str, Difference | None]) -> tuple[str, str]:
    return span(found["log_loss"], digits=4, signed=True), span(found["auc"], signed=True)
