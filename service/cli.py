"""``leadscore serve``: resolve the champion, start BentoML with it, and stop with nothing left behind."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex

import click

from leadscore.console import Console, project_argument, verb
from leadscore.errors import LeadScoreError, MissingExtraError
from service import UNREGISTERED

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
        ready = server.wait_until_ready()
        if ready:
            console.say(_announcement(server.url, first.version, server.example()))
            console.result({"url": server.url, "version": first.version, "pid": os.getpid()})
            if follow and first.version != UNREGISTERED and names_alias(model):
                Signpost(find, first, server.pointer, console.warn).start(follow)
        stopped = server.wait() if ready else server.asked_to_stop
    if not stopped:
        raise LeadScoreError(server.failure)


def _announcement(url: str, version: str, example: object) -> str:
    document = shlex.quote(json.dumps(example, separators=(",", ":"), ensure_ascii=False))
    curl = f"curl {url}/v1/score -H 'Content-Type: application/json' -d {document}"
    return f"Version {version} answers at {url} (pages at {url}/docs, Ctrl-C stops). Try: {curl}"


commands: list[click.Command] = [serve]
