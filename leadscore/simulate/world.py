"""The state of open leads, how it fades, and the hazards with which they close.

Time runs in whole UTC days. What happens to a lead depends on its profile and on a small state (heat,
fatigue, contact and so on) that fades with time. The daily hazard of a win is a product of fit, engagement,
the seller's response and the season.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from leadscore.simulate.market import ACTIONS, SOURCES, Flags, Floats, Ints, Market
from leadscore.simulate.people import People
from leadscore.simulate.season import Season


@dataclass
class State:
    """All that the future of open leads depends on besides their profile; the last axis is leads."""

    lead: Ints  # row in `People`
    day: Ints  # the day to be lived next
    excitement: Floats  # (n_actions, n): recent touchpoints, faded
    heat: Floats  # engagement
    fatigue: Floats  # outbound touches still felt
    contact: Floats  # what talking to a seller is still worth
    asked: Floats  # the seller's emails that wait for a reply
    unanswered: Floats  # attempts since they last talked
    tried: Flags  # the seller has made a first attempt
    campaign: Ints  # of the last email

    @classmethod
    def new(cls, lead: Ints, day: Ints) -> State:
        """Open leads to which nothing has happened."""
        n = len(lead)
        faded = {name: np.zeros(n) for name in ("heat", "fatigue", "contact", "asked", "unanswered")}
        return cls(
            lead=lead,
            day=day,
            excitement=np.zeros((len(ACTIONS), n)),
            tried=np.zeros(n, dtype=bool),
            campaign=np.zeros(n, dtype=np.int64),
            **faded,
        )

    def take(self, which: Ints | Flags) -> State:
        """Copy these leads."""
        return State(**{f.name: getattr(self, f.name)[..., which] for f in fields(self)})

    @staticmethod
    def join(states: list[State]) -> State:
        """Stand the leads of several states side by side."""
        columns = {f.name: [getattr(state, f.name) for state in states] for f in fields(State)}
        return State(**{name: np.concatenate(arrays, axis=-1) for name, arrays in columns.items()})


@dataclass
class Log:
    """What happened, per table a list of tuples of columns; times are seconds since the first midnight."""

    touchpoints: list[tuple[Ints, ...]] = field(default_factory=list)  # lead, time, action, campaign
    interactions: list[tuple[Ints, ...]] = field(default_factory=list)  # lead, time, kind, direction, result
    outcomes: list[tuple[Ints, ...]] = field(default_factory=list)  # lead, time, status


@dataclass(frozen=True)
class World:
    """One market: its numbers, its calendar, its people."""

    market: Market
    season: Season
    people: People

    def age(self, state: State) -> Ints:
        """Whole days since creation."""
        return state.day - self.people.created_day[state.lead]

    def hazards(self, state: State) -> Floats:
        """Return the hazards of won, lost and disqualified on `state.day`, per day, shape (3, n)."""
        m, lead, age = self.market, state.lead, self.age(state)
        drift = np.array([source.drift for source in SOURCES]) / m.n_days
        quality = self.people.quality[lead] + drift[self.people.source[lead]] * state.day
        warmth = np.log1p(state.heat)
        strain = np.maximum(state.fatigue - m.patience, 0.0)
        working = self.season.selling[state.day]

        response = m.win_by_heat * warmth + m.win_by_contact * np.log1p(state.contact)
        won = m.win_rate * np.exp(quality + response + m.win_by_fatigue * strain)
        won *= self.season.buying[state.day] * 0.5 ** (age / m.win_half_life)
        won *= 1.0 - np.exp(-(age + 0.5) / m.ripening_days)

        neglect = m.lost_by_heat * warmth + m.lost_by_quality * quality + m.lost_by_fatigue * strain
        lost = m.lost_rate * np.exp(neglect) * working * (1.0 - np.exp(-age / 30.0))

        unfit = m.disqualified_rate * np.exp(m.disqualified_by_quality * quality) * working
        unfit *= 0.5 ** (age / m.disqualified_half_life)
        return np.minimum(np.stack([won, lost, unfit]), 0.5)

    def fade(self, state: State) -> None:
        """Let a night pass."""
        m = self.market
        state.day = state.day + 1
        state.excitement *= 0.5 ** (1.0 / m.excitement_half_life)
        state.heat *= 0.5 ** (1.0 / m.heat_half_life)
        state.fatigue *= 0.5 ** (1.0 / m.fatigue_half_life)
        state.contact *= 0.5 ** (1.0 / m.contact_half_life)
        state.asked *= 0.5 ** (1.0 / m.asked_half_life)
