"""What a check found as one page: the verdict, then findings from the gravest, then how it all came about over time."""

from __future__ import annotations

from leadscore.evaluate.check.figures import draw
from leadscore.evaluate.check.findings import Finding, Series, percent
from leadscore.evaluate.check.report import Checked, headline
from leadscore.evaluate.check.summary import Summary
from leadscore.evaluate.page import Block, Page, Picture, Section, Table, Text, render
from leadscore.evaluate.page.blocks import Tone

_TONE: dict[str, Tone] = {"severe": "bad", "warning": "unsure", "note": "plain"}


def as_html(checked: Checked, name: str) -> str:
    """Return the page of a checked project as HTML, self-contained; the same bytes for the same findings.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib isn't installed.
    """
    grades = {finding.severity for finding in checked.findings}
    calm = "warning" not in grades and checked.signal.verdict == "signal"
    tone: Tone = "bad" if "severe" in grades else "good" if calm else "unsure"
    return render(
        Page(
            f"leadscore check of {name}", f"{headline(checked)} {checked.signal.sentence}", _sections(checked), tone,
            _facts(checked.summary),
        )
    )  # fmt: skip


def _facts(summary: Summary) -> list[tuple[str, str]]:
    rate = "undefined" if summary.base_rate is None else percent(summary.base_rate)
    facts = [("Leads", f"{summary.n_leads:,}"), ("Won", f"{summary.n_won:,}"), ("Lost", f"{summary.n_lost:,}")]
    facts += [("Open", f"{summary.n_open:,}"), ("Snapshots", f"{summary.n_snapshots:,}"), ("Base rate", rate)]
    ends = (("Observed from", summary.observed_from), ("Observed until", summary.observed_until))
    return facts + [(name, at[:10]) for name, at in ends if at is not None]


def _sections(checked: Checked) -> list[Section]:
    sections = [Section(_title(finding), _blocks(finding)) for finding in checked.findings]
    if checked.first_known:
        sections.append(Section("First known at", [_first_known(checked)]))
    sections.append(Section("Tables", [_tables(checked.summary)]))
    if checked.summary.periods:
        sections.append(Section("Over time", _over_time(checked.summary)))
    return sections


def _title(finding: Finding) -> str:
    return f"{finding.severity.capitalize()}: {finding.kind.replace('_', ' ')}, {_place(finding)}"


def _place(finding: Finding) -> str:
    return finding.table if finding.column is None else f"{finding.table}.{finding.column}"


def _blocks(finding: Finding) -> list[Block]:
    evidence = finding.evidence[0].upper() + finding.evidence[1:]
    blocks: list[Block] = [Text(evidence if evidence.endswith((".", "…")) else f"{evidence}.", _TONE[finding.severity])]
    if finding.series is not None:
        blocks.append(Picture(draw(finding.series), _described(finding.series)))
    return [*blocks, Text(f"→ {finding.remedy}")]


def _described(series: Series) -> str:
    """What a picture shows, for those who don't see it: its title, and where each line or bar ends."""
    pairs = [
        (name, next((value for value in reversed(line) if value is not None), None))
        for name, line in series.values.items()
    ]
    if series.shape == "bars":
        pairs = list(zip(series.labels, next(iter(series.values.values())), strict=True))
    said = (f"{name} {_said(value, series.share)}" for name, value in pairs)
    return f"{series.title}: {', '.join(said)}"


def _said(value: float | None, share: bool) -> str:
    return "–" if value is None else percent(value) if share else f"{value:,.4g}"


def _first_known(checked: Checked) -> Table:
    rows = [
        (row.column, f"{row.n_leads:,}", percent(row.before), percent(row.within), percent(row.after))
        for row in checked.first_known
    ]
    caption = "When each column was first filled in, against the win or loss, of closed leads that have a value"
    return Table(("Column", "Leads", "Before", "Within a day", "After"), rows, caption)


def _tables(summary: Summary) -> Table:
    rows = [(table.table, f"{table.n_rows:,}", (table.first or "–")[:10], (table.last or "–")[:10])
            for table in summary.tables]  # fmt: skip
    return Table(("Table", "Rows", "First", "Last"), rows, "Rows as they stand in the sources")


def _over_time(summary: Summary) -> list[Block]:
    periods, unit = summary.periods, summary.unit or "period"
    starts = tuple(period.start for period in periods)
    counts: dict[str, tuple[float | None, ...]] = {"created": tuple(float(period.n_created) for period in periods)}
    counts["won"] = tuple(float(period.n_won) for period in periods)
    rate = {"win rate": tuple(period.win_rate for period in periods)}
    pictures = [
        Series("lines", f"Leads created and won, by {unit}", starts, counts, share=False),
        Series("lines", f"Share of leads that won within the horizon, by {unit} of creation", starts, rate),
    ]
    tables = list(periods[0].n_events)
    events: dict[str, tuple[float | None, ...]] = {
        name: tuple(float(period.n_events[name]) for period in periods) for name in tables
    }
    if tables:
        pictures.append(Series("lines", f"Rows of events, by {unit}", starts, events, share=False))
    rows = [
        (p.start, f"{p.n_created:,}", _said(p.win_rate, True), f"{p.n_won:,}", *(f"{p.n_events[t]:,}" for t in tables))
        for p in periods
    ]
    table = Table((unit.capitalize(), "Created", "Win rate", "Wins", *tables), rows)
    return [*(Picture(draw(series), _described(series)) for series in pictures), table]
