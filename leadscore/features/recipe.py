"""Which features a project gets: the default, what it adds and drops, and the check of a name that a person wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from leadscore import time
from leadscore.errors import PlanError, nearest
from leadscore.features.learning import Learnt, key_of
from leadscore.features.names import ACCOUNT, MISSING, OTHER, FeatureName
from leadscore.features.primitives import (
    EVENT_PRIMITIVES,
    HISTORY_PRIMITIVES,
    LEAD_PRIMITIVES,
    RESPONSE,
    SIDE_OF_ROLE,
    family_of,
)
from leadscore.features.program import subject_of
from leadscore.options import FeatureOptions
from leadscore.project import EventsSpec, Project

_OF_ACCOUNT = ("count", "since_last")
"""What the default plan takes of the events of an account's other leads."""
_ON_REQUEST = frozenset(
    ("n_won", "n_resolved", "open_leads", "days_to_month_end", "entropy", "gap_mean", "gap_std", "gap_now")
)
"""Ops that a project gets if `[features] add` names them, their family, or a feature of them.

Numbers of other leads grow with the calendar: a model takes them for the date, and misses the level of the months to
come. The others added noise wherever it was measured (training/LOG.md).
"""


def default_features(project: Project) -> list[FeatureName]:
    """Return every feature of the default plan that needs no category learnt, and those that the project adds.

    Raises
    ------
    PlanError
        If ``[features]`` adds what can't be computed, or drops what isn't there.
    """
    possible, options = _possible(project), project.features
    _check_drops(possible, options)
    wanted = [
        name
        for name in possible
        if (name.op not in _ON_REQUEST or any(_is_meant(name, text) for text in options.add))
        and not _dropped(name, options)
    ]
    for name in _added(project, possible):
        wanted += [name] if name not in wanted else []
    return wanted


def _possible(project: Project) -> list[FeatureName]:
    """Every feature without category that a plan may take from a project's columns by itself."""
    features = [FeatureName("lead", "value", column) for column in _profile_columns(project)]
    features.append(FeatureName.parse("profile.missing"))
    if project.timed:
        features += [FeatureName.parse(name) for name in LEAD_PRIMITIVES if name != "profile.missing"]
        features += [FeatureName(role, op) for role in project.schema["roles"] for op in HISTORY_PRIMITIVES]
    for spec in project.events:
        features += _table_features(spec, project.features)
    if "account" in project.schema["roles"]:
        for spec in project.events:
            features += _account_features(spec, project.features)
    return features


def category_features(project: Project, learnt: Mapping[str, Learnt]) -> list[FeatureName]:
    """Return the per-category features of the default plan: how often in each window, and how long ago."""
    features = []
    for spec in project.events:
        for column in spec.categorical:
            found = learnt[key_of(spec.name, column)]
            words = [*found.kept]
            words += [OTHER] if len(found.seen) > len(found.kept) else []
            words += [MISSING] if found.has_missing else []
            for word in words:
                features += [
                    FeatureName(spec.name, "count", column, word, window) for window in project.features.windows
                ]
                features.append(FeatureName(spec.name, "since_last", column, word))
    added = set(_added(project, _possible(project)))
    return [name for name in features if name not in added and not _dropped(name, project.features)]


def _added(project: Project, possible: Sequence[FeatureName]) -> list[FeatureName]:
    """What a project adds by name; what it adds as op, family or glob is among the possible ones already."""
    added = []
    for text in project.features.add:
        if any(_is_meant(name, text) and text != str(name) for name in possible):
            continue
        try:
            name = FeatureName.parse(text)
            check_feature(name, project)
        except PlanError as error:
            raise PlanError(f"leadscore.toml: [features] add: {error}") from None
        added.append(name)
    return added


def _dropped(name: FeatureName, options: FeatureOptions) -> bool:
    return any(_is_meant(name, pattern) for pattern in options.drop)


def _is_meant(name: FeatureName, pattern: str) -> bool:
    """Whether a pattern is the feature's op or family, its name, or a glob of its name."""
    return pattern in (name.op, family_of(name), str(name)) or fnmatchcase(str(name), pattern)


def _check_drops(features: Iterable[FeatureName], options: FeatureOptions) -> None:
    """Refuse to drop what isn't there; names with a category are known only once they are learnt."""
    known = list(features)
    for pattern in options.drop:
        if "=" not in pattern and not any(_is_meant(name, pattern) for name in known):
            words = {*(name.op for name in known), *(family_of(name) for name in known), *(str(name) for name in known)}
            raise PlanError(
                f"leadscore.toml: [features] drop: '{pattern}' is no feature that a plan has by itself, and no glob, "
                f"op or family of one.{nearest(pattern, sorted(words))}"
            )


def _table_features(spec: EventsSpec, options: FeatureOptions) -> list[FeatureName]:
    """Return the features of a table that need nothing learnt."""
    features = []
    for op, primitive in EVENT_PRIMITIVES.items():
        columns: list[str | None] = []
        if "any" in primitive.subjects and (op not in RESPONSE or spec.direction is not None):
            columns.append(None)
        columns += spec.numeric if "numeric" in primitive.subjects else ()
        columns += spec.categorical if "categorical" in primitive.subjects else ()
        spans = _spans(op, options)
        features += [FeatureName(spec.name, op, column, window=span) for column in columns for span in spans]
    return features


