"""Segments with too few leads or wins to have a rate of their own, and what becomes of them. One note, never many."""

from __future__ import annotations

import numpy as np

from leadscore.evaluate.check.findings import Finding, Series, percent, quoted
from leadscore.evaluate.check.material import Column, Material
from leadscore.evaluate.check.suspicion import judged_leads

FEWEST_LEADS, FEWEST_WINS = 100, 10
MOST_NAMED, MOST_BARS = 3, 12


def small_segments(material: Material) -> list[Finding]:
    """Count the judged leads and wins of each origin (else each value of the first categorical column)."""
    column = _segment_column(material)
    judged = judged_leads(material.groups)
    if column is None or not judged.any():
        return []
    code = column.codes[judged & column.filled]
    size = len(column.vocabulary)
    n_leads = np.bincount(code, minlength=size)
    n_won = np.bincount(column.codes[judged & column.filled & material.groups.won], minlength=size)
    there = np.flatnonzero(n_leads)
    small = there[(n_leads[there] < FEWEST_LEADS) | (n_won[there] < FEWEST_WINS)]
    if not len(small):
        return []
    small = small[np.argsort(-n_leads[small], kind="stable")]
    shown = ", ".join(
        f"{quoted(column.vocabulary[i])} ({n_leads[i]:,} leads, {n_won[i]:,} won)" for i in small[:MOST_NAMED]
    )
    evidence = (
        f"{len(small):,} of {len(there):,} values have fewer than {FEWEST_LEADS} judged leads or {FEWEST_WINS} wins, "
        f"{percent(n_leads[small].sum() / max(1, n_leads.sum()))} of the leads: {shown}"
        f"{' and others' if len(small) > MOST_NAMED else ''}. {_what_happens(column, material, len(there))}"
    )
    remedy = (
        "Read figures by segment only for those above. Merge small ones in the source where they mean the same, or set "
        f"[features] categories (now {material.project.features.categories}) and smoothing "
        f"(now {material.project.features.smoothing:g})"
    )
    return [Finding("note", "small_segments", "leads", column.name, evidence, remedy, _picture(column, n_leads))]


def _segment_column(material: Material) -> Column | None:
    spec = material.project.leads
    name = spec.origin or next(iter(spec.categorical), None)
    return next((column for column in material.columns if column.name == name and column.vocabulary), None)


def _what_happens(column: Column, material: Material, n_values: int) -> str:
    """What the plan and the rates make of small segments."""
    options, spec = material.project.features, material.project.leads
    said = []
    if n_values > options.categories and column.name in spec.categorical:
        said.append(f"all but the {options.categories} commonest are folded into (other)")
    if column.name == spec.origin:
        said.append(
            f"a rate is mixed with {options.smoothing:g} average leads, so small ones have nearly the average's"
        )
    return f"Of these, {'; '.join(said)}" if said else "A tree may not split off so few, so they score as the others do"


def _picture(column: Column, n_leads: np.ndarray) -> Series:
    largest = np.argsort(-n_leads, kind="stable")[:MOST_BARS]
    largest = largest[n_leads[largest] > 0]
    return Series(
        "bars", f"Judged leads by {column.name}", tuple(column.vocabulary[i] for i in largest),
        {"judged leads": tuple(float(n_leads[i]) for i in largest)}, share=False,
    )  # fmt: skip
