"""One day of open leads: marketing touches them, sellers work them, they answer.

Each kind of touchpoint happens to a lead at most once a day, at a rate that grows with what was done
lately, today included: as they are taken in the order in which one leads to the next, a visit may follow a
click within minutes.
"""

from __future__ import annotations

import numpy as np

from leadscore.simulate.market import (
    ACTIONS,
    CALL,
    CLICK,
    DELIVERED,
    FAIR,
    FOLLOWS,
    HELD,
    INBOUND,
    MAIL,
    MEETING,
    NO_ANSWER,
    NO_CAMPAIGN,
    NO_SHOW,
    OPEN,
    OUTBOUND,
    PULL,
    REACHED,
    REPLIED,
    SECONDS_A_DAY,
    SENT,
    SOURCES,
    VISIT,
    VOICEMAIL,
    Floats,
    Ints,
)
from leadscore.simulate.people import time_of_day
from leadscore.simulate.world import Log, State, World


class Day:
    """The day that `state` lives next; `state` changes as things happen.

    Without a log nobody reads the time of what happens, and none is drawn.
    """

    def __init__(self, world: World, state: State, rng: np.random.Generator, log: Log | None = None) -> None:
        self.world, self.market, self.people, self.season = world, world.market, world.people, world.season
        self.state, self.rng, self.log = state, rng, log
        midnight, created = state.day * SECONDS_A_DAY, world.people.created[state.lead]
        self.left = np.where(created > midnight, 1.0 - (created - midnight) / SECONDS_A_DAY, 1.0)  # of the day
        self.clock = midnight  # second of the last event, by lead
        if log is not None:
            morning = midnight + time_of_day(rng, len(created)) * 3 // 4
            self.clock = np.where(created > midnight, created, morning)

    def arrive(self) -> None:
        """Write what brought the leads of this day, and the visits from before they had a name."""
        created = self.people.created[self.state.lead]
        first = np.array([source.action for source in SOURCES])[self.people.source[self.state.lead]]
        for code in np.unique(first[first >= 0]):
            hit = np.flatnonzero(first == code)
            self._touch(int(code), hit, created[hit])
        for _ in range(2):
            hit = np.flatnonzero(self.rng.random(len(created)) < self.market.seen_before)
            days_before = 14.0 * self.rng.random(len(hit)) ** 2
            time = created[hit] - (days_before * SECONDS_A_DAY).astype(np.int64)
            hit, days_before, time = hit[time >= 0], days_before[time >= 0], time[time >= 0]
            self.state.heat[hit] += ACTIONS[VISIT].heat * 0.5 ** (days_before / self.market.heat_half_life)
            self._write_touch(hit, time, VISIT, np.full(len(hit), NO_CAMPAIGN))

    def market_to(self) -> None:
        """Touch leads: each action by itself, or because of another."""
        m, state = self.market, self.state
        fading = 1.0 - 0.5 ** (1.0 / m.excitement_half_life)  # of a follow-on's chance falls on the first day
        will = self.people.interest[state.lead] * self.season.browsing[state.day] * self.left
        response = will * np.exp(m.response_by_fatigue * state.fatigue)
        mailing = self.season.mailing[state.day] * self.left
        mailing *= 0.1 + 0.9 * 0.5 ** (self.world.age(state) / m.mailing_half_life)
        for code, action in enumerate(ACTIONS):
            rate = np.full(len(state.lead), action.rate)
            for cause, n_follow in FOLLOWS.get(code, {}).items():
                rate += n_follow * fading * state.excitement[cause]
            if code == FAIR:
                rate *= self.season.running["event"][1][state.day] > 0
            hit = self._happens(rate * (mailing if code == SENT else response if code in (OPEN, CLICK) else will))
            self._touch(code, hit, self._tick(hit, 1_500.0))

    def sell(self) -> None:
        """Let sellers try, leads answer or ask, and meetings be held."""
        m, state = self.market, self.state
        working = self.season.selling[state.day] * self.left
        warmth = state.heat / (1.0 + state.heat)
        self._attempt(self._happens(self._attempt_rate(warmth) * working))

        eager = np.exp(m.response_by_fatigue * state.fatigue) * self.people.interest[state.lead] * working
        asks = self._happens((m.reply_rate * state.asked + m.inbound_rate * state.heat) * eager)
        calls = self.rng.random(len(asks)) < m.inbound_calls
        self._talk(asks, contact=0.5, heat=0.6)
        self._note(asks, np.where(calls, CALL, MAIL), INBOUND, np.where(calls, REACHED, REPLIED))

        meets = self._happens(m.meeting_rate * np.minimum(state.contact, 2.0) * warmth * working)
        held = self.rng.random(len(meets)) < m.meetings_held
        self._talk(meets[held], contact=1.1, heat=0.4)
        self._note(meets, np.full(len(meets), MEETING), OUTBOUND, np.where(held, HELD, NO_SHOW))

    def _happens(self, rate: Floats) -> Ints:
        """Draw the leads to whom something of this rate happens: with probability 1 − exp(−rate)."""
        return np.flatnonzero(self.rng.standard_exponential(len(rate)) < rate)

    def _touch(self, code: int, hit: Ints, time: Ints) -> None:
        """Let one kind of touchpoint happen to the leads at `hit`."""
        state, campaign = self.state, self._campaign_of(code, hit)
        state.excitement[code, hit] += 1.0
        state.heat[hit] += ACTIONS[code].heat * PULL[campaign]
        self._write_touch(hit, time, code, campaign)
        if code == SENT:
            state.fatigue[hit] += 1.0
            state.campaign[hit] = campaign
            self._scan(hit, time, campaign)

    def _campaign_of(self, code: int, hit: Ints) -> Ints:
        """Draw a campaign that runs; an open or a click belongs to the last email sent."""
        if code in (OPEN, CLICK):
            return self.state.campaign[hit]
        if ACTIONS[code].channel not in self.season.running:
            return np.full(len(hit), NO_CAMPAIGN)
        table, counts = self.season.running[ACTIONS[code].channel]
        day = self.state.day[hit]
        return table[day, (self.rng.random(len(hit)) * counts[day]).astype(np.int64)]

    def _scan(self, sent: Ints, time: Ints, campaign: Ints) -> None:
        """Write the opens and clicks of mail scanners: seconds after the mail, and nobody's interest."""
        if self.log is None:
            return
        for code in (OPEN, CLICK):
            seen = self.people.scanner[self.state.lead[sent]] & (self.rng.random(len(sent)) < 0.9)
            self._write_touch(sent[seen], np.minimum(time + code, self._last_second(sent))[seen], code, campaign[seen])

    def _attempt_rate(self, warmth: Floats) -> Floats:
        """How often sellers try: the first time at their own pace, then the warm ones, until they give up."""
        m, state = self.market, self.state
        again = m.follow_up_rate * (0.12 + warmth + 0.5 * np.minimum(state.contact, 1.0))
        again *= np.exp(m.follow_up_by_unanswered * state.unanswered)
        return np.where(state.tried, again, self.people.answer_rate[self.people.seller[state.lead]])

    def _attempt(self, tried: Ints) -> None:
        """Call or mail these leads; a call that is picked up is a talk."""
        m, state = self.market, self.state
        calls = self.rng.random(len(tried)) < m.calls
        odds = m.reach_level + m.reach_by_heat * np.log1p(state.heat[tried])
        odds += m.response_by_fatigue * state.fatigue[tried]
        picked_up = calls & (self.rng.random(len(tried)) < 1.0 / (1.0 + np.exp(-odds)))
        missed = np.where(self.rng.random(len(tried)) < 0.3, VOICEMAIL, NO_ANSWER)
        state.tried[tried] = True
        state.fatigue[tried] += 1.0
        state.unanswered[tried] += 1.0
        state.asked[tried[~calls]] += 1.0
        self._talk(tried[picked_up], contact=0.6, heat=0.2)
        result = np.where(calls, np.where(picked_up, REACHED, missed), DELIVERED)
        self._note(tried, np.where(calls, CALL, MAIL), OUTBOUND, result)

    def _talk(self, hit: Ints, *, contact: float, heat: float) -> None:
        """Add a conversation: worth more with a skilled seller, and it clears what was left unanswered."""
        state = self.state
        state.contact[hit] += contact * self.people.skill[self.people.seller[state.lead[hit]]]
        state.heat[hit] += heat
        state.unanswered[hit] = 0.0
        state.asked[hit] = 0.0

    def _tick(self, hit: Ints, mean_seconds: float) -> Ints:
        """Move the clocks of these leads on and read them; without a log they stand still."""
        if self.log is not None:
            self.clock[hit] = later_today(self.clock[hit], mean_seconds * self.rng.standard_exponential(len(hit)))
        return self.clock[hit]

    def _last_second(self, hit: Ints) -> Ints:
        """Return the second before midnight."""
        return (self.state.day[hit] + 1) * SECONDS_A_DAY - 1

    def _write_touch(self, hit: Ints, time: Ints, code: int, campaign: Ints) -> None:
        """Write touchpoints down."""
        if self.log is not None:
            self.log.touchpoints.append((self.state.lead[hit], time, np.full(len(hit), code), campaign))

    def _note(self, hit: Ints, kind: Ints, direction: int, result: Ints) -> None:
        """Write interactions down."""
        if self.log is not None:
            time = self._tick(hit, 2_400.0)
            row = (self.state.lead[hit], time, kind, np.full(len(hit), direction), result)
            self.log.interactions.append(row)


def later_today(time: Ints, seconds: Floats) -> Ints:
    """Add `seconds` to `time`, the less the nearer midnight, so that the day is never left."""
    left = (SECONDS_A_DAY - 1 - time % SECONDS_A_DAY).astype(np.float64)
    return time + (left * -np.expm1(-seconds / np.maximum(left, 1.0))).astype(np.int64)


def live(world: World, state: State, rng: np.random.Generator, log: Log | None = None) -> tuple[Floats, Ints]:
    """Live `state.day`; return its hazards, shape (3, n), and the second of its last event, by lead."""
    day = Day(world, state, rng, log)
    day.market_to()
    day.sell()
    hazards = world.hazards(state) * day.left
    world.fade(state)
    return hazards, day.clock
