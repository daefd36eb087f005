"""``leadscore report``: what marketing and sales measure together, as pages and tables of a project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leadscore import time
from leadscore.batch import whole_or_nothing, write_page
from leadscore.console import Console, project_argument, verb
from leadscore.project import Project
from leadscore.reading import read

if TYPE_CHECKING:
    import pandas as pd

    from leadscore.alignment import Agreement, Channels, Cohort, Funnel
    from leadscore.evaluate.page import Page
    from leadscore.model.scorer import LeadScorer

MONTHS = 12
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""
_DAYS_A_MONTH = 30.4375
MODEL_HELP = "A registered model or a scorer's folder. [default: the champion]"


@click.group()
def report() -> None:
    """Write what marketing and sales measure together as a page and CSV files.

    The files are for spreadsheets: a text that one would compute, as =1+1, stands behind a '.

    \b
    channels    what each source, channel and campaign brings, and who gets the credit
    funnel      where leads leak between the first touch and the win
    agreement   what both sides promised in [sla], and what came of it

    \b
    Example: leadscore report channels acme --out reports
    """


def _report(name: str, *own: Callable[..., Any]) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function (console, cohort, scorer, out, …) a report with the options that all have, and its own."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @project_argument
        @click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path),
                      help="The folder for the page and its tables.")  # fmt: skip
        @click.option("--as-of", metavar="T", help="Count what was known before. [default: the end of the data]")
        @click.option("--months", type=click.IntRange(1), default=MONTHS, show_default=True,
                      help="Leads created in so many months before.")  # fmt: skip
        @click.option("--model", metavar="M", help=MODEL_HELP)
        def run(
            console: Console, project: str, out: Path, as_of: str | None, months: int, model: str | None, **options: Any
        ) -> None:
            from leadscore.alignment import Cohort
            from leadscore.model.scorer import LeadScorer
            from leadscore.tracking import find_scorer

            folder, version = find_scorer(project, model)
            scorer = LeadScorer.load(folder, version=version)
            data = read(Project.load(project), outcome="required")
            until = data.observed_until if as_of is None else _instant(as_of, data.project.timezone)
            cohort = Cohort.of(data, as_of=until, since=until - round(months * _DAYS_A_MONTH) * time.DAY)
            function(console, cohort, scorer, out, **options)

        run.__doc__ = function.__doc__
        for option in own:
            run = option(run)
        command = verb(name)(run)
        report.add_command(command)
        return command

    return decorate


def _instant(text: str, timezone: str) -> int:
    try:
        return time.parse_instant(text, timezone)
    except ValueError as error:
        raise click.UsageError(f"--as-of {text}: {error}") from None


_BY = click.option(
    "--by",
    "dimensions",
    multiple=True,
    metavar="COLUMN",
    help="As lead.source or touchpoints.channel; may be repeated. [default: the usual ones]",
)


@_report("channels", _BY)
def channels(console: Console, cohort: Cohort, scorer: LeadScorer, out: Path, dimensions: tuple[str, ...]) -> None:
    """Say what each channel brings: leads, wins expected and found, cost, time, and its share of the credit.

    \b
    Example: leadscore report channels acme --out reports --by touchpoints.campaign
    """
    from leadscore import alignment
    from leadscore.alignment import channel_page

    chosen = dimensions or alignment.dimensions(cohort.data)
    if not chosen:
        raise click.UsageError("no column is named as channels usually are; say --by lead.COLUMN or --by TABLE.COLUMN")
    with console.progress("Comparing channels") as progress:
        found = []
        for done, by in enumerate(chosen, 1):
            found.append(alignment.channels(cohort.data, scorer, by=by, as_of=cohort.as_of, since=cohort.since))
            progress(done, len(chosen))
    _write(console, out, "channels", channel_page.channels_page(cohort, found), found)


@_report("funnel")
def funnel(console: Console, cohort: Cohort, scorer: LeadScorer, out: Path) -> None:
    """Say how far leads came from their creation to a win, and where they were lost.

    \b
    Example: leadscore report funnel acme --out reports --months 6
    """
    from leadscore import alignment
    from leadscore.alignment import pages

    found = alignment.funnel(cohort, _handed(console, cohort, scorer))
    _write(console, out, "funnel", pages.funnel_page(cohort, found), found)


@_report("agreement")
def agreement(console: Console, cohort: Cohort, scorer: LeadScorer, out: Path) -> None:
    """Hold what happened against what [sla] promises: qualified leads, first responses, attempts, verdicts.

    \b
    In leadscore.toml:
      [sla]
      qualified = "B"                    # handed over when the grade first is B or better
      leads = { webinar = 20, "*" = 80 } # qualified leads that marketing owes a month
      respond = { A = "4h", B = "24h" }  # when sales owes a first response
      attempts = { A = 6, B = 3 }        # what it owes a lead that doesn't answer
      within = "14d"
    Example: leadscore report agreement acme --out reports
    """
    from leadscore import alignment
    from leadscore.alignment import agreement_page

    found = alignment.agreement(cohort, _handed(console, cohort, scorer))
    _write(console, out, "agreement", agreement_page.agreement_page(cohort, found), found)


def _handed(console: Console, cohort: Cohort, scorer: LeadScorer) -> Any:
    from leadscore import alignment

    with console.progress("Scoring every moment") as progress:
        return alignment.handovers(cohort.data, scorer, until=cohort.as_of, progress=progress)


def _write(console: Console, out: Path, name: str, page: Page, found: Sequence[Channels] | Funnel | Agreement) -> None:
    from leadscore.alignment.pages import tables_of
    from leadscore.evaluate.page import render

    out.mkdir(parents=True, exist_ok=True)
    files = [write_page(out / f"{name}.html", render(page))]
    tables = tables_of(found)
    for title, table in tables.items():
        files.append(write_csv(out / f"{title}.csv", table))
    console.say(f"Wrote {', '.join(str(file) for file in files)}")
    console.result(
        {"files": [str(file) for file in files], "rows": {title: len(table) for title, table in tables.items()}}
    )


def write_csv(path: Path, table: pd.DataFrame) -> Path:
    """Write a table of a report whole or not at all, for a spreadsheet: a text that it would compute gets a ``'``."""
    texts = table.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz"]).columns
    safe = table.assign(**{str(name): table[name].map(_as_text) for name in texts})
    with whole_or_nothing(path) as beside:
        safe.to_csv(
            beside,
            index=False,
            float_format="%.6g",
            date_format="%Y-%m-%dT%H:%M:%S.%fZ",
            lineterminator="\r\n",  # else a carriage return in a cell would end its row
        )
    return path


def _as_text(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
