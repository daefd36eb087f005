"""The leads of the simulated market: when they come, from where, of which company, for which seller."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadscore.simulate.market import (
    COUNTRIES,
    EVENT_SOURCE,
    INDUSTRIES,
    SECONDS_A_DAY,
    SOURCES,
    Flags,
    Floats,
    Ints,
    Market,
)
from leadscore.simulate.season import Season


@dataclass(frozen=True)
class People:
    """The leads in order of creation, arrays of shape (n_leads,); the last two are (n_sellers,)."""

    created: Ints  # seconds since the market's first midnight
    company: Ints  # 0, 1, … in order of appearance
    source: Ints
    seller: Ints
    industry: Ints
    country: Ints
    employees: Ints  # of the company, also where the form was left blank
    employees_blank: Flags
    quality: Floats  # log hazard: what the profile shows plus what it hides, without the source's drift
    interest: Floats  # factor on what they do by themselves
    scanner: Flags
    answer_rate: Floats  # by seller: first attempts per day
    skill: Floats  # by seller

    @property
    def created_day(self) -> Ints:
        """Day of creation, 0 for the first."""
        return self.created // SECONDS_A_DAY

    @classmethod
    def draw(cls, market: Market, season: Season, n_leads: int, rng: np.random.Generator) -> People:
        """Draw a market's leads."""
        created = _arrivals(market, season, n_leads, rng)
        source = _sources(market, season, created // SECONDS_A_DAY, rng)
        company = _companies(market, n_leads, rng)
        profile, fit, scanner = _profiles(market, company, rng)
        hidden = (market.company_spread * rng.standard_normal(company.max() + 1))[company]
        hidden += market.lead_spread * rng.standard_normal(n_leads)
        keenness = market.interest_by_quality * (0.5 * fit + hidden)
        n_sellers = min(max(n_leads // market.leads_per_seller, 6), 48)
        answer_days = np.exp(market.first_answer_spread * rng.standard_normal(n_sellers))
        return cls(
            created=created,
            company=company,
            source=source,
            seller=rng.integers(n_sellers, size=n_leads),
            **profile,
            employees_blank=rng.random(n_leads) < np.array([s.blank for s in SOURCES])[source],
            quality=fit + np.array([s.quality for s in SOURCES])[source] + hidden,
            interest=np.exp(np.array([s.interest for s in SOURCES])[source] + keenness),
            scanner=scanner,
            answer_rate=1.0 / np.maximum(market.first_answer_days * answer_days, 0.15),
            skill=np.exp(market.skill_spread * rng.standard_normal(n_sellers)),
        )


def time_of_day(rng: np.random.Generator, n: int) -> Ints:
    """Draw seconds after midnight: office hours, most around 13:00 UTC."""
    return np.asarray((6.0 + 7.0 * (rng.random(n) + rng.random(n))) * 3_600.0, dtype=np.int64)


def _arrivals(market: Market, season: Season, n_leads: int, rng: np.random.Generator) -> Ints:
    """Draw when leads are created: more and more, and more on busy days."""
    growth = 1.0 + market.arrival_growth * np.arange(market.n_days) / market.n_days
    day = _placed(growth * (0.15 + season.browsing), rng.random(n_leads))
    return np.sort(day * SECONDS_A_DAY + time_of_day(rng, n_leads))


def _sources(market: Market, season: Season, day: Ints, rng: np.random.Generator) -> Ints:
    """Draw sources whose shares shift slowly; fairs bring leads only while they are open."""
    progress = np.arange(market.n_days)[:, None] / market.n_days
    shares = np.array([s.share for s in SOURCES]) * np.array([s.growth for s in SOURCES]) ** progress
    fair_is_open = season.running["event"][1] > 0
    shares[:, EVENT_SOURCE] *= np.where(fair_is_open, fair_is_open.size / fair_is_open.sum(), 0.0)
    edges = np.cumsum(shares, axis=1) / shares.sum(axis=1, keepdims=True)
    return np.asarray((rng.random(len(day))[:, None] >= edges[day, :-1]).sum(axis=1), dtype=np.int64)


def _companies(market: Market, n_leads: int, rng: np.random.Generator) -> Ints:
    """Let each lead found a company or join that of an earlier lead, more likely a recent one."""
    row = np.arange(n_leads)
    earlier = np.minimum((row * np.sqrt(rng.random(n_leads))).astype(np.int64), row - 1)
    joins = (rng.random(n_leads) < market.joins_company) & (row > 0)
    root = np.where(joins, earlier, row)
    while not np.array_equal(root, root[root]):
        root = root[root]
    return np.asarray(np.unique(root, return_inverse=True)[1], dtype=np.int64)


def _profiles(market: Market, company: Ints, rng: np.random.Generator) -> tuple[dict[str, Ints], Floats, Flags]:
    """Draw companies; return by lead their columns, the fit these show, and who has a mail scanner."""
    n = int(company.max()) + 1
    industry, industry_fit = _drawn(INDUSTRIES, n, rng)
    country, country_fit = _drawn(COUNTRIES, n, rng)
    employees = np.exp(4.6 + 1.35 * rng.standard_normal(n)).astype(np.int64) + 1
    distance = np.log(employees / market.size_sweet_spot) ** 2
    fit = industry_fit + country_fit - market.size_by_distance * (np.minimum(distance, 9.0) - 1.8)
    columns = {"industry": industry, "country": country, "employees": employees}
    has_scanner = rng.random(n) < market.scanners
    return {name: column[company] for name, column in columns.items()}, fit[company], has_scanner[company]


def _drawn(table: dict[str, tuple[float, float]], n: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw categories by share; return their codes and what they add to the fit."""
    shares, effects = np.array(list(table.values())).T
    codes = _placed(shares, rng.random(n))
    return codes, effects[codes]


def _placed(weights: Floats, uniform: Floats) -> Ints:
    """Turn uniform draws into places with these weights."""
    edges = np.cumsum(weights)[:-1] / weights.sum()
    return np.asarray(np.searchsorted(edges, uniform, side="right"), dtype=np.int64)
