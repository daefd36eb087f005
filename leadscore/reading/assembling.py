"""Typed rows → leads with their versions, events grouped by lead, first wins and losses.

Of a whole base, or of some of its leads with all their rows: what is made of a lead doesn't depend on the others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadscore import columns
from leadscore.errors import DataError
from leadscore.eventlog import EventLog
from leadscore.hashing import hashed, may_repeat
from leadscore.project import EventsSpec, LeadsSpec, Project
from leadscore.reading.counting import Counted
from leadscore.reading.typed import TypedRows
from leadscore.sources import Rows
from leadscore.tables import Leads, Outcomes
from leadscore.time import NEVER, Instants, Mask


def assemble_leads(typed: TypedRows, spec: LeadsSpec, rows: Rows) -> Leads:
    """Sort versions by lead and `known`; `rows` says where they stand.

    Raises
    ------
    DataError
        If an id is repeated where there are no versions.
    """
    lead, ids = columns.ranked(typed.texts["lead"])
    n_versions = np.bincount(lead, minlength=len(ids))
    if spec.known is None and (n_versions > 1).any():
        where = typed.row[np.flatnonzero(lead == int(np.argmax(n_versions > 1)))[:3]]
        raise DataError(
            f"{rows.name}: column '{spec.id}' repeats an id ({int((n_versions > 1).sum())} ids; first at "
            f"{', '.join(rows.place(int(row)) for row in where)}). "
            f"Remove the repeats, or say which column tells versions of a lead apart: [leads] known"
        )
    nothing = np.full(len(lead), NEVER, dtype=np.int64)
    known, created = (typed.instants.get(name, nothing) for name in ("known", "created"))
    belonging = [codes for codes, _ in typed.roles.values()]
    content = [*belonging, *typed.values[::-1], *typed.codes[::-1], created, known]
    order = np.lexsort([*content, lead]) if spec.known is not None else np.argsort(lead, kind="stable")
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum(n_versions, out=offsets[1:])
    return Leads(
        ids=ids,
        created=_first_filled(created[order], offsets),
        row=np.minimum.reduceat(typed.row[order], offsets[:-1]) if len(ids) else np.empty(0, dtype=np.int64),
        offsets=offsets,
        known=known[order],
        codes=np.ascontiguousarray(typed.codes[:, order]),
        values=np.ascontiguousarray(typed.values[:, order]),
        vocabularies=typed.vocabularies,
        roles={role: (codes[order], vocabulary) for role, (codes, vocabulary) in typed.roles.items()},
    )


def assemble_events(typed: TypedRows, spec: EventsSpec, leads: Leads, counted: Counted, *, quiet: bool) -> EventLog:
    """Group events by lead. Those of no lead, and deliveries of an id after the first known, are left out and counted.

    `quiet` is said of a list of leads: that there are events of others is no surprise.
    """
    lead = leads.positions(typed.texts["lead"])
    keep = lead >= 0
    if not quiet:
        counted.count("unknown_lead", spec.lead, int((~keep).sum()))
    if "id" in typed.texts:
        again = redelivered(typed, keep, lead)
        counted.count("redelivered", spec.id, int(again.sum()))
        keep &= ~again
    if not keep.all():
        typed, lead = typed.kept(keep), lead[keep]
    at = typed.instants["time"]
    known = typed.instants.get("known", at)
    return EventLog.group(lead, at, known, typed.codes, typed.values, typed.vocabularies, n_leads=len(leads.ids))


def redelivered(typed: TypedRows, keep: Mask, lead: NDArray[np.int64]) -> Mask:
    """Of rows that share an id all but the one known first (then the first by content); rows without id none."""
    again = np.zeros(len(keep), dtype=bool)
    rows = np.flatnonzero(keep & typed.texts["id"].is_valid().to_numpy(zero_copy_only=False))
    rows = rows[may_repeat(hashed(typed.texts["id"])[rows])]
    if not len(rows):
        return again
    ids = np.full(len(keep), -1, dtype=np.int64)
    ids[rows] = columns.ranked(typed.texts["id"].take(pa.array(rows)))[0]
    happened = typed.instants["time"]
    known = typed.instants.get("known", happened)
    content = [lead[rows], *typed.values[::-1, rows], *typed.codes[::-1, rows], happened[rows], known[rows], ids[rows]]
    order = rows[np.lexsort(content)]
    again[order[1:][ids[order][1:] == ids[order][:-1]]] = True
    return again


def assemble_outcomes(typed: TypedRows, project: Project, leads: Leads, counted: Counted, *, quiet: bool) -> Outcomes:
    """First win and first loss per lead; of a labelled list its labels. `quiet` is as in `assemble_events`.

    A win before the lead was created is left out and counted.
    """
    spec = project.outcome
    lead = leads.positions(typed.texts["lead"])
    won, lost = typed.flags["won"], typed.flags["lost"]
    if not project.timed:
        return _labels(leads, lead, won, typed.flags["open"])
    at = typed.instants["time"]
    known = typed.instants.get("known", at)
    keep = lead >= 0
    if not quiet:
        counted.count("unknown_lead", spec.lead, int((~keep).sum()))
    created = np.where(keep, leads.created[lead], NEVER) if len(leads.ids) else np.full(len(lead), NEVER)
    early = keep & won & (created != NEVER) & (at < created)
    counted.count("won_before_created", spec.time, int(early.sum()))
    wins, losses = keep & won & ~early, keep & lost
    won_at, won_known = _first(leads, lead, at, known, wins)
    lost_at, lost_known = _first(leads, lead, at, known, losses)
    seen = np.maximum(at, known)
    won_seen, _ = _first(leads, lead, seen, known, wins)
    lost_seen, _ = _first(leads, lead, seen, known, losses)
    return Outcomes(won_at, won_known, lost_at, lost_known, won_seen, lost_seen)


def _first_filled(created: Instants, offsets: NDArray[np.int64]) -> Instants:
    """Return the first creation time that any version of a lead states."""
    lead = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    first = np.full(len(offsets) - 1, NEVER, dtype=np.int64)
    filled = np.flatnonzero(created != NEVER)[::-1]
    first[lead[filled]] = created[filled]
    return first


def _first(
    leads: Leads, lead: NDArray[np.int64], at: Instants, known: Instants, rows: Mask
) -> tuple[Instants, Instants]:
    """Return the earliest `at` per lead among the rows, and the earliest `known` of those that tie."""
    chosen = np.flatnonzero(rows)
    order = chosen[np.lexsort((known[chosen], at[chosen]))][::-1]
    first_at = np.full(len(leads.ids), NEVER, dtype=np.int64)
    first_known = first_at.copy()
    first_at[lead[order]] = at[order]
    first_known[lead[order]] = known[order]
    return first_at, first_known


def _labels(leads: Leads, lead: NDArray[np.int64], won: Mask, open_: Mask) -> Outcomes:
    """Labels of a list without times: a win anywhere is a 1, an empty status is open."""
    outcomes = Outcomes.none(len(leads.ids), timed=False)
    label = np.full(len(leads.ids), -1, dtype=np.int8)
    known_lead = lead >= 0
    label[lead[known_lead & ~open_]] = 0
    label[lead[known_lead & won]] = 1
    return replace(outcomes, label=label)
