"""Profile columns that know the outcome: written after it, or because of it.

A table of leads without versions shows today's values, also those that someone filled in after the deal. The rules
below look at one column alone, and so do those of `.stretches` and `.by_name`; `.together` looks at what columns tell
in company. A lead counts once. "An AUC above .9 on CRM fields is a leak until proven otherwise."

========================= ============================================================================================
predicts_too_well         one column alone, out of fold, over judged leads or over those that have a value (at least
                          10 %): **severe** from AUC .90, **warning** from .80
filled_by_outcome         the share of leads that have a value differs between won and lost, or between closed and open
                          leads, by creation date alike: **severe** from 50 points, or from 25 where one side is within
                          1 point of all or none; **warning** from 25, or from 10 so. Four standard errors at least
tells_outcome             a category that at least 98 % of its leads won (30 or more) while at most half of all do:
                          **severe** where it holds 20 % of all wins, else **warning**
========================= ============================================================================================

Nothing is said below 30 leads of either kind. What a suspicious column adds is in the evidence: the AUC of the columns
that are not severe without it, and with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leadscore.evaluate.check.by_name import rewritten_by_name
from leadscore.evaluate.check.curves import fill_over_time, win_rate_by_value
from leadscore.evaluate.check.findings import GRAVEST_FIRST, Finding, Series, Severity, leave_out, percent, quoted
from leadscore.evaluate.check.material import FEWEST, Column, Groups, Material, undeclared_columns
from leadscore.evaluate.check.power import column_auc
from leadscore.evaluate.check.stretches import filled_backwards
from leadscore.evaluate.check.suspicion import Suspicion, judged_leads, severe_columns
from leadscore.evaluate.check.together import together
from leadscore.time import Mask

SEVERE_AUC, SUSPICIOUS_AUC = 0.90, 0.80
FEWEST_FILLED = 0.10
SEVERE_GAP, SEVERE_GAP_AT_EDGE = 0.50, 0.25
SUSPICIOUS_GAP, SUSPICIOUS_GAP_AT_EDGE = 0.25, 0.10
EDGE = 0.01
STANDARD_ERRORS = 4.0
PURE, PURE_SHARE_OF_WINS = 0.98, 0.20


def leaks(material: Material) -> list[Finding]:
    """Return what the rules above find in the declared columns, one finding each, and one note on the undeclared."""
    found = [suspicion for column in material.columns for suspicion in suspicions(column, material)]
    found += together(found, material)
    severe = severe_columns(found)
    by_column: dict[str, list[Suspicion]] = {}
    for suspicion in found:
        by_column.setdefault(suspicion.column.name, []).append(suspicion)
    return [_finding(held, material, severe) for held in by_column.values()] + _undeclared(material)


def suspicions(column: Column, material: Material) -> list[Suspicion]:
    """Judge one column by the rules that look at columns alone."""
    if not column.filled.any():
        return []
    found = [
        _too_well(column, material),
        _filled_by_outcome(column, material),
        _tells_outcome(column, material.groups),
        filled_backwards(column, material),
        None if material.versioned else rewritten_by_name(column, material.groups, seed=material.seed),
    ]
    return [suspicion for suspicion in found if suspicion is not None]


def _too_well(column: Column, material: Material) -> Suspicion | None:
    groups = material.groups
    judged = judged_leads(groups)
    everywhere = _auc(column, groups, judged, material.seed)
    filled = judged & column.filled
    where_filled = None
    if filled.sum() >= FEWEST_FILLED * judged.sum():
        where_filled = _auc(column, groups, filled, material.seed)
    best = max(everywhere or 0.0, where_filled or 0.0)
    if best < SUSPICIOUS_AUC:
        return None
    evidence = f"alone it ranks won above other leads with AUC {everywhere or 0.5:.3f}"
    if where_filled is not None and filled.sum() != judged.sum():
        evidence += f", {where_filled:.3f} among the {percent(filled.sum() / judged.sum())} of leads that have a value"
    return Suspicion("severe" if best >= SEVERE_AUC else "warning", "predicts_too_well", column, evidence)


def _auc(column: Column, groups: Groups, among: Mask, seed: int) -> float | None:
    label = groups.won[among]
    if min(label.sum(), (~label).sum()) < FEWEST:
        return None
    return column_auc(column.codes[among], label, seed=seed)


def _filled_by_outcome(column: Column, material: Material) -> Suspicion | None:
    groups = material.groups
    lost = groups.lost if groups.lost.sum() >= FEWEST else judged_leads(groups) & ~groups.won
    pairs = [(groups.won, lost)]
    if not material.versioned:  # versions say what was known while a lead was open
        pairs.append((groups.closed, groups.open))
    gravest: Severity | None = None
    for one, other in pairs:
        severity = _judge_gap(column.filled, one, other, groups, one_sided=one is not groups.won)
        gravest = severity if gravest is None or severity == "severe" else gravest
    if gravest is None:
        return None
    rates = [
        f"{percent(column.filled[mask].mean())} of {name}"
        for name, mask in (("won", groups.won), ("lost", groups.lost), ("open", groups.open))
        if mask.any()
    ]
    return Suspicion(gravest, "filled_by_outcome", column, f"it is filled in on {', '.join(rates)} leads")


def _judge_gap(filled: Mask, one: Mask, other: Mask, groups: Groups, *, one_sided: bool) -> Severity | None:
    """Compare fill rates of leads created at the same time; one-sided: only where the first is the fuller."""
    if min(one.sum(), other.sum()) < FEWEST:
        return None
    gap, error = _gap_within_strata(filled, one, other, groups)
    if abs(gap) < STANDARD_ERRORS * error or (one_sided and gap < 0):
        return None
    at_edge = any(min(rate, 1 - rate) <= EDGE for rate in (filled[one].mean(), filled[other].mean()))
    if abs(gap) >= (SEVERE_GAP_AT_EDGE if at_edge else SEVERE_GAP):
        return "severe"
    return "warning" if abs(gap) >= (SUSPICIOUS_GAP_AT_EDGE if at_edge else SUSPICIOUS_GAP) else None


def _gap_within_strata(filled: Mask, one: Mask, other: Mask, groups: Groups) -> tuple[float, float]:
    """Difference of fill rates, averaged over strata of creation, and its standard error."""
    size = int(groups.stratum.max(initial=0)) + 1

    def tally(mask: Mask) -> np.ndarray:
        return np.bincount(groups.stratum[mask], minlength=size).astype(np.float64)

    n_one, n_other = tally(one), tally(other)
    both = (n_one > 0) & (n_other > 0)
    if not both.any():
        return 0.0, 0.0
    n_one, n_other = n_one[both], n_other[both]
    rate_one, rate_other = tally(one & filled)[both] / n_one, tally(other & filled)[both] / n_other
    weight = n_one * n_other / (n_one + n_other)
    share = weight / weight.sum()
    pooled = (rate_one * n_one + rate_other * n_other) / (n_one + n_other)
    error = np.sqrt(np.sum(share**2 * pooled * (1 - pooled) * (1 / n_one + 1 / n_other)))
    return float(np.sum(share * (rate_one - rate_other))), float(error)


def _tells_outcome(column: Column, groups: Groups) -> Suspicion | None:
    judged = judged_leads(groups) & column.filled
    won = judged & groups.won
    if not column.vocabulary or won.sum() < FEWEST or groups.won[judged_leads(groups)].mean() > 0.5:
        return None
    n_rows = np.bincount(column.codes[judged], minlength=len(column.vocabulary))
    n_won = np.bincount(column.codes[won], minlength=len(column.vocabulary))
    pure = np.flatnonzero((n_rows >= FEWEST) & (n_won >= PURE * n_rows))
    if not len(pure):
        return None
    largest = pure[np.argsort(-n_won[pure], kind="stable")]
    shown = ", ".join(
        f"{quoted(column.vocabulary[code])} ({n_won[code]:,} of {n_rows[code]:,} won)" for code in largest[:3]
    )
    share = n_won[pure].sum() / groups.won[judged_leads(groups)].sum()
    usual = percent(groups.won[judged_leads(groups)].mean())
    evidence = f"practically every lead with {shown} was won, against {usual} of all"
    return Suspicion("severe" if share >= PURE_SHARE_OF_WINS else "warning", "tells_outcome", column, evidence)


def _finding(held: Sequence[Suspicion], material: Material, severe: set[str]) -> Finding:
    """Return one finding on one column: the gravest suspicion names it, all give evidence."""
    gravest = min(held, key=lambda suspicion: GRAVEST_FIRST.index(suspicion.severity))
    column = gravest.column
    evidence = "; ".join(suspicion.evidence for suspicion in held)
    remedy = (
        "If it is written when a lead is won or lost, or later, leave it out: "
        f"{leave_out(material.project, 'leads', column.name, severe)}"
    )
    if material.project.timed and not material.versioned:
        remedy += '. Or date its versions: [leads] known = "…"'
    return Finding(gravest.severity, gravest.kind, "leads", column.name, evidence, remedy, _picture(gravest, material))


def _picture(gravest: Suspicion, material: Material) -> Series | None:
    by_fill = gravest.kind in ("filled_by_outcome", "backfilled_stretch", "missingness_predicts")
    return (fill_over_time if by_fill else win_rate_by_value)(gravest.column, material)


def _undeclared(material: Material) -> list[Finding]:
    """One note on columns that the project rightly leaves out."""
    known = {
        column.name
        for column in undeclared_columns(material)
        if any(suspicion.severity == "severe" for suspicion in suspicions(column, material))
    }
    if not known:
        return []
    shown = ", ".join(quoted(name) for name in sorted(known)[:8]) + (", …" if len(known) > 8 else "")
    evidence = f"the leads' source has undeclared columns that know the outcome: {shown}"
    return [Finding("note", "rightly_left_out", "leads", None, evidence, "Leave them out, as now")]
