"""``leadscore serve``: resolve the champion, start BentoML with it, and stop with nothing left behind."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import click

from leadscore.errors import LeadScoreError, MissingExtraError


@click.command()
@click.argument("project", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 answers the whole network.")
@click.option("--model", default=None, metavar="URI_OR_DIR", help="Default: the champion of the project.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object once the service is ready.")
def serve(project: Path, port: int, host: str, model: str | None, workers: int, as_json: bool) -> None:
    """Answer scores over HTTP with the champion of PROJECT, until Ctrl-C."""
    try:
        from service.process import Server

        folder, version = _resolve(project, model)
        server = Server(folder, version, host=host, port=port, n_workers=workers)
    except ImportError as error:
        raise click.ClickException(str(MissingExtraError(f"Serving (it lacks {error.name})", "service"))) from error
    except LeadScoreError as error:
        raise click.ClickException(str(error)) from error
    with server:
        ready = server.wait_until_ready()
        if ready:
            _announce(server.url, server.example(), version, as_json)
        stopped = server.wait() if ready else server.asked_to_stop
    if not stopped:
        raise click.ClickException(server.failure)


def _resolve(project: Path, model: str | None) -> tuple[Path, str]:
    from leadscore import tracking

    folder, version = tracking.champion(project, model)
    return folder, version


def _announce(url: str, example: object, version: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"url": url, "version": version, "pid": os.getpid()}))
        return
    document = shlex.quote(json.dumps(example, separators=(",", ":")))
    curl = f"curl {url}/v1/score -H 'Content-Type: application/json' -d {document}"
    click.echo(f"Version {version} answers at {url} (pages at {url}/docs, Ctrl-C stops). Try: {curl}")


commands: list[click.Command] = [serve]
