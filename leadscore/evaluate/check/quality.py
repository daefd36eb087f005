"""Rows and values: what reading had to leave out, and columns that are empty, constant or not what they claim."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.findings import Finding, Severity, percent, quoted, section_of, setting, verb
from leadscore.evaluate.check.material import Column, Material
from leadscore.tables import Note

NOT_NUMERIC = 0.5
MANY = 0.01
MOSTLY_MISSING = 0.95
ID_LIKE, FEWEST_FOR_IDS = 0.5, 100
PLACEHOLDERS = frozenset(
    "- -- . ? n/a na none null nil nan unknown undefined select tbd tbc missing (blank) (none) (missing) #n/a".split()
)
SENTINEL_SHARE, SENTINEL_DISTANCE = 0.05, 3.0

_REMEDIES = {
    "rejected": "Mend the rows, or the column or time_format in [{section}]",
    "unknown_lead": "Export the leads that are missing, or mend lead in [{section}]",
    "redelivered": "Nothing to do: the delivery known first is the row",
    "won_before_created": "Mend the rows; check that [leads] created and [outcome] time are in one time zone",
    "without_created": "Fill [leads] created: without it a lead is never at risk and is not learnt from",
    "ambiguous_time": "Export times with an offset, or in UTC",
    "not_a_number": "Mend the values, list what means 'not filled in' under [leads] missing, or declare it categorical",
    "no_wins": "Mend won in [outcome]",
    "no_outcomes": "Mend source in [outcome]",
}


def notes(material: Material) -> list[Finding]:
    """Return what reading counted, as findings."""
    return [_of_note(note, material) for note in material.data.notes]


def _of_note(note: Note, material: Material) -> Finding:
    share = note.n / max(1, material.data.n_rows.get(note.table, 0))
    severity: Severity = "note"
    if note.kind == "no_wins":
        severity = "severe"
    elif note.kind in ("rejected", "unknown_lead", "without_created", "won_before_created", "not_a_number"):
        severity = "warning" if share >= MANY else "note"
    kind = note.kind
    if note.kind == "not_a_number" and share >= NOT_NUMERIC:
        kind, severity = "not_numeric", "warning"
    section = section_of(note.table)
    remedy = _REMEDIES.get(note.kind, "See [{section}]").format(section=section)
    evidence = f"{note.text} ({percent(share)} of the table)" if note.n > 0 and kind != "no_wins" else note.text
    return Finding(severity, kind, note.table, note.column, evidence, remedy)


def profile_columns(material: Material) -> list[Finding]:
    """Judge every declared profile column by its values alone."""
    rules: tuple[Callable[[Column, Material], Finding | None], ...] = (_bare, _ids, _sentinel)
    found = [
        finding for column in material.columns for rule in rules if (finding := rule(column, material)) is not None
    ]
    return found + placeholders(material)


def _without(column: Column) -> str:
    return f"Leave it out: remove {quoted(column.name)} from {column.key} of [leads]"


def _bare(column: Column, material: Material) -> Finding | None:
    """Empty, constant, or nearly never filled in."""
    n_leads, n_filled = len(column.codes), int(column.filled.sum())
    if n_filled == 0:
        evidence = f"none of {n_leads:,} leads has a value"
        return Finding("warning", "empty_column", "leads", column.name, evidence, _without(column))
    if column.n_distinct == 1 and n_filled == n_leads:
        evidence = "every lead has the same value"
        return Finding("note", "constant_column", "leads", column.name, evidence, _without(column))
    if n_filled < (1 - MOSTLY_MISSING) * n_leads:
        evidence = f"{percent(n_filled / n_leads)} of the leads have a value"
        remedy = "Nothing to mend if that is so in the source; else fill it in"
        return Finding("note", "mostly_missing", "leads", column.name, evidence, remedy)
    return None


def _ids(column: Column, material: Material) -> Finding | None:
    if column.key != "categorical":
        return None
    return _id_like(column.n_distinct, int(column.filled.sum()), "leads", column.name, _without(column))


def _id_like(n_distinct: int, n_filled: int, table: str, column: str, remedy: str) -> Finding | None:
    if n_filled < FEWEST_FOR_IDS or n_distinct <= ID_LIKE * n_filled:
        return None
    evidence = (
        f"{n_distinct:,} distinct values in {n_filled:,} filled rows: an id or free text, from which nothing is learnt"
    )
    return Finding("warning", "id_in_disguise", table, column, evidence, remedy)


def placeholders(material: Material) -> list[Finding]:
    """Return one note on all categories that seem to mean "not filled in"."""
    shares: list[str] = []
    values: dict[str, None] = {}
    for column in material.columns:
        codes = [code for code, value in enumerate(column.vocabulary) if value.casefold() in PLACEHOLDERS]
        n_found = int(np.isin(column.codes, codes).sum()) if codes else 0
        if n_found >= max(1, MANY * len(column.codes)):
            shares.append(f"{column.name} ({percent(n_found / len(column.codes))})")
            values |= dict.fromkeys(column.vocabulary[code] for code in codes)
    if not shares:
        return []
    evidence = f"leads that say {', '.join(map(quoted, values))}: {', '.join(shares)}"
    missing = list(dict.fromkeys([*material.project.leads.missing, *values]))
    remedy = f"If that means 'not filled in': {setting('leads', 'missing', missing)}"
    only = shares[0].rpartition(" (")[0] if len(shares) == 1 else None
    return [Finding("note", "placeholder", "leads", only, evidence, remedy)]


def _sentinel(column: Column, material: Material) -> Finding | None:
    """One extreme number, far from all others, on many leads: 999 for never, −1 for unknown."""
    known = column.values[column.filled] if len(column.values) else np.empty(0)
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) < 3:
        return None
    at = _lonely_end(distinct, counts)
    if at is None:
        return None
    value = f"{distinct[at]:g}"
    evidence = f"{percent(counts[at] / len(known))} of the leads say {value}, far from every other value"
    missing = list(dict.fromkeys([*material.project.leads.missing, value]))
    remedy = f"If that means 'not filled in': {setting('leads', 'missing', missing)}"
    return Finding("note", "sentinel", "leads", column.name, evidence, remedy)


def _lonely_end(distinct: NDArray[np.float64], counts: NDArray[np.int64]) -> int | None:
    enough = counts >= SENTINEL_SHARE * counts.sum()
    if enough[-1] and distinct[-1] - distinct[-2] > SENTINEL_DISTANCE * (distinct[-2] - distinct[0]):
        return -1
    if enough[0] and distinct[0] in (-1.0, -9.0, -99.0, -999.0) and distinct[1] >= 0:
        return 0
    return None


def event_columns(material: Material) -> list[Finding]:
    """Judge every declared column of events by its values alone."""
    found: list[Finding] = []
    for spec in material.project.events:
        log = material.data.logs[spec.name]
        for i, name in enumerate(spec.categorical):
            kept = [other for other in spec.categorical if other != name]
            remedy = "Leave it out: " + setting(f"events.{spec.name}", "categorical", kept)
            filled = log.codes[i] >= 0
            n_distinct = len(np.unique(log.codes[i][filled]))
            found += _event_column(spec.name, name, n_distinct, int(filled.sum()), log.n_events, remedy)
            ids = _id_like(n_distinct, int(filled.sum()), spec.name, name, remedy)
            found += [ids] if ids is not None else []
        for i, name in enumerate(spec.numeric):
            kept = [other for other in spec.numeric if other != name]
            remedy = "Leave it out: " + setting(f"events.{spec.name}", "numeric", kept)
            filled = ~np.isnan(log.values[i])
            n_distinct = len(np.unique(log.values[i][filled]))
            found += _event_column(spec.name, name, n_distinct, int(filled.sum()), log.n_events, remedy)
    return found


def _event_column(table: str, name: str, n_distinct: int, n_filled: int, n_rows: int, remedy: str) -> list[Finding]:
    if n_rows and n_filled == 0:
        return [Finding("warning", "empty_column", table, name, f"none of {n_rows:,} rows has a value", remedy)]
    if n_rows > 1 and n_distinct == 1 and n_filled == n_rows:
        return [Finding("note", "constant_column", table, name, "every row has the same value", remedy)]
    return []


def profiles(material: Material) -> list[Finding]:
    """Look at what the table of leads can't say: versions, and leads entered twice."""
    spec, data = material.project.leads, material.data
    found: list[Finding] = []
    if not material.versioned and material.project.timed and material.columns:
        evidence = "profiles carry no versions: a value filled in today counts as known since ever"
        remedy = 'Export the history of the profile, and declare [leads] known = "the column that dates a version"'
        found.append(Finding("note", "no_versions", "leads", None, evidence, remedy))
    found += _latest_version_only(material)
    n_twins = _n_twins(material)
    if n_twins >= max(1, MANY * len(data.leads.ids)):
        evidence = f"{verb(n_twins, 'lead repeats', 'leads repeat')} another's creation time and whole profile"
        remedy = f"Merge them in the source, or give them one {spec.account or 'account'}"
        found.append(Finding("note", "twin_leads", "leads", None, evidence, remedy))
    return found


def _latest_version_only(material: Material) -> list[Finding]:
    """`known` of a table that keeps one row per lead dates the last change: earlier cutoffs see no profile."""
    leads = material.data.leads
    if not material.versioned or len(leads.known) != len(leads.ids) or not len(leads.ids):
        return []
    column = str(material.project.leads.known)
    late = (leads.known > leads.created + 86_400_000_000).mean()
    if late < 0.25:
        return []
    evidence = (
        f"each lead has one version, and {percent(late)} of them are dated more than a day after the lead's creation: "
        "before that the model sees no profile at all"
    )
    remedy = f"Export every version of a lead; without any, remove known = {quoted(column)} from [leads]"
    return [Finding("warning", "latest_version_only", "leads", column, evidence, remedy)]


def _n_twins(material: Material) -> int:
    """Leads that share an instant of creation (not a mere date) and every profile column with another."""
    created = material.data.leads.created
    if not material.project.timed or len(material.columns) < 2 or not (created % 86_400_000_000 != 0).mean() > 0.5:
        return 0
    keys = [*(column.codes.astype(np.int64) for column in material.columns), created]
    order = np.lexsort(keys)
    same = np.ones(max(0, len(order) - 1), dtype=bool)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    return int(same.sum())
