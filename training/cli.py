"""Training's verbs of the ``leadscore`` command; each a thin skin over an importable function."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import leadscore as ls
from leadscore.batch import write_page
from leadscore.cli import MODEL_HELP
from leadscore.console import Console, engine_options, page_option, project_argument, verb
from leadscore.evaluate.verdict import NO_SIGNAL, THERE_IS_NONE, what_to_do
from leadscore.time import SECOND, parse_span


@verb("train")
@project_argument
@click.option("--seed", type=int, help="Same data and seed, same model. [default: [model] seed, else 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Also save the scorer into this folder.")
@click.option("--track/--no-track", default=True, show_default=True, help="Log to MLflow and register.")
@click.option("--check/--no-check", default=True, show_default=True, help="Look for leakage, for the report.")
@page_option("Where the report goes. [default: PROJECT/report.html]")
@engine_options
def train(
    console: Console, project: str, seed: int | None, out: Path | None, track: bool, check: bool, html: Path | None,
    engine: str, master: str | None,
) -> None:  # fmt: skip
    """Train a scorer on PROJECT, judge it on its latest part beside every baseline, register it as challenger.

    \b
    The first model of a project becomes its champion, which score and serve use. On a cluster the matrix is computed
    there and the model fitted here; nothing looks for leakage, which wants all rows on one machine.
    Example: leadscore train acme
    """
    from leadscore.evaluate.check import at_a_glance
    from training.train import train as run

    if not track and out is None:
        raise click.UsageError("--no-track leaves no trace; add --out FOLDER")
    loaded = ls.Project.load(project)
    findings = None
    if check and engine == "local":
        with console.progress("Looking for leakage") as progress:
            findings = at_a_glance(loaded, seed=seed or 0, progress=progress)
    with _tables(console, loaded, engine, master) as data, console.progress("Growing trees") as progress:
        trained = run(loaded, seed=seed, out=out, track=track, findings=findings, data=data, progress=progress)
        place = html or loaded.folder / "report.html"
        if trained.page is not None:  # drawn while the tables are there
            write_page(place, trained.page)
    for finding in findings or ():
        if finding.severity == "severe":
            console.warn(f"{finding.kind}: {finding.table}.{finding.column}: {finding.evidence}. {finding.remedy}")
    console.say(trained.report.text())
    console.say()
    if trained.page is not None:
        console.say(f"The whole report is {place}")
    else:
        console.warn("No page was drawn: that needs pip install 'leadscore[tracking]'")
    if trained.version is not None:
        console.say(f"Registered as version {trained.version} of {trained.scorer.name}, run {trained.run_id}")
        console.say(f"For other projects: --model {trained.uri}")
    if out is not None:
        console.say(f"Saved in {out}")
    if trained.report.verdict.startswith(NO_SIGNAL):
        console.say(THERE_IS_NONE)
    losses = {name: metrics["log_loss"] for name, metrics in trained.report.baselines.items()}
    advice = what_to_do(trained.report.verdict, losses, project)
    if advice is not None:
        console.say(advice)
    console.result(trained.to_dict())


@contextmanager
def _tables(console: Console, project: ls.Project, engine: str, master: str | None) -> Iterator[ls.Data | None]:
    """The tables of a project on a cluster; None where they are read here."""
    if engine == "local":
        yield None
        return
    from leadscore.batch.spark.training import data_on_spark

    with data_on_spark(project, console.progress, master=master) as data:
        yield data


@verb("tune")
@project_argument
@click.option("--trials", type=click.IntRange(min=1), help="In all, earlier ones too. [default: [model] trials, or 40]")
@click.option("--timeout", metavar="DURATION", help="Begin no trial after so long, as in 10m or 2h.")
@click.option("--seed", type=int, help="Same data and seed, same trials. [default: [model] seed, else 0]")
@click.option("--track/--no-track", default=True, show_default=True, help="Log trials to MLflow and register.")
def tune(
    console: Console, project: str, trials: int | None, timeout: str | None, seed: int | None, track: bool
) -> None:
    """Search for better tree parameters on PROJECT, forward in time, and say whether they hold on its latest part.

    \b
    What was stopped, by Ctrl-C or worse, goes on when it is run again: trials are kept in PROJECT/optuna.db.
    A better model is registered as challenger; the lines for leadscore.toml are printed, not written.
    Example: leadscore tune acme --timeout 10m
    """
    from training.tune import tune as run

    try:
        seconds = None if timeout is None else parse_span(timeout) / SECOND
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None
    try:
        with console.progress("Searching") as progress:
            tuned = run(
                ls.Project.load(project), n_trials=trials, seconds=seconds, seed=seed, track=track, progress=progress
            )
    except KeyboardInterrupt:
        console.warn("Every finished trial is kept. Run the same command again to go on")
        raise
    console.say(tuned.text())
    console.result(tuned.to_dict())


@verb("demo")
@click.argument("project", default="data/sample", type=click.Path(), metavar="[PROJECT]")
def demo(console: Console, project: str) -> None:
    """Show the whole story on data/sample (or PROJECT): train, track, score, explain, and what to run next."""
    from training.demo import demo as run
    from training.demo import next_steps, table

    with console.progress("Growing trees") as progress:
        trained, best, scored = run(project, progress=progress)
    console.say(trained.report.text())
    at = best["as_of"].iloc[0].date() if len(best) and trained.scorer.horizon else None
    when = f" as of {at}, to convert within {trained.scorer.horizon}" if at else ""
    console.say(f"\nThe best open leads{when} (fit and intent are percentiles: who they are, what they did):")
    console.say(table(best))
    console.say()
    console.say(next_steps(trained, ls.Project.load(project), scored))
    console.result({**trained.to_dict(), "scored": str(scored)})


@verb("promote")
@project_argument
@click.option("--challenger", default="challenger", show_default=True, metavar="M", help="An alias or a version.")
@click.option("--capacity", type=click.IntRange(1), metavar="N", help="Leads that can be worked. [default: a tenth]")
@click.option("--dry-run", is_flag=True, help="Compare and say what would happen; change nothing.")
@click.option("--force", metavar="REASON", help="Promote past gates that failed; the trail keeps the reason.")
@click.option("--rollback", "back", is_flag=True, help="Put the champion before the present one back.")
@click.option("--history", "past", is_flag=True, help="List every decision, newest first.")
@click.option("--by", metavar="NAME", help="Who decides. [default: the user of this machine]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of sampled cutoffs and intervals.")
@page_option("Also write the comparison as a page into this file.")
def promote(
    console: Console, project: str, challenger: str, capacity: int | None, dry_run: bool, force: str | None,
    back: bool, past: bool, by: str | None, seed: int, html: Path | None,
) -> None:  # fmt: skip
    """Let the challenger take over from the champion, if it passes every gate on later snapshots.

    Both are judged on snapshots that neither has learnt from. Shows who would change grade, and why, before anything is
    switched; keeps every decision in the registry. Exits with 1 if the challenger is refused.

    \b
    Examples: leadscore promote acme --dry-run --html preview.html
              leadscore promote acme
              leadscore promote acme --rollback
    """
    from training.promote import Decider, history, rollback
    from training.promote import promote as run
    from training.promoting.told import page, text, trail

    if force is not None and not force.strip():
        raise click.UsageError("--force needs a reason, which the trail keeps")
    if back + past + dry_run > 1 or (force and (back or past or dry_run)):
        raise click.UsageError("--dry-run, --force, --rollback and --history exclude each other")
    loaded = ls.Project.load(project)
    decider = Decider(by or getpass.getuser(), dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
    if past:
        decided = history(loaded)
        console.say(trail(decided))
        console.result({"decisions": decided})
        return
    if back:
        before, now = rollback(loaded, decider=decider)
        console.say(f"Rolled back: version {now} is the champion again, instead of version {before}")
        console.result({"decision": "rolled back", "champion": now, "instead_of": before})
        return
    with console.progress("Comparing the models"):
        found = run(
            loaded, decider=decider, challenger=challenger, capacity=capacity, seed=seed, dry_run=dry_run, force=force,
            page=page,
        )  # fmt: skip
    if html is not None:
        write_page(html, page(found, leads=True))
    console.say(text(found))
    if found.verdict.startswith(NO_SIGNAL):
        console.say(THERE_IS_NONE)
    console.result(found.to_dict())
    if not found.promotes:
        raise SystemExit(1)


@verb("monitor")
@project_argument
@click.option("--model", metavar="M", help=MODEL_HELP)
@click.option("--since", metavar="T", help="Look at cutoffs from T on. [default: all that is new to the model]")
@click.option("--as-of", metavar="T", help="Look at nothing later. [default: the end of the data]")
@click.option("--reference", metavar="FOLDER", help="A project with the tables that the model was trained on, where "
              "PROJECT doesn't hold them.")  # fmt: skip
@page_option("Also write a page into this file.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of sampled cutoffs, intervals and folds.")
@click.option("--strict", is_flag=True, help="Exit with 1 unless the verdict is keep, for a scheduler.")
@click.option("--track/--no-track", default=True, show_default=True, help="Log to MLflow.")
def monitor(
    console: Console, project: str, model: str | None, since: str | None, as_of: str | None, reference: str | None,
    html: Path | None, seed: int, strict: bool, track: bool,
) -> None:  # fmt: skip
    """Ask whether a model is still right for PROJECT as its tables stand now.

    Compares scores and features with the model's own time, holds matured outcomes against what was predicted, and
    looks for unseen categories and silent tables. The verdict, and the rule behind it: keep, wait, recalibrate,
    retrain, mend the data, or no signal.

    \b
    Examples: leadscore monitor acme --html monitor.html
              leadscore monitor acme --model acme/scorer --since 2026-04-01 --strict
    """
    from leadscore.tracking import require_writable
    from training.monitor import monitor as run
    from training.monitor import track as log
    from training.monitoring.page import page

    loaded = ls.Project.load(project)
    if track:
        require_writable(loaded.folder)
    past = None if reference is None else ls.Project.load(reference)
    with console.progress("Comparing then and now") as progress:
        found = run(loaded, model=model, since=since, as_of=as_of, reference=past, seed=seed, progress=progress)
    if html is not None:
        write_page(html, page(found, seed=seed))
    run_id = log(found, loaded, seed=seed) if track else None
    console.say(found.text())
    console.say()
    if html is not None:
        console.say(f"Wrote {html}")
    if run_id is not None:
        console.say(f"Logged as run {run_id}")
    if found.verdict.word == "no signal":
        console.say(THERE_IS_NONE)
    console.result({**found.to_dict(), "run_id": run_id, "html": None if html is None else str(html)})
    if strict and found.verdict.word != "keep":
        raise SystemExit(1)


@verb("backtest")
@project_argument
@click.option("--every", default="30d", show_default=True, metavar="SPAN", help="Between two origins, in whole days.")
@click.option("--origins", "at_most", type=click.IntRange(1, 60), default=6, show_default=True, metavar="N",
              help="At most so many, going back from the last whose time has matured.")  # fmt: skip
@click.option("--seed", type=int, help="Same data and seed, same result. [default: [model] seed, else 0]")
@click.option("--fresh", is_flag=True, help="Train anew even what an earlier backtest has kept.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Where origins and scores are kept. [default: PROJECT/backtest]")  # fmt: skip
@page_option("Also write a page into this file.")
@click.option("--track/--no-track", default=True, show_default=True, help="Log to MLflow.")
def backtest(
    console: Console, project: str, every: str, at_most: int, seed: int | None, fresh: bool, out: Path | None,
    html: Path | None, track: bool,
) -> None:  # fmt: skip
    """Train on past days with what was known then, score on, and judge the scores as they stood by what came true.

    Says whether the promise of each training held, whether the probabilities did, and whether retraining pays. Origins
    that are done are kept: a backtest that was stopped goes on where it was.

    \b
    Examples: leadscore backtest acme --html backtest.html
              leadscore backtest acme --every 14d --origins 12
    """
    from leadscore.tracking import require_writable
    from training.backtest import backtest as run
    from training.backtest import track as log
    from training.backtesting.page import page

    loaded = ls.Project.load(project)
    if track:
        require_writable(loaded.folder)
    with console.progress("Going back in time") as progress:
        found = run(loaded, every=every, at_most=at_most, seed=seed, fresh=fresh, folder=out, progress=progress)
    if html is not None:
        write_page(html, page(found))
    run_id = log(found, loaded) if track else None
    console.say(found.text())
    console.say(f"\nThe scores as they stood: {found.scores}")
    if html is not None:
        console.say(f"Wrote {html}")
    if run_id is not None:
        console.say(f"Logged as run {run_id}")
    if found.verdict.signal is False:
        console.say("There is no signal.")
    console.result({**found.to_dict(), "run_id": run_id, "html": None if html is None else str(html)})


commands: list[click.Command] = [train, tune, backtest, promote, monitor, demo]
