"""A line above the pages when events have stopped: what measured the rooms says how they used to follow each other."""

from __future__ import annotations

import json
from pathlib import Path

from leadscore import time
from leadscore.batch import whole_or_nothing
from leadscore.phrases.catalogue import catalogue
from leadscore.silence import Pulse, day_of
from service.store import Store

FILE = "pulse.json"
"""Stands beside the rooms: how events followed each other, as of a row of the journal."""


def write(folder: Path, pulse: Pulse, *, until: int) -> None:
    """Write how the events that are known at a row of the journal follow each other."""
    with whole_or_nothing(folder / FILE) as beside:
        beside.write_text(json.dumps({"last": pulse.last, "pause": pulse.pause, "until": until}), encoding="utf-8")


def told(store: Store, folder: Path | None, *, now: int) -> str | None:
    """Return what there is to say of a silence at `now` (UTC microseconds); None where there is none.

    There is none either before the first measuring, and from the arrival of a later event on.
    """
    if folder is None or not (folder / FILE).exists():
        return None
    found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    silence = Pulse(found["last"], found["pause"]).silence(now)
    if silence is None:
        return None
    project = store.journal.project
    kinds = [spec.name for spec in project.events]
    if store.journal.holds(kinds, after=found["until"], until=store.journal.until(), later_than=found["last"]):
        return None
    _, ago = catalogue().duration(silence / time.DAY)
    return (
        f"No events are known from the last {ago}: what stands here is as of {day_of(found['last'], project.timezone)}."
    )
