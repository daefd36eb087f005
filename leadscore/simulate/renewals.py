"""Customers of a subscription, and which contracts are renewed: another question, asked of the same code.

A contract is the lead, usage and tickets are its events, a renewal its win. How well a customer does is a hidden state
that shows in what it uses and asks for, and decides, late in the year, whether it renews.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DAY = 86_400
N_DAYS = 900
UNTIL = dt.date(2024, 1, 1) + dt.timedelta(days=N_DAYS)
TERM, DECIDES_FROM = 365, 255
"""A contract runs a year; from this day of it on it may be renewed or cancelled."""
HORIZON_DAYS = 60
PLANS, SEATS = ("basic", "team", "enterprise"), (4, 15, 60)
SIGNED = ("self_service", "sales", "partner")
FEATURES = ("report", "export", "api", "settings")
TICKETS = ("how_to", "bug", "billing")
MANAGERS = 8
PROJECT_FILE = """\
{header} --kind renewals --leads {n_leads} --seed {seed}{ending}
# Customer success: a contract is what others call a lead, a renewal is the win. truth.csv is not for models.
name = "renewals"
timezone = "UTC"

[leads]
source = "contracts.csv"
id = "contract_id"
created = "started_at"
origin = "signed_through"
owner = "manager"
categorical = ["plan", "signed_through"]
numeric = ["seats"]

[events.usage]
source = "usage.csv"
lead = "contract_id"
time = "used_at"
categorical = ["feature"]
numeric = ["users"]

[events.tickets]
source = "tickets.csv"
lead = "contract_id"
time = "written_at"
known = "known_at"
id = "message_id"
categorical = ["topic", "direction"]

[outcome]
source = "decisions.csv"
lead = "contract_id"
time = "decided_at"
column = "decision"
won = ["renewed"]
lost = ["cancelled"]

[task]
horizon = "{horizon_days}d"
cutoffs = {{ every = "14d", max_per_lead = 8 }}
observed_until = "{observed_until}"

