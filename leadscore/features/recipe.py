"""Which features a project allows: the complete default, and the check of a name that a person wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leadscore import time
from leadscore.errors import PlanError, nearest
from leadscore.features.learning import Learnt, key_of
from leadscore.features.names import MISSING, OTHER, FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, LEAD_PRIMITIVES
from leadscore.features.program import subject_of
from leadscore.project import EventsSpec, Project


def default_features(project: Project) -> list[FeatureName]:
    """Return every feature that needs nothing learnt."""
    features = [FeatureName("lead", "value", column) for column in _profile_columns(project)]
    features.append(FeatureName.parse("profile.missing"))
    if project.timed:
        features += [FeatureName.parse(name) for name in LEAD_PRIMITIVES if name != "profile.missing"]
    for spec in project.events:
        features += _table_features(spec, project.windows)
    return features


def _table_features(spec: EventsSpec, windows: Sequence[str]) -> list[FeatureName]:
    """Return the features of a table that need nothing learnt."""
    features = [FeatureName(spec.name, "count", window=window) for window in windows]
    features += [FeatureName(spec.name, op) for op in ("since_last", "since_first")]
    for column in spec.numeric:
        ops = [op for op, primitive in EVENT_PRIMITIVES.items() if "numeric" in primitive.subjects]
        features += [FeatureName(spec.name, op, column, window=window) for op in ops for window in windows]
    for column in spec.categorical:
        ops = [op for op, primitive in EVENT_PRIMITIVES.items() if "categorical" in primitive.subjects]
        features += [FeatureName(spec.name, op, column) for op in ops]
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
                features += [FeatureName(spec.name, "count", column, word, window) for window in project.windows]
                features.append(FeatureName(spec.name, "since_last", column, word))
    return features


def check_feature(name: FeatureName, project: Project) -> None:
    """Refuse a name that the project can't compute, and say what it could have meant."""
    if name.table == "lead":
        columns = _profile_columns(project)
        if name.column not in columns:
            raise PlanError(
                f"'{name}': [leads] declares no column '{name.column}'.{nearest(str(name.column), columns)}"
            )
        return
    tables = {spec.name: spec for spec in project.events}
    if name.table not in tables:
        if str(name) not in LEAD_PRIMITIVES:
            raise PlanError(f"'{name}' is no feature.{nearest(str(name), [*LEAD_PRIMITIVES, *tables])}")
        if not project.timed and str(name) != "profile.missing":
            raise PlanError(f"'{name}' needs a cutoff, and a list without times has none")
        return
    spec = tables[name.table]
    if name.op not in EVENT_PRIMITIVES:
        raise PlanError(f"'{name}': unknown op '{name.op}'.{nearest(name.op, EVENT_PRIMITIVES)}")
    primitive = EVENT_PRIMITIVES[name.op]
    if name.column is not None and name.column not in spec.categorical + spec.numeric:
        known = nearest(name.column, spec.categorical + spec.numeric)
        raise PlanError(f"'{name}': [events.{spec.name}] declares no column '{name.column}'.{known}")
    if name.category is not None and name.column not in spec.categorical:
        raise PlanError(f"'{name}': '{name.column}' is numeric and has no categories")
    if subject_of(name, spec) not in primitive.subjects:
        subjects = ", ".join(primitive.subjects)
        raise PlanError(f"'{name}': {name.op} is not taken of a {subject_of(name, spec)} subject, but of: {subjects}")
    if primitive.windowed != (name.window is not None):
        raise PlanError(
            f"'{name}': {name.op} {'needs a window, as in .30d' if primitive.windowed else 'has no window'}"
        )
    if name.window is not None:
        try:
            time.parse_window(name.window)
        except ValueError as error:
            raise PlanError(f"'{name}': {error}") from None


def _profile_columns(project: Project) -> tuple[str, ...]:
    return project.leads.categorical + project.leads.numeric
