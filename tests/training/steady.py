"""A market that never changes: whoever monitors it and sees drift is wrong, until a test bends its later part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

TOML = """name = "steady"

[leads]
source = "leads.csv"
id = "lead_id"
created = "created_at"
categorical = ["source"]
numeric = ["employees"]

[events.touchpoints]
source = "touchpoints.csv"
lead = "lead_id"
time = "occurred_at"
categorical = ["channel"]

[events.calls]
source = "calls.csv"
lead = "lead_id"
time = "occurred_at"
numeric = ["minutes"]

[outcome]
source = "outcomes.csv"
lead = "lead_id"
time = "closed_at"
column = "status"
won = ["won"]
lost = ["lost"]

[task]
horizon = "30d"
cutoffs = { at_age = ["4d", "14d"] }
observed_until = "2026-06-30"
"""
START = pd.Timestamp("2025-01-01", tz="UTC")
N_DAYS = 545
SOURCES = {"ads": -1.0, "web": -0.2, "partner": 0.6, "event": 1.0}
CHANNELS = ("email", "web", "webinar")


def steady_market(folder: Path, *, n_leads: int = 5_000, seed: int = 1) -> Path:
    """Write the market as a project; a busy lead of a good source buys more often, always."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    created = np.sort(rng.uniform(0, N_DAYS, n_leads))
    source = rng.choice(list(SOURCES), n_leads)
    interest = rng.normal(size=n_leads)
    log_odds = -2.0 + np.array([SOURCES[name] for name in source]) + interest
    wins = rng.random(n_leads) < 1 / (1 + np.exp(-log_odds))
    closed = created + np.where(wins, 4 + rng.exponential(15, n_leads), 15 + rng.exponential(40, n_leads))
    ids = np.array([f"L{n:05d}" for n in range(n_leads)])
    employees = np.where(rng.random(n_leads) < 0.1, np.nan, np.round(rng.lognormal(3, 1, n_leads)))
    _write(folder / "leads.csv", lead_id=ids, created_at=_times(created), source=source, employees=employees)
    done = closed < N_DAYS
    status = np.where(wins, "won", "lost")
    _write(folder / "outcomes.csv", lead_id=ids[done], closed_at=_times(closed[done]), status=status[done])
    lead, at = _events(rng, created, closed, np.exp(1.2 + 0.5 * interest), length=12)
    channel = rng.choice(CHANNELS, len(lead), p=[0.5, 0.3, 0.2])
    _write(folder / "touchpoints.csv", lead_id=ids[lead], occurred_at=_times(at), channel=channel)
    lead, at = _events(rng, created, closed, np.exp(0.3 + 0.4 * interest), length=20)
    minutes = np.round(rng.exponential(6, len(lead)), 1)
    _write(folder / "calls.csv", lead_id=ids[lead], occurred_at=_times(at), minutes=minutes)
    (folder / "leadscore.toml").write_text(TOML, encoding="utf-8")
    return folder


def _events(rng, created, closed, rate, *, length):
    """Lead and time of events within so many days of creation, before the lead closes and the data end."""
    lead = np.repeat(np.arange(len(created)), rng.poisson(rate))
    at = created[lead] + rng.uniform(0, length, len(lead))
    inside = (at < closed[lead]) & (at < N_DAYS)
    return lead[inside], at[inside]


def _times(days: np.ndarray) -> pd.Series:
    at = START + pd.to_timedelta(np.round(days * 86_400), unit="s")
    return pd.Series(at).dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(path: Path, **columns) -> None:
    pd.DataFrame(columns).to_csv(path, index=False)
