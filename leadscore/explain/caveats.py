"""What a reader of a score should know beside it: values never seen in training, leads without history."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore import time
from leadscore.features import kernels, lead_kernels
from leadscore.features.plan import FeaturePlan
from leadscore.tables import Cutoffs, Data

COLD = "no event is known yet: the score rests on the profile alone"


def caveats(plan: FeaturePlan, data: Data, asked: Cutoffs) -> list[list[str]]:
    """Return the warnings of every (lead, cutoff), in a fixed order; they see only what is visible at the cutoff."""
    warnings: list[list[str]] = [[] for _ in range(len(asked))]
    _unseen_profile_values(plan, data, asked, warnings)
    for table in data.logs:
        _unseen_event_values(plan, data, table, asked, warnings)
    if data.logs:
        for row in _cold(data, asked).nonzero()[0].tolist():
            warnings[row].append(COLD)
    return warnings


def of_context(plan: FeaturePlan, given: Collection[str]) -> list[str]:
    """Return warnings of what is lacking of a lead's company, and of what came with it in vain.

    `given` are the names of the features that came with the lead.
    """
    names = plan.company_names
    lacking = [name for name in names if name not in given] if given else names
    n_vain = len(set(given).difference(names)) if given else 0
    warnings = [f"context: {_some(lacking)} not given; taken as unknown"] if lacking else []
    return warnings + ([f"context: {n_vain} name(s) that this model doesn't ask for ignored"] if n_vain else [])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _unseen(
    plan: FeaturePlan, table: str, vocabularies: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, str, dict[int, str]]]:
    """Columns with words that training never saw: their position, their name and the words by code."""
    for position, column, known in plan.known_words[table]:
        if not known.issuperset(vocabularies[position]):
            unseen = {code: word for code, word in enumerate(vocabularies[position]) if word not in known}
            yield position, column, unseen


def _is_one_of(codes: Collection[int], vocabulary: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether each code of a vocabulary is among some; its last element stands for null, the code −1."""
    among = np.zeros(len(vocabulary) + 1, dtype=np.bool_)
    among[list(codes)] = True
    return among


def _text(table: str, column: str, word: str) -> str:
    shown = word if len(word) <= 40 else word[:40] + "…"
    return f"{table}.{column}: '{shown}' was not seen in training"


def _unseen_profile_values(plan: FeaturePlan, data: Data, asked: Cutoffs, warnings: list[list[str]]) -> None:
    leads = data.leads
    for position, column, unseen in _unseen(plan, "lead", leads.vocabularies):
        version = np.empty(len(asked), dtype=np.int64)
        lead_kernels.version_at(asked.lead, asked.at, leads.offsets, leads.known, version)
        codes = np.where(version < 0, -1, leads.codes[position, version])
        rows = np.flatnonzero(_is_one_of(unseen, leads.vocabularies[position])[codes])
        _warn(warnings, rows, codes[rows], {code: _text("lead", column, word) for code, word in unseen.items()})


def _unseen_event_values(plan: FeaturePlan, data: Data, table: str, asked: Cutoffs, warnings: list[list[str]]) -> None:
    """One warning per column, for the alphabetically first unseen value."""
    log = data.logs[table]
    for position, column, unseen in _unseen(plan, table, log.vocabularies):
        strange = _is_one_of(unseen, log.vocabularies[position])
        first = np.empty(len(asked), dtype=np.int64)
        codes = log.codes[position]
        _first_visible(asked.lead, asked.at, log.offsets, log.time, log.known, codes, strange, first)
        rows = np.flatnonzero(first >= 0)
        _warn(warnings, rows, first[rows], {code: _text(table, column, word) for code, word in unseen.items()})


def _warn(
    warnings: list[list[str]], rows: NDArray[np.int64], codes: NDArray[np.integer], texts: dict[int, str]
) -> None:
    for row, code in zip(rows.tolist(), codes.tolist(), strict=True):
        warnings[row].append(texts[code])


@njit(nogil=True, cache=True)
def _first_visible(lead, cutoff, offsets, time, known, codes, wanted, first):  # type: ignore[no-untyped-def]
    """Write the lowest of the wanted codes among the lead's events that are visible at each cutoff, −1 for none."""
    for i in range(len(lead)):
        first[i] = -1
        for j in range(offsets[lead[i]], offsets[lead[i] + 1]):
            if time[j] >= cutoff[i]:
                break
            code = codes[j]
            if known[j] < cutoff[i] and wanted[code] and (first[i] < 0 or code < first[i]):
                first[i] = code


def _cold(data: Data, asked: Cutoffs) -> NDArray[np.bool_]:
    """Whether no event of any table is visible at the cutoff."""
    warm = np.zeros(len(asked), dtype=np.bool_)
    for log in data.logs.values():
        kernels.any_visible(asked.lead, asked.at, log.offsets, log.time, log.known, warm)
    return ~warm


def untimely(data: Data, lead: int, at: int) -> list[str]:
    """Say why a score at this time is no forecast: the lead was closed, not there yet, or the data end earlier."""
    if not data.project.timed:
        return []
    outcomes, created = data.outcomes, int(data.leads.created[lead])
    warnings = []
    for word, closed_at in (("won", int(outcomes.won_at[lead])), ("lost", int(outcomes.lost_at[lead]))):
        if closed_at != time.NEVER and closed_at < at:
            warnings.append(f"the lead was {word} on {time.format_instant(closed_at)}: this is no forecast")
    if created == time.NEVER or created > at:
        warnings.append("the lead was not created yet, or nobody knows when: this is no forecast")
    return warnings + ([beyond(data.observed_until, at)] if at > data.observed_until else [])


def beyond(until: int, at: int) -> str:
    """Say that a time lies past the end of the data."""
    return f"the data end at {time.format_instant(until)}, before {time.format_instant(at)}"
