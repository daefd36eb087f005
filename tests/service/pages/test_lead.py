"""What is put together of one lead, over the sample's store on both databases."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from leadscore import LeadScorer
from leadscore.features.names import FeatureName
from leadscore.model.population import Reference
from service import counting
from service.pages.lead import Standing, portrait
from service.serving import InUse
from service.store import Store
from service.store.arrivals import parse
from service.store.scores import ListQuery
from service.stored import StoredLeads
from tests.service.conftest import NOW


@pytest.fixture
def leads(kept_store: Store) -> StoredLeads:
    return StoredLeads(kept_store, counting.count(kept_store, kept_store.journal.project))


@pytest.fixture
def current(scorer: LeadScorer) -> InUse:
    return InUse("7", scorer, "2026-05-01T09:00:00Z")


def arrive(stored: StoredLeads, **parts: Any) -> None:
    stored.store.journal.append(parse(stored.store.journal.project, parts, most_rows=9).rows, lambda: NOW)


def standings(leads: StoredLeads, current: InUse, n: int) -> Iterator[Standing]:
    """The best leads of the list, but those that were closed after it was made."""
    for row, *_ in leads.store.scores.page(ListQuery(limit=n)).records:
        standing = portrait(leads, current, json.loads(row)["lead_id"], now=NOW).standing
        if standing is not None:
            yield standing


@pytest.mark.parametrize(("status", "told"), [("won", "Won on 2026-04-30"), ("disqualified", "Lost on 2026-04-30")])
def test_a_closed_lead_is_not_scored(leads: StoredLeads, current: InUse, status: str, told: str) -> None:
    lead_id = f"page-of-{status}"
    arrive(leads, leads=[{"lead_id": lead_id, "created_at": "2026-04-20T08:00:00Z"}])
    found = portrait(leads, current, lead_id, now=NOW)
    assert found.closed is None
    assert found.standing is not None
    arrive(leads, outcomes=[{"lead_id": lead_id, "closed_at": "2026-04-30T23:00:00Z", "status": status}])
    found = portrait(leads, current, lead_id, now=NOW)
    assert (found.closed, found.standing) == (told, None)
    warnings = leads.score(current, lead_id, as_of=None, now=NOW)["warnings"]
    assert warnings[0] == f"the lead was {told[0].lower()}{told[1:]} already", "the page says what the API says"


def test_what_did_not_happen_leads_to_no_event(leads: StoredLeads, current: InUse) -> None:
    tables = {spec.name for spec in current.scorer.project.events}
    n_none = n_some = 0
    for standing in standings(leads, current, 60):
        linked = {reason.text: reason.seq for reason in (*standing.raising, *standing.lowering)}
        for reason in standing.record["reasons"]:
            if FeatureName.parse(reason["feature"]).table in tables:
                n_none += not reason["value"]
                n_some += linked[reason["text"]] is not None
                assert reason["value"] or linked[reason["text"]] is None
    assert n_none
    assert n_some


@pytest.mark.parametrize(("side", "is_told"), [("fit", "the profile"), ("intent", "what happened")])
def test_a_side_that_tells_nobody_apart_is_left_out(
    leads: StoredLeads, current: InUse, side: str, is_told: str
) -> None:
    plain = next(standings(leads, current, 60))
    assert [name for name, _ in plain.sides] == ["fit", "intent"]
    assert plain.unused == []
    blind = copy.copy(current.scorer)
    alike = Reference.of(np.zeros(3), np.ones(3))
    blind.population = dataclasses.replace(blind.population, **{side: alike})
    found = next(standings(leads, current._replace(scorer=blind), 60))
    assert found.sides == [(name, score) for name, score in plain.sides if name != side]
    assert found.unused == [is_told]
