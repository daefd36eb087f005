"""``leadscore serve``: the champion, by BentoML, until stopped with nothing left; ``key``, ``audit``, ``webhooks``."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leadscore.console import Console, project_argument, verb
from leadscore.errors import LeadScoreError, MissingExtraError, TrackingError
from leadscore.project import Project
from leadscore.section import FILE as PROJECT_FILE
from leadscore.time import parse_span
from service import UNREGISTERED
from service.keys import FILE_VARIABLE, SCOPES, VARIABLE, Key, append

if TYPE_CHECKING:
    from service.remembering import Memory
    from service.store.outbox import Delivery

STORE_HELP = (
    "Where leads and events are kept: a file, a database URL, or env:NAME for one with a password. "
    "[default: store.db in PROJECT]"
)
WEBHOOKS_HELP = "Who is told of scores that change: a file of [webhooks.NAME] tables. [env: LEADSCORE_WEBHOOKS]"
ASK_SECONDS = 5.0
"""Between two questions to MLflow where an alias points, each 15 ms of the command's time."""


@verb("serve")
@project_argument
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 answers the whole network.")
@click.option("--model", metavar="M", help="A registered model or a scorer's folder. [default: the champion]")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
@click.option(
    "--follow",
    default=ASK_SECONDS,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How often to ask where the champion, or another alias, points; 0 stays with the first answer.",
)
@click.option("--store", metavar="S", help=STORE_HELP)
@click.option("--rescore", default="15m", show_default=True, metavar="EVERY", help="How often all are scored.")
@click.option(
    "--measure-every", default="1h", show_default=True, metavar="EVERY",
    help="How often the pages on channels, funnel and agreement are.",
)  # fmt: skip
@click.option(
    "--audit",
    "share",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Of the scores of stored leads, how many are kept for leadscore audit.",
)
@click.option(
    "--webhooks", type=click.Path(path_type=Path), envvar="LEADSCORE_WEBHOOKS", metavar="FILE", help=WEBHOOKS_HELP
)
def serve(
    console: Console, project: str, port: int, host: str, model: str | None, workers: int, follow: float,
    store: str | None, rescore: str, measure_every: str, share: float, webhooks: Path | None,
) -> None:  # fmt: skip
    """Answer scores over HTTP with the champion of PROJECT, until Ctrl-C. Another champion takes over by itself.

    Leads and events that arrive are kept in a store, which is filled from the project's files the first time.

    \b
    Examples: leadscore serve data/sample --port 3000
              leadscore serve acme --store env:ACME_STORE --rescore 1h
    """
    if importlib.util.find_spec("bentoml") is None:
        raise MissingExtraError("leadscore serve", "service")
    from leadscore.tracking import find_scorer, names_alias
    from service.following import Pointer, Signpost
    from service.process import Server

    def find() -> Pointer:
        folder, registered = find_scorer(project, model)
        return Pointer(folder.resolve(), registered) if registered else Pointer.unregistered(folder.resolve())

    rescore_seconds, measure_seconds = _seconds(rescore, "--rescore"), _seconds(measure_every, "--measure-every")
    first = find()
    server = Server(first.folder, first.version, host=host, port=port, n_workers=workers)
    memory = _memory(console, project, store, rescore_seconds, share, webhooks, server.counts)
    if memory is not None:
        with console.progress("Filling the store") as progress:
            done = memory.prepare(progress, first.folder)
        if done is not None:
            console.warn(done)
        server.remember(memory, measure_every=measure_seconds)
    with server:
        if server.keyless:
            console.warn("No API keys: whoever is on this machine may ask for scores. Mint one with leadscore key")
        ready = server.wait_until_ready()
        if ready:
            console.say(
                _announcement(
                    server.url, first.version, server.example(), keyless=server.keyless, kept=memory is not None
                )
            )
            console.result({"url": server.url, "version": first.version, "pid": os.getpid()})
            if follow and first.registered and names_alias(model):
                Signpost(find, first, server.pointer, console.warn).start(follow)
        stopped = server.wait() if ready else server.asked_to_stop
    if not stopped:
        raise LeadScoreError(server.failure)


