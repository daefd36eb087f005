"""The simulated market as its systems would export it: ids, late rows, redeliveries, blanks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadscore.simulate.history import Moments
from leadscore.simulate.market import (
    ACTIONS,
    CAMPAIGNS,
    COUNTRIES,
    DIRECTIONS,
    HELD,
    INDUSTRIES,
    KINDS,
    REACHED,
    RESULTS,
    SECONDS_A_DAY,
    SOURCES,
    STATUSES,
    Floats,
    Ints,
)
from leadscore.simulate.world import Log, World

REDELIVERED = 0.015  # share of touchpoints that arrive a second time
LATE = 0.04  # share of streamed touchpoints that arrive one to five days late
BATCHED = frozenset({"ads", "event", "webinar"})  # channels that arrive with the nightly batch
LOGGED_LATER = 0.12  # share of interactions that a seller writes down half a day to many days later
BOOKED_LATER = 0.15  # share of outcomes that are recorded half a day to many days later


class Export:
    """The tables of one simulated history."""

    def __init__(self, world: World, log: Log, rng: np.random.Generator) -> None:
        self.world, self.people, self.log, self.rng = world, world.people, log, rng
        self.lead_ids = _numbered("L", np.arange(len(world.people.created)), 6)
        self.sellers = tuple(f"rep-{i + 1:02d}" for i in range(len(world.people.skill)))

    def leads(self) -> pa.Table:
        """Lay out leads in order of creation."""
        people = self.people
        return pa.table(
            {
                "lead_id": self.lead_ids,
                "created_at": self._instants(people.created),
                "account_id": _numbered("A", people.company, 6),
                "source": _named(tuple(source.name for source in SOURCES), people.source),
                "rep": _named(self.sellers, people.seller),
                "industry": _named(tuple(INDUSTRIES), people.industry),
                "country": _named(tuple(COUNTRIES), people.country),
                "employees": pa.array(people.employees, mask=people.employees_blank),
            }
        )

    def touchpoints(self) -> pa.Table:
        """Lay out touchpoints in order of arrival, some late, some twice."""
        lead, time, action, campaign = _columns(self.log.touchpoints)
        order = np.lexsort((action, lead, time))
        lead, time, action, campaign = lead[order], time[order], action[order], campaign[order]
        cost = self._costs(action)
        row, arrival = self._redelivered(np.maximum(self._ingested(time, action), self.people.created[lead]))
        return pa.table(
            {
                "event_id": _numbered("T", row, 7),
                "lead_id": self._lead(lead[row]),
                "occurred_at": self._instants(time[row]),
                "ingested_at": self._instants(arrival),
                "channel": _named(tuple(a.channel for a in ACTIONS), action[row]),
                "action": _named(tuple(a.name for a in ACTIONS), action[row]),
                "campaign": _named(tuple(c.name for c in CAMPAIGNS), campaign[row]),
                "cost": _decimals(cost[row], 2),
            }
        )

    def interactions(self) -> pa.Table:
        """Lay out interactions in the order in which sellers wrote them down."""
        lead, time, kind, direction, result = _columns(self.log.interactions)
        order = np.lexsort((result, kind, lead, time))
        known = self._recorded(time[order], 1_200.0, LOGGED_LATER)
        usual = np.where(result == HELD, 35.0, np.where(result == REACHED, 7.0, np.nan))[order]
        minutes = np.ceil(usual * np.exp(0.45 * self.rng.standard_normal(len(order))))
        by_arrival = np.argsort(known, kind="stable")
        row = order[by_arrival]
        return pa.table(
            {
                "event_id": _numbered("I", by_arrival, 7),
                "lead_id": self._lead(lead[row]),
                "occurred_at": self._instants(time[row]),
                "recorded_at": self._instants(known[by_arrival]),
                "kind": _named(KINDS, kind[row]),
                "direction": _named(DIRECTIONS, direction[row]),
                "outcome": _named(RESULTS, result[row]),
                "rep": _named(self.sellers, self.people.seller[lead[row]]),
                "minutes": _decimals(minutes[by_arrival], 0).cast(pa.int64()),
            }
        )

    def outcomes(self) -> pa.Table:
        """Lay out what closed, in order of closing; an open lead has no row."""
        lead, time, status = _columns(self.log.outcomes)
        order = np.lexsort((lead, time))
        return pa.table(
            {
                "lead_id": self._lead(lead[order]),
                "closed_at": self._instants(time[order]),
                "status": _named(STATUSES, status[order]),
                "recorded_at": self._instants(self._recorded(time[order], 900.0, BOOKED_LATER)),
            }
        )

    def truth(self, moments: Moments, probability: Floats) -> pa.Table:
        """Lay out true probabilities by cutoff and lead."""
        lead, day = moments.state.lead, moments.state.day
        order = np.lexsort((lead, day))
        return pa.table(
            {
                "lead_id": self._lead(lead[order]),
                "cutoff": self._instants(day[order] * SECONDS_A_DAY),
                "probability": _decimals(probability[order], 6),
            }
        )

    def _lead(self, row: Ints) -> pa.Array:
        """Name the leads of these rows."""
        return self.lead_ids.take(pa.array(row))

    def _instants(self, seconds: Ints) -> pa.Array:
        """Write seconds since the first midnight as 2025-03-01T09:00:00Z."""
        midnight = np.datetime64(self.world.market.first_day, "s").astype(np.int64)
        return pc.strftime(pa.array(midnight + seconds).cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")

    def _costs(self, action: Ints) -> Floats:
        """Draw what touchpoints cost: an email always the same, the dear ones around their median."""
        median = np.array([np.nan if a.cost is None else a.cost for a in ACTIONS])[action]
        return np.where(median > 1.0, median * np.exp(0.35 * self.rng.standard_normal(len(action))), median)

    def _ingested(self, time: Ints, action: Ints) -> Ints:
        """Draw when touchpoints arrive: within minutes, with the batch after midnight, or days late."""
        n = len(time)
        batch = (time // SECONDS_A_DAY + 1) * SECONDS_A_DAY + self.rng.integers(7_200, 9_000, size=n)
        streamed = time + 1 + (20.0 * self.rng.standard_exponential(n)).astype(np.int64)
        late = time + self.rng.integers(SECONDS_A_DAY, 5 * SECONDS_A_DAY, size=n)
        is_batched = np.array([a.channel in BATCHED for a in ACTIONS])[action]
        return np.where(is_batched, batch, np.where(self.rng.random(n) < LATE, late, streamed))

    def _redelivered(self, known: Ints) -> tuple[Ints, Ints]:
        """Repeat some rows a minute to days later; return rows and arrivals, in order of arrival."""
        again = np.flatnonzero(self.rng.random(len(known)) < REDELIVERED)
        wait = 60 + (SECONDS_A_DAY * self.rng.standard_exponential(len(again))).astype(np.int64)
        row = np.concatenate([np.arange(len(known)), again])
        arrival = np.concatenate([known, known[again] + wait])
        order = np.lexsort((row, arrival))
        return row[order], arrival[order]

    def _recorded(self, time: Ints, mean_seconds: float, share_later: float) -> Ints:
        """Draw when people write things down: soon after, or days later."""
        soon = mean_seconds * self.rng.standard_exponential(len(time))
        later = SECONDS_A_DAY * (0.5 + 1.5 * self.rng.standard_exponential(len(time)))
        return time + np.where(self.rng.random(len(time)) < share_later, later, soon).astype(np.int64)


def _numbered(prefix: str, row: Ints, width: int) -> pa.Array:
    """Name rows from 1, as in L000042."""
    digits = pc.utf8_lpad(pc.cast(pa.array(row + 1), pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _named(names: tuple[str, ...], code: Ints) -> pa.Array:
    """Spell categories out; a negative code is null."""
    return pa.array(names).take(pa.array(code, mask=code < 0))


def _decimals(values: Floats, n_decimals: int) -> pa.Array:
    """Round; NaN becomes null."""
    return pa.array(np.round(values, n_decimals), from_pandas=True)


def _columns(rows: list[tuple[Ints, ...]]) -> list[Ints]:
    """Join a log's tuples of columns."""
    return [np.concatenate(column) for column in zip(*rows, strict=True)]
