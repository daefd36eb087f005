"""``[reasons]`` of the project file: the language of reasons, and a project's own nouns and phrases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from leadscore.errors import nearest
from leadscore.phrases.catalogue import ENGLISH, Noun, languages
from leadscore.phrases.placeholders import FORMS, OPS, PLACEHOLDERS, mistake
from leadscore.section import Section

_WINDOW = re.compile(r"\d{1,6}[mhdw]|all")


@dataclass(frozen=True)
class ReasonOptions:
    """``[reasons]``: how reasons read. They change no score.

    Attributes
    ----------
    nouns : what a table, a column or a category is called, by ``table``, ``table.column``, ``table.column=category``
        (``lead.column`` for the profile)
    phrases : forms that stand in place of the catalogue's, by op, by feature name without window, or by feature name
    """

    language: str = ENGLISH
    nouns: Mapping[str, Noun] = field(default_factory=dict)
    phrases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def reason_options(raw: Any, tables: Mapping[str, Iterable[str]]) -> ReasonOptions:
    """Check ``[reasons]``; raises ProjectError naming section and key, and the nearest that is known.

    Parameters
    ----------
    tables : the columns that features are made of, by event table, and under ``lead`` those of the profile
    """
    section = Section(raw, "reasons", "language nouns phrases")
    language, known = section.text("language") or ENGLISH, languages()
    if language not in known:
        raise section.fail(
            f"language '{language}' has no phrases.{nearest(language, known)} There are: {', '.join(known)}"
        )
    nouns = Section(section.raw.get("nouns", {}), "reasons.nouns", "")
    phrases = Section(section.raw.get("phrases", {}), "reasons.phrases", "")
    return ReasonOptions(
        language,
        {name: _noun(nouns, name, value, tables) for name, value in nouns.raw.items()},
        {key: _phrase(phrases, key, value, tables) for key, value in phrases.raw.items()},
    )


def _noun(section: Section, name: str, value: Any, tables: Mapping[str, Iterable[str]]) -> Noun:
    table, _, rest = name.partition(".")
    _check_table(section, name, table, tables)
    if rest:
        _check_column(section, name, table, rest.partition("=")[0], tables)
    elif table == "lead":
        raise section.fail(f"'{name}' is no table of events; name a column of the profile, as in \"lead.employees\"")
    forms = [value, value] if isinstance(value, str) else value
    texts = isinstance(forms, list) and all(isinstance(form, str) and form.strip() for form in forms)
    if not texts or len(forms) != 2:
        raise section.fail(f'"{name}" must be one and many, as in ["call", "calls"], or one text; found {value!r}')
    return forms[0], forms[1]


def _phrase(section: Section, key: str, value: Any, tables: Mapping[str, Iterable[str]]) -> dict[str, str]:
    op = _op_of(section, key, tables)
    forms = Section(value, f'reasons.phrases."{key}"', " ".join(FORMS))
    for form, text in forms.raw.items():
        if not isinstance(text, str):
            raise forms.fail(f'{form} must be text in quotes, as in {form} = "…"; found {text!r}')
        wrong = mistake(op, form, text)
        if wrong is not None:
            raise forms.fail(f"{form} = {text!r} {wrong}")
    return dict(forms.raw)


def _op_of(section: Section, key: str, tables: Mapping[str, Iterable[str]]) -> str:
    """Return the key of the phrase that an op, or the name of a feature with or without its window, speaks by."""
    if key in PLACEHOLDERS:
        return key
    parts = key.split(".")
    parts = parts[1:] if parts[0] == "account" and len(parts) > 2 else parts
    if len(parts) == 1:
        raise section.fail(f"'{key}' is no op.{nearest(key, PLACEHOLDERS)} Ops: {', '.join(PLACEHOLDERS)}")
    _check_table(section, key, parts[0], tables)
    if parts[0] == "lead":
        _check_column(section, key, "lead", parts[1], tables)
        return "value"
    rest = parts[1:-1] if len(parts) > 2 and _WINDOW.fullmatch(parts[-1]) else parts[1:]
    if rest[-1] not in OPS or len(rest) > 2:
        raise section.fail(f"'{key}' has an unknown op '{rest[-1]}'.{nearest(rest[-1], OPS)} Ops: {', '.join(OPS)}")
    if len(rest) == 2:
        _check_column(section, key, parts[0], rest[0].partition("=")[0], tables)
    return rest[-1]


def _check_table(section: Section, key: str, table: str, tables: Mapping[str, Iterable[str]]) -> None:
    if unquote(table) not in tables:
        raise section.fail(f"'{key}': there is no [events.{unquote(table)}].{nearest(table, [*tables, *PLACEHOLDERS])}")


def _check_column(section: Section, key: str, table: str, column: str, tables: Mapping[str, Iterable[str]]) -> None:
    declared = list(tables[unquote(table)])
    if unquote(column) not in declared:
        where = "[leads]" if table == "lead" else f"[events.{unquote(table)}]"
        raise section.fail(f"'{key}': {where} declares no column '{unquote(column)}'.{nearest(column, declared)}")
