"""A promotion in words: for the terminal, as a page, and the trail of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leadscore.evaluate.page import Block, Listing, Page, Section, Table, Text, render
from leadscore.evaluate.report_page.cells import METRICS, difference, number, words
from training.promoting.beside import COMPARED, Beside
from training.promoting.flips import GRADES, Flip, Flips

if TYPE_CHECKING:
    from training.promote import Promotion


def text(found: Promotion) -> str:
    """Return what a person at a terminal reads, the decision first."""
    lines = [found.verdict, ""]
    lines += [f"  {'passed' if gate.passed else 'FAILED'}  {gate.name}: {gate.told}" for gate in found.gates]
    if found.why_not:
        lines.append(f"  FAILED  comparison: {found.why_not}")
    if found.beside is not None:
        lines += ["", *_side_by_side(found.beside), *(f"! {note}" for note in found.beside.notes)]
    if found.flips is not None:
        lines += ["", *_who_moves(found.flips)]
    return "\n".join(lines)


def _side_by_side(beside: Beside) -> list[str]:
    lines = [f"On {len(beside.rows):,} later snapshots, {int(beside.rows.label.sum()):,} won:"]
    lines.append(f"  {'':20}{'challenger':>12}{'champion':>12}   challenger less champion")
    for name in COMPARED:
        old = None if beside.champion is None else beside.champion.metrics[name]
        cells = f"{number(beside.challenger.metrics[name], 4):>12}{number(old, 4):>12}"
        lines.append(f"  {words(name):20}{cells}   {difference(beside.against_champion.get(name))}")
    return lines


def _who_moves(found: Flips) -> list[str]:
    lines = [f"{found.n_changed:,} of {found.n:,} open leads change grade (rows: champion, columns: challenger):"]
    lines.append(f"  {'':4}" + "".join(f"{grade:>8}" for grade in GRADES))
    lines += [f"  {one:4}" + "".join(f"{found.matrix[one][other]:>8,}" for other in GRADES) for one in GRADES]
    lines.append(
        f"Of the best {found.n_listed:,}, {found.overlap:.0%} stay on the list; wins to expect there: "
        f"{found.expected[0]:.1f} by the champion, {found.expected[1]:.1f} by the challenger"
    )
    for flip in found.moved[:5]:
        lines.append(f"  {flip.lead_id}: {' → '.join(flip.grades)}, score {flip.scores[0]} → {flip.scores[1]}")
        lines.append(f"    {_why(flip)}")
    return lines


def _why(flip: Flip) -> str:
    told = "; ".join(f"{effect:+.2f} {what}" for what, effect in flip.why)
    return told or "many small differences"


def page(found: Promotion, *, leads: bool = False) -> str:
    """Return the comparison as HTML; with `leads`, the ids of those that move most are named."""
    sections = [Section("Gates", [_gates(found)])]
    if found.beside is not None:
        sections.append(Section("Side by side, on the same later snapshots", _beside(found.beside)))
    if found.flips is not None:
        sections.append(Section("Who changes grade", _flips(found.flips, leads=leads)))
    tone = "good" if found.promotes and all(gate.passed for gate in found.gates) else "bad"
    facts = [("Challenger", f"version {found.challenger}"), ("Champion", f"version {found.champion or '–'}")]
    title = "Promotion" if found.beside is None else f"{found.beside.rows.data.project.name} · promotion"
    return render(Page(title, found.verdict, sections, "good" if tone == "good" else "bad", facts))


def _gates(found: Promotion) -> Table:
    rows = [[gate.name, "passed" if gate.passed else "FAILED", gate.told] for gate in found.gates]
    if found.why_not:
        rows.append(["comparison", "FAILED", found.why_not])
    return Table(["Gate", "Passed", "Numbers"], rows, words=(1, 2))


def _beside(beside: Beside) -> list[Block]:
    rows = []
    for name, title in METRICS.items():
        old = None if beside.champion is None else beside.champion.metrics[name]
        cells = [number(beside.challenger.metrics[name], 4), number(old, 4)]
        rows.append([title, *cells, difference(beside.against_champion.get(name))])
    n_won = int(beside.rows.label.sum())
    caption = f"{len(beside.rows):,} snapshots, {n_won:,} won; paired differences with 95 % intervals"
    table = Table(["", "Challenger", "Champion", "Challenger less champion"], rows, caption)
    return [table, *([Listing(beside.notes)] if beside.notes else [])]


def _flips(found: Flips, *, leads: bool) -> list[Block]:
    matrix = [[one, *(f"{found.matrix[one][other]:,}" for other in GRADES)] for one in GRADES]
    caption = f"{found.n_changed:,} of {found.n:,} open leads change grade; rows: champion, columns: challenger"
    blocks: list[Block] = [
        Table(["", *GRADES], matrix, caption),
        Text(
            f"Of the best {found.n_listed:,}, {found.overlap:.0%} stay on the list. Wins to expect there: "
            f"{found.expected[0]:.1f} by the champion, {found.expected[1]:.1f} by the challenger."
        ),
    ]
    moved = [
        [flip.lead_id if leads else f"lead {place}", " → ".join(flip.grades),
         f"{flip.scores[0]} → {flip.scores[1]}", f"{flip.probabilities[0]:.1%} → {flip.probabilities[1]:.1%}",
         _why(flip)]
        for place, flip in enumerate(found.moved, start=1)
    ]  # fmt: skip
    if moved:
        headings = ["Lead", "Grade", "Score", "Probability", "Why, in log-odds"]
        blocks.append(Table(headings, moved, "Those whose score moves most", words=(4,)))
    return blocks


def trail(decided: Sequence[dict[str, Any]]) -> str:
    """Return all decisions, one a line, newest first."""
    if not decided:
        return "No decision was taken here yet"
    return "\n".join(
        f"{one.get('at', '')}  {one.get('decision', ''):12} version {one.get('version', '')}"
        f"{' over ' + one['champion'] if one.get('champion') else ''}, by {one.get('by', '')}"
        + (f", forced: {one['forced']}" if one.get("forced") else "")
        + (f", because {one['reason']}" if one.get("reason") else "")
        for one in decided
    )