[reasons.nouns]             # what account managers call things: one, many
usage = ["use of the product", "uses of the product"]
"usage.feature=report" = ["report made", "reports made"]
"usage.feature=export" = ["export", "exports"]
"usage.feature=api" = ["use of the API", "uses of the API"]
"usage.feature=settings" = ["change of settings", "changes of settings"]
"tickets.direction=inbound" = ["message from them", "messages from them"]
"tickets.direction=outbound" = ["message from us", "messages from us"]
"tickets.topic=how_to" = ["how-to question", "how-to questions"]
"""


@dataclass(frozen=True)
class Contracts:
    """What is drawn of every contract; days count from `first_day` of the history.

    Attributes
    ----------
    start : int64 (n,), the first day
    plan, signed, manager : int64 (n,)
    seats : int64 (n,)
    health : float64 (n, TERM), how well the customer does on each day of the year, hidden
    """

    first_day: dt.date
    start: NDArray[np.int64]
    plan: NDArray[np.int64]
    signed: NDArray[np.int64]
    manager: NDArray[np.int64]
    seats: NDArray[np.int64]
    health: NDArray[np.float64]

    @classmethod
    def draw(cls, n: int, chance: np.random.Generator, first_day: dt.date) -> Contracts:
        """Draw contracts: a customer does well or not from the start, and a third take a turn for the worse."""
        plan, signed = chance.choice(3, n, p=[0.5, 0.35, 0.15]), chance.choice(3, n, p=[0.4, 0.45, 0.15])
        level = 0.9 * chance.standard_normal(n) + 0.3 * plan - 0.3 * (signed == 2)
        turn = np.where(chance.random(n) < 0.33, chance.integers(60, 300, n), TERM)
        fallen = np.clip((np.arange(TERM) - turn[:, None]) / 30.0, 0.0, 1.0)
        return cls(
            first_day=first_day,
            start=np.sort(chance.integers(0, N_DAYS - 30, n)),
            plan=plan,
            signed=signed,
            manager=chance.integers(0, MANAGERS, n),
            seats=1 + chance.poisson(np.array(SEATS)[plan]),
            health=level[:, None] - 2.2 * fallen,
        )

    @property
    def hazards(self) -> NDArray[np.float64]:
        """Chance of being renewed and of being cancelled on each day that a contract is still open, (2, n, TERM)."""
        day = np.arange(TERM)
        pace = np.where(day < DECIDES_FROM, 0.0, 0.012 + 0.05 * (day - DECIDES_FROM) / (TERM - DECIDES_FROM))
        good = 1.0 / (1.0 + np.exp(-(0.6 + 1.5 * self.health)))
        return np.stack([pace * good, pace * (1.0 - good)])


def simulated(n_leads: int, seed: int, n_truths: int, until: dt.date = UNTIL) -> dict[str, pa.Table]:
    """Live `N_DAYS` of contracts, up to and without `until`, and lay out their tables, by file name."""
    drawing, living, asking = (np.random.Generator(np.random.PCG64([seed, stream])) for stream in (11, 12, 13))
    contracts = Contracts.draw(n_leads, drawing, until - dt.timedelta(days=N_DAYS))
    ids = np.array([f"C{number:06d}" for number in range(1, n_leads + 1)])
    decided, renewed = _decide(contracts, living)
    end = np.minimum(decided, TERM)
    return {
        "contracts.csv": _contracts(contracts, ids, drawing),
        "usage.csv": _usage(contracts, ids, end, living),
        "tickets.csv": _tickets(contracts, ids, end, living),
        "decisions.csv": _decisions(contracts, ids, decided, renewed, living),
        "truth.csv": _truth(contracts, ids, decided, n_truths, asking),
    }


def project_file(header: str, n_leads: int, seed: int, until: dt.date | None = None) -> str:
    """Fill in the project file."""
    return PROJECT_FILE.format(
        header=header,
        n_leads=n_leads,
        seed=seed,
        ending=f" --until {until}" if until else "",
        horizon_days=HORIZON_DAYS,
        observed_until=until or UNTIL,
    )


def _decide(contracts: Contracts, chance: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The day of its year on which each contract is decided (`TERM`: cancelled by running out), and whether renewed."""
    renew, cancel = contracts.hazards
    drawn = chance.random(renew.shape)
    happens = drawn < renew + cancel
    decided = np.where(happens.any(axis=1), happens.argmax(axis=1), TERM)
    day = np.minimum(decided, TERM - 1)
    rows = np.arange(len(decided))
    return decided, (decided < TERM) & (drawn[rows, day] < renew[rows, day])


def _contracts(contracts: Contracts, ids: NDArray[np.str_], chance: np.random.Generator) -> pa.Table:
    return pa.table(
        {
            "contract_id": ids,
            "started_at": _texts(contracts, contracts.start, chance.integers(0, DAY, len(ids))),
            "plan": np.array(PLANS)[contracts.plan],
            "signed_through": np.array(SIGNED)[contracts.signed],
            "manager": np.array([f"manager-{number + 1}" for number in range(MANAGERS)])[contracts.manager],
            "seats": contracts.seats,
        }
    )


