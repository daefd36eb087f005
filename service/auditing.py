"""The parity audit: a sample of what was answered, computed again later from the same rows.

What differs on the rows that were there when the answer was given is a fault of ours: `logic`. An answer that would be
another had all rows arrived when they happened has `late` data: whoever computes it from when things happened, as a
warehouse does, gets another number, and nobody is at fault but the delivery.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from leadscore.company import Counts
from leadscore.model.booster import Progress
from leadscore.tables import Cutoffs
from service.following import keep_looking
from service.observing import Observer
from service.security import fault_of
from service.store import Store
from service.store.journal import Stored
from service.store.schema import requests, rows
from service.store.tables import Counted, some, whole

if TYPE_CHECKING:
    from leadscore import LeadScorer
    from leadscore.model.scores import Scores

SHARE = 0.01
MOST_WAITING = 10_000
"""Samples that may wait to be written; more are not taken."""
MOST_KEPT = 100_000
FLUSH_SECONDS = 1.0


@dataclass(frozen=True)
class Answered:
    """One score that was said, and from which rows."""

    version: str
    plan: str
    found: Sequence[Stored]
    counts_until: int
    features: NDArray[np.float32]
    record: Mapping[str, Any]
    scores: Scores


class Sampler:
    """Takes a share of what is answered, and writes it to the store once a second, beside the requests."""

    def __init__(self, store: Store, observer: Observer, share: float) -> None:
        self._store = store
        self._observer = observer
        self._share = share
        self._salt = store.database.salt
        self._waiting: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()
        if share > 0:
            keep_looking(self.flush, FLUSH_SECONDS)

    def wants(self) -> bool:
        """Whether the next answer is one of the sample."""
        return self._share > 0 and random.random() < self._share and len(self._waiting) < MOST_WAITING

    def take(self, answered: Answered) -> None:
        """Keep an answer to be written; the lead's id as a keyed hash."""
        self._waiting.append(
            {
                "lead_key": key_of(self._salt, answered.record["lead_id"]),
                "as_of": int(answered.scores.at[0]),
                "version": answered.version,
                "plan": answered.plan,
                "rows_until": max((row.seq for row in answered.found), default=0),
                "counts_until": answered.counts_until,
                "features": answered.features.astype("<f4").tobytes(),
                "margin": float(answered.scores.margin[0]),
                "probability": answered.record["probability"],
            }
        )

    def flush(self) -> None:
        """Write what is waiting; what can't be written is dropped and told: a sample is no ledger."""
        with self._lock:
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not waiting:
                return
            try:
                with self._store.database.writing() as connection:
                    connection.execute(requests.insert(), waiting)
                    last = connection.scalar(select(requests.c.id).order_by(requests.c.id.desc()).limit(1)) or 0
                    connection.execute(requests.delete().where(requests.c.id <= last - MOST_KEPT))
            except Exception as error:
                self._observer.log("audit", {"fault": fault_of(error), "dropped": len(waiting)})


def key_of(salt: bytes, lead_id: str) -> str:
    """Return the keyed hash that stands for a lead."""
    return hmac.new(salt, lead_id.encode(), hashlib.sha256).hexdigest()


@dataclass
class Audit:
    """What was found: how many answers came out the same, which not, and how often each feature was late.

    `unknown` are answers of models that aren't there any more, `gone` of leads that aren't.
    """

    n: int = 0
    same: int = 0
    late: int = 0
    unknown: int = 0
    gone: int = 0
    logic: list[dict[str, Any]] = field(default_factory=list)
    late_features: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        counts = {"answers": self.n, "same": self.same, "late": self.late, "logic": len(self.logic)}
        told = {"late_features": dict(self.late_features.most_common(20)), "logic_mismatches": self.logic[:100]}
        return {**counts, "unknown_models": self.unknown, "gone_leads": self.gone, **told}


def audit(
    store: Store,
    find: Callable[[str], LeadScorer | None],
    progress: Progress | None = None,
    *,
    at_most: int = MOST_KEPT,
) -> Audit:
    """Compute the latest answers of the sample again.

    Parameters
    ----------
    find : returns the scorer of a version, None if there is none any more
    """
    result, lead_ids = Audit(), _lead_ids(store)
    sample = store.database.ask(select(requests).order_by(requests.c.id.desc()).limit(at_most))
    sample = sorted(sample, key=lambda answer: (answer.counts_until, answer.id))
    scorers: dict[str, LeadScorer | None] = {}
    for until, answers in groupby(sample, key=lambda answer: answer.counts_until):
        counted = Counted(Counts.of(whole(store.journal, until=until, events=False)), until) if until else None
        for answer in answers:
            result.n += 1
            if answer.version not in scorers:
                scorers[answer.version] = find(answer.version)
            _judge(store, answer, scorers[answer.version], lead_ids.get(answer.lead_key), counted, result)
            if progress is not None:
                progress(result.n, len(sample))
    return result


def _judge(
    store: Store, answer: Any, scorer: LeadScorer | None, lead_id: str | None, counted: Counted | None, result: Audit
) -> None:
    if scorer is None or scorer.plan.hash != answer.plan:
        result.unknown += 1
        return
    if lead_id is None:
        result.gone += 1
        return
    said = np.frombuffer(answer.features, dtype="<f4")
    found = store.journal.of_lead(lead_id, with_account=scorer.plan.reads_accounts)
    there = [row for row in found if row.seq <= answer.rows_until]
    again, margin = _compute(scorer, lead_id, there, counted, answer.as_of)
    wrong = list(_differing(scorer, said, again))
    if wrong or margin != answer.margin:
        told = {"id": answer.id, "version": answer.version, "features": wrong[:20]}
        result.logic.append({**told, "margin": answer.margin, "margin_again": margin})
        return
    if len(there) == len(found):
        result.same += 1
        return
    in_time = [row if row.seq <= answer.rows_until else Stored(*row)._replace(known=row.time) for row in found]
    now, _ = _compute(scorer, lead_id, in_time, counted, answer.as_of)
    late = list(_differing(scorer, said, now))
    result.late_features.update(late)
    result.late += bool(late)
    result.same += not late


def _compute(
    scorer: LeadScorer, lead_id: str, found: list[Stored], counted: Counted | None, at: int
) -> tuple[NDArray[np.float32], float | None]:
    data = some(scorer.project, found, counted if scorer.plan.reads_counts else None)
    lead = data.leads.find([lead_id])
    if lead[0] < 0:
        return np.full(len(scorer.plan.features), np.nan, dtype=np.float32), None
    matrix = scorer.plan.transform(data, Cutoffs(lead, np.array([at], dtype=np.int64)))
    return matrix[0], float(scorer.model.margin(matrix)[0])


def _differing(scorer: LeadScorer, one: NDArray[np.float32], other: NDArray[np.float32]) -> Iterator[str]:
    """The names of the features that aren't the same to the last bit."""
    if one.shape != other.shape:
        yield "(another number of features)"
        return
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    for column in np.flatnonzero(~same).tolist():
        yield scorer.plan.names[column]


def _lead_ids(store: Store) -> Mapping[str, str]:
    salt = store.database.salt
    found = store.database.ask(select(rows.c.lead_id).distinct())
    return {key_of(salt, lead_id): lead_id for (lead_id,) in found}
