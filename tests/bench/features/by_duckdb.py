"""DuckDB: one range join, one pass of conditional aggregates, one projection.

Of a dozen formulations that were tried, the fastest: `count(case …)` is a third faster than `count(*) filter (…)`; an
event is counted in the smallest window that holds it and windows are added up afterwards; channels are integer codes;
days are bits of an integer, so that distinct ones need no hash tables; the result goes out as Arrow, in any order.
"""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pyarrow as pa

from tests.bench.features.columns import CHANNELS, DAY, WINDOWS, Column
from tests.bench.features.log import Log

NOTE = "one range join, conditional aggregates, rows in any order, result as Arrow"
DAYS = tuple(WINDOWS.values())


class Engine:
    """Tables in memory, columns of integers and doubles."""

    def __init__(self, log: Log, names: list[str]) -> None:
        self.columns = [Column.of(name) for name in names]
        self.connection = duckdb.connect()
        for setting in ("threads = 2", "enable_progress_bar = false", "preserve_insertion_order = false"):
            self.connection.execute(f"set {setting}")
        events = {"lead": log.lead, "happened": log.time, "channel": log.channel, "cost": log.cost}
        rows = np.arange(len(log.cutoff), dtype=np.int32)
        cutoffs = {"lead": log.cutoff_lead, "cutoff": log.cutoff, "row": rows}
        for name, arrays in (("events", events), ("cutoffs", cutoffs)):
            self.connection.register("arrays", pa.table(arrays))
            self.connection.execute(f"create table {name} as select {', '.join(map(_quoted, arrays))} from arrays")
            self.connection.unregister("arrays")
        self.query = query(self.columns)

    def work(self) -> pa.Table:
        return self.connection.sql(self.query).to_arrow_table()

    def matrix(self, result: pa.Table) -> np.ndarray:
        order = result.column("row").to_numpy()
        matrix = np.empty((result.num_rows, len(self.columns)), dtype=np.float32)
        for position, column in enumerate(self.columns):
            matrix[order, position] = result.column(column.name).to_numpy()
        return matrix


def _quoted(name: str) -> str:
    return f'"{name}"'


def query(columns: list[Column]) -> str:
    """Return the statement for these columns."""
    aggregates: dict[str, str] = {}
    outputs = [f'cast({_output(column, aggregates)} as float) as "{column.name}"' for column in columns]
    aggregated = ", ".join(f"{expression} as {name}" for name, expression in aggregates.items())
    smallest = " ".join(f"when age <= {days * DAY} then {rank}" for rank, days in enumerate(DAYS))
    return f"""
        with visible as (
            select c."row", c.cutoff - e.happened as age, e.channel, e.cost,
                   c.cutoff // {DAY} - e.happened // {DAY} as midnights
            from cutoffs c left join events e on e.lead = c.lead and e.happened < c.cutoff
        ), ranked as (
            select *, case {smallest} else {len(DAYS)} end as smallest,
                   channel * {len(DAYS) + 1} + smallest as cell
            from visible
        ), aggregated as (select "row", {aggregated} from ranked group by "row")
        select "row", {", ".join(outputs)} from aggregated"""


def _output(column: Column, aggregates: dict[str, str]) -> str:
    """SQL over the aggregates, which are added where still lacking."""

    def take(name: str, expression: str) -> str:
        aggregates[name] = expression
        return name

    def counted(days: int, channel: int | None = None) -> str:
        names = []
        for rank in range(DAYS.index(days) + 1):
            where = f"smallest = {rank}" if channel is None else f"cell = {channel * (len(DAYS) + 1) + rank}"
            names.append(take(f"n_{channel}_{rank}", f"count(case when {where} then 1 end)"))
        return f"({'+'.join(names)})"

    def within(function: str, what: str, days: int) -> str:
        return take(f"{function}_{days}", f"{function}(case when age <= {days * DAY} then {what} end)")

    op, days, channel = column.op, column.days, column.channel
    if op == "count":
        return counted(days, channel)
    if op == "sum":
        return f"coalesce({within('sum', 'cost', days)}, 0)"
    if op == "mean":
        return f"{within('sum', 'cost', days)} / nullif({counted(days)}, 0)"
    if op == "max":
        return within("max", "cost", days)
    if op == "nunique":
        return "+".join(f"({counted(days, channel)} > 0)::int" for channel in range(len(CHANNELS)))
    if op == "active_days":
        bit = f"1::{'hugeint' if days > 60 else 'bigint'} << midnights::int"
        return f"coalesce(bit_count({within('bit_or', bit, days)}), 0)"
    if op == "trend":
        before = f"count(case when age > {days * DAY} and age <= {2 * days * DAY} then 1 end)"
        return f"{counted(days)} - {take(f'before_{days}', before)}"
    if op == "decay":
        return f"coalesce({take(f'decay_{days}', f'sum(exp(age * {-math.log(2) / (days * DAY)!r}))')}, 0)"
    latest = take("latest", "min(age)")
    if op == "since_last" and channel is not None:
        latest = take(f"latest_{channel}", f"min(case when channel = {channel} then age end)")
    if op == "since_last":
        return f"{latest} / {float(DAY)}"
    span = f"({take('earliest', 'max(age)')} - {latest})"
    gaps = f"nullif({take('n', 'count(age)')} - 1, 0)"
    if op == "gap_mean":
        return f"case when n > 1 then {span} / {float(DAY)} / {gaps} end"
    assert op == "gap_now", op
    return f"case when n > 1 then {latest}::double * {gaps} / nullif({span}, 0) end"