@verb("audit")
@project_argument
@click.option("--store", metavar="S", help=STORE_HELP)
@click.option("--model", metavar="M", help="The scorer's folder, for answers of a model that isn't registered.")
@click.option("--latest", default=10_000, show_default=True, type=click.IntRange(1), help="How many answers at most.")
def audit(console: Console, project: str, store: str | None, model: str | None, latest: int) -> None:
    """Compute a sample of the answers that the service gave again, from the rows that its store holds.

    An answer that comes out otherwise from the same rows is a fault of leadscore, and ends the command with 1; one that
    would be another had later rows come in time is counted apart.

    \b
    Example: leadscore audit data/sample
    """
    from leadscore import LeadScorer
    from leadscore.tracking import find_scorer
    from service.auditing import audit as compute
    from service.following import Pointer
    from service.store import open_store

    def find(version: str) -> LeadScorer | None:
        from_folder = version.startswith(UNREGISTERED)
        try:
            folder, _ = find_scorer(project, model if from_folder else version)
        except TrackingError:
            return None
        if from_folder and Pointer.unregistered(folder).version != version:
            return None
        return LeadScorer.load(folder, version=version)

    loaded = Project.load(project)
    opened = open_store(_url_of(loaded, store), loaded, create=False)
    with console.progress("Computing answers again") as progress:
        audited = compute(opened, find, progress, at_most=latest)
    opened.close()
    told = audited.to_dict()
    console.say(_told_of(told))
    console.result(told)
    if told["logic"]:
        raise SystemExit(1)


def _told_of(audited: dict[str, Any]) -> str:
    lines = [
        f"{audited['answers']:>8,} answers computed again",
        f"{audited['same']:>8,} came out the same to the last bit",
        f"{audited['late']:>8,} would be others, had rows that arrived later come in time",
        f"{audited['logic']:>8,} came out otherwise from the same rows" + (": report this" if audited["logic"] else ""),
    ]
    lines += [f"{n:>16,} × {name}" for name, n in list(audited["late_features"].items())[:5]]
    left_out = audited["unknown_models"] + audited["gone_leads"]
    return "\n".join(lines + ([f"{left_out:>8,} could not be: their model or lead is gone"] if left_out else []))


@verb("webhooks")
@project_argument
@click.option("--store", metavar="S", help=STORE_HELP)
@click.option("--hook", metavar="NAME", help="Only this webhook.")
@click.option("--dead", is_flag=True, help="List what could not be delivered, the latest first.")
@click.option("--retry", is_flag=True, help="Let what could not be delivered be tried again.")
def webhooks(console: Console, project: str, store: str | None, hook: str | None, dead: bool, retry: bool) -> None:
    """Say how many messages to webhooks are pending, done and dead, and let dead ones be tried again.

    \b
    Examples: leadscore webhooks acme --dead
              leadscore webhooks acme --retry --hook crm
    """
    from service.store import open_store

    loaded = Project.load(project)
    opened = open_store(_url_of(loaded, store), loaded, create=False)
    outbox = opened.outbox
    told: dict[str, Any] = {"dead": [_dead_of(one) for one in outbox.dead(hook)]} if dead else {}
    told |= {"retried": outbox.retry(hook)} if retry else {}
    told["webhooks"] = {name: counts for name, counts in outbox.counts().items() if hook in (None, name)}
    opened.close()
    lines = [f"{name}: " + ", ".join(f"{n:,} {state}" for state, n in counts.items())
             for name, counts in told["webhooks"].items()]  # fmt: skip
    lines += [f"{one['id']}  {one['hook']}  {one['type']} of {one['lead_id']} as of {one['as_of']}: "
              f"{one['last_status']} after {one['attempts']} attempts" for one in told.get("dead", ())]  # fmt: skip
    lines += [f"{told['retried']:,} are tried again"] if retry else []
    console.say("\n".join(lines or ["No message was written yet"]))
    console.result(told)


