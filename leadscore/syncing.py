"""``leadscore sync``: bring a scored list to where others work with it."""

from __future__ import annotations

from pathlib import Path

import click

from leadscore.console import Console, verb


@verb("sync")
@click.argument("scored", type=click.Path(dir_okay=False, path_type=Path), metavar="LIST")
@click.option("--to", metavar="env:NAME", help="The database: a variable that holds its URL.")
@click.option("--table", default="lead_scores", show_default=True, help="Its table; made if it isn't there.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Or a .csv or .parquet file.")
@click.option("--before", type=click.Path(dir_okay=False, path_type=Path), help="With --out: the list of before.")
@click.option("--moved", type=click.IntRange(1, 100), metavar="POINTS",
              help="Only leads that are new, have another grade, or moved by so many points.")  # fmt: skip
def sync(
    console: Console, scored: Path, to: str | None, table: str, out: Path | None, before: Path | None,
    moved: int | None,
) -> None:  # fmt: skip
    """Send a LIST that `score` wrote to a database, or write what has moved since an earlier one into a file.

    A table has one row per lead and as_of, written over if it is there; a list arrives whole or not at all. With
    --moved a lead is compared with its newest row in the table, or with the list --before.

    \b
    Examples: leadscore sync scored.parquet --to env:CRM_URL --table lead_scores --moved 5
              leadscore sync today.csv --before yesterday.csv --moved 5 --out moved.csv
    """
    from leadscore.batch.sync import Earlier, upsert, write_moved

    if (to is None) == (out is None):
        raise click.UsageError("say where to: --to env:NAME, a database, or --out FILE")
    if out is not None and (before is None or moved is None):
        raise click.UsageError("--out needs --before, the earlier list, and --moved, by how many points")
    if to is not None and before is not None:
        raise click.UsageError("--before goes with --out; a table remembers by itself")
    with console.progress("Sending leads") as progress:
        if to is not None:
            n_sent, n_all = upsert(scored, to, table, moved, progress)
        elif out is not None and before is not None and moved is not None:
            n_sent, n_all = write_moved(scored, out, Earlier.of_list(before), moved, progress)
    where = f"the table {table}" if out is None else str(out)
    console.say(f"Wrote {n_sent:,} of {n_all:,} leads into {where}")
    console.result({"n": n_sent, "of": n_all, "out": None if out is None else str(out),
                    "table": table if out is None else None})  # fmt: skip
