"""CSV or Parquet exports → a commented ``leadscore.toml``, in the order of the sections that every project has.

What might hold the future or a person is left out, and listed with the reason, so that someone who knows better can
take it in. A project is written whole or not at all, and what is written has been read once with it.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadscore.errors import DataError, LeadScoreError, ProjectError
from leadscore.init import exports
from leadscore.init.exports import CATEGORICAL, NUMERIC, Column, Table
from leadscore.init.recognise import RELIABLE, Recognised
from leadscore.project import Project
from leadscore.section import FILE

Entries = dict[str, tuple[Any, str]]
"""The keys of a section: value (nothing: left out) and comment."""

_MISSING = ("Select", "N/A", "n/a", "NULL", "null", "(not set)", "#N/A", "-")
_TELLS = "is never empty where a lead was won, but often elsewhere: it may be filled in with the outcome"
_BESIDE = "stands beside the outcome, so is known only with it"
_TITLES = {
    "leads": "Who the leads are.",
    "events": "What happened to them: one timed row each.",
    "outcome": "What winning means.",
}
_TIMED = """
# The question: which open lead converts within the horizon? Take the time in which most wins come after you would
# first call: shorter asks about the next days, longer needs older data, because a label must have had time to settle.
[task]
horizon = "30d"
# cutoffs = {{ {} }}    # the default: when leads are looked at
# observed_from = "2025-01-01"    # where wins were not recorded before
# observed_until = "2026-06-30"   # by default the last instant in the data
"""
_UNTIMED = """
# A labelled list without times: there is no horizon, and leakage in time can't be checked. For the full story it needs
# [leads] created and [outcome] time.
[task]
split = "random"    # or "ordered", where the rows stand in the order in which the leads came in
"""


@dataclass(frozen=True)
class Initialised:
    """The file that was written, what it says, and what was left out: ``{"file", "column", "reason"}`` each."""

    file: Path
    recognised: dict[str, Any]
    left_out: list[dict[str, str | None]]


def init(
    files: Sequence[Path], folder: Path, *, leads: Path | None = None, outcome: Path | None = None,
    won: Sequence[str] = (), columns: Mapping[str, str] | None = None, time_format: str | None = None,
) -> Initialised:  # fmt: skip
    """Write ``folder/leadscore.toml`` for exported tables; an existing one is never overwritten.

    Parameters
    ----------
    files : CSV or Parquet; one holds the leads, the others events, outcomes, or nothing of use
    leads, outcome : which of the files (or another one) these are, where it can't be recognised
    won : the values of the status that are wins
    columns : names of columns by role, one of `leadscore.init.recognise.ROLES`
    time_format : as in ``%d/%m/%Y``, of times that read two ways

    Raises
    ------
    ProjectError
        If there is a ``leadscore.toml`` already.
    DataError
        Naming the file and the option that settles it, if something essential can't be recognised or read.
    """
    target = folder / FILE
    if target.exists():
        raise ProjectError(f"{target} exists, and init overwrites nothing. Move it away, or choose another --out")
    paths = {path.resolve(): path for path in (*files, *(path for path in (leads, outcome) if path))}
    tables = [Table.read(path, time_format) for path in paths.values()]
    found = Recognised(tables, leads=leads, outcome=outcome, won=won, named=columns)
    sections = _sections(found)
    try:
        here = _render(found, sections, folder, lambda path: str(path.resolve()))
        Project.from_dict(tomllib.loads(here), folder=folder).read()
    except LeadScoreError as error:
        settles = "; or give --time-format" if "time_format" in str(error) else ""
        raise DataError(f"nothing was written, because what was recognised does not read: {error}{settles}") from None
    text = _render(found, sections, folder, lambda path: _relative(path, folder))
    folder.mkdir(parents=True, exist_ok=True)
    with target.open("x", encoding="utf-8") as file:
        file.write(text)
    left_out = [{"file": t.name, "column": column, "reason": why} for t in tables for column, why in t.left_out]
    return Initialised(target, tomllib.loads(text), left_out)


def _sections(found: Recognised) -> dict[str, tuple[Table, Entries]]:
    """Table and keys of each section by title; each table then knows what of it was left out."""
    leads = (found.leads, _leads(found))
    titles = {f"events.{name if name.isascii() else _toml(name)}": table for name, table in found.events.items()}
    events = {title: (table, _events(found, table)) for title, table in titles.items()}
    return {"leads": leads, **events, "outcome": (found.closing.table, _outcome(found))}


def _leads(found: Recognised) -> Entries:
    table, timed = found.leads, found.timed
    account, origin, owner = (
        next((c for c in table.named(names) if len(c.distinct) > 1 and not found.filled_in_with_the_outcome(c)), None)
        for names in (exports.ACCOUNT, exports.ORIGIN, exports.OWNER)
    )
    origin = origin if origin and origin.use(profile=True, timed=timed) == CATEGORICAL else None
    taken = [found.id, found.changed, account, owner, found.created if timed else None]
    if found.closing.table is table:
        taken += [found.closing.status, found.closing.at]
    categorical, numeric = _learn(found, table, taken, profile=True)
    used = {value for column in table.columns if column.name in categorical for value in column.distinct}
    return {
        "id": (_name(found.id), "names a lead"),
        "created": (_name(found.created) if timed else None, "when it came in: from then on it can convert"),
        "account": (_name(account), "its company: leads of one company know of each other"),
        "origin": (_name(origin), "where it came from, for rates and baselines"),
        "owner": (_name(owner), "who works it"),
        "known": (_name(found.changed), "ids repeat: the last version known before a cutoff counts"),
        "categorical": (categorical, ""),
        "numeric": (numeric, ""),
        "missing": ([value for value in _MISSING if value in used], 'values that mean "not filled in"'),
        "time_format": (_format(found.created) if timed else None, ""),
    }


def _events(found: Recognised, table: Table) -> Entries:
    key, time = found.keys[table.path], found.happened(table)
    known = next((c for c in table.times(exports.KNOWN) if c is not time and c.share_filled() >= RELIABLE), None)
    ids = (c for c in table.named(exports.EVENT_ID) if c is not key and len(c.distinct) * 2 > len(c.text))
    event_id = next(ids, None)
    categorical, numeric = _learn(found, table, [key, time, known, event_id], profile=False)
    return {
        "lead": (key.name, "whose event it is"),
        "time": (_name(time), "when it happened"),
        "known": (_name(known), "when the row reached the system: before, nobody could use it"),
        "id": (_name(event_id), "drops rows that were delivered twice"),
        "categorical": (categorical, ""),
        "numeric": (numeric, ""),
        "time_format": (_format(time), ""),
    }


def _outcome(found: Recognised) -> Entries:
    closing, timed = found.closing, found.timed
    table, apart = closing.table, closing.table is not found.leads
    key = found.keys[table.path] if apart else found.id
    known = next((c for c in table.times(exports.KNOWN) if c is not closing.at), None) if apart and timed else None
    if apart:
        used = (key, closing.status, closing.at, known)
        table.left_out += [(column.name, _BESIDE) for column in table.columns if column not in used]
    says = "its other values are open leads" if timed else "its other values are not won; empty is an open lead"
    return {
        "lead": (_name(key), "whose outcome it is"),
        "time": (_name(closing.at) if timed else None, "when it was won or lost"),
        "column": (_name(closing.status), f"says which; {says}"),
        "won": (list(closing.won), ""),
        "lost": (list(closing.lost), ""),
        "known": (_name(known), "when that was entered"),
        "time_format": (_format(closing.at) if timed else None, ""),
    }


def _learn(found: Recognised, table: Table, taken: Collection[Column | None], *, profile: bool) -> list[list[str]]:
    """Categorical and numeric columns to learn from; those left out are noted at their table, with the reason."""
    uses: dict[str, list[str]] = {CATEGORICAL: [], NUMERIC: []}
    for column in table.columns:
        if column not in taken:
            use = column.use(profile=profile, timed=found.timed)
            use = _TELLS if use in uses and profile and found.filled_in_with_the_outcome(column) else use
            if use in uses:
                uses[use].append(column.name)
            else:
                table.left_out.append((column.name, use))
    return [uses[CATEGORICAL], uses[NUMERIC]]


def _render(
    found: Recognised, sections: Mapping[str, tuple[Table, Entries]], folder: Path, shown: Callable[[Path], str]
) -> str:
    lines = [
        "# Written by leadscore init from column names and values: guesses, to be read by someone who knows the data.",
        "# Next: leadscore check, then leadscore train.",
        f"name = {_toml(folder.resolve().name or 'leads')}",
        'timezone = "UTC"    # of times that say no offset; an IANA name such as "Europe/Berlin"',
    ]
    for title, (table, entries) in sections.items():
        lines += [
            "",
            f"# {_TITLES[title.split('.')[0]]}",
            f"[{title}]",
            f"source = {_toml(shown(table.path))}",
        ]
        said = ((key, value, f"    # {comment}" if comment else "") for key, (value, comment) in entries.items())
        lines += [f"{key} = {_toml(value)}{comment}" for key, value, comment in said if value]
        if title == "outcome":
            lines += _notes(found)
        elif table.left_out:
            lines.append("# Left out; to take a column in, add it to a list above:")
            lines += [f"#   {_toml(column)}: {why}" for column, why in table.left_out]
    unused = [(table.name, why) for table in found.tables for column, why in table.left_out if column is None]
    cutoffs = 'every = "7d", max_per_lead = 8' if found.events else 'at_age = ["0d"]'
    lines.append(_TIMED.format(cutoffs) if found.timed else _UNTIMED)
    lines += [f"# {_toml(name)} is not used: it {why}." for name, why in unused]
    return "\n".join(lines).rstrip() + "\n"


def _notes(found: Recognised) -> list[str]:
    """Comments on what the status said beside wins and losses."""
    closing = found.closing
    lines = [] if closing.status else ["# There is no status: every row is a win."]
    others = [_toml(value) for value in closing.others]
    if others:
        more = f" and {len(others) - 12} more" if len(others) > 12 else ""
        lines.append(f"# Also seen, neither in won nor in lost: {', '.join(others[:12])}{more}.")
    if closing.table is not found.leads and closing.table.left_out:
        beside = ", ".join(_toml(column) for column, _ in closing.table.left_out)
        lines.append(f"# Not used, because known only with the outcome: {beside}.")
    return lines


def _format(column: Column | None) -> str | None:
    return column.time_format if column is not None and column.formatted else None


def _name(column: Column | None) -> str | None:
    return None if column is None else column.name


def _relative(path: Path, folder: Path) -> str:
    """The path as seen from the folder; absolute where they share no folder but the root."""
    path, folder = path.resolve(), folder.resolve()
    return (Path(os.path.relpath(path, folder)) if path.parts[:2] == folder.parts[:2] else path).as_posix()


def _toml(value: Any) -> str:
    """Text or a list of texts, in TOML; long lists go over lines."""
    if isinstance(value, list):
        items = [_toml(item) for item in value]
        return f"[{', '.join(items)}]" if sum(map(len, items)) < 90 else "[\n  " + ",\n  ".join(items) + ",\n]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
