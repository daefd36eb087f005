"""leadscore: `EventLog.group`, then `FeaturePlan.transform`."""

from __future__ import annotations

import numpy as np

import leadscore as ls
from leadscore.eventlog import EventLog
from leadscore.tables import Cutoffs, Data, Leads, Outcomes
from leadscore.time import NEVER
from tests.bench.features.columns import CHANNELS, TABLE
from tests.bench.features.log import START, Log

NOTE = "grouping by lead and sorting included; two threads over slices of leads"
THREADS = 2


def project() -> ls.Project:
    """One event table with a categorical and a numeric column."""
    return ls.Project.from_dict(
        {
            "name": "bench",
            "leads": {"source": "leads.csv", "id": "lead_id", "created": "created_at", "numeric": ["size"]},
            "events": {
                TABLE: {
                    "source": "touchpoints.csv", "lead": "lead_id", "time": "occurred_at",
                    "categorical": ["channel"], "numeric": ["cost"],
                }
            },
            "outcome": {"source": "outcomes.csv", "lead": "lead_id", "time": "closed_at"},
            "task": {"horizon": "30d"},
        }
    )  # fmt: skip


class Engine:
    """Groups the events and computes the matrix."""

    def __init__(self, log: Log, names: list[str]) -> None:
        self.log = log
        self.project = project()
        self.plan = ls.FeaturePlan.of(self.project, names)
        self.leads = _leads(log.n_leads)
        self.outcomes = Outcomes.none(log.n_leads, timed=True)
        self.cutoffs = Cutoffs(log.cutoff_lead, log.cutoff)

    def work(self) -> np.ndarray:
        return self.transform(self.group())

    def group(self) -> Data:
        log = self.log
        grouped = EventLog.group(
            log.lead, log.time, log.time, log.channel[None], log.cost[None], (CHANNELS,), n_leads=log.n_leads
        )
        return Data(self.project, self.leads, {TABLE: grouped}, self.outcomes)

    def transform(self, data: Data) -> np.ndarray:
        return self.plan.transform(data, self.cutoffs, threads=THREADS)

    def matrix(self, result: np.ndarray) -> np.ndarray:
        return result


def _leads(n_leads: int) -> Leads:
    return Leads(
        ids=np.array([f"L{lead:09d}" for lead in range(n_leads)], dtype=object),
        created=np.full(n_leads, START),
        row=np.arange(n_leads),
        offsets=np.arange(n_leads + 1),
        known=np.full(n_leads, NEVER),
        codes=np.empty((0, n_leads), dtype=np.int32),
        values=np.ones((1, n_leads)),
        vocabularies=(),
        roles={},
    )
