"""The ``leadscore`` command. Verbs of training/ and service/ join by entry point."""

from __future__ import annotations

import datetime as dt
import os
import time as clock
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pandas as pd

from leadscore import time
from leadscore.console import Console, engine_options, memory_option, page_option, project_argument, verb
from leadscore.errors import DataError, ProjectError
from leadscore.project import Project, Source
from leadscore.reading import read
from leadscore.reports import report
from leadscore.syncing import sync
from leadscore.tables import Cutoffs, Data

if TYPE_CHECKING:
    from leadscore.batch.asked import Asked, Listed
    from leadscore.evaluate.capacity import CallList
    from leadscore.explain.parts import Receipt
    from leadscore.model.scorer import LeadScorer
    from leadscore.simulate.writing import Kind


class _Verbs(click.Group):
    """The library's verbs, and those that installed packages add."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for command in (simulate, init, check, evaluate, score, explain, report, sync):
            self.add_command(command)
        for point in entry_points(group="leadscore.commands"):
            for command in point.load():
                self.add_command(command)


MODEL_HELP = "A registered model (champion, 7, models:/name/7) or a scorer's folder. [default: the champion]"


@verb("simulate")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--leads", "n_leads", type=click.IntRange(1), default=2_000, show_default=True, help="How many leads.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--kind", type=click.Choice(["market", "renewals"]), default="market", show_default=True,
              help="Leads that are won, or contracts that customers renew.")  # fmt: skip
@click.option("--until", metavar="DATE", callback=lambda *given: _day(given[2]),
              help="The history ends at 00:00 UTC of this day, as 2026-03-31, or today, as it is in UTC (the zone of "
              "these projects too): the files hold nothing that became known from then on.  [default: in June 2026, "
              "with late rows that became known after]")  # fmt: skip
def simulate(console: Console, folder: Path, n_leads: int, seed: int, kind: Kind, until: dt.date | None) -> None:
    """Write a project of a simulated world with a known truth into FOLDER.

    Ages, silences and lists of `serve` are as of now: for a demo of the service let the history end today, at
    00:00 UTC.

    \b
    Examples: leadscore simulate market --leads 20000
              leadscore simulate demo --until today
              leadscore simulate renewals --kind renewals
    """
    from leadscore.simulate import simulate as write

    with console.progress("Simulating days") as progress:
        written = write(folder, n_leads=n_leads, seed=seed, kind=kind, until=until, progress=progress)
    console.say(f"Wrote {written} ({n_leads:,} leads). Next: leadscore check {folder}; leadscore train {folder}")
    console.result({"folder": str(written), "n_leads": n_leads, "seed": seed})


def _day(text: str | None) -> dt.date | None:
    """Read a day; today is that of UTC, as the simulated worlds are."""
    if text is None:
        return None
    try:
        return dt.datetime.now(dt.UTC).date() if text == "today" else dt.date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no day; write one as 2026-03-31, or today") from None


@verb("init")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The project's folder.")
@click.option(
    "--leads", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Which file lists the leads."
)
@click.option("--outcome", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Which says who was won.")
@click.option("--won", multiple=True, metavar="VALUE", help="A status that is a win; may be repeated.")
@click.option("--column", "named", multiple=True, metavar="ROLE=NAME",
              help="Settle a column: id or created (of the leads), status or closed (of the outcome).")  # fmt: skip
@click.option("--time-format", metavar="F", help="For dates that read two ways, as in %d/%m/%Y.")
def init(
    console: Console, files: tuple[Path, ...], out: Path, leads: Path | None, outcome: Path | None,
    won: tuple[str, ...], named: tuple[str, ...], time_format: str | None,
) -> None:  # fmt: skip
    """Write a leadscore.toml from exported FILES (HubSpot, Salesforce, plain), with what was left out and why.

    \b
    Examples: leadscore init contacts.csv activities.csv --out acme
              leadscore init list.csv --out acme --column status=Result --won "Signed up"
    """
    from leadscore.init import init as write
    from leadscore.init.recognise import ROLES

    columns = dict(item.partition("=")[::2] for item in named)
    if not all(role in ROLES and name for role, name in columns.items()):
        raise click.UsageError(f"--column takes ROLE=NAME, where ROLE is one of {', '.join(ROLES)}")
    written = write(files, out, leads=leads, outcome=outcome, won=won, columns=columns, time_format=time_format)
    for item in written.left_out:
        console.say(f"  left out {item['file']}{': ' + item['column'] if item['column'] else ''} ({item['reason']})")
    console.say(f"Wrote {written.file}. Read it, then: leadscore check {out}; leadscore train {out}")
    console.result({"file": str(written.file), "recognised": written.recognised, "left_out": written.left_out})


@verb("check")
@project_argument
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--strict", is_flag=True, help="Exit with 1 if anything severe is found, for CI.")
@page_option("Also write the report as a page.")
def check(console: Console, project: str, seed: int, strict: bool, html: Path | None) -> None:
    """Report data quality and leakage, worst first, each with the line of leadscore.toml that mends it.

    The last line says whether all columns together predict the outcome, in forward time. What is found is no failure:
    it exits with 0, with --strict with 1 if anything is severe.

    \b
    Examples: leadscore check acme --html check.html
              leadscore check acme --strict --json
    """
    from leadscore.batch import write_page
    from leadscore.evaluate.check import check as examine
    from leadscore.evaluate.check import render
    from leadscore.evaluate.check.pages import as_html

    loaded = Project.load(project)
    with console.progress("Checking columns") as progress:
        checked = examine(loaded, seed=seed, progress=progress)
    if html is not None:
        write_page(html, as_html(checked, loaded.name))
    console.say(render(checked))
    console.result({**checked.to_dict(), "html": None if html is None else str(html)})
    if strict and any(finding.severity == "severe" for finding in checked.findings):
        raise SystemExit(1)


@verb("evaluate")
@project_argument
@click.option("--model", metavar="M", help=MODEL_HELP)
@click.option("--seed", type=int, default=0, show_default=True, help="Of intervals and of sampled cutoffs.")
@page_option("Also write the report as a page into this file.")
def evaluate(console: Console, project: str, model: str | None, seed: int, html: Path | None) -> None:
    """Judge a model on all mature snapshots of PROJECT, as on a hold-out.

    \b
    Example: leadscore evaluate later_data --model acme/scorer --html judged.html
    """
    from leadscore.batch import write_page
    from leadscore.evaluate.report import judge
    from leadscore.evaluate.report_page import report_page
    from leadscore.evaluate.verdict import NO_SIGNAL, THERE_IS_NONE

    scorer, described = find(project, model)
    judged = judge(scorer, Project.load(project).read(), seed=seed)
    if html is not None:
        write_page(html, report_page(scorer, judged))
    console.say(judged.text())
    if judged.verdict.startswith(NO_SIGNAL):
        console.say(THERE_IS_NONE)
    console.result({"model": described, **judged.to_dict()})


@verb("score")
@project_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .csv or .parquet file.")
@click.option("--as-of", metavar="T", help="Score as of this instant. [default: the end of the data]")
@click.option("--cutoffs", type=click.Path(), help="A CSV or Parquet file of lead_id and cutoff: scored as given.")
@click.option("--leads", type=click.Path(), help="Another list of leads, in the columns of the project.")
@click.option("--reasons", "n_reasons", type=click.IntRange(0, 100), default=3, show_default=True,
              help="Reasons for each lead; 0 also leaves out fit and intent, and is far faster.")  # fmt: skip
@click.option("--capacity", type=click.IntRange(0), metavar="N",
              help="Only N can be worked, a week say: write the best N, say what they bring and leave.")  # fmt: skip
@click.option("--model", metavar="M", help=MODEL_HELP)
@memory_option
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR",
              help="Keep typed rows in this folder: the next run with it reads only files that are new.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew where an earlier run was stopped; with --keep read everything.")
@engine_options
def score(
    console: Console, project: str, out: Path, as_of: str | None, cutoffs: str | None, leads: str | None,
    n_reasons: int, capacity: int | None, model: str | None, memory: int, keep: Path | None, fresh: bool, engine: str,
    master: str | None,
) -> None:  # fmt: skip
    """Score every open lead of PROJECT, best first, into a file that appears whole or not at all.

    A list larger than --memory is scored in parts, with the same result. If that is stopped, the same command goes on.

    With --keep DIR each file is read once: the next run takes its rows from DIR, reads files that are new or changed,
    and scores every lead anew, with the same result; it says what it skipped. A query is read whole each time. DIR
    holds your data: guard it as them, and remove it whenever you like.

    \b
    Examples: leadscore score acme --out scored.csv --as-of 2026-05-01
              leadscore score acme --out monday.csv --capacity 50
              leadscore score acme --out scored.parquet --leads new_leads.csv --reasons 0
              leadscore score acme --out tonight.parquet --keep nightly
              leadscore score acme --out scored.parquet --engine spark --master spark://host:7077
    """
    from leadscore.batch.asked import Asked
    from leadscore.batch.local import score_project

    if capacity is not None and cutoffs:
        raise click.UsageError("--capacity cuts a list of open leads; --cutoffs are scored as given")
    if keep is not None and engine == "spark":
        raise click.UsageError("--keep is of --engine local; a cluster reads all tables each time")
    if as_of and cutoffs:
        raise click.UsageError("--as-of and --cutoffs exclude each other: a cutoff file says when by itself")
    scorer, described = find(project, model)
    loaded = Project.load(project)
    if as_of and not loaded.timed:
        raise click.UsageError("--as-of needs times, and this project is a list without them")
    asked = Asked(
        project=loaded,
        out=out,
        leads=None if leads is None else Source(path=os.path.abspath(leads)),
        as_of=_instant_asked(loaded, as_of) if as_of or (loaded.store and not cutoffs) else None,
        cutoffs=None if cutoffs is None else _read_cutoffs(loaded, cutoffs),
        n_reasons=n_reasons,
        capacity=capacity,
    )
    if engine == "spark":
        from leadscore.batch.spark import score_on_spark

        listed = score_on_spark(scorer, asked, console.progress, master=master, fresh=fresh, say=console.say)
    else:
        listed = score_project(scorer, asked, console.progress, memory=memory, keep=keep, fresh=fresh, say=console.say)
    for note in listed.notes:
        console.warn(f"{note.table}: {note.text}")
    _say_listed(console, scorer, asked, listed, described)


def _say_listed(console: Console, scorer: LeadScorer, asked: Asked, listed: Listed, described: dict[str, Any]) -> None:
    """Say what a list holds and what it should bring."""
    from leadscore.evaluate.capacity import at_capacity, call_list
    from leadscore.evaluate.verdict import NO_SIGNAL, THERE_IS_NONE
    from leadscore.explain.caveats import beyond

    n, as_of, capacity = len(listed.probability), listed.as_of, asked.capacity
    if as_of is not None and listed.until is not None and as_of > listed.until and asked.leads is None:
        console.warn(beyond(listed.until, as_of))
    at = time.format_instant(as_of) if as_of is not None else None
    grades = dict(sorted(listed.grades.items()))
    counts = ", ".join(f"{grade} {n_of_grade:,}" for grade, n_of_grade in grades.items())
    best = "" if capacity is None else f" (the best {min(capacity, n):,} of them)"
    when = f" as of {at}" if at else ""
    console.say(f"Scored {n:,} leads{when} into {asked.out}{best}: {counts or 'none is open'}")
    wins = at_capacity(listed.probability, n)
    if asked.cutoffs is None and n:  # at given cutoffs a lead may stand twice
        console.say(f"Of these, {wins.expected:.0f} should convert (90 %: {wins.low} to {wins.high})")
    worked = None if capacity is None else call_list(listed.probability, capacity)
    if worked is not None:
        _say_capacity(console, worked, scorer.manifest.get("lists", []))
    n_closed = 0 if asked.cutoffs is not None else listed.n_leads - n
    if n_closed:
        console.say(f"{n_closed:,} leads are not open then (closed, not yet created, or without creation time)")
    if str(scorer.manifest.get("verdict", "")).startswith(NO_SIGNAL):
        console.say(THERE_IS_NONE)
    console.result(
        {
            "out": str(asked.out),
            "n": n,
            "as_of": at,
            "grades": grades,
            "expected_wins": wins.expected,
            "expected_wins_90pct": [wins.low, wins.high],
            "capacity": None if worked is None else asdict(worked),
            "kept": listed.kept,
            "model": described,
        }
    )


@verb("explain")
@project_argument
@click.option("--lead", "lead_id", required=True, metavar="ID", help="Which lead.")
@click.option("--as-of", metavar="T", help="As of this instant. [default: the end of the data]")
@click.option("--from", "before", metavar="T", help="With --to: what moved the score between the two.")
@click.option("--to", "after", metavar="T", help="The later time; what happens exactly then is not there yet.")
@click.option("--model", metavar="M", help=MODEL_HELP)
@click.option("--from-model", metavar="M", help="With --from: the model at the earlier time, if it was another one.")
def explain(
    console: Console, project: str, lead_id: str, as_of: str | None, before: str | None, after: str | None,
    model: str | None, from_model: str | None,
) -> None:  # fmt: skip
    """Say why a lead has its score; with --from and --to, what moved it.

    \b
    With two times you get a receipt: the change of score, split into
      time that passed     the same events and fields, seen later
      edited fields        the profile as known later ([leads] known says when)
      new events           also late ones: they happened before, and became known since
      other leads          what was learnt of the company's, origin's, owner's leads
      another model        where --from-model is not --model
    The parts add up to the change exactly. Each is weighed after those above it.

    \b
    Examples: leadscore explain acme --lead L42
              leadscore explain acme --lead L42 --from 2026-04-01 --to 2026-05-01
              leadscore explain acme --lead L42 --from 2026-04-01 --to 2026-05-01 --from-model 6 --json
    """
    if bool(before) != bool(after) or (before and as_of):
        raise click.UsageError("give --from and --to together, or --as-of alone")
    if from_model and not before:
        raise click.UsageError("--from-model is the model at --from; give --from and --to as well")
    loaded = Project.load(project)
    if (before or as_of) and not loaded.timed:
        raise click.UsageError("this project is a list without times; leave out --as-of, --from and --to")
    scorer, _ = find(project, model)
    earlier = find(project, from_model)[0] if from_model else None
    data = read(loaded, outcome="optional")
    if before and after:
        _explain_change(console, scorer.receipt(data, lead_id, from_=before, to=after, model_before=earlier))
    else:
        _explain_score(console, scorer, data, lead_id, as_of)


def _explain_change(console: Console, receipt: Receipt) -> None:
    from leadscore.explain.telling import tell

    for line in tell(receipt):
        console.say(line)
    console.result(receipt.to_dict())


def _explain_score(console: Console, scorer: LeadScorer, data: Data, lead_id: str, as_of: str | None) -> None:
    from leadscore.explain.caveats import untimely
    from leadscore.explain.facts import not_filled_in
    from leadscore.explain.telling import tell_reasons

    lead = data.leads.find([lead_id])
    if lead[0] < 0:
        spec = data.project.leads
        by = "the number of its row, from 1" if spec.id is None else f"column '{spec.id}'"
        raise DataError(
            f"there is no lead {lead_id!r} in [leads]: an id is {by} of {spec.source}, and is written as there "
            f"({len(data.leads.ids):,} leads). leadscore score --out FILE lists the open ones, best first"
        )
    instant = _instant(data, as_of) if data.project.timed else time.FOREVER
    record = scorer.explain(data, Cutoffs(lead, np.array([instant], dtype=np.int64)))[0]
    record["warnings"] += untimely(data, int(lead[0]), instant)
    record["not_filled_in"] = not_filled_in(data, int(lead[0]), instant)
    for line in tell_reasons(record):
        console.say(line)
    console.result(record)


def _say_capacity(console: Console, worked: CallList, tested: list[dict[str, float]]) -> None:
    """Say what the list brings, where it is cut, what it leaves, and what lists of its length held on the test."""
    called, missed = worked.called, worked.missed
    if worked.cut_off is None:
        console.say("Nobody is called")
        return
    tied = f"; {worked.n_tied:,} more have the same probability" if worked.n_tied else ""
    console.say(
        f"Calling {called.n:,}: {called.expected:.1f} wins to expect (90 %: {called.low} to {called.high}); "
        f"the cut is at a probability of {worked.cut_off:.1%}{tied}"
    )
    console.say(
        f"Left: {missed.n:,} leads with {missed.expected:.1f} wins to expect (90 %: {missed.low} to {missed.high})"
    )
    curve = ", ".join(f"{length:,} → {wins:.1f}" for length, wins in worked.curve)
    console.say(f"Wins to expect by length of list: {curve}")
    share = called.n / (called.n + missed.n)
    if tested:
        nearest = min(tested, key=lambda held: abs(held["share"] - share))
        console.say(
            f"On the test, lists of the best {nearest['share']:.0%} held {nearest['precision']:.1%} wins, "
            f"{nearest['recall']:.1%} of all, {nearest['lift']:.1f} times as many as a random list"
        )


def find(project: str | Path, model: str | None) -> tuple[Any, dict[str, Any]]:
    """Load the scorer that ``--model`` names (default: the project's champion), and say which it is."""
    from leadscore.model.scorer import LeadScorer
    from leadscore.tracking import find_scorer, registered_name

    folder, version = find_scorer(project, model)
    scorer = LeadScorer.load(folder, version=version)
    uri = f"models:/{registered_name(scorer.name)}/{version}" if version else str(folder)
    return scorer, {"name": scorer.name, "version": version, "uri": uri}


def _read_cutoffs(project: Project, path: str) -> pd.DataFrame:
    from leadscore.sources import read_rows

    columns = ["lead_id", "cutoff"] if project.timed else ["lead_id"]
    rows = read_rows(Source(path=os.path.abspath(path)), Path(), columns, where="--cutoffs")
    frame: pd.DataFrame = rows.table.to_pandas()
    return frame


def _instant(data: Data, text: str | None) -> int:
    """The instant that an option names; by default the end of the data, or now where a store is read."""
    if text is None and data.project.store is None:
        return data.observed_until
    return _instant_asked(data.project, text)


def _instant_asked(project: Project, text: str | None) -> int:
    """The instant that an option names, or now."""
    if text is None:
        return clock.time_ns() // 1_000
    try:
        return time.parse_instant(text, project.timezone)
    except ValueError as error:
        raise ProjectError(f"'{text}' is {error}") from None


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="leadscore")
def main() -> None:
    """Lead scoring you can trust: as-of features, calibrated probabilities, exact reasons.

    A project is a folder with a leadscore.toml. Start with: leadscore demo
    """