def _dead_of(one: Delivery) -> dict[str, Any]:
    said = json.loads(one.payload)
    told = {"id": one.key, "hook": one.hook, "type": said["type"], "lead_id": said["lead_id"]}
    return {**told, "as_of": said["after"]["as_of"], "attempts": one.attempts, "last_status": one.last_status}


@verb("key")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The first day it is refused, UTC.")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Add its entry there. [default: print]")
def key(console: Console, name: str, scopes: tuple[str, ...], expires: dt.datetime | None, file: Path | None) -> None:
    """Mint an API key for the service: its secret is shown once, only its SHA-256 is kept.

    \b
    Scopes: score (scores, the call list, the model), write (events), admin (metrics)
    Example: leadscore key crm --scope score --scope write --expires 2027-01-01 --file keys.toml
    """
    day = expires.date() if expires else None
    if day is not None and day <= dt.datetime.now(dt.UTC).date():
        raise click.BadParameter("the key would be refused from the start; name a later day", param_hint="--expires")
    minted, secret = Key.mint(name, scopes, day)
    if file is not None:
        append(minted, file)
    console.say(secret)
    if file is not None:
        console.warn(f"Shown once. {file} holds its entry; start the service with {FILE_VARIABLE}={file}")
    else:
        console.say(f"\n{minted.as_toml}")
        console.warn(f"Shown once. Put the entry into a file, or start with {VARIABLE}={minted.as_variable}")
    console.result({"secret": secret, "entry": minted.as_variable, "file": None if file is None else str(file)})


def _url_of(project: Project, given: str | None) -> str:
    """Where the store is: as an option says, relative to where one is; else as the project says, relative to it."""
    from service.remembering import store_url

    return store_url(given, Path()) if given is not None else store_url(project.store, project.folder)


def _memory(
    console: Console, project: str, store: str | None, rescore_seconds: int, share: float, webhooks: Path | None,
    counts: Path,
) -> Memory | None:  # fmt: skip
    """Where the service remembers; nowhere where no project is named, or one without times."""
    from service.hooks import read_hooks
    from service.remembering import Memory

    if webhooks is not None:
        read_hooks(webhooks)
    folder = Path(project).resolve()
    if not (folder / PROJECT_FILE).is_file():
        if option := "--store" if store is not None else "--webhooks" if webhooks is not None else "":
            raise LeadScoreError(
                f"{option} needs the project whose rows are kept, and {folder} holds no {PROJECT_FILE}"
            )
        return None
    loaded = Project.load(folder)
    if not loaded.timed:
        if webhooks is not None:
            raise LeadScoreError("--webhooks tells of scores that are kept, and a list without times is not kept")
        console.warn("A list without times is not kept: only documents that are sent are scored")
        return None
    return Memory(_url_of(loaded, store), folder, counts, rescore_seconds, share, webhooks)


def _seconds(text: str, option: str) -> int:
    try:
        return parse_span(text) // 1_000_000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _announcement(url: str, version: str, example: object, *, keyless: bool, kept: bool) -> str:
    key_header = "" if keyless else ' -H "Authorization: Bearer $LEADSCORE_KEY"'
    document = shlex.quote(json.dumps(_filled(example), separators=(",", ":"), ensure_ascii=False))
    curl = f"curl {url}/v1/score -H 'Content-Type: application/json'{key_header} -d {document}"
    pages = f"call list and rooms at {url}/app, " if kept else ""
    return f"Version {version} answers at {url} ({pages}routes at {url}/docs, Ctrl-C stops). Try: {curl}"


def _filled(value: Any) -> Any:
    """A document without its nulls: what may be left out of a request needn't be typed, or read."""
    if isinstance(value, dict):
        return {name: _filled(item) for name, item in value.items() if item is not None}
    return [_filled(item) for item in value] if isinstance(value, list) else value


commands: list[click.Command] = [serve, key, audit, webhooks]
