"""Training's verbs of the ``leadscore`` command; each a thin skin over an importable function."""

from __future__ import annotations

from pathlib import Path

import click

import leadscore as ls
from leadscore.batch import write_page
from leadscore.console import Console, project_argument, verb
from leadscore.time import SECOND, parse_span


@verb("train")
@project_argument
@click.option("--seed", type=int, help="Same data and seed, same model. [default: [model] seed, else 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Also save the scorer into this folder.")
@click.option("--track/--no-track", default=True, show_default=True, help="Log to MLflow and register.")
@click.option("--check/--no-check", default=True, show_default=True, help="Look for leakage, for the report.")
@click.option("--html", type=click.Path(path_type=Path), help="Where the report goes. [default: PROJECT/report.html]")
def train(
    console: Console, project: str, seed: int | None, out: Path | None, track: bool, check: bool, html: Path | None
) -> None:
    """Train a scorer on PROJECT, judge it on its latest part beside every baseline, register it as challenger.

    \b
    The first model of a project becomes its champion, which score and serve use.
    Example: leadscore train acme
    """
    from leadscore.evaluate.check import check as examine
    from training.train import train as run

    if not track and out is None:
        raise click.UsageError("--no-track leaves no trace; add --out FOLDER")
    loaded = ls.Project.load(project)
    findings = None
    if check:
        with console.progress("Looking for leakage") as progress:
            findings = examine(loaded, seed=seed or 0, progress=progress).findings
    with console.progress("Growing trees") as progress:
        trained = run(loaded, seed=seed, out=out, track=track, findings=findings, progress=progress)
    place = html or loaded.folder / "report.html"
    if trained.page is not None:
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
    console.result(trained.to_dict())


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


commands: list[click.Command] = [train, tune, demo]