def _weeks(contracts: Contracts, end: NDArray[np.int64], rate: NDArray[np.float64], chance: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """Happenings at a rate a week, (n, n_weeks): the contract, the day of its year and the second of that day."""
    n_weeks = rate.shape[1]
    n = chance.poisson(rate)
    contract, week = np.repeat(np.repeat(np.arange(len(end)), n_weeks), n.ravel()), np.repeat(
        np.tile(np.arange(n_weeks), len(end)), n.ravel())  # fmt: skip
    day = 1 + 7 * week + chance.integers(0, 7, len(week))
    there = (day < end[contract]) & (contracts.start[contract] + day < N_DAYS)
    contract, day = contract[there], day[there]
    second = chance.integers(0, DAY, len(day))
    order = np.lexsort((second, contracts.start[contract] + day))
    return contract[order], day[order], second[order]


def _usage(
    contracts: Contracts, ids: NDArray[np.str_], end: NDArray[np.int64], chance: np.random.Generator
) -> pa.Table:
    health = contracts.health[:, 3::7]
    contract, day, second = _weeks(contracts, end, 0.9 * np.exp(0.55 * health), chance)
    share = 1.0 / (1.0 + np.exp(-contracts.health[contract, day]))
    return pa.table(
        {
            "contract_id": ids[contract],
            "used_at": _texts(contracts, contracts.start[contract] + day, second),
            "feature": np.array(FEATURES)[chance.choice(4, len(day), p=[0.45, 0.2, 0.2, 0.15])],
            "users": 1 + chance.binomial(contracts.seats[contract] - 1, 0.8 * share),
        }
    )


def _tickets(
    contracts: Contracts, ids: NDArray[np.str_], end: NDArray[np.int64], chance: np.random.Generator
) -> pa.Table:
    health = contracts.health[:, 3::7]
    contract, day, second = _weeks(contracts, end, 0.12 * np.exp(-0.3 * health), chance)
    sad = contracts.health[contract, day] < 0
    topic = np.where(chance.random(len(day)) < np.where(sad, 0.6, 0.25), 1, chance.choice([0, 2], len(day)))
    waited = np.rint(chance.exponential(20_000.0, len(day))).astype(np.int64) + 300
    at = (contracts.start[contract] + day) * DAY + second
    answered = (at + waited < N_DAYS * DAY) & (chance.random(len(day)) < 0.9)
    asked = np.concatenate([np.ones(len(day), dtype=bool), np.zeros(int(answered.sum()), dtype=bool)])
    when = np.concatenate([at, (at + waited)[answered]])
    of, about = np.concatenate([contract, contract[answered]]), np.concatenate([topic, topic[answered]])
    order = np.lexsort((of, when))
    return pa.table(
        {
            "message_id": np.array([f"M{number:07d}" for number in range(1, len(order) + 1)]),
            "contract_id": ids[of[order]],
            "written_at": _texts(contracts, when[order] // DAY, when[order] % DAY),
            "known_at": _texts(contracts, (when[order] + 60) // DAY, (when[order] + 60) % DAY),
            "topic": np.array(TICKETS)[about[order]],
            "direction": np.where(asked[order], "inbound", "outbound"),
        }
    )


def _decisions(
    contracts: Contracts, ids: NDArray[np.str_], decided: NDArray[np.int64], renewed: NDArray[np.bool_],
    chance: np.random.Generator,
) -> pa.Table:  # fmt: skip
    day = contracts.start + decided
    second = chance.integers(9 * 3_600, 18 * 3_600, len(ids))
    known = np.flatnonzero(day < N_DAYS)
    known = known[np.lexsort((second[known], day[known]))]
    return pa.table(
        {
            "contract_id": ids[known],
            "decided_at": _texts(contracts, day[known], second[known]),
            "decision": np.where(renewed[known], "renewed", "cancelled"),
        }
    )


def _truth(
    contracts: Contracts, ids: NDArray[np.str_], decided: NDArray[np.int64], n_truths: int, chance: np.random.Generator
) -> pa.Table:
    """The chance of a renewal within the horizon, of open contracts at some Mondays, given how the customer does."""
    mondays = np.arange((7 - contracts.first_day.weekday()) % 7, N_DAYS - HORIZON_DAYS, 7)
    age = mondays[None, :] - contracts.start[:, None]
    contract, monday = np.nonzero((age > 0) & (age <= decided[:, None]) & (age < TERM))
    chosen = np.sort(chance.permutation(len(contract))[:n_truths])
    contract, monday = contract[chosen], monday[chosen]
    renew, cancel = contracts.hazards
    stays = np.cumprod(1.0 - renew - cancel, axis=1)
    before = np.concatenate([np.ones((len(ids), 1)), stays], axis=1)
    won_by = np.concatenate([np.zeros((len(ids), 1)), np.cumsum(before[:, :-1] * renew, axis=1)], axis=1)
    first = age[contract, monday]
    last = np.minimum(first + HORIZON_DAYS, TERM)
    probability = (won_by[contract, last] - won_by[contract, first]) / before[contract, first]
    return pa.table(
        {
            "contract_id": ids[contract],
            "cutoff": _texts(contracts, mondays[monday], np.zeros(len(chosen), dtype=np.int64)),
            "probability": np.round(probability, 6),
        }
    )


def _texts(contracts: Contracts, day: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.str_]:
    """Days since the first of the history and seconds of them as ISO 8601 with Z."""
    at = np.datetime64(contracts.first_day, "s") + day * DAY + second
    return np.char.add(np.datetime_as_string(at), "Z")
