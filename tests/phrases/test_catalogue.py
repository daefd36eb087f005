"""Every language says everything: the same keys, legal placeholders, and a sentence for every value of a primitive."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadscore.features.names import FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, HISTORY_PRIMITIVES, LEAD_PRIMITIVES, RESPONSE, SIDE_OF_ROLE
from leadscore.features.voice import Usual
from leadscore.features.words import Words
from leadscore.phrases.catalogue import catalogue, languages
from leadscore.phrases.placeholders import FORMS, OPS, PLACEHOLDERS, mistake
from leadscore.phrases.section import ReasonOptions

LANGUAGES = languages()
JARGON = {"nunique", "entropy", "std", "decay", "sum", "min", "max"}
"""Ops that are no words; those of several words are told by their underscore."""
SIGNED = ("value", "sum", "mean", "min", "max", "trend", "profile.age")


def every_feature() -> list[FeatureName]:
    """One feature of every primitive and subject, with and without a window's end, in tables with odd names."""
    subjects = {
        "any": [(None, None)],
        "category": [("land_ing.page=id%", word) for word in ("sign_up", "(other)", "(missing)", "A{0}", "_")],
        "categorical": [("land_ing.page=id%", None)],
        "numeric": [("amount_eur", None)],
    }
    spans = {"none": [None], "window": ["1d", "30d", "all"], "finite": ["1w", "12h"], "half-life": ["7d"]}
    names = [FeatureName("lead", "value", "lead_source")]
    names += [FeatureName(*name.split(".")) for name in LEAD_PRIMITIVES]
    names += [FeatureName(role, op) for role in SIDE_OF_ROLE for op in HISTORY_PRIMITIVES]
    for op, primitive in EVENT_PRIMITIVES.items():
        for subject in primitive.subjects:
            for column, category in subjects[subject]:
                for span in spans[primitive.span]:
                    names.append(FeatureName("web_visits", op, column, category, span))
    scoped = [
        FeatureName(name.table, name.op, name.column, name.category, name.window, "account")
        for name in names
        if name.table == "web_visits" and name.op not in RESPONSE and not EVENT_PRIMITIVES[name.op].categorical
    ]
    return names + scoped


FEATURES = every_feature()


