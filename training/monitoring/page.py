"""What a monitor found, as a page: the verdict, then pictures and tables of then and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadscore.evaluate import drift_plots
from leadscore.evaluate.page import Block, Listing, Page, Picture, Section, Table, Text, render
from training.monitoring import told
from training.monitoring.shifts import Scored
from training.monitoring.verdict import RULE

if TYPE_CHECKING:
    from training.monitor import Monitoring

MOST_PICTURES = 3


def page(found: Monitoring, *, seed: int = 0) -> str:
    """Return the page as HTML.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib isn't installed.
    """
    verdict = found.verdict
    sections = [
        _why(found),
        _matured(found, seed),
        _scores(found),
        _features(found),
        _categories(found),
        _freshness(found),
        Section("The rule", [Text("Asked in this order; the first that applies is the verdict."), Listing(RULE)]),
    ]
    if verdict.word == "no signal":
        sections.append(Section("In short", [Text(verdict.sentence, tone="bad")]))
    return render(
        Page(
            title=f"{found.model['name']}: is the model still right?",
            verdict=verdict.sentence,
            tone=verdict.tone,
            facts=_facts(found),
            sections=[section for section in sections if section.blocks],
        )
    )


def _facts(found: Monitoring) -> list[tuple[str, str]]:
    period, model = found.period, found.model
    facts = [("Model", f"version {model['version']}" if model["version"] else str(model["kind"]))]
    if period["since"] is not None:
        facts += [
            ("Its data ended", str(model["learnt_until"])[:10]),
            ("Leads looked at", f"{period['since'][:10]} to {period['as_of'][:10]}"),
            ("Age of the model", f"{period['model_age_days']:.0f} days"),
        ]
    won = 0 if found.matured is None else found.matured.n_won_leads
    return [*facts, ("Won and matured since", f"{won:,} leads")]


def _why(found: Monitoring) -> Section:
    blocks: list[Block] = []
    if len(found.verdict.why) > 1:
        blocks.append(Listing(found.verdict.why[1:]))
    blocks += [Text(found.verdict.remedy), Text(told.looked_at(found) + ".")]
    if found.notes:
        blocks.append(Listing(found.notes))
    return Section("What to do, and why", blocks)


def _matured(found: Monitoring, seed: int) -> Section:
    title = "What became of the scores"
    if found.matured is None:
        return Section(title, [Text("No outcome can be held against a score: nothing has matured since.")])
    blocks: list[Block] = [
        Table(
            ("", "promised", "found", "95 % interval"), told.matured_rows(found),
            f"{told.settled(found)}, {found.matured.n_won_leads:,} of them won.",
        )
    ]  # fmt: skip
    if found.matured.n_won_leads:
        figure = drift_plots.reliability_then_and_now(_judged(found.settled), _own_test(found), seed=seed)
        blocks.append(
            Picture(figure, "Observed against predicted rates of what has matured, and of the model's own test")
        )
    if found.matured.months:
        heads = ("month", "snapshots", "won", "predicted", "observed", "AUC")
        blocks.append(Table(heads, told.month_rows(found), "By month of the cutoff."))
    return Section(title, blocks)


def _judged(scored: Scored) -> drift_plots.Judged:
    rows = scored.rows
    return rows.label, scored.probability, rows.weight, rows.clusters()


def _own_test(found: Monitoring) -> drift_plots.Judged | None:
    return _judged(found.test) if found.test is not None and len(found.test.rows) else None


def _scores(found: Monitoring) -> Section:
    scores = found.scores
    if scores is None:
        return Section("Scores", [])
    blocks: list[Block] = [Text(line + ".") for line in told.score_lines(found)]
    if scores.months:
        months = [(month["month"], month["grades"]) for month in scores.months]
        figure = drift_plots.grades_over_time(scores.grades_then, months)
        blocks.append(Picture(figure, "Share of open leads by grade, in the reference population and by month"))
    return Section("Scores, then and now", blocks)


def _features(found: Monitoring) -> Section:
    if not found.groups:
        return Section("Features", [])
    blocks: list[Block] = []
    rows = told.group_rows(found)
    if rows:
        heads = ("about", "the one that moved most", "PSI", "by chance", "of the model", "moved scores by")
        caption = "Drift beyond chance, the most important first: importance times drift. Moves are in log-odds."
        blocks.append(Table(heads, rows, caption, words=(1,)))
    else:
        blocks.append(Text("No group of features has drifted beyond chance."))
    line = told.apart_line(found)
    if line:
        blocks.append(Text(line + "."))
    drifted = [group for group in found.groups if group.shift.beyond > 0][:MOST_PICTURES]
    blocks += [
        Picture(
            drift_plots.then_and_now(group.feature, group.shift),
            f"Shares of {group.feature} then and now: "
            + "; ".join(
                f"{name} {before:.0%}, {after:.0%}"
                for name, before, after in zip(group.shift.bins, group.shift.then, group.shift.now, strict=True)
            ),
        )
        for group in drifted
    ]
    return Section("Features that drifted", blocks)


def _categories(found: Monitoring) -> Section:
    lines = told.unseen_lines(found)
    return Section("Categories", [Listing(lines)] if lines else [])


def _freshness(found: Monitoring) -> Section:
    if not found.feeds:
        return Section("Freshness", [])
    heads = ("table", "rows", "last", "silent", "usually at most", "a week then", "a week now", "")
    caption = "Silence up to the instant looked at, beside the longest gap that was usual in the year before."
    stopped = [place for place, feed in enumerate(found.feeds) if feed.stopped]
    table = Table(heads, told.feed_rows(found), caption, words=(1, 2, 7), strong=stopped[0] if stopped else None)
    return Section("Freshness", [table])
