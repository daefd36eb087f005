"""The rooms of marketing and sales together: measured now and then by a process aside, so that nothing waits for it.

It reads the whole store as of now, writes what stands in each room, and its tables, beside the keeper's counts, and
ends. The command starts it again.
"""

from __future__ import annotations

import json
import os
import time as clock
from pathlib import Path

import numpy as np

from leadscore import LeadScorer, alignment, time
from leadscore.alignment import Cohort, Verdicts, agreement_page, channel_page, pages
from leadscore.batch import whole_or_nothing
from leadscore.evaluate.page import Page, render_body
from leadscore.reports import write_csv
from leadscore.tables import Data
from service.beside import begin
from service.following import Pointer
from service.orphans import end_with_parent
from service.pages import silence
from service.pages.rendering import lead_address
from service.security import fault_of
from service.store import Store
from service.store.arrivals import VERDICT, WITHDRAW
from service.store.tables import whole

DAYS = 365
"""Leads that were created in so many days before are looked at."""
NICENESS = 15


def measure(store: Store, scorer: LeadScorer, folder: Path, *, now: int) -> None:
    """Write every room and its tables into a folder, each file whole or not at all; `now` in UTC microseconds."""
    folder.mkdir(parents=True, exist_ok=True)
    until = store.journal.until()
    data = whole(store.journal, project=store.journal.project, until=until)
    cohort = Cohort.of(data, as_of=now, since=now - DAYS * time.DAY)
    silence.write(folder, cohort.pulse, until=until)
    handed = alignment.handovers(data, scorer, until=now)
    found = [
        alignment.channels(data, scorer, by=by, as_of=now, since=cohort.since) for by in alignment.dimensions(data)
    ]
    if found:
        _write(folder, "channels", channel_page.channels_page(cohort, found), found)
    funnel = alignment.funnel(cohort, handed)
    _write(folder, "funnel", pages.funnel_page(cohort, funnel), funnel)
    if data.project.sla.qualified is not None:
        agreed = alignment.agreement(cohort, handed, _verdicts(store, data))
        _write(folder, "agreement", agreement_page.agreement_page(cohort, agreed), agreed)


def _write(folder: Path, name: str, page: Page, found: pages.Found) -> None:
    for title, table in pages.tables_of(found).items():
        write_csv(folder / f"{title}.csv", table)
    with whole_or_nothing(folder / f"{name}.html") as beside:
        beside.write_text(render_body(page, lead_address), encoding="utf-8")


def _verdicts(store: Store, data: Data) -> Verdicts:
    """Read what sellers said and didn't take back, of leads that have a profile."""
    standing: dict[str, list[tuple[int, bool]]] = {}
    for _, (ids, _, arrived, said) in store.journal.columns([VERDICT], store.journal.until()):
        for lead_id, at, one in zip(ids, arrived, said, strict=True):
            verdict = json.loads(one)["verdict"]
            if verdict == WITHDRAW:
                standing.pop(lead_id, None)
            else:
                standing.setdefault(lead_id, []).append((at, verdict == "accept"))
    found = [(lead_id, at, accepted) for lead_id, told in standing.items() for at, accepted in told]
    found.sort(key=lambda one: one[1])  # a withdrawal moved its lead behind others
    lead = data.leads.find([lead_id for lead_id, _, _ in found])
    there = lead >= 0
    at, accepted = (
        np.array([one[place] for one in found], dtype=kind)[there] for place, kind in ((1, np.int64), (2, bool))
    )
    return Verdicts(lead[there], at, accepted)


def main() -> None:
    """Measure the store that the environment names, once."""
    observer, memory = begin(os.environ, niceness=NICENESS)
    end_with_parent(os.environ, lambda: os._exit(0))
    start = clock.monotonic()
    try:
        pointed = Path(os.environ["LEADSCORE_POINTER"])
        pointer = Pointer.read(pointed) if pointed.exists() else Pointer.of(os.environ)
        store = memory.open()
        scorer = LeadScorer.load(pointer.folder, version=pointer.version)
        measure(store, scorer, memory.rooms, now=clock.time_ns() // 1_000)
    except Exception as error:
        observer.log("measured", {"fault": fault_of(error)})
        raise SystemExit(1) from None
    observer.log("measured", {"seconds": round(clock.monotonic() - start, 2)})


if __name__ == "__main__":
    main()
