"""The keeper: one process beside the workers that keeps scores fresh.

It counts what leads have in common, scores leads at once when something of theirs arrives, and all open leads at a
stated cadence: scores age by themselves. Of several keepers on one store one scores, the others wait for its lease.
"""

from __future__ import annotations

import os
import socket
import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs
from service import counting
from service.beside import begin, told_to_stop
from service.following import Follower
from service.observing import Observer
from service.security import fault_of
from service.serving import InUse, ModelInUse
from service.store import Store
from service.store.arrivals import LEADS, OUTCOME
from service.store.journal import not_before
from service.store.scores import RESCORED
from service.store.shared import Lease
from service.store.tables import whole
from service.stored import StoredLeads

LEASE = "rescoring"
TOUCHED = "touched"
"""The mark up to which rows have been scored."""
SLICE = 5_000
"""Leads scored and written at once."""
AT_MOST = 2_000
"""Rows after which touched leads are scored, however many more there are."""
IDLE_SECONDS = 0.2
AFTER_FAULT_SECONDS = 2.0
NICENESS = 10
"""Requests come first where processors are few."""
SHARE = 0.05
"""Of the time that counting may take; to count a large base it waits the longer."""


@dataclass
class Keeper:
    """Keeps one store's scores fresh; `step` is called again and again.

    Parameters
    ----------
    counts : the file that hands counts to the workers; one that is there already is taken
    holder : names this keeper among others
    every : microseconds between two rounds over all open leads
    """

    store: Store
    model: ModelInUse
    observer: Observer
    counts: Path
    holder: str
    every: int
    now: Callable[[], int]
    _leads: StoredLeads = field(init=False)
    _version: str | None = field(default=None, init=False)
    _counted_for: str | None = field(default=None, init=False)
    _looked_until: int = field(default=0, init=False)
    _count_again: float = field(default=0.0, init=False)
    _lease: Lease = field(init=False)

    def __post_init__(self) -> None:
        self._lease = Lease(self.store.shared, LEASE, self.holder, self.now)
        self._leads = StoredLeads(self.store, counting.read(self.counts) if self.counts.exists() else None)

    def step(self) -> bool:
        """Do what is due; returns whether anything was."""
        counted = self.count()
        if not (self.model.ready and self._lease.hold()):
            return counted
        return self.rescore_all() or self.rescore_touched() or counted

    def count(self) -> bool:
        """Count the base again if leads or outcomes have changed, or the model; hand the counts to the workers."""
        counted, start = self._leads.counted, clock.monotonic()
        version, project = None, self.store.journal.project
        if self.model.ready:
            version, project = self.model.current.version, self.model.current.scorer.project
        fits = counted is not None and counted.holds(project) and self._counted_for in (None, version)
        self._counted_for = version
        if fits and (start < self._count_again or not self._has_changed()):
            return False
        self._leads.counted = counted = counting.count(self.store, project)
        counting.write(counted, self.counts)
        self._looked_until = counted.until
        self._count_again = clock.monotonic() + (clock.monotonic() - start) / SHARE
        return True

    def rescore_touched(self) -> bool:
        """Score the leads of rows that arrived since the last time, and those that share an account with them."""
        current = self.model.current
        done = self.store.shared.mark(TOUCHED)
        lead_ids, until, known = self.store.journal.touched(done, at_most=AT_MOST)
        if until == done:
            return False
        if current.scorer.plan.reads_accounts:
            lead_ids = self.store.journal.mates(lead_ids)
        for start in range(0, len(lead_ids), SLICE):
            at = not_before(known, self.now())  # who wrote the rows may have another clock
            said, closed = self._leads.rescore(current.scorer, lead_ids[start : start + SLICE], at=at)
            self.store.scores.keep(said, closed, cause="event")
        self.store.shared.set_mark(TOUCHED, until)
        return True

    def rescore_all(self) -> bool:
        """Score every open lead, if that is due: time has passed, or another model is in use."""
        current, shared = self.model.current, self.store.shared
        if self._version is None and shared.mark(RESCORED) and self.store.scores.versions() <= {current.version}:
            self._version = current.version  # another keeper, or this one before it was started again
        cause = "time" if self._version in (None, current.version) else "model"
        if self._version == current.version and self.now() - shared.mark(RESCORED) < self.every:
            return False
        start = clock.monotonic()
        n_leads = self._round(current, cause)
        self._version = current.version
        seconds = round(clock.monotonic() - start, 2)
        self.observer.rescored(current.version, n_leads, seconds, self.store.scores.distribution())
        self.observer.log("rescored", {"leads": n_leads, "cause": cause, "seconds": seconds})
        return True

    def _round(self, current: InUse, cause: str) -> int:
        """Score all open leads in slices; those of which something arrives meanwhile are scored between them."""
        scorer, journal, shared = current.scorer, self.store.journal, self.store.shared
        until, at = journal.until(), self.now()
        shared.set_mark(RESCORED, 0)  # whoever takes over from one that stopped halfway begins anew
        shared.set_mark(TOUCHED, until)
        data = whole(journal, project=scorer.project, until=until)
        asked = open_leads(data, at)
        for start in range(0, len(asked), SLICE):
            # What arrived since is scored between the slices, and may have closed a lead.
            fresh = ~np.isin(asked.lead[start : start + SLICE], data.leads.find(journal.arrived_for(until)))
            part = Cutoffs(asked.lead[start : start + SLICE][fresh], asked.at[start : start + SLICE][fresh])
            self.store.scores.keep(self._leads.said(scorer, data, part), (), cause=cause)
            self.rescore_touched()
            self._lease.hold()
        is_open = np.zeros(len(data.leads.ids), dtype=bool)
        is_open[asked.lead] = True
        gone = self.store.scores.listed().intersection(data.leads.ids[~is_open].tolist())
        self.store.scores.keep((), sorted(gone), cause=cause)
        shared.set_mark(RESCORED, at)
        return len(asked)

    def _has_changed(self) -> bool:
        after, until = self._looked_until, self.store.journal.until()
        self._looked_until = until
        return self.store.journal.holds((LEADS, OUTCOME), after=after, until=until)

    def release(self) -> None:
        """Let another keeper take over at once."""
        self._lease.release()


def main() -> None:
    """Keep the store that the environment names, until asked to stop; a fault is logged and tried again."""
    observer, memory = begin(os.environ, niceness=NICENESS)
    stop = told_to_stop(os.environ)
    model = ModelInUse(observer)
    Follower.begin(model, observer, os.environ).start()
    keeper = Keeper(
        store=memory.open(tells=True),
        model=model,
        observer=observer,
        counts=memory.counts,
        holder=f"{socket.gethostname()}/{os.getpid()}",
        every=memory.rescore_seconds * 1_000_000,
        now=lambda: clock.time_ns() // 1_000,
    )
    while not stop.is_set():
        try:
            busy = keeper.step()
        except Exception as error:
            observer.log("keeper", {"fault": fault_of(error)})
            busy = False
            stop.wait(AFTER_FAULT_SECONDS)
        if not busy:
            stop.wait(IDLE_SECONDS)
    keeper.release()


if __name__ == "__main__":
    main()
