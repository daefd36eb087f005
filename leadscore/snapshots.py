"""Who is asked about, when, with which label: risk set, cutoffs, maturity, blocks.

A snapshot is a lead at a cutoff. Every rule of time it rests on is in `leadscore.time`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore import time
from leadscore.project import CutoffRule
from leadscore.sources import read_rows
from leadscore.tables import Cutoffs, Data
from leadscore.time import NEVER, Instants, Mask

BLOCKS = ("train", "tune", "calibrate", "test")
FEWEST_WINS = 30
"""Distinct won leads that each block needs."""
TEST_SHARE = 0.2
TUNE_SHARE = 0.15
CALIBRATE_SHARE = 0.15
"""Shares of snapshots: test of all of them, tune and calibrate of those before it."""
EMBARGO_STEPS = (1.0, 0.75, 0.5, 0.25, 0.0)
_SPARE_WINS = (1.2, 1.6, 2.4)
"""Wins that a block is cut with, over those it needs: some go with the snapshots that reach into a later block."""

_GRID_ANCHOR = 4 * time.DAY  # a Monday, so that grids of weeks fall on Mondays and never move as data grow


@dataclass(frozen=True, repr=False)
class Snapshots:
    """Mature snapshots of leads at risk, with labels and weights, ordered by cutoff, then lead.

    Attributes
    ----------
    lead : int64 (n,), index into the data's leads
    at : int64 (n,), cutoffs, UTC microseconds (`FOREVER` in a labelled list)
    label : int8 (n,), 1 if the first win is in ``[t, t + h)``
    weight : float64 (n,), open cutoffs ÷ kept cutoffs of the lead
    counts : what was left out, and why
    """

    data: Data
    lead: NDArray[np.int64]
    at: Instants
    label: NDArray[np.int8]
    weight: NDArray[np.float64]
    counts: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.lead)

    def __repr__(self) -> str:
        return f"<Snapshots: {len(self):,}, {int(self.label.sum()):,} won, of {len(np.unique(self.lead)):,} leads>"

    @property
    def cutoffs(self) -> Cutoffs:
        """The leads and instants, as `FeaturePlan.transform` takes them."""
        return Cutoffs(self.lead, self.at)

    def take(self, rows: NDArray[np.int64] | Mask) -> Snapshots:
        """Return some of the snapshots, by position or mask."""
        return replace(self, lead=self.lead[rows], at=self.at[rows], label=self.label[rows], weight=self.weight[rows])

    def clusters(self) -> NDArray[np.int64]:
        """Return what intervals are clustered by: the lead's account where declared and filled, else the lead."""
        account = self.data.leads.latest("account").astype(np.int64)[self.lead]
        return np.where(account >= 0, account, self.lead + int(account.max(initial=0)) + 1)

    def frame(self) -> pd.DataFrame:
        """Return the snapshots as a DataFrame: lead_id, cutoff (UTC; NaT in a labelled list), label, weight."""
        at = self.at if self.data.project.timed else np.full(len(self), NEVER)
        return pd.DataFrame(
            {
                "lead_id": self.data.leads.ids[self.lead],
                "cutoff": pd.to_datetime(at.view("M8[us]"), utc=True),
                "label": self.label,
                "weight": self.weight,
            }
        )


def snapshots(data: Data, *, seed: int = 0) -> Snapshots:
    """Take the snapshots that ``[task]`` asks for.

    Of a lead's mature open cutoffs a sample of at most ``max_per_lead`` is kept, chosen by a hash of seed, lead id and
    cutoff, each with weight open ÷ kept. Immature cutoffs are dropped and counted, never a 0.

    Raises
    ------
    DataError
        If cutoffs come from a file that can't be read.
    """
    if not data.project.timed:
        return _labelled(data, seed)
    task = data.project.task
    lead, at = _candidates(data, task.cutoffs)
    n_candidates = len(lead)
    outcomes = data.outcomes
    open_ = time.at_risk(data.leads.created[lead], outcomes.won_at[lead], outcomes.lost_at[lead], at)
    lead, at = lead[open_], at[open_]
    settled = time.mature(
        at,
        horizon=_horizon(data),
        observed_from=NEVER if task.observed_from is None else task.observed_from,
        observed_until=data.observed_until,
    )
    counts = {
        "n_candidates": n_candidates,
        "n_outside_risk_set": n_candidates - len(lead),
        "n_immature": int((~settled).sum()),
    }
    lead, at = lead[settled], at[settled]
    kept, weight = _sample(data, lead, at, task.cutoffs.max_per_lead, seed)
    counts["n_sampled_out"] = len(lead) - len(kept)
    lead, at = lead[kept], at[kept]
    order = np.lexsort((lead, at))
    lead, at, weight = lead[order], at[order], weight[order]
    won = time.won_within_horizon(outcomes.won_at[lead], at, horizon=_horizon(data))
    return Snapshots(data, lead, at, won.astype(np.int8), weight, counts)