def _account_features(spec: EventsSpec, options: FeatureOptions) -> list[FeatureName]:
    spans = {op: _spans(op, options) for op in _OF_ACCOUNT}
    return [FeatureName(spec.name, op, window=span, scope=ACCOUNT) for op in _OF_ACCOUNT for span in spans[op]]


def _spans(op: str, options: FeatureOptions) -> list[str | None]:
    """Every end that the names of an op may have in the default plan."""
    finite = [window for window in options.windows if window != "all"]
    ends = {"none": [None], "window": options.windows, "finite": finite, "half-life": options.half_lives}
    return list(ends[EVENT_PRIMITIVES[op].span])


def check_feature(name: FeatureName, project: Project) -> None:
    """Refuse a name that the project can't compute, and say what it could have meant."""
    tables = {spec.name: spec for spec in project.events}
    if name.table in tables:
        _check_event_feature(name, tables[name.table], project)
    elif name.scope is not None:
        raise PlanError(f"'{name}': there is no [events.{name.table}].{nearest(name.table, tables)}")
    elif name.table == "lead":
        columns = _profile_columns(project)
        if name.column not in columns:
            raise PlanError(
                f"'{name}': [leads] declares no column '{name.column}'.{nearest(str(name.column), columns)}"
            )
    elif name.table in SIDE_OF_ROLE:
        _check_history_feature(name, project)
    elif str(name) not in LEAD_PRIMITIVES:
        raise PlanError(f"'{name}' is no feature.{nearest(str(name), [*LEAD_PRIMITIVES, *tables, *SIDE_OF_ROLE])}")
    elif not project.timed and str(name) != "profile.missing":
        raise PlanError(f"'{name}' needs a cutoff, and a list without times has none")


def _check_history_feature(name: FeatureName, project: Project) -> None:
    if name.op not in HISTORY_PRIMITIVES or name.column is not None or name.window is not None:
        known = [f"{name.table}.{op}" for op in HISTORY_PRIMITIVES]
        raise PlanError(f"'{name}' is no feature.{nearest(str(name), known)} There are: {', '.join(known)}")
    _check_role(name, name.table, project)


def _check_role(name: FeatureName, role: str, project: Project) -> None:
    if not project.timed:
        raise PlanError(f"'{name}' needs a cutoff, and a list without times has none")
    if role not in project.schema["roles"]:
        raise PlanError(f"'{name}': [leads] declares no {role}; add {role} = the column that names it")


def _check_event_feature(name: FeatureName, spec: EventsSpec, project: Project) -> None:
    if name.op not in EVENT_PRIMITIVES:
        if name.op[:1].isdigit():
            raise PlanError(
                f"'{name}': '{name.op}' is no window; write a whole number and m, h, d or w, as in 30d, or all"
            )
        raise PlanError(f"'{name}': unknown op '{name.op}'.{nearest(name.op, EVENT_PRIMITIVES)}")
    primitive = EVENT_PRIMITIVES[name.op]
    if name.scope is not None:
        _check_role(name, ACCOUNT, project)
        if primitive.categorical or name.op in RESPONSE:
            raise PlanError(f"'{name}': {name.op} is taken of a lead's own events, not of its account's")
    if name.column is not None and name.column not in spec.categorical + spec.numeric:
        known = nearest(name.column, spec.categorical + spec.numeric)
        raise PlanError(f"'{name}': [events.{spec.name}] declares no column '{name.column}'.{known}")
    if name.category is not None and name.column not in spec.categorical:
        raise PlanError(f"'{name}': '{name.column}' is numeric and has no categories")
    if subject_of(name, spec) not in primitive.subjects:
        subjects = ", ".join(primitive.subjects)
        raise PlanError(f"'{name}': {name.op} is not taken of a {subject_of(name, spec)} subject, but of: {subjects}")
    if name.op in RESPONSE and spec.direction is None:
        raise PlanError(
            f"'{name}': no column of [events.{spec.name}] says which events went out and which came in; add "
            'direction = { column = "…", outbound = ["…"], inbound = ["…"] }'
        )
    _check_span(name, primitive.span)


def _check_span(name: FeatureName, span: str) -> None:
    if (span == "none") != (name.window is None):
        needs = {"none": "has no window", "half-life": "needs a half-life, as in .7d"}.get(
            span, "needs a window, as in .30d"
        )
        raise PlanError(f"'{name}': {name.op} {needs}")
    if name.window == "all" and span != "window":
        what = "a half-life" if span == "half-life" else "a window with one before it"
        raise PlanError(f"'{name}': {name.op} needs {what}, as in .7d, and 'all' is none")
    if name.window is not None:
        try:
            time.parse_window(name.window)
        except ValueError as error:
            raise PlanError(f"'{name}': {error}") from None


def _profile_columns(project: Project) -> tuple[str, ...]:
    return project.leads.categorical + project.leads.numeric
