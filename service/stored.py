"""Scores of what is stored: rows of the journal → the same tables → the same scorer as everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.contacts import waiting_since
from leadscore.errors import DataError
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs, Data
from leadscore.time import NEVER
from service.auditing import Answered, Sampler
from service.problems import NOT_READY, UNKNOWN_LEAD, Problem
from service.serving import InUse
from service.store import Store
from service.store.journal import Stored, not_before
from service.store.scores import Said, searchable
from service.store.tables import Counted, some

if TYPE_CHECKING:
    from leadscore import LeadScorer
    from leadscore.model.scores import Scores

N_REASONS = 3


class Found(NamedTuple):
    """Some leads: their tables, the rows that these were made of, and up to which row others were counted (0: not)."""

    data: Data
    rows: Sequence[Stored]
    counts_until: int


class Wanted(NamedTuple):
    """A lead that is to be scored as of an instant (UTC microseconds); None is now."""

    lead_id: str
    as_of: int | None


@dataclass
class StoredLeads:
    """Scores the leads of a store; `counted` is what the base has in common, as last counted."""

    store: Store
    counted: Counted | None = None
    sampler: Sampler | None = None

    def read(self, scorer: LeadScorer, lead_ids: Sequence[str]) -> Found:
        """Read some leads, with what their accounts hold; a lead without profile isn't in the tables.

        Raises
        ------
        Problem
            503, if what the model asks of other leads was not counted yet.
        """
        plan, journal, counted = scorer.plan, self.store.journal, self.counted
        if plan.reads_counts and (counted is None or not counted.holds(scorer.project)):
            detail = "What the model asks of other leads is being counted"
            raise Problem(NOT_READY, detail, headers={"retry-after": "5"})
        if len(lead_ids) == 1:
            rows = journal.of_lead(lead_ids[0], with_account=plan.reads_accounts)
        else:
            rows = journal.of_leads(lead_ids, with_account=plan.reads_accounts)
        if not plan.reads_counts:
            counted = None
        return Found(some(scorer.project, rows, counted), rows, 0 if counted is None else counted.until)

    def score(self, current: InUse, lead_id: str, *, as_of: int | None, now: int) -> dict[str, Any]:
        """Return the score record of one lead as of an instant (UTC microseconds); None is now.

        What is stored is known: now is never before the last row of the lead, whatever the clocks of other writers say,
        unless that is more than a day ahead (`not_before`).

        Raises
        ------
        Problem
            404, if the lead is unknown, or was at that instant.
        """
        [said] = self._score(current, [Wanted(lead_id, as_of)], now, self.sampler)
        if isinstance(said, Problem):
            raise said
        return said

    def score_many(self, current: InUse, wanted: Sequence[Wanted], *, now: int) -> list[dict[str, Any] | Problem]:
        """Do what `score` does for several leads at once, repeats allowed; a lead that can't be is its 404."""
        sampled = [self.sampler is not None and self.sampler.wants() for _ in wanted]
        rest = [one for one, taken in zip(wanted, sampled, strict=True) if not taken]
        said = iter(self._score(current, rest, now, None) if rest else [])
        return [
            self._score(current, [one], now, self.sampler)[0] if taken else next(said)
            for one, taken in zip(wanted, sampled, strict=True)
        ]

    def _score(
        self, current: InUse, wanted: Sequence[Wanted], now: int, sampler: Sampler | None
    ) -> list[dict[str, Any] | Problem]:
        """Score some leads; what is asked of one alone is handed to `sampler`."""
        scorer = current.scorer
        data, rows, counts_until = self.read(scorer, [*{one.lead_id: None for one in wanted}])
        places = [_place(data, one, now) for one in wanted]
        found = [place for place in places if not isinstance(place, Problem)]
        if not found:
            return [place for place in places if isinstance(place, Problem)]
        leads, instants = zip(*found, strict=True)
        asked = Cutoffs(np.array(leads), np.array(instants))
        scores = scorer.score_rows(data, asked, n_reasons=N_REASONS)
        records = scorer.records(scores)
        if sampler is not None:
            features = scorer.plan.transform(data, asked)[0]
            sampler.take(Answered(current.version, scorer.plan.hash, rows, counts_until, features, records[0], scores))
        for record, (lead, at) in zip(records, found, strict=True):
            if closed := closed_on(data, lead, at):
                record["warnings"] = ["the lead was {} on {} already".format(*closed), *record["warnings"]]
        told = iter(records)
        return [place if isinstance(place, Problem) else next(told) for place in places]

    def said(self, scorer: LeadScorer, data: Data, asked: Cutoffs) -> list[Said]:
        """Return the scores of leads at cutoffs, as they are kept."""
        scores = scorer.score_rows(data, asked, n_reasons=N_REASONS)
        return [*_said(scorer, data, asked, scores)]

    def rescore(self, scorer: LeadScorer, lead_ids: Sequence[str], *, at: int) -> tuple[list[Said], list[str]]:
        """Score those of some leads that are open at an instant; return their scores, and who is not open."""
        data = self.read(scorer, lead_ids).data
        asked = open_leads(data, at)
        wanted = np.isin(asked.lead, data.leads.find(lead_ids))
        asked = Cutoffs(asked.lead[wanted], asked.at[wanted])
        said = self.said(scorer, data, asked)
        still_open = {one.record["lead_id"] for one in said}
        return said, [lead_id for lead_id in lead_ids if lead_id not in still_open]

    def history(self, current: InUse, lead_id: str, *, limit: int, receipts: bool) -> list[dict[str, Any]]:
        """Return the scores of a lead that differed from the one before, oldest first, with what moved each.

        Raises
        ------
        Problem
            404, if the lead is unknown.
        """
        points = self.store.scores.history(lead_id, limit=limit + 1)
        scorer = current.scorer
        data = self.read(scorer, [lead_id]).data
        _find(data, lead_id)
        told = []
        for before, point in zip([None, *points], points, strict=False):
            moved = None
            if receipts and before is not None and before["version"] == point["version"] == current.version:
                with suppress(DataError):  # it turned out later that the lead had been closed by then
                    receipt = scorer.receipt(data, lead_id, from_=before["as_of"], to=point["as_of"])
                    moved = [part.to_dict() for part in receipt.parts]
            told.append({**point, "as_of": time.format_instant(point["as_of"]), "moved_by": moved})
        return told[-limit:]