def open_leads(data: Data, at: int) -> Cutoffs:
    """Return every lead at risk at an instant (in a labelled list: those without an outcome), in the order of ids."""
    if data.outcomes.label is not None:
        lead = np.flatnonzero(data.outcomes.label < 0)
        return Cutoffs(lead, np.full(len(lead), time.FOREVER, dtype=np.int64))
    cutoff = np.full(len(data.leads.ids), at, dtype=np.int64)
    at_risk = time.at_risk(data.leads.created, data.outcomes.won_at, data.outcomes.lost_at, cutoff)
    lead = np.flatnonzero(at_risk if data.listed is None else at_risk & data.listed)
    return Cutoffs(lead, cutoff[lead])


@dataclass(frozen=True)
class Blocks:
    """Consecutive blocks of snapshots: positions of train, tune, calibrate and test.

    Attributes
    ----------
    rows : block → int64 positions in the snapshots
    starts : block → first cutoff, where time orders the blocks
    embargo : microseconds between the last label of calibrate and the first cutoff of test (None without times)
    n_dropped : snapshots in no block: their label reaches into a later block that holds the same lead, or the test
    complete : whether every block holds 30 wins
    warnings : what a reader must know first
    """

    rows: Mapping[str, NDArray[np.int64]]
    starts: Mapping[str, int]
    embargo: int | None
    n_dropped: int
    complete: bool
    warnings: tuple[str, ...]


def split(snapshots: Snapshots, *, seed: int = 0) -> Blocks:
    """Cut snapshots into train | tune | calibrate | test, consecutive in time.

    Snapshots before the test count only if their label was settled when the test began (an embargo of one horizon).
    The embargo shrinks by quarters where a block would hold fewer than 30 won leads, and a warning says so; where that
    isn't enough, blocks widen. A snapshot whose label window reaches a later block that holds the same lead is dropped.
    A labelled list is split by a seeded hash of the ids, or by the order of its rows.
    """
    if not snapshots.data.project.timed:
        return _split_labelled(snapshots, seed)
    horizon = _horizon(snapshots.data)
    for spare, step in itertools.product(_SPARE_WINS, EMBARGO_STEPS):
        embargo = math.ceil(horizon * step)
        rows = _cut(snapshots, embargo, n_wins=round(FEWEST_WINS * spare))
        if rows is not None:
            shrunk = () if step == 1.0 else (_shrunk_embargo(embargo, horizon),)
            return _finish(snapshots, rows, embargo, complete=True, warnings=shrunk)
    few = (
        f"Too few wins: {_n_wins(snapshots, np.arange(len(snapshots)))} won leads can't give each of the four blocks "
        f"{FEWEST_WINS}, even without an embargo. No trees are grown; the model stands on a lower rung",
    )
    order = np.arange(len(snapshots))
    cuts = np.array([0.6, 0.7, 0.8]) * len(order)
    rows = dict(zip(BLOCKS, np.split(order, cuts.astype(np.int64)), strict=True))
    return _finish(snapshots, rows, 0, complete=False, warnings=few)


def _horizon(data: Data) -> int:
    return int(data.project.task.horizon or 0)


