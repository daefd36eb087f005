"""getML FastProp: the features that it builds by itself; those that are ours too are found by their SQL.

FastProp can't be asked for columns: it builds every aggregate of every column, per category too, and its cells are
all that it built. Its windows are ``(t − w, t]``: the cutoffs are set half a second back, as all times here are whole
seconds. Of nothing it says 0 throughout.
"""

from __future__ import annotations

import atexit
import re
import tempfile
from collections.abc import Iterator

import getml
import numpy as np
import pandas as pd
from getml.feature_learning import FastProp, aggregations, loss_functions

from tests.bench.features.columns import CHANNELS, WINDOWS, Column
from tests.bench.features.log import Log

NOTE = "two threads in a process of its own, whose memory isn't seen here; per cell of all features that it built"
PEAK_IS_ELSEWHERE = True
MOST_REPEATS = 3
ROLES = getml.data.roles
OF_WINDOW = {"SUM": "sum", "AVG": "mean", "MAX": "max", "COUNT DISTINCT": "nunique"}
HALF_A_SECOND = 500_000
PER_CHANNEL = re.compile(r"SUM\( CASE WHEN t2.\"channel\" = '(\w+)' THEN 1 ELSE 0 END \)")
AMOUNT = re.compile(r"(SUM|AVG|MAX)\( t2.\"cost\" \)")
DISTINCT = re.compile(r"COUNT\( DISTINCT t2.\"channel\" \)")
RECENCY = re.compile(r"MIN\( t1.\"time\" - t2.\"time\" \)")
CONDITION = re.compile(r"AND t2.\"channel\" = '(\w+)'")
DAYS = re.compile(r"time, '\+(\d+)\.0+ days'")


def expresses(column: Column) -> bool:
    """Whether FastProp builds the same."""
    return column.op in (*OF_WINDOW.values(), "since_last") or (column.op == "count" and column.channel is not None)


class Engine:
    """One pipeline over a join per window, one over all that came before, both fitted once."""

    def __init__(self, log: Log, names: list[str]) -> None:
        _launch()
        self.columns = [Column.of(name) for name in names]
        channels = np.array(CHANNELS)[log.channel]
        events = {"lead": log.lead, "channel": channels, "cost": log.cost, "time": _times(log.time)}
        target = np.arange(len(log.cutoff)) % 7
        cutoffs = {"lead": log.cutoff_lead, "time": _times(log.cutoff - HALF_A_SECOND), "target": target}
        roles = {ROLES.join_key: ["lead"], ROLES.time_stamp: ["time"]}
        self.events = getml.DataFrame.from_pandas(
            pd.DataFrame(events), "events", roles | {ROLES.categorical: ["channel"], ROLES.numerical: ["cost"]}
        )
        self.cutoffs = getml.DataFrame.from_pandas(pd.DataFrame(cutoffs), "cutoffs", roles | {ROLES.target: ["target"]})
        self.container = getml.data.Container(train=self.cutoffs)
        self.container.add(events=self.events)
        ops = {column.op for column in self.columns}
        wanted = [name for name, op in OF_WINDOW.items() if op in ops]
        self.pipelines = [self._fitted(tuple(WINDOWS.values()), wanted), self._fitted((None,), ["MIN"])]

    def work(self) -> list[np.ndarray]:
        return [pipeline.transform(self.container.train) for pipeline in self.pipelines]

    def n_cells(self, result: list[np.ndarray]) -> int:
        return sum(built.size for built in result)

    def matrix(self, result: list[np.ndarray]) -> np.ndarray:
        found = dict(self._found(result))
        return np.stack([found[column.op, column.channel, column.days] for column in self.columns], axis=1)

    def _found(self, result: list[np.ndarray]) -> Iterator[tuple[tuple[str, int | None, int | None], np.ndarray]]:
        """What a feature is, read from its SQL, and its values."""
        for pipeline, built in zip(self.pipelines, result, strict=True):
            for feature, values in zip(pipeline.features, built.T, strict=True):
                sql = str(feature.sql)
                days, condition = DAYS.search(sql), CONDITION.search(sql)
                window = int(days[1]) if days else None
                if RECENCY.search(sql):
                    recency = np.where(values > 0, (values + HALF_A_SECOND / 1e6) / 86_400, np.nan)
                    yield ("since_last", CHANNELS.index(condition[1]) if condition else None, window), _float32(recency)
                elif condition:
                    continue
                elif channel := PER_CHANNEL.search(sql):
                    yield ("count", CHANNELS.index(channel[1]), window), _float32(values)
                elif DISTINCT.search(sql):
                    yield ("nunique", None, window), _float32(values)
                elif amount := AMOUNT.search(sql):
                    op = OF_WINDOW[amount[1]]
                    yield (op, None, window), _float32(values if op == "sum" else np.where(values == 0, np.nan, values))

    def _fitted(self, windows: tuple[int | None, ...], wanted: list[str]) -> getml.Pipeline:
        model = getml.data.DataModel(self.cutoffs.to_placeholder("population"))
        model.add(getml.data.to_placeholder(events=[self.events] * len(windows)))
        joined = model.events if isinstance(model.events, list) else [model.events]
        for days, placeholder in zip(windows, joined, strict=True):
            memory = None if days is None else getml.data.time.days(days)
            model.population.join(placeholder, on="lead", time_stamps="time", memory=memory)
        learner = FastProp(
            aggregation=[getattr(aggregations, name.replace(" ", "_")) for name in wanted],
            loss_function=loss_functions.SquareLoss,
            n_most_frequent=len(CHANNELS),
            num_features=10_000,
            num_threads=2,
        )
        pipeline = getml.Pipeline(data_model=model, feature_learners=[learner])
        pipeline.fit(self.container.train, check=False)
        return pipeline


def _times(instants: np.ndarray) -> np.ndarray:
    return instants.view("M8[us]").astype("M8[ns]")


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _launch() -> None:
    if getml.engine.is_alive():
        return
    home = tempfile.TemporaryDirectory()
    getml.engine.launch(
        allow_push_notifications=False, home_directory=home.name, in_memory=True, launch_browser=False, log=False
    )
    atexit.register(home.cleanup)
    atexit.register(getml.engine.shutdown)
    getml.set_project("bench")
