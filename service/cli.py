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


@verb("serve")
@project_argument
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 answers the whole network.")
@click.option("--model", metavar="M", help="A registered model or a scorer's folder. [default: the champion]")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
def serve(console: Console, project: str, port: int, host: str, model: str | None, workers: int) -> None:
    """Answer scores over HTTP with the champion of PROJECT, until Ctrl-C.

    \b
    Example: leadscore serve data/sample --port 3000
    """
    if importlib.util.find_spec("bentoml") is None:
        raise MissingExtraError("leadscore serve", "service")
    from leadscore.tracking import find_scorer
    from service.process import Server

    folder, registered = find_scorer(project, model)
    version = registered or UNREGISTERED
    with Server(folder, version, host=host, port=port, n_workers=workers) as server:
        ready = server.wait_until_ready()
        if ready:
            console.say(_announcement(server.url, version, server.example()))
            console.result({"url": server.url, "version": version, "pid": os.getpid()})
        stopped = server.wait() if ready else server.asked_to_stop
    if not stopped:
        raise LeadScoreError(server.failure)


def _announcement(url: str, version: str, example: object) -> str:
    document = shlex.quote(json.dumps(example, separators=(",", ":"), ensure_ascii=False))
    curl = f"curl {url}/v1/score -H 'Content-Type: application/json' -d {document}"
    return f"Version {version} answers at {url} (pages at {url}/docs, Ctrl-C stops). Try: {curl}"


commands: list[click.Command] = [serve]