def _labelled(data: Data, seed: int) -> Snapshots:
    """One snapshot per labelled lead, in the order of the rows or of a seeded hash."""
    label = data.outcomes.label
    assert label is not None
    lead = np.flatnonzero(label >= 0)
    ordered = data.project.task.split == "ordered"
    key = data.leads.row[lead] if ordered else _mixed(_id_hashes(data, lead), np.zeros(len(lead), np.int64), seed)
    lead = lead[np.argsort(key, kind="stable")]
    at = np.full(len(lead), time.FOREVER, dtype=np.int64)
    counts = {"n_candidates": len(label), "n_outside_risk_set": 0, "n_immature": 0, "n_open": int((label < 0).sum())}
    return Snapshots(data, lead, at, label[lead], np.ones(len(lead)), counts)


def _candidates(data: Data, rule: CutoffRule) -> tuple[NDArray[np.int64], Instants]:
    """Return every (lead, cutoff) that the rule names, before any risk set."""
    if rule.source is not None:
        rows = read_rows(rule.source, data.project.folder, ["lead_id", "cutoff"], where="task.cutoffs")
        asked = Cutoffs.of(data, rows.table.to_pandas())
        return asked.lead, asked.at
    created = np.flatnonzero(data.leads.created != NEVER)
    if rule.at_age:
        ages = np.array(rule.at_age, dtype=np.int64)
        at = data.leads.created[created][:, None] + ages
        return np.repeat(created, len(ages)), at.ravel()
    if rule.after_events:
        return after_events(data) if data.elsewhere is None else data.elsewhere.after_events()
    assert rule.every is not None
    return _grid(data, created, rule.every)


