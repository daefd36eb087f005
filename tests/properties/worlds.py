"""Other histories of the same leads: without the future, with another future, with another past, as it arrived."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Iterator

from tests.parity.rows import Row
from tests.parity.streams import DAY, Stream


def unseen(row: Row, t: int) -> bool:
    """Whether a row, event or outcome or version of a profile, isn't visible at t."""
    if "status" in row:
        return None in (row["closed_at"], row["recorded_at"]) or max(row["closed_at"], row["recorded_at"]) >= t
    if "occurred_at" in row:
        return max(row["occurred_at"], row.get("ingested_at", row["occurred_at"])) >= t
    return row.get("updated_at", t - 1) >= t


def arrived_at(row: Row, stream: Stream) -> int | None:
    """When a row reached the system: None for never, the beginning where nothing says."""
    if "status" in row:
        return row["recorded_at"]
    if "occurred_at" in row:
        return row.get("ingested_at", row["occurred_at"])
    return row["updated_at"] if stream.versions else -(10**17)


def claims_its_id(row: Row, t: int) -> bool:
    """Whether a delivery stays the row of its id, although it is of something still to come: it was known before t."""
    return row.get("event_id") is not None and row["ingested_at"] < t


def without_the_future(stream: Stream, t: int) -> Stream:
    """Nothing but what is visible at t; leads of which no version is, are gone."""
    events = {
        table: [row for row in rows if not unseen(row, t) or claims_its_id(row, t)]
        for table, rows in stream.events.items()
    }
    leads = [row for row in stream.leads if not unseen(row, t)]
    return dataclasses.replace(
        stream, leads=leads, events=events, outcomes=[row for row in stream.outcomes if not unseen(row, t)]
    )


def known_leads(stream: Stream, t: int) -> list[str]:
    return sorted({row["lead_id"] for row in stream.leads if not unseen(row, t)})


def with_another_future(stream: Stream, t: int, seed: int) -> Stream:
    """The same world, but all that isn't visible at t went otherwise.

    A delivery known before t stays the row of its id, even if it is of something still to come; and a creation time
    is the lead's own, whichever version states it.
    """
    rng = random.Random(seed)
    changed = copy.deepcopy(stream)
    for table, rows in changed.events.items():
        kept = []
        for row in rows:
            if not unseen(row, t) or claims_its_id(row, t):
                kept.append(row)
            elif rng.random() < 0.6:
                kept.append(_event_to_come(rng, row, t))
        kept += [_another_event(rng, rng.choice(rows), t) for _ in range(5)]
        rng.shuffle(kept)
        changed.events[table] = kept
    changed.outcomes = [row for row in changed.outcomes if not unseen(row, t) or rng.random() < 0.6]
    changed.outcomes += [_outcome_to_come(rng, rng.choice(stream.leads), t) for _ in range(20)]
    for row in changed.leads:
        if stream.versions and unseen(row, t):
            row |= _another_profile(rng) | {"updated_at": t + rng.choice((0, 1, DAY))}
    changed.leads += [_lead_to_come(rng, rng.choice(stream.leads), number, t) for number in range(2)]
    return changed


def _event_to_come(rng: random.Random, row: Row, t: int) -> Row:
    """An event not visible at t, changed in everything but in that."""
    changed = row | _another_content(rng, row)
    later = t + rng.choice((0, 1, DAY))
    if "ingested_at" not in row:
        return changed | {"occurred_at": later}
    if rng.random() < 0.5:
        return changed | {"ingested_at": later}  # late: it happened before t, and nobody knew
    return changed | {"occurred_at": later, "ingested_at": max(row["ingested_at"], t)}


def _another_event(rng: random.Random, row: Row, t: int) -> Row:
    again = _event_to_come(rng, row, t)
    if "event_id" in again:
        again |= {"event_id": rng.choice((None, "new", again["event_id"])), "ingested_at": t + rng.choice((0, 5))}
    return again


def _another_content(rng: random.Random, row: Row) -> Row:
    others = {
        **{"channel": ("fax", "email", None), "campaign": ("c99",), "cost": (-1e6,), "clicks": (9, None)},
        **{"kind": ("fax", "call", None), "direction": ("inbound", "outbound", None), "minutes": (-1e6,)},
    }
    return {column: rng.choice(values) for column, values in others.items() if column in row}


def _outcome_to_come(rng: random.Random, lead: Row, t: int) -> Row:
    """It happened long ago and is recorded only now, or it is already known of and has yet to happen."""
    now, before = t + rng.choice((0, 1, DAY)), t - rng.choice((1, DAY, 300 * DAY))
    closed, recorded = rng.choice(((now, now), (before, now), (now, before)))
    status = rng.choice(("won", "lost"))
    return {"lead_id": lead["lead_id"], "status": status, "closed_at": closed, "recorded_at": recorded}


def _another_profile(rng: random.Random) -> Row:
    belonging = {"account": rng.choice(("north", "south", None)), "rep": rng.choice(("ann", "bob", "eve"))}
    return belonging | {"source": rng.choice(("unheard of", "ads")), "employees": 77}


def _lead_to_come(rng: random.Random, row: Row, number: int, t: int) -> Row:
    """A lead that is created after t, in the midst of the others."""
    new = row | _another_profile(rng) | {"lead_id": f"L{number}5", "created_at": t + rng.choice((0, 1, DAY))}
    return new | ({"updated_at": t} if "updated_at" in row else {})


def with_another_past(stream: Stream, t: int, seed: int) -> Stream:
    """The same world, but much of what is visible at t was otherwise: its features should say so."""
    rng = random.Random(seed)
    changed = copy.deepcopy(stream)
    for rows in changed.events.values():
        for row in rows:
            if not unseen(row, t) and rng.random() < 0.7:
                row |= _another_content(rng, row)
                row["occurred_at"] -= rng.choice((0, 3 * DAY))
    for row in changed.leads:
        if not unseen(row, t):
            row |= _another_profile(rng) | {"industry": None}
            row["created_at"] = None if row["created_at"] is None else row["created_at"] - 3 * DAY
    for row in changed.outcomes:
        if not unseen(row, t):
            row["status"] = {"won": "lost", "lost": "won", "disqualified": None}.get(row["status"], "won")
    return changed


def with_redeliveries(stream: Stream, seed: int) -> Stream:
    """Half of all deliveries come again, later and changed."""
    rng = random.Random(seed)
    again = [
        row | _another_content(rng, row) | {"ingested_at": row["ingested_at"] + rng.choice((0, 1, DAY, 90 * DAY))}
        for row in stream.events["touchpoints"]
        if row["event_id"] is not None and rng.random() < 0.5
    ]
    touchpoints = [*stream.events["touchpoints"], *again]
    rng.shuffle(touchpoints)
    return dataclasses.replace(stream, events=stream.events | {"touchpoints": touchpoints})


def as_it_arrived(stream: Stream, requests: list[int]) -> Iterator[tuple[int, Stream]]:
    """At each request, in time order: all that had reached the system before it, in the order in which it came."""
    whole = {"leads": stream.leads, "outcome": stream.outcomes, **stream.events}
    arrivals = [
        (at, table, row) for table, rows in whole.items() for row in rows if (at := arrived_at(row, stream)) is not None
    ]
    arrivals.sort(key=lambda arrival: arrival[0])
    for t in sorted(requests):
        there: dict[str, list[Row]] = {table: [] for table in whole}
        for at, table, row in arrivals:
            if at < t:
                there[table].append(row)
        leads, outcomes = there.pop("leads"), there.pop("outcome")
        yield t, dataclasses.replace(stream, leads=leads, outcomes=outcomes, events=there)