def _said(scorer: LeadScorer, data: Data, asked: Cutoffs, scores: Scores) -> Iterator[Said]:
    names = {role: (*vocabulary, None) for role, (_, vocabulary) in data.leads.roles.items()}
    roles = {role: data.leads.latest(role) for role in names}
    records, words = scorer.records(scores), _words(data, asked.lead)
    waits = waiting_since(data.project, data.logs, asked.lead, asked.at, data.leads.created[asked.lead]).tolist()
    for row, (lead, record) in enumerate(zip(asked.lead.tolist(), records, strict=True)):
        belongs = {role: names[role][roles[role][lead]] for role in names}
        yield Said(
            record=record,
            as_of=int(scores.at[row]),
            margin=float(scores.margin[row]),
            created=int(data.leads.created[lead]),
            origin=belongs.get("origin"),
            owner=belongs.get("owner"),
            words=words[row],
            waits=None if waits[row] == NEVER else waits[row],
        )


def _place(data: Data, wanted: Wanted, now: int) -> tuple[int, int] | Problem:
    """Return which lead of the tables is wanted, and as of when."""
    try:
        lead = _find(data, wanted.lead_id)
    except Problem as unknown:
        return unknown
    at = not_before(_last_known(data, lead), now) if wanted.as_of is None else wanted.as_of
    if not _known_at(data, lead, at):
        return Problem(UNKNOWN_LEAD, "The lead was not known yet at that instant")
    return lead, at


def _words(data: Data, lead: NDArray[np.int64]) -> list[str]:
    """What each lead is found by: its id, account, owner and origin, then the other categorical fields."""
    leads = data.leads
    last = leads.offsets[lead + 1] - 1
    columns = [leads.roles[role] for role in ("account", "owner", "origin") if role in leads.roles]
    columns += zip(leads.codes, leads.vocabularies, strict=True)
    texts = [np.array([*vocabulary, None], dtype=object)[codes[last]] for codes, vocabulary in columns]
    return [searchable(one) for one in zip(leads.ids[lead], *texts, strict=True)]


def _find(data: Data, lead_id: str) -> int:
    found = np.flatnonzero(data.leads.ids == lead_id)
    if not len(found):
        raise Problem(UNKNOWN_LEAD, "No lead with this id is stored. Send it to POST /v1/events first")
    return int(found[0])


def _last_known(data: Data, lead: int) -> int:
    leads = data.leads
    last = int(leads.known[leads.offsets[lead] : leads.offsets[lead + 1]].max())
    for log in data.logs.values():
        rows = slice(log.offsets[lead], log.offsets[lead + 1])
        last = max(last, int(log.known[rows].max(initial=NEVER)))
    return last


def _known_at(data: Data, lead: int, at: int) -> bool:
    leads = data.leads
    return bool(leads.known[leads.offsets[lead] : leads.offsets[lead + 1]].min() < at and leads.created[lead] <= at)


def closed_on(data: Data, lead: int, at: int) -> tuple[str, str] | None:
    """Return whether a lead was ``won`` or ``lost``, and on which day (UTC); None where that wasn't known before `at`.

    A score of it is of no use then.
    """
    outcomes = data.outcomes
    for what, seen, when in (
        ("won", outcomes.won_seen, outcomes.won_at),
        ("lost", outcomes.lost_seen, outcomes.lost_at),
    ):
        if NEVER != seen[lead] < at:
            return what, time.format_instant(int(when[lead]))[:10]
    return None