def flat(raw: dict[str, Any], where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in raw.items():
        yield from flat(value, (*where, key)) if isinstance(value, dict) else [((*where, key), value)]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_primitive_has_a_phrase_and_no_other():
    histories = {f"{role}.{op}" for role in SIDE_OF_ROLE for op in HISTORY_PRIMITIVES}
    assert set(OPS) == set(EVENT_PRIMITIVES)
    assert set(PLACEHOLDERS) == {*EVENT_PRIMITIVES, *LEAD_PRIMITIVES, *histories, "value", "origin.value"}
    for language in LANGUAGES:
        assert set(catalogue(language).phrases) == set(PLACEHOLDERS)


def test_english_and_german_are_there():
    assert LANGUAGES == ["de", "en"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys(language):
    own, english = ({where for where, _ in flat(catalogue(one).raw) if where[0] != "nouns"} for one in (language, "en"))
    assert own == english


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_placeholder_of_a_phrase_is_legal(language):
    for key, forms in catalogue(language).phrases.items():
        assert "text" in forms
        for form, text in forms.items():
            assert form in FORMS
            assert mistake(key, form, text) is None, (key, form)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_other_placeholder_is_one_that_english_has(language):
    english = dict(flat(catalogue("en").raw))
    alike = {"column": {"column", "columns"}, "columns": {"column", "columns"}}
    for where, text in flat(catalogue(language).raw):
        if where[0] in ("phrases", "nouns", "grammar") or not isinstance(text, str) or where[1] == "fits_before":
            continue
        legal = fields(english[where])
        assert fields(text) <= legal.union(*(alike.get(name, set()) for name in legal)), where


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_are_as_long_as_they_must_be(language):
    raw = catalogue(language).raw
    assert len(raw["calendar"]["weekdays"]) == 7
    assert all(len(forms) == 3 for forms in raw["units"].values())
    assert all(len(noun) == 2 for noun in (*raw["nouns"].values(), *raw["kinds"].values()))


def values_of(name: FeatureName, key: str) -> list[float]:
    if name.table == "calendar":
        return [0.0, 1.0, 2.0, 6.0]
    values = [0.0, 1.0, 2.0, 1e30, 123_456.0, 1 / 3, 1e-9, 0.9999, 1.5]
    if name.op == "win_rate":
        values = [0.0, 0.004, 0.12, 1.0]
    return values + ([-1.0, -2.5, -1e6] if key in SIGNED else [])


def say_all(words: Words, name: FeatureName) -> Iterator[str]:
    primitive = EVENT_PRIMITIVES.get(name.op)
    categories: list[str | None] = [None]
    if name.table == "lead" or (primitive is not None and primitive.categorical):
        categories += ["a_b", "(other)", "(missing)", "{n}", "x" * 300]
    yield words.topic(name)
    key = name.op if f"{name.table}.{name.op}" not in PLACEHOLDERS else f"{name.table}.{name.op}"
    values = values_of(name, key)
    for usual in (None, Usual(), Usual(0.0), Usual(2.0), Usual(category="c_d", share=0.9)):
        voice = words.voice(name, usual)
        for category in categories:
            for value in [*values, math.nan]:
                yield voice.say(value, None if math.isnan(value) else category, compare=True)
    for low, high in zip(values[:3], values[2:5], strict=False):
        yield words.phrase_between(name, low, high)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", FEATURES, ids=str)
def test_every_value_of_every_primitive_reads(language, name):
    words = Words(ReasonOptions(language=language), {"account": "account_id", "origin": "lead_source", "owner": "rep"})
    braces = "{" in str(name.category)
    for text in say_all(words, name):
        assert text
        assert text == text.strip()
        assert "  " not in text
        assert not re.search(r"\bnan\b|\binf\b|%2E|%3D|%25|\(\)", text), text
        assert "_" not in text.replace("id% _", "").replace(": _)", ""), text
        assert not re.search(r"[{}]", text.replace("{n}", "")) or braces, text
        assert str(name) not in text
        assert not JARGON & set(re.findall(r"\w+", text)), text
        assert not re.search(r"[a-z]\.[a-z]", text.replace("ing.page", "")), text
        assert not re.search(r"(?<!e)-\d[\d.,]* (minute|hour|day|Minute|Stunde|Tag)", text), text


@given(st.sampled_from(FEATURES), st.floats(allow_infinity=False, width=32), st.sampled_from(LANGUAGES))
def test_any_number_reads(name, value, language):
    if name.table == "calendar" or name.table == "lead":
        return
    text = Words(ReasonOptions(language=language)).phrase(name, value)
    assert text
    assert "nan" not in text.lower().split()


def test_german_reads_as_a_german_would_write_it():
    german = Words(ReasonOptions(language="de"), {"origin": "source"})

    def said(name: str, value: float, usual: float | None = None) -> str:
        told = None if usual is None else Usual(usual)
        return german.voice(FeatureName.parse(name), told).say(value, compare=True)

    assert (
        said("touchpoints.channel=webinar.count.30d", 3, 0.0)
        == "Webinar-Kontakte: 3 in den letzten 30 Tagen (meist keine)"
    )
    assert said("calls.since_last", 1 / 12, 9) == "Anrufe: zuletzt vor 2 Stunden (typisch: vor 9 Tagen)"
    assert said("calls.result=no_answer.count.7d", 0) == "Anrufe (Result: no answer): keine in den letzten 7 Tagen"
    assert said("demos.count.1d", 1) == "Demos: 1 in den letzten 24 Stunden"
    assert said("lead.employees", 1_234.5) == "Mitarbeiterzahl: 1.234"
    assert said("lead.page_views", 1.5) == "Page views: 1,5"
    assert said("profile.age", 1.0) == "vor 24 Stunden eingegangen"
    assert said("origin.win_rate", 0.12) == "entschiedene Leads mit gleicher Angabe (Quelle): etwa 12 % gewonnen"
