"""What all verbs share: how they speak to people and to machines, and how they end.

Results go to standard output, everything else to standard error. With ``--json`` standard output holds one JSON
object, and progress comes as JSON lines. A verb exits with 0, 1 (it failed) or 2 (wrong usage).
"""

from __future__ import annotations

import functools
import json
import sys
import time as clock
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click
from click.core import ParameterSource

from leadscore.errors import LeadScoreError, LeadScoreWarning


class Advance(Protocol):
    """Called with steps done, steps at most and, in a search, the best loss so far."""

    def __call__(self, done: int, total: int, best: float | None = None, /) -> None: ...  # noqa: D102


_BETWEEN_LINES = 0.5  # seconds
_MANY = 10_000
"""Steps from which on a bar says how many are done a second."""


class Console:
    """One verb's way to speak."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, text: str = "") -> None:
        """Tell a person; machines don't hear it."""
        if not self.as_json:
            click.echo(text)

    def warn(self, text: str) -> None:
        """Tell whoever reads standard error."""
        click.echo(f"! {text}", err=True)

    def result(self, value: Any) -> None:
        """Give a machine its one JSON object."""
        if self.as_json:
            click.echo(json.dumps(value, allow_nan=False, ensure_ascii=False))

    @contextmanager
    def progress(self, label: str) -> Iterator[Advance]:
        """Yield a function (done, total, best so far) that shows how far a long step is."""
        if self.as_json:
            yield self._json_lines(label)
        elif sys.stderr.isatty():
            with click.progressbar(length=1, label=f"{label:<28}", file=sys.stderr, show_eta=True) as bar:
                began = clock.monotonic()

                def advance(done: int, total: int, best: float | None = None, /) -> None:
                    bar.length = max(total, 1)
                    seconds = clock.monotonic() - began
                    if best is not None:
                        bar.label = f"{f'{label}, best {best:.4f}':<28}"
                    elif total >= _MANY and seconds > _BETWEEN_LINES:
                        bar.label = f"{f'{label}, {done / seconds:,.0f}/s':<28}"
                    bar.update(done - bar.pos)

                yield advance
                bar.update((bar.length or 0) - bar.pos)  # early stopping ends before the last step
        else:
            yield lambda done, total, best=None, /: None

    def _json_lines(self, label: str) -> Advance:
        last = -_BETWEEN_LINES

        def advance(done: int, total: int, best: float | None = None, /) -> None:
            nonlocal last
            if done >= total or clock.monotonic() - last >= _BETWEEN_LINES:
                last = clock.monotonic()
                facts = {} if best is None else {"best": best}
                click.echo(json.dumps({"step": label, "done": done, "total": total, **facts}), err=True)

        return advance


def verb(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function (console, **options) a verb: ``--json``, clear failures, a clean end on Ctrl-C."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, **options: Any) -> None:
            console = Console(as_json=as_json)
            warnings.simplefilter("ignore", LeadScoreWarning)  # verbs say what reading counted in their own words
            try:
                function(console, **options)
            except BrokenPipeError:  # who reads has gone, as head does; click ends quietly
                raise
            except (LeadScoreError, OSError) as error:
                console.result({"error": {"type": type(error).__name__, "message": str(error)}})
                click.echo(f"leadscore {name}: {error}", err=True)
                raise SystemExit(1) from None
            except KeyboardInterrupt as stop:
                console.result({"error": {"type": "KeyboardInterrupt", "message": "stopped"}})
                more = f"; {stop}" if str(stop) else ""
                click.echo(f"\nleadscore {name}: stopped; nothing was left half-written{more}", err=True)
                raise SystemExit(1) from None

        option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
        return click.command(name)(option(run))

    return decorate


def project_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take the project's folder, by default the current one."""
    return click.argument("project", default=".", type=click.Path(), metavar="[PROJECT]")(function)


def page_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Take ``--html FILE``; what can't be one is said before anything is done that would be in vain."""

    def there(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
        above = [] if value is None else value.absolute().parents
        nearest = next((place for place in above if place.exists()), None)
        if nearest is not None and not nearest.is_dir():
            raise click.BadParameter(f"{nearest} is a file, and no folder to write into")
        return value

    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("--html", type=kind, callback=there, metavar="FILE", help=text)


def memory_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take ``--memory SIZE`` as bytes; by default half of what the machine has."""
    text = (
        "At most so much memory, as in 2GiB: a longer list goes through a folder beside the file. "
        "[default: half of the machine's]"
    )
    return click.option("--memory", metavar="SIZE", callback=_size, help=text)(function)


def _size(context: click.Context, parameter: click.Parameter, value: str | None) -> int:
    from leadscore.batch.budget import LEAST, format_size, machine_memory, parse_size

    if value is None:
        return machine_memory() // 2
    try:
        size = parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if size < LEAST:
        raise click.BadParameter(f"{value} is too little: the program itself takes most of {format_size(LEAST)}")
    return size


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take ``--engine`` and ``--master``; what only one of the engines understands is refused with the other."""
    master = click.option(
        "--master",
        metavar="URL",
        callback=_of_spark,
        help="The cluster, as in spark://host:7077. [default: SPARK_MASTER, then spark-defaults.conf, then local[*]]",
    )
    engine = click.option(
        "--engine",
        type=click.Choice(["local", "spark"]),
        default="local",
        is_eager=True,
        show_default=True,
        help="This machine, or a Spark cluster whose workers have leadscore and see the files.",
    )
    return engine(master(function))


def _of_spark(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    on_spark = context.params.get("engine") == "spark"
    if value is not None and not on_spark:
        raise click.UsageError("--master is the address of a cluster: give --engine spark as well")
    if on_spark and context.get_parameter_source("memory") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--memory is of --engine local; a cluster's memory is set in Spark")
    return value
