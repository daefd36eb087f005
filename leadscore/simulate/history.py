"""The whole history of the simulated market, and what was truly likely at its cutoffs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leadscore.simulate.day import Day, later_today, live
from leadscore.simulate.market import ONBOARDING, SECONDS_A_DAY, SENT, WON, Floats, Ints, Market
from leadscore.simulate.world import Log, State, World

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Moments:
    """Open leads at cutoffs, each as it was at midnight; `key` decided who was drawn."""

    state: State
    key: Floats


def run(
    world: World,
    rng: np.random.Generator,
    *,
    n_moments: int,
    moments_rng: np.random.Generator,
    progress: Progress,
) -> tuple[Log, Moments]:
    """Live every day; return what happened and at most `n_moments` open leads at cutoffs, drawn uniformly."""
    n_days, created_day = world.market.n_days, world.people.created_day
    log, nobody = Log(), np.zeros(0, dtype=np.int64)
    state = State.new(nobody, nobody)
    moments = Moments(state, np.zeros(0))
    for day in range(n_days):
        if is_cutoff(world.market, day):
            moments = _draw(moments, state, n_moments, moments_rng)
        new = np.arange(*np.searchsorted(created_day, [day, day + 1]))
        arrived = State.new(new, np.full(len(new), day))
        Day(world, arrived, rng, log).arrive()
        state = State.join([state, arrived])
        hazards, clock = live(world, state, rng, log)
        state = _close(state, hazards, clock, rng, log)
        progress(day + 1)
    _welcome(world, rng, log)
    return log, moments


def is_cutoff(market: Market, day: int) -> bool:
    """Tell whether the truth at midnight of `day` is asked for: Mondays whose horizon the history holds."""
    return (market.first_day.weekday() + day) % 7 == 0 and day + market.horizon_days <= market.n_days


def _draw(drawn: Moments, state: State, n_most: int, rng: np.random.Generator) -> Moments:
    """Add the open leads of a cutoff, then keep the smallest keys."""
    key = np.concatenate([drawn.key, rng.random(len(state.lead))])
    smallest = np.sort(np.argsort(key, kind="stable")[:n_most])
    return Moments(State.join([drawn.state, state]).take(smallest), key[smallest])


def _close(state: State, hazards: Floats, clock: Ints, rng: np.random.Generator, log: Log) -> State:
    """Draw who closes and how, as the causes compete, after the day's last event; return who stays open."""
    total = hazards.sum(axis=0)
    closes = rng.standard_exponential(len(total)) < total
    hit = np.flatnonzero(closes)
    shares = np.cumsum(hazards[:, hit], axis=0)[:-1] / total[hit]
    status = (rng.random(len(hit)) >= shares).sum(axis=0)
    time = later_today(clock[hit], 5_400.0 * rng.standard_exponential(len(hit)))
    log.outcomes.append((state.lead[hit], time, status))
    return state.take(~closes)


def _welcome(world: World, rng: np.random.Generator, log: Log) -> None:
    """Send some new customers onboarding emails: the only touchpoints after a close."""
    lead, closed, status = (np.concatenate(column) for column in zip(*log.outcomes, strict=True))
    for _ in range(2):
        hit = np.flatnonzero((status == WON) & (rng.random(len(lead)) < world.market.onboarded))
        time = closed[hit] + ((0.5 + 20.0 * rng.random(len(hit))) * SECONDS_A_DAY).astype(np.int64)
        hit, time = (kept[time < world.market.n_days * SECONDS_A_DAY] for kept in (hit, time))
        log.touchpoints.append((lead[hit], time, np.full(len(hit), SENT), np.full(len(hit), ONBOARDING)))


def true_probabilities(
    world: World, moments: Moments, rng: np.random.Generator, *, progress: Progress, n_replicas: int = 64
) -> Floats:
    """Return P(won in [t, t + horizon) | state at t) for each moment, shape (n,).

    The market goes on `n_replicas` times from each state, knowing nothing of what really followed. Closing
    is not drawn but integrated: a replica adds survival × hazard day by day, so the only noise left is that
    of the touchpoints and interactions to come.
    """
    n = len(moments.key)
    state = moments.state.take(np.repeat(np.arange(n), n_replicas))
    alive, won = np.ones(len(state.lead)), np.zeros(len(state.lead))
    for day in range(world.market.horizon_days):
        hazards, _ = live(world, state, rng)
        total = hazards.sum(axis=0)
        closes = -np.expm1(-total) * alive
        won += closes * hazards[WON] / np.maximum(total, 1e-300)
        alive -= closes
        progress(day + 1)
    return np.asarray(won.reshape(n, n_replicas).mean(axis=1), dtype=np.float64)