def after_events(data: Data) -> tuple[NDArray[np.int64], Instants]:
    """One microsecond after each event became known and had happened: the first instant that sees it."""
    leads = np.concatenate([log.lead_of_rows() for log in data.logs.values()])
    instants = np.concatenate([np.maximum(log.time, log.known) + 1 for log in data.logs.values()])
    pairs = np.unique(np.stack([leads, instants], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _grid(data: Data, created: NDArray[np.int64], every: int) -> tuple[NDArray[np.int64], Instants]:
    """Instants of one calendar grid, from each lead's creation to its closing or the end of what is observed."""
    outcomes = data.outcomes
    end = np.full(len(created), data.observed_until, dtype=np.int64)
    for closed in (outcomes.won_at[created], outcomes.lost_at[created]):
        end = np.where(closed == NEVER, end, np.minimum(end, closed))
    first = -((_GRID_ANCHOR - data.leads.created[created]) // every)
    last = (end - _GRID_ANCHOR) // every
    n = np.maximum(last - first + 1, 0)
    lead = np.repeat(created, n)
    within = np.arange(int(n.sum())) - np.repeat(np.cumsum(n) - n, n)
    return lead, _GRID_ANCHOR + (np.repeat(first, n) + within) * every


def _sample(
    data: Data, lead: NDArray[np.int64], at: Instants, at_most: int | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return positions of at most so many cutoffs per lead, and their weights; the rest of the data plays no part."""
    if at_most is None or len(lead) == 0:
        return np.arange(len(lead)), np.ones(len(lead))
    ticket = _mixed(_id_hashes(data, lead), at, seed)
    order = np.lexsort((at, ticket, lead))
    n_open = np.bincount(lead, minlength=len(data.leads.ids))
    starts = np.cumsum(n_open) - n_open
    place = np.arange(len(lead)) - starts[lead[order]]
    kept = order[place < at_most]
    n_of = n_open[lead[kept]]
    return kept, n_of / np.minimum(n_of, at_most)


def _id_hashes(data: Data, lead: NDArray[np.int64]) -> NDArray[np.uint64]:
    hashes: NDArray[np.uint64] = pd.util.hash_array(data.leads.ids, categorize=False)
    return hashes[lead]


def _mixed(hashes: NDArray[np.uint64], at: Instants, seed: int) -> NDArray[np.uint64]:
    """SplitMix64 of id, cutoff and seed: the same ticket on every machine, whatever else is in the data."""
    with np.errstate(over="ignore"):
        mixed = hashes ^ (at.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(seed)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _n_wins(snapshots: Snapshots, rows: NDArray[np.int64]) -> int:
    """Distinct won leads among the snapshots."""
    return len(np.unique(snapshots.lead[rows][snapshots.label[rows] == 1]))


def _cut(snapshots: Snapshots, embargo: int, *, n_wins: int) -> dict[str, NDArray[np.int64]] | None:
    """Blocks from the latest backwards, each widened until it holds enough wins; None where that can't be done."""
    rest = np.arange(len(snapshots))
    rows: dict[str, NDArray[np.int64]] = {}
    for block, share in (("test", TEST_SHARE), ("calibrate", CALIBRATE_SHARE), ("tune", TUNE_SHARE)):
        start = _start(snapshots, rest, share, n_wins)
        if start is None:
            return None
        rows[block], rest = rest[start:], rest[:start]
        if block == "test":
            began = snapshots.at[rows["test"][0]]
            rest = rest[snapshots.at[rest] <= began - embargo]
    rows["train"] = rest
    reach = _reaching_later(snapshots, rows)
    rows = {block: rows[block][~reach[rows[block]]] for block in BLOCKS}
    enough = all(_n_wins(snapshots, rows[block]) >= FEWEST_WINS for block in BLOCKS)
    return rows if enough else None


def _start(snapshots: Snapshots, rest: NDArray[np.int64], share: float, n_wins: int) -> int | None:
    """Where the last block of the rest begins: at a change of cutoff, with its share and its wins or more."""
    if len(rest) == 0:
        return None
    start = int(len(rest) * (1 - share))
    at = snapshots.at[rest]
    while True:
        start = int(np.searchsorted(at, at[start], side="left"))
        if start == 0:
            return None
        if _n_wins(snapshots, rest[start:]) >= n_wins:
            return start
        start -= max(1, len(rest) // 100)
        if start < 0:
            return None


def _reaching_later(snapshots: Snapshots, rows: Mapping[str, NDArray[np.int64]]) -> Mask:
    """Which snapshots have a label window that reaches a later block that holds the same lead."""
    reach = np.zeros(len(snapshots), dtype=bool)
    horizon = _horizon(snapshots.data)
    for position, block in enumerate(BLOCKS[:-1]):
        members = rows[block]
        for later in BLOCKS[position + 1 :]:
            if len(rows[later]) == 0:
                continue
            start = snapshots.at[rows[later]].min()
            shared = np.isin(snapshots.lead[members], snapshots.lead[rows[later]])
            reach[members] |= shared & (snapshots.at[members] > start - horizon)
    return reach


def _finish(
    snapshots: Snapshots, rows: dict[str, NDArray[np.int64]], embargo: int, *, complete: bool, warnings: tuple[str, ...]
) -> Blocks:
    starts = {block: int(snapshots.at[rows[block]].min()) for block in BLOCKS if len(rows[block])}
    n_dropped = len(snapshots) - sum(len(members) for members in rows.values())
    ordered = {block: rows[block] for block in BLOCKS}
    return Blocks(ordered, starts, embargo, n_dropped, complete, warnings)


def _shrunk_embargo(embargo: int, horizon: int) -> str:
    kept, due = embargo / time.DAY, horizon / time.DAY
    return (
        f"The embargo before the test is {kept:.3g} days instead of the horizon's {due:.3g}, so that each block holds "
        f"{FEWEST_WINS} won leads. Labels that end in the gap were not settled when the test began: expect the test to "
        "flatter the model a little"
    )


def _split_labelled(snapshots: Snapshots, seed: int) -> Blocks:
    """Blocks of a labelled list, in the order its snapshots have."""
    n_rows = len(snapshots)
    before = 1 - TEST_SHARE
    cuts = np.array([before * (1 - TUNE_SHARE - CALIBRATE_SHARE), before * (1 - CALIBRATE_SHARE), before]) * n_rows
    rows = dict(zip(BLOCKS, np.split(np.arange(n_rows), cuts.astype(np.int64)), strict=True))
    untimed = "This list has no times: whether a column was known before the outcome can't be checked, nor can drift"
    wins = {block: int(snapshots.label[rows[block]].sum()) for block in BLOCKS}
    few = [f"{block} has {n_wins} wins" for block, n_wins in wins.items() if n_wins < FEWEST_WINS]
    warnings = (untimed, *([f"Too few wins ({', '.join(few)}): each block needs {FEWEST_WINS}"] if few else []))
    return Blocks(rows, {}, None, 0, not few, warnings)
