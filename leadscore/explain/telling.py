"""A score and a receipt as text that a seller reads in ten seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from leadscore import time
from leadscore.explain.facts import Arrivals, Edit, Value
from leadscore.explain.moves import Move
from leadscore.explain.parts import Part, Receipt
from leadscore.explain.reasons import NOISE
from leadscore.features.words import in_words, readable
from leadscore.phrases.catalogue import catalogue

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_OTHERS = {"account": "company", "origin": "origin", "owner": "owner"}
_MOST = 3
"""Moves, kinds of events and fields that a part names."""
_LONG_CLAUSE = 4
"""Words from which on a phrase is not cut short."""
_FAINT = 0.05
"""What moves the odds by less than 5 % needs no details, in log-odds, where the score stays."""
_INDENT = " " * 20


def tell(receipt: Receipt) -> list[str]:
    """Return a receipt as lines: the change, its parts by size, what moved in each, and what to know beside it."""
    before, after = receipt.before, receipt.after
    n_digits = 1 if max(before.probability, after.probability) >= 0.02 else 2
    lines = [
        f"{receipt.lead_id}: score {before.score} ({before.grade}) → {after.score} ({after.grade}), probability "
        f"{_percent(before.probability, n_digits)} → {_percent(after.probability, n_digits)}, "
        f"{_span(before.at, after.at, receipt.timezone)}",
        "  score  probability",
    ]
    shown = [part for part in receipt.parts if not _is_empty(part)]
    for part in sorted(shown, key=lambda part: (-abs(part.score), -abs(part.margin))):
        lines.append(f"{_row(part.score, part.probability, n_digits)}{_title(part, receipt.timezone)}")
        if part.score or abs(part.margin) >= _FAINT or part.edits:
            lines += [f"{_INDENT}{line}" for line in _details(part)]
    change = _row(after.score - before.score, after.probability - before.probability, n_digits)
    lines.append(f"{change}in all (the small figures are log-odds)")
    notes = [part.note for part in reversed(receipt.parts) if part.note and _is_empty(part) and part.kind != "others"]
    lines += [f"  {_sentence('; '.join(notes))}."] if notes else []
    return lines + [f"  ! {warning}" for warning in receipt.warnings]


def tell_reasons(record: dict[str, Any]) -> list[str]:
    """Return a record of `LeadScorer.explain` as lines: what speaks for the lead, what against it, and the sum."""
    when = f" as of {record['as_of']}" if record["as_of"] else ""
    intent = "" if record["intent"] is None else f", intent {record['intent']}"
    lines = [
        f"{record['lead_id']}{when}: probability {record['probability']:.1%}, score {record['score']}, "
        f"grade {record['grade']}, fit {record['fit']}{intent}"
    ]
    lines += [f"  ! {warning}" for warning in record["warnings"]]
    reasons = record["reasons"]
    for heading, side in (("for it", 1), ("against it", -1)):
        chosen = [reason for reason in reasons if reason["effect"] * side > 0]
        lines += [f"  {heading}:"] if chosen else [f"  nothing speaks {heading}"]
        lines += [f"    {reason['effect']:+7.3f}  {reason['text']}" for reason in chosen]
    if record["not_filled_in"]:
        lines.append(f"  not filled in: {', '.join(map(readable, record['not_filled_in']))}")
    rest = record["margin"] - record["base"] - sum(reason["effect"] for reason in reasons)
    n_small = len(record["groups"]) - len(reasons)
    lines.append("  in log-odds:")
    lines += [f"    {rest:+7.3f}  {n_small} smaller reasons together"] if n_small else []
    lines.append(f"    {record['base']:+7.3f}  where every lead starts")
    return [*lines, f"    {record['margin']:+7.3f}  in all{_calibrated(record)}"]


def change_in_words(before: str, after: str) -> str:
    """Join two phrases by what they share: ``last call 2 → 16 days ago``; equal ones are said once.

    A value is never cut: neither a number from its unit, nor what stands behind a colon, nor a long clause.
    """
    if before == after:
        return before
    first, then = before.split(), after.split()
    n_head = _n_shared(first, then)
    colon = next((place for place in range(n_head) if first[place].endswith(":")), None)
    if colon is not None:
        n_head = colon + 1
    elif n_head and first[n_head - 1][-1].isdigit():
        n_head -= 1
    if n_head == min(len(first), len(then)):
        return f"{before} → {after}"
    first, then, head = first[n_head:], then[n_head:], first[:n_head]
    n_tail = _n_shared(first[::-1], then[::-1])
    if max(len(first), len(then)) - n_tail > _LONG_CLAUSE or min(len(first), len(then)) == n_tail:
        n_tail = 0
    return f"{' '.join([*head, *first[: len(first) - n_tail]])} → {' '.join(then)}"


def _n_shared(first: Sequence[str], then: Sequence[str]) -> int:
    """Count the words that two texts begin with alike."""
    shortest = min(len(first), len(then))
    return next((place for place in range(shortest) if first[place] != then[place]), shortest)


def _row(score: int, probability: float, n_digits: int) -> str:
    points = f"{_signed(100 * probability, n_digits)} %"
    return f"  {_signed(score, 0):>5}  {points:>9}  "


def _signed(value: float, n_digits: int) -> str:
    rounded = round(value, n_digits)
    if rounded == 0:
        return f"{0:.{n_digits}f}"
    return f"{'+' if rounded > 0 else '−'}{abs(rounded):.{n_digits}f}"


def _percent(value: float, n_digits: int) -> str:
    return f"{100 * value:.{n_digits}f} %"


def _is_empty(part: Part) -> bool:
    return not (part.margin or part.score or part.probability or part.edits or part.events)


def _title(part: Part, timezone: str) -> str:
    if part.kind == "time":
        return "time that passed"
    if part.kind == "events":
        n_events = sum(kind.n for kind in part.events)
        return f"{n_events:,} new event{'' if n_events == 1 else 's'}: {_kinds(part.events, timezone)}"
    if part.kind == "fields":
        return f"edited: {', '.join(readable(edit.field) for edit in part.edits)}"
    if part.kind == "others":
        return f"other leads of its {_and([_OTHERS[role] for role in part.roles])}"
    versions = (part.before.model_version, part.after.model_version)
    named = f" (version {versions[0]} → {versions[1]})" if all(versions) else ""
    return f"another model{named}"


def _kinds(kinds: Sequence[Arrivals], timezone: str) -> str:
    told = []
    for kind in kinds[:_MOST]:
        days = [_day(_local(instant, timezone)) for instant in (kind.first_at, kind.last_at)]
        when = days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}"
        times = f"{kind.n:,} × " if kind.n > 1 else ""
        late = f", {'' if kind.n == kind.n_late else f'{kind.n_late} of them '}known only later" if kind.n_late else ""
        told.append(f"{times}{' '.join(kind.kind) or readable(kind.table)} ({when}{late})")
    n_more = sum(kind.n for kind in kinds[_MOST:])
    return ", ".join(told) + (f" and {n_more:,} more" if n_more else "")


def _details(part: Part) -> list[str]:
    """Name the strongest moves; what reads the same before and after is one line, what is small another."""
    changed = [move for move in part.moves if move.before != move.after or part.kind == "model"]
    shown = [move for move in changed if abs(move.effect) >= NOISE][:_MOST]
    lines = [_detail(part, move) for move in shown]
    told = {move.feature for move in shown}
    lines += [_edited(edit) for edit in part.edits if f"lead.{edit.field}" not in told]
    quiet = [move for move in part.moves if move not in changed]
    weighed = sum(move.effect for move in quiet)
    rest = [move for move in part.moves if move not in shown and (move not in quiet or abs(weighed) < _FAINT)]
    if abs(weighed) >= _FAINT:
        lines.append(f"{_effect(quiet)}  what stayed as it was weighs differently beside this")
    if abs(sum(move.effect for move in rest)) >= NOISE / 2:
        lines.append(f"{_effect(rest)}  smaller moves together")
    return lines


def _detail(part: Part, move: Move) -> str:
    if part.kind != "model":
        return f"{_effect([move])}  {change_in_words(move.before, move.after)}"
    counted = f"counted {_signed(move.effect_before, 2)}, now {_signed(move.effect_after, 2)}"
    return f"{_effect([move])}  {move.before or move.about} ({counted})"


def _effect(moves: Sequence[Move]) -> str:
    return f"{_signed(sum(move.effect for move in moves), 2):>6}"


def _edited(edit: Edit) -> str:
    return f"{'':>6}  {readable(edit.field)}: {_value(edit.before)} → {_value(edit.after)}"


def _value(value: Value) -> str:
    if value is None:
        return "not filled in"
    return in_words(value) if isinstance(value, str) else catalogue("en").number(value)


def _span(before: int, after: int, timezone: str) -> str:
    """Two local instants: with their hours where one isn't midnight, with the year once where it is one."""
    first, then = _local(before, timezone), _local(after, timezone)
    clock = "" if all((moment.hour, moment.minute) == (0, 0) for moment in (first, then)) else " %H:%M"
    year = "" if first.year == then.year else f" {first.year}"
    texts = f"{_day(first)}{year}", f"{_day(then)} {then.year}"
    return " → ".join(text + moment.strftime(clock) for text, moment in zip(texts, (first, then), strict=True))


def _local(instant: int, timezone: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(time.format_instant(instant))
    return moment.astimezone(time.zone(timezone))


def _day(moment: dt.datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _calibrated(record: dict[str, Any]) -> str:
    if record["calibration"] == "none":
        return ""
    return f"; calibration ({record['calibration']}) makes {record['probability']:.1%} of them"
