"""What a monitor found, for a terminal: the verdict, what speaks for it, and the numbers behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from leadscore.evaluate.metrics import Interval
from training.monitoring.verdict import RULE

if TYPE_CHECKING:
    from training.monitor import Monitoring

MOST_GROUPS = 6
MOST_MONTHS = 12


def text(found: Monitoring) -> str:
    """Return everything a person should read, the verdict first."""
    verdict = found.verdict
    parts = [
        [verdict.sentence, *(f"  {sentence}" for sentence in verdict.why[1:]), verdict.remedy],
        [f"! {note}" for note in found.notes],
        [looked_at(found)],
        _matured(found),
        _scores(found),
        _features(found),
        _unseen(found),
        _freshness(found),
        ["The rule, in the order in which it is asked:", *(f"  {line}" for line in RULE)],
        [verdict.sentence] if verdict.word == "no signal" else [],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def looked_at(found: Monitoring) -> str:
    """Say whose scores were looked at, and beside what."""
    period = found.period
    now = f"{period['n_now']:,} leads of this list"
    if period["since"] is not None:
        now = f"{period['n_now']:,} snapshots of open leads with cutoffs from {period['since'][:10]} to "
        now += period["as_of"][:10]
    then = "the scores that the model kept of its reference population"
    if period["n_then"] is not None:
        then = f"{period['n_then']:,} of the model's reference population (its calibrate and test blocks)"
    age = period["model_age_days"]
    return f"Compared {now} with {then}" + (
        f". The model's data ended {age:.0f} days before" if age is not None else ""
    )


def settled(found: Monitoring) -> str:
    """Say how much has an outcome by now."""
    matured = found.matured
    if matured is None:
        return "Nothing has an outcome yet"
    if found.period["since"] is None:
        return f"With an outcome: {matured.n:,} leads"
    return f"Matured since: {matured.n:,} snapshots of {matured.n_leads:,} leads"


def matured_rows(found: Monitoring) -> list[list[str]]:
    """Promised beside found, as cells: metric, promised, found, interval."""
    matured = found.matured
    if matured is None:
        return []
    rows = []
    for metric, words in (
        ("auc", "AUC"),
        ("log_loss", "log-loss"),
        ("calibration_slope", "calibration slope"),
        ("calibration_intercept", "calibration intercept"),
        ("lift_at_10pct", "lift at 10 %"),
        ("base_rate", "converted"),
    ):
        promised, value, span = matured.promised.get(metric), matured.metrics[metric], matured.intervals[metric]
        rows.append([words, number(promised), number(value), interval(span)])
    listed = matured.in_list
    rows.append(
        ["wins in the best 10 %", f"{listed.expected:.0f}", f"{listed.observed:.0f}",
         f"{listed.low:.0f} to {listed.high:.0f} if the promise holds"]
    )  # fmt: skip
    return rows


def month_rows(found: Monitoring) -> list[list[str]]:
    """Matured snapshots by month, as cells: month, snapshots, won, predicted, observed, AUC."""
    matured = found.matured
    months = () if matured is None else matured.months[-MOST_MONTHS:]
    return [
        [month["group"], f"{month['n']:,}", f"{month['n_positive']:,}", percent(month["mean_probability"]),
         percent(month["base_rate"]), number(month["auc"])]
        for month in months
    ]  # fmt: skip


def group_rows(found: Monitoring) -> list[list[str]]:
    """Groups of features whose drift is beyond chance, as cells; the most important drift first."""
    drifted = [group for group in found.groups if group.shift.beyond > 0]
    return [
        [group.name, group.feature, f"{group.shift.psi:.2f}", f"{group.shift.by_chance:.2f}", percent(group.share),
         f"{group.moved_scores:+.3f}"]
        for group in drifted[:MOST_GROUPS]
    ]  # fmt: skip


def feed_rows(found: Monitoring) -> list[list[str]]:
    """Every table, as cells: table, rows, last, silent, usual, a week then, a week now, stopped or not."""
    return [
        [feed.table, feed.rows, (feed.last or "none")[:10], days(feed.silent_days), days(feed.usual_days),
         number(feed.per_week_then, 1), number(feed.per_week_now, 1), "STOPPED" if feed.stopped else "fed"]
        for feed in found.feeds
    ]  # fmt: skip


def unseen_lines(found: Monitoring) -> list[str]:
    """One sentence per column with new or vanished categories."""
    lines = []
    for column in found.unseen:
        line = f"{column.table}.{column.column}: {percent(column.share_now)} of {column.n_now:,} rows now"
        line += "" if column.share_then is None else f" ({percent(column.share_then)} then)"
        line += " have categories that training never saw"
        if column.new:
            line += ": " + named(column.new)
        if column.gone:
            line += f"; gone since: {named(column.gone)}"
        lines.append(line)
    return lines


def apart_line(found: Monitoring) -> str | None:
    """Say how well now is told from then, and by what."""
    apart = found.apart
    if apart is None:
        return None
    usual = f"; the two halves of its own time: {apart.usual:.3f}" if apart.usual is not None else ""
    by = ", ".join(f"{name} ({share:.0%})" for name, share in apart.by[:3])
    return (
        f"A model tells now from then with AUC {apart.auc:.3f} (chance reaches {apart.by_chance:.3f}{usual}), by {by}"
    )


def score_lines(found: Monitoring) -> list[str]:
    """Say how the scores have moved."""
    scores = found.scores
    if scores is None:
        return []
    grades = ", ".join(
        f"{grade} {percent(share)} → {percent(scores.grades_now[grade])}" for grade, share in scores.grades_then.items()
    )
    shift = scores.shift
    return [
        f"PSI {shift.psi:.3f}; chance makes {shift.by_chance:.3f}, and 99 % of such samples stay below "
        f"{shift.at_most:.3f}",
        f"Mean probability {percent(scores.mean_then)} → {percent(scores.mean_now)}; grades {grades}",
    ]


def columns(rows: Iterable[Sequence[str]], heads: Sequence[str], *, words: int = 1) -> list[str]:
    """Set cells in columns, the first `words` to the left."""
    whole = [list(heads), *map(list, rows)]
    widths = [max(len(row[place]) for row in whole) for place in range(len(heads))]
    return [
        "  " + "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in whole
    ]  # fmt: skip


def _matured(found: Monitoring) -> list[str]:
    matured = found.matured
    if matured is None:
        return ["No outcome can be held against a score: nothing has matured since"]
    head = f"{settled(found)}, {matured.n_won_leads:,} of them won:"
    lines = [head, *columns(matured_rows(found), ("", "promised", "found", "95 % interval"))]
    if matured.months:
        lines += ["", *columns(month_rows(found), ("month", "snapshots", "won", "predicted", "observed", "AUC"))]
    return lines


def _scores(found: Monitoring) -> list[str]:
    lines = score_lines(found)
    return ["Scores, then and now:", *(f"  {line}" for line in lines)] if lines else []


def _features(found: Monitoring) -> list[str]:
    if not found.groups:
        return []
    rows = group_rows(found)
    heads = ("about", "moved most", "PSI", "by chance", "of the model", "moved scores")
    n_beyond = sum(group.shift.beyond > 0 for group in found.groups)
    head = f"Features: {n_beyond} of {len(found.groups)} groups have drifted beyond chance"
    told = apart_line(found)
    return [head, *(columns(rows, heads, words=2) if rows else []), *([told] if told else [])]


def _unseen(found: Monitoring) -> list[str]:
    lines = unseen_lines(found)
    return ["Categories:", *(f"  {line}" for line in lines)] if lines else []


def _freshness(found: Monitoring) -> list[str]:
    if not found.feeds:
        return []
    heads = ("table", "rows", "last", "silent", "usual", "a week then", "now", "")
    return ["Freshness:", *columns(feed_rows(found), heads, words=2)]


def percent(share: float | None) -> str:
    """Return a share for people."""
    if share is None:
        return "–"
    return "under 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for people."""
    return "–" if value is None else f"{value:.{digits}f}"


def days(value: float | None) -> str:
    """Return a span of days for people."""
    return "–" if value is None else f"{value:.1f} d"


def interval(span: Interval | None) -> str:
    """Return an interval for people."""
    return "–" if span is None else f"{span[0]:.3f} to {span[1]:.3f}"


def named(shares: Sequence[tuple[str, float]]) -> str:
    """Return categories with their shares."""
    return ", ".join(f"'{word}' ({share:.1%})" for word, share in shares)
