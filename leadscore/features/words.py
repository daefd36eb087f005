"""How a seller reads a feature: with numbers, units and what is usual; zero, one and never. No name is ever shown.

What is said stands in the catalogue of a language (leadscore/phrases); a project may call things by its own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from leadscore.features.names import MISSING, OTHER, FeatureName, encode
from leadscore.features.voice import Line, Usual, Voice
from leadscore.phrases.catalogue import Catalogue, Noun, catalogue
from leadscore.phrases.section import ReasonOptions
from leadscore.project import Project

_LONGEST_CATEGORY = 60
_COMPARED = ("origin", "owner")
"""Sides whose other leads have a category in common with this one."""


@dataclass(frozen=True)
class Words:
    """How the features of a project read: a language, with the project's own nouns and phrases over it.

    Attributes
    ----------
    roles : the column of the profile that names the account, origin or owner
    """

    options: ReasonOptions = field(default_factory=ReasonOptions)
    roles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project) -> Words:
        """Return the words of a project."""
        return cls(project.reasons, project.leads.roles)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The language."""
        return catalogue(self.options.language)

    @cached_property
    def _voices(self) -> dict[FeatureName, Voice]:
        return {}

    def voice(self, name: FeatureName, usual: Usual | None = None, *, young: bool = False) -> Voice:
        """Return a feature as it speaks, prepared to say any number of values.

        `young` is said of a lead that hasn't been there as long as the feature's window: it speaks of no longer time.
        """
        key = self._key(name, self.catalogue.phrases)
        fixed = self._fixed(name)
        if young:
            fixed["when"] = self.catalogue.says("windows", "young")
        forms = {form: Line.of(text, fixed) for form, text in self._forms(key, name).items() if text}
        same = partial(self._same, name) if name.table in _COMPARED else None
        return Voice(self.catalogue, key, name, forms, fixed, partial(self._category, name), usual, same)

    def phrase(self, name: FeatureName, value: float, category: str | None = None) -> str:
        """Say a feature's value in words, see `Voice.say`."""
        return self._remembered(name).say(value, category)

    def phrase_between(self, name: FeatureName, low: float, high: float) -> str:
        """Say a range of a number's values, see `Voice.between`."""
        return self._remembered(name).between(low, high)

    def event(self, table: str, column: str | None = None, category: str | None = None) -> str:
        """Say what one event of a table is, by a category of it where one is given: ``webinar touchpoint``."""
        return self._noun(FeatureName(table, "count", column, category))[0]

    def names(self, table: str, column: str, category: str) -> bool:
        """Whether the project itself says what events of a category are called."""
        return f"{encode(table)}.{encode(column)}={encode(category)}" in self.options.nouns

    def topic(self, name: FeatureName) -> str:
        """Say what a feature is about, whatever its value: ``webinar touchpoints``, ``minutes of interactions``."""
        topics = self.catalogue.raw["topics"]
        key = self._key(name, topics)
        if key not in topics:
            key = "category" if name.category is not None else "any" if name.column is None else "column"
        return str(topics[key].format(**self._fixed(name)))

    def _remembered(self, name: FeatureName) -> Voice:
        if name not in self._voices:
            self._voices[name] = self.voice(name)
        return self._voices[name]

    def _key(self, name: FeatureName, known: Mapping[str, object]) -> str:
        key = f"{name.table}.{name.op}"
        if name.table == "lead" and name.column == self.roles.get("origin") and "origin.value" in known:
            return "origin.value"
        return key if key in known and name.scope is None and name.column is None else name.op

    def _forms(self, key: str, name: FeatureName) -> dict[str, str]:
        """The catalogue's phrase, and over it the project's of the op, of the feature in any window, of the feature."""
        own = self.options.phrases
        forms = dict(self.catalogue.phrases[key])
        for owner in (*(["value"] if key == "origin.value" else []), key, str(replace(name, window=None)), str(name)):
            forms.update(own.get(owner, {}))
        return forms

    def _fixed(self, name: FeatureName) -> dict[str, str]:
        """What doesn't depend on the value."""
        column = self._column(name)
        fixed = {"column": column[0], "columns": column[1]}
        if name.table not in ("lead", "profile", "calendar", "account", "origin", "owner"):
            one, many = self._events(name)
            fixed |= {"what_one": one, "what": many, "when": self.catalogue.when(name.window)}
            fixed["before"] = self.catalogue.length(name.window)
        return fixed

    def _events(self, name: FeatureName) -> Noun:
        """What the events that a feature is taken of are called."""
        one, many = self._noun(name)
        if name.scope is None:
            return one, many
        of_company = [self.catalogue.says("events", "of_company", what=what) for what in (one, many)]
        return of_company[0], of_company[1]

    def _noun(self, name: FeatureName) -> Noun:
        nouns, table = self.options.nouns, encode(name.table)
        plain = nouns.get(table) or self.catalogue.noun(name.table, readable(name.table))
        if name.category is None:
            return plain
        own = nouns.get(f"{table}.{encode(str(name.column))}={encode(name.category)}")
        known = self.catalogue.kind(str(name.column), in_words(name.category))
        return own or known or (self._of_category(name, plain[0]), self._of_category(name, plain[1]))

    def _of_category(self, name: FeatureName, what: str) -> str:
        said, (column, columns) = self.catalogue.says, self._column(name)
        if name.category in (MISSING, OTHER):
            key = "without" if name.category == MISSING else "other"
            return said("events", key, what=what, column=column, columns=columns)
        value = in_words(str(name.category)) or str(name.category)
        if self.catalogue.stands_before(value):
            return said("events", "before", what=what, value=self.catalogue.capital(value))
        return said("events", "with", what=what, column=column, value=clipped(value))

    def _column(self, name: FeatureName) -> Noun:
        """What the column that a feature is taken of is called; of other leads, the one they have in common."""
        table = "lead" if name.column is None and name.table in self.roles else name.table
        column = self.roles.get(name.table, name.table) if name.column is None else name.column
        own = self.options.nouns.get(f"{encode(table)}.{encode(column)}")
        return own or self.catalogue.column(column, readable(column))

    def _same(self, name: FeatureName, word: str | None) -> str:
        """What other leads have in common with this one: the word where it is known and says something."""
        column = self._column(name)[0]
        if word is None or word in (MISSING, OTHER):
            return self.catalogue.says("same", name.table, column=column)
        called = self._category(FeatureName("lead", "value", self.roles.get(name.table, name.table)), word)
        return self.catalogue.says("same", f"{name.table}_named", column=column, n=called)

    def _category(self, name: FeatureName, word: str) -> str:
        """What a category is called as a value."""
        own = self.options.nouns.get(f"{encode(name.table)}.{encode(str(name.column))}={encode(word)}")
        if own:
            return own[0]
        special = {MISSING: "missing", OTHER: "other"}.get(word)
        return self.catalogue.says("words", special) if special else clipped(in_words(word) or word)


def clipped(text: str) -> str:
    """Return a text that is no longer than a line has room for."""
    return text if len(text) <= _LONGEST_CATEGORY else text[: _LONGEST_CATEGORY - 1] + "…"


def readable(text: str) -> str:
    """Return a column or table name as words: ``poutcome``, ``landing page id``."""
    return in_words(text.replace(".", " ")) or text


def in_words(text: str) -> str:
    """Return a category as words on one line; its dots are its own: ``landing page``, ``v1.2``."""
    return " ".join(text.replace("_", " ").split())
