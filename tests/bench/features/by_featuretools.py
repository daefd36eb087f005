"""featuretools: its own primitives at cutoff times, one matrix per training window."""

from __future__ import annotations

import featuretools as ft
import numpy as np
import pandas as pd
from featuretools.primitives import AvgTimeBetween, Count, Max, Mean, NumUnique, Sum, TimeSinceLast

from tests.bench.features.columns import CHANNELS, Column
from tests.bench.features.log import Log

MOST_CUTOFFS = 10_000
MOST_REPEATS = 1
NOTE = "one process (its parallel mode is Dask's); a cutoff asked twice is computed once"
AMOUNTS = {"sum": Sum, "mean": Mean, "max": Max}


def expresses(column: Column) -> bool:
    """Whether a primitive of featuretools says the same."""
    return column.op in ("count", "nunique", "since_last", "gap_mean", *AMOUNTS)


class Engine:
    """An entity set of leads and their events, with channels as interesting values."""

    def __init__(self, log: Log, names: list[str]) -> None:
        self.columns = [Column.of(name) for name in names]
        times = {"time": log.time.view("M8[us]").astype("M8[ns]")}
        channels = pd.Categorical.from_codes(log.channel, CHANNELS)
        events = pd.DataFrame({"lead": log.lead, "channel": channels, "cost": log.cost} | times)
        self.tables = ft.EntitySet("bench")
        self.tables.add_dataframe(pd.DataFrame({"lead": np.arange(log.n_leads)}), "leads", index="lead")
        self.tables.add_dataframe(events, "events", index="event", make_index=True, time_index="time")
        self.tables.add_relationship("leads", "lead", "events", "lead")
        cutoffs = pd.DataFrame({"lead": log.cutoff_lead, "time": log.cutoff.view("M8[us]").astype("M8[ns]")})
        self.cutoffs = cutoffs.drop_duplicates(ignore_index=True).reset_index(names="asked")[["lead", "time", "asked"]]
        self.asked = cutoffs.merge(self.cutoffs, on=["lead", "time"], how="left")["asked"].to_numpy()

    def work(self) -> list[tuple[list[Column], pd.DataFrame]]:
        parts = []
        for days in dict.fromkeys(column.days for column in self.columns):
            columns = [column for column in self.columns if column.days == days]
            frame = ft.calculate_feature_matrix(
                [self._feature(column) for column in columns], self.tables, cutoff_time=self.cutoffs,
                training_window=None if days is None else f"{days} days", include_cutoff_time=False,
            )  # fmt: skip
            parts.append((columns, frame))
        return parts

    def matrix(self, result: list[tuple[list[Column], pd.DataFrame]]) -> np.ndarray:
        matrix = np.empty((len(self.cutoffs), len(self.columns)), dtype=np.float32)
        for columns, frame in result:
            for column in columns:
                values = pd.to_numeric(frame[column.name], errors="coerce").to_numpy(dtype=np.float64)
                if column.of_nothing_is_zero:  # featuretools says NaN for some of them: another word for the same
                    values = np.nan_to_num(values)
                matrix[frame["asked"].to_numpy(), self.columns.index(column)] = values
        return matrix[self.asked]

    def _feature(self, column: Column) -> ft.Feature:
        events = self.tables["events"].ww
        base, primitive = ft.Feature(events["time"]), TimeSinceLast(unit="days")
        if column.op == "gap_mean":
            primitive = AvgTimeBetween(unit="days")
        elif column.op == "count":
            base, primitive = ft.Feature(events["event"]), Count()
        elif column.op == "nunique":
            base, primitive = ft.Feature(events["channel"]), NumUnique()
        elif column.op in AMOUNTS:
            base, primitive = ft.Feature(events["cost"]), AMOUNTS[column.op]()
        where = None if column.channel is None else ft.Feature(events["channel"]) == CHANNELS[column.channel]
        return ft.Feature(base, parent_dataframe_name="leads", primitive=primitive, where=where).rename(column.name)
