"""Categories that training never saw, and kept ones that have gone: often one that is written otherwise now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import leadscore as ls
from leadscore import time
from leadscore.features import lead_kernels
from leadscore.features.learning import Learnt, key_of
from training.monitoring.compared import Compared

MOST_NAMED = 5
GONE_SHARE, FEWEST_EXPECTED = 0.01, 10.0


@dataclass(frozen=True)
class Unseen:
    """One categorical column that the model uses, among rows with a value.

    Attributes
    ----------
    share_then, share_now : of rows whose category training never saw, in the model's own time and now; None where
        there are no rows
    n_now : rows now (of leads: snapshots)
    new : the commonest categories that training never saw, with their share now
    gone : categories that were at least 1 % then, ten or more would be expected now, and none is there; with their
        share then
    """

    table: str
    column: str
    share_then: float | None
    share_now: float | None
    n_now: int
    new: tuple[tuple[str, float], ...]
    gone: tuple[tuple[str, float], ...]

    @property
    def more(self) -> float:
        """How much more of the rows is unseen now than then."""
        return (self.share_now or 0.0) - (self.share_then or 0.0)


def look(scorer: ls.LeadScorer, compared: Compared) -> tuple[Unseen, ...]:
    """Look at every categorical column of the model's plan: profiles and events as cutoffs see them.

    Returns
    -------
    Columns with a new or a vanished category, those with most that is new first.
    """
    found = []
    data = compared.data
    past = data if compared.then is None else compared.then.data
    for position, column in enumerate(data.project.leads.categorical):
        learnt = scorer.plan.learnt.get(key_of("lead", column))
        if learnt is not None:
            then = {} if compared.then is None else _profiles(past, compared.then, position)
            found.append(_unseen("leads", column, learnt, then, _profiles(data, compared.now, position)))
    for spec in data.project.events:
        for position, column in enumerate(spec.categorical):
            learnt = scorer.plan.learnt.get(key_of(spec.name, column))
            if learnt is not None:
                then = {} if compared.then is None else _events(past, compared.then, spec.name, position)
                now = _events(data, compared.now, spec.name, position)
                found.append(_unseen(spec.name, column, learnt, then, now))
    told = [column for column in found if column.new or column.gone]
    return tuple(sorted(told, key=lambda column: (-column.more, column.table, column.column)))


Tally = dict[str, float]


def _profiles(data: ls.Data, rows: ls.Snapshots, position: int) -> Tally:
    """Weight by category, as each lead stood at its cutoff; nulls play no part."""
    leads = data.leads
    version = np.empty(len(rows), dtype=np.int64)
    lead_kernels.version_at(rows.lead, rows.at, leads.offsets, leads.known, version)
    known = version >= 0
    codes = np.where(known, leads.codes[position, version], -1)
    return _tally(codes, rows.weight, leads.vocabularies[position])


def _events(data: ls.Data, rows: ls.Snapshots, table: str, position: int) -> Tally:
    """Rows by category, of events since the first cutoff that a cutoff of their lead sees: not those of a closing."""
    log = data.logs[table]
    last = np.full(len(data.leads.ids), time.NEVER, dtype=np.int64)
    np.maximum.at(last, rows.lead, rows.at)
    seen = time.visible(log.time, log.known, last[log.lead_of_rows()])
    inside = seen & (log.time >= rows.at.min(initial=time.FOREVER))
    return _tally(log.codes[position, inside], np.ones(int(inside.sum())), log.vocabularies[position])


def _tally(codes: NDArray[np.int32], weight: NDArray[np.float64], vocabulary: tuple[str, ...]) -> Tally:
    counts = np.bincount(codes + 1, weight, minlength=len(vocabulary) + 1)[1:]
    return {word: float(count) for word, count in zip(vocabulary, counts, strict=True) if count > 0}


def _unseen(table: str, column: str, learnt: Learnt, then: Tally, now: Tally) -> Unseen:
    seen = frozenset(learnt.seen)
    n_then, n_now = sum(then.values()), sum(now.values())
    new = {word: count / n_now for word, count in now.items() if word not in seen}
    gone = {
        word: count / n_then
        for word, count in then.items()
        if word in seen and word not in now and count >= GONE_SHARE * n_then
        and count / n_then * n_now >= FEWEST_EXPECTED
    }  # fmt: skip
    return Unseen(
        table=table,
        column=column,
        share_then=sum(count for word, count in then.items() if word not in seen) / n_then if n_then else None,
        share_now=sum(new.values()) if n_now else None,
        n_now=round(n_now),
        new=_commonest(new),
        gone=_commonest(gone),
    )


def _commonest(shares: Tally) -> tuple[tuple[str, float], ...]:
    ranked = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_NAMED]
    return tuple((word if len(word) <= 40 else word[:40] + "…", share) for word, share in ranked)
