"""Training's verbs of the ``leadscore`` command; each a thin skin over an importable function."""

from __future__ import annotations

from pathlib import Path

import click

import leadscore as ls
from leadscore.batch import whole_or_nothing
from leadscore.cli import MODEL_HELP
from leadscore.console import Console, project_argument, verb


@verb("train")
@project_argument
@click.option("--seed", type=int, help="Same data and seed, same model. [default: [model] seed, else 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Also save the scorer into this folder.")
@click.option("--track/--no-track", default=True, show_default=True, help="Log to MLflow and register.")
def train(console: Console, project: str, seed: int | None, out: Path | None, track: bool) -> None:
    """Train a scorer on PROJECT, judge it on its latest part beside every baseline, register it as challenger.

    \b
    The first model of a project becomes its champion, which score and serve use.
    Example: leadscore train acme
    """
    from training.train import train as run

    if not track and out is None:
        raise click.UsageError("--no-track leaves no trace; add --out FOLDER")
    with console.progress("Growing trees") as progress:
        trained = run(ls.Project.load(project), seed=seed, out=out, track=track, progress=progress)
    console.say(trained.report.text())
    console.say()
    if trained.version is not None:
        console.say(f"Registered as version {trained.version} of {trained.scorer.name}, run {trained.run_id}")
        console.say(f"For other projects: --model {trained.uri}")
    if out is not None:
        console.say(f"Saved in {out}")
    console.result(trained.to_dict())


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


@verb("monitor")
@project_argument
@click.option("--model", metavar="M", help=MODEL_HELP)
@click.option("--since", metavar="T", help="Look at cutoffs from T on. [default: all that is new to the model]")
@click.option("--as-of", metavar="T", help="Look at nothing later. [default: the end of the data]")
@click.option("--reference", metavar="FOLDER", help="A project with the tables that the model was trained on, where "
              "PROJECT doesn't hold them.")  # fmt: skip
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page into this file.")
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

    if html is not None and not html.parent.is_dir():
        raise click.UsageError(f"--html: the folder {html.parent} does not exist")
    loaded = ls.Project.load(project)
    if track:
        require_writable(loaded.folder)
    past = None if reference is None else ls.Project.load(reference)
    with console.progress("Comparing then and now") as progress:
        found = run(loaded, model=model, since=since, as_of=as_of, reference=past, seed=seed, progress=progress)
    if html is not None:
        with whole_or_nothing(html) as beside:
            beside.write_text(page(found, seed=seed), encoding="utf-8")
    run_id = log(found, loaded, seed=seed) if track else None
    console.say(found.text())
    console.say()
    if html is not None:
        console.say(f"Wrote {html}")
    if run_id is not None:
        console.say(f"Logged as run {run_id}")
    if found.verdict.word == "no signal":
        console.say("There is no signal.")
    console.result({**found.to_dict(), "run_id": run_id, "html": None if html is None else str(html)})
    if strict and found.verdict.word != "keep":
        raise SystemExit(1)


commands: list[click.Command] = [train, demo, monitor]
