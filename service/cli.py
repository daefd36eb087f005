"""``leadscore serve``: resolve the champion, start BentoML with it, and stop with nothing left behind; ``key``."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import shlex
from pathlib import Path

import click

from leadscore.console import Console, project_argument, verb
from leadscore.errors import LeadScoreError, MissingExtraError
from service import UNREGISTERED
from service.keys import FILE_VARIABLE, SCOPES, VARIABLE, Key, append

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
def serve(console: Console, project: str, port: int, host: str, model: str | None, workers: int, follow: float) -> None:
    """Answer scores over HTTP with the champion of PROJECT, until Ctrl-C. Another champion takes over by itself.

    \b
    Example: leadscore serve data/sample --port 3000
    """
    if importlib.util.find_spec("bentoml") is None:
        raise MissingExtraError("leadscore serve", "service")
    from leadscore.tracking import find_scorer, names_alias
    from service.following import Pointer, Signpost
    from service.process import Server

    def find() -> Pointer:
        folder, registered = find_scorer(project, model)
        return Pointer(folder.resolve(), registered or UNREGISTERED)

    first = find()
    with Server(first.folder, first.version, host=host, port=port, n_workers=workers) as server:
        if server.keyless:
            console.warn("No API keys: whoever is on this machine may ask for scores. Mint one with leadscore key")
        ready = server.wait_until_ready()
        if ready:
            console.say(_announcement(server.url, first.version, server.example(), keyless=server.keyless))
            console.result({"url": server.url, "version": first.version, "pid": os.getpid()})
            if follow and first.version != UNREGISTERED and names_alias(model):
                Signpost(find, first, server.pointer, console.warn).start(follow)
        stopped = server.wait() if ready else server.asked_to_stop
    if not stopped:
        raise LeadScoreError(server.failure)


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


def _announcement(url: str, version: str, example: object, *, keyless: bool) -> str:
    key_header = "" if keyless else ' -H "Authorization: Bearer $LEADSCORE_KEY"'
    document = shlex.quote(json.dumps(example, separators=(",", ":"), ensure_ascii=False))
    curl = f"curl {url}/v1/score -H 'Content-Type: application/json'{key_header} -d {document}"
    return f"Version {version} answers at {url} (pages at {url}/docs, Ctrl-C stops). Try: {curl}"


commands: list[click.Command] = [serve, key]
