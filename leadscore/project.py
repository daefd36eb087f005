"""``leadscore.toml`` → `Project`; the only reader of that file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadscore import time
from leadscore.direction import Direction, declared
from leadscore.errors import ProjectError
from leadscore.options import FeatureOptions, feature_options, grade_floors, model_options
from leadscore.phrases.section import ReasonOptions, reason_options
from leadscore.section import FILE, Section, checked
from leadscore.sla import Sla, sla_options

if TYPE_CHECKING:
    from leadscore.tables import Data

ROLES = ("account", "origin", "owner")
"""What leads may have in common: a company, where they came from, who works them."""
RESERVED_TABLES = ("lead", "profile", "calendar", "owner", "account", "origin", "leads", "outcome")
"""First words of feature names that we compute beside events, and our other tables; no event table may take them."""


@dataclass(frozen=True)
class Source:
    """Where a table's rows come from: a path or glob relative to the project, or a query and its database."""

    path: str | None = None
    sql: str | None = None
    url: str | None = None

    def __str__(self) -> str:
        return self.path or "the SQL source"


@dataclass(frozen=True)
class LeadsSpec:
    """``[leads]``: which columns name a lead and describe it."""

    source: Source
    id: str | None
    created: str | None
    account: str | None
    origin: str | None
    owner: str | None
    known: str | None
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    missing: tuple[str, ...]
    time_format: str | None

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """The column of each declared role: account, origin, owner."""
        columns = {"account": self.account, "origin": self.origin, "owner": self.owner}
        return {role: column for role, column in columns.items() if column}

    @cached_property
    def blank(self) -> Mapping[str, None]:
        """A row of which nothing is known: every declared column, null."""
        names = (self.id, self.created, self.known, *self.roles.values(), *self.categorical, *self.numeric)
        return dict.fromkeys(name for name in names if name is not None)


@dataclass(frozen=True)
class EventsSpec:
    """``[events.NAME]``: one table of timed rows."""

    name: str
    source: Source
    lead: str
    time: str
    known: str | None
    id: str | None
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    time_format: str | None
    direction: Direction | None = None

    @cached_property
    def blank(self) -> Mapping[str, None]:
        """A row of which nothing is known: every declared column, null."""
        names = (self.lead, self.time, self.known, self.id, *self.categorical, *self.numeric)
        return dict.fromkeys(name for name in names if name is not None)


@dataclass(frozen=True)
class OutcomeSpec:
    """``[outcome]``: what winning means; without `time` the project is a labelled list."""

    source: Source
    lead: str | None
    time: str | None
    column: str | None
    won: tuple[str, ...]
    lost: tuple[str, ...]
    known: str | None
    time_format: str | None


@dataclass(frozen=True)
class CutoffRule:
    """When leads are looked at: exactly one of a calendar grid, after each event, at given ages, or from a file."""

    every: int | None = None
    after_events: bool = False
    at_age: tuple[int, ...] = ()
    source: Source | None = None
    max_per_lead: int | None = None


@dataclass(frozen=True)
class Task:
    """``[task]``: the question. Durations in microseconds, instants in UTC microseconds."""

    horizon: int | None
    horizon_text: str | None
    cutoffs: CutoffRule
    observed_from: int | None
    observed_until: int | None
    split: str


@dataclass(frozen=True, repr=False)
class Project:
    """A checked ``leadscore.toml``; `raw` is the file's content, `folder` what its paths are relative to.

    `store` is where the service keeps what arrived, if the tables are to be read from there: a path, or ``env:NAME``.
    """

    name: str
    timezone: str
    leads: LeadsSpec
    events: tuple[EventsSpec, ...]
    outcome: OutcomeSpec
    task: Task
    features: FeatureOptions
    model: Mapping[str, Any]
    grades: Mapping[str, float]
    reasons: ReasonOptions
    sla: Sla
    raw: Mapping[str, Any]
    folder: Path
    store: str | None = None

    def __repr__(self) -> str:
        return f"<Project {self.name} in {self.folder}>"

    @property
    def timed(self) -> bool:
        """Whether outcomes have a time; without, the project is a labelled list and has no cutoffs."""
        return self.outcome.time is not None

    @classmethod
    def load(cls, folder: str | Path) -> Project:
        """Read the project in a folder (or the ``.toml`` file itself).

        Raises
        ------
        ProjectError
            If the file is missing, isn't TOML, has an unknown key, or contradicts itself.
        """
        path = Path(folder)
        if path.is_file() and path.suffix != ".toml":
            raise ProjectError(
                f"{path} is a file, and a project is a folder that holds a {FILE}. Name the folder, or write one from "
                f"this and other tables: leadscore init {path} --out DIR"
            )
        path = path if path.suffix == ".toml" else path / FILE
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ProjectError(
                f"{path} does not exist. Name a folder that holds a {FILE}, or write one from your tables: "
                "leadscore init FILES --out DIR"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ProjectError(f"{path} can't be read as TOML: {error}") from None
        return cls.from_dict(raw, folder=path.parent)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, folder: str | Path = ".") -> Project:
        """Check the content of a project file; raises ProjectError as `load` does."""
        top = Section(raw, "", "name timezone store leads events outcome task features model grades reasons sla")
        timezone = top.text("timezone") or "UTC"
        checked(time.zone, timezone, "timezone")
        leads = _leads(top.section("leads"))
        events = tuple(_events(name, table) for name, table in top.sections("events"))
        outcome = _outcome(top.section("outcome"), leads)
        grades = grade_floors(top.section("grades", required=False))
        project = cls(
            name=top.text("name") or _name_from_folder(folder),
            timezone=timezone,
            leads=leads,
            events=events,
            outcome=outcome,
            task=_task(top.section("task", required=False), timezone, bool(events), outcome.time is not None),
            features=feature_options(top.section("features", required=False)),
            model=model_options(top.section("model", required=False)),
            grades=grades,
            reasons=reason_options(top.section("reasons", required=False), _named_columns(leads, events)),
            sla=sla_options(top.section("sla", required=False), list(grades), [spec.name for spec in events]),
            raw=dict(raw),
            folder=Path(folder),
            store=_store(top.text("store")),
        )
        _check_whole(project)
        return project

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The tables and columns that features are made of, as plain JSON values."""
        leads = _columns(self.leads.categorical, self.leads.numeric)
        tables: dict[str, Any] = {}
        for spec in self.events:
            tables[spec.name] = _columns(spec.categorical, spec.numeric)
            if spec.direction is not None:
                tables[spec.name]["direction"] = spec.direction.to_dict()
        return {
            "timezone": self.timezone,
            "timed": self.timed,
            "horizon": self.task.horizon_text,
            "roles": dict(self.leads.roles),
            "leads": leads,
            "events": tables,
        }

    def events_named(self, name: str) -> EventsSpec:
        """Return the declaration of an event table; raises KeyError if there is none."""
        return next(table for table in self.events if table.name == name)

    def read(self) -> Data:
        """Read and validate every table of the project; see `leadscore.reading.read`."""
        from leadscore.reading import read

        return read(self)


def _columns(categorical: tuple[str, ...], numeric: tuple[str, ...]) -> dict[str, list[str]]:
    return {"categorical": list(categorical), "numeric": list(numeric)}


def _named_columns(leads: LeadsSpec, events: tuple[EventsSpec, ...]) -> dict[str, tuple[str, ...]]:
    """What the words of ``[reasons]`` may be of: the declared columns of events, and of the profile as ``lead``."""
    columns = {spec.name: spec.categorical + spec.numeric for spec in events}
    return {**columns, "lead": (*leads.categorical, *leads.numeric, *leads.roles.values())}


def _name_from_folder(folder: str | Path) -> str:
    return Path(folder).resolve().name or "leadscore"


def _store(text: str | None) -> str | None:
    if text is not None and "://" in text:
        raise ProjectError(
            f'{FILE}: store must be a file, or name an environment variable, as in store = "env:CRM_STORE": '
            "no address that may hold a secret stands in files"
        )
    return text


def _source(section: Section) -> Source:
    value = section.raw.get("source")
    if isinstance(value, str) and value:
        return Source(path=value)
    if isinstance(value, Mapping):
        query = Section(value, f"{section.where}.source", "sql url")
        url = query.required("url")
        if not url.startswith("env:"):
            raise query.fail('url must name an environment variable, as in url = "env:CRM_URL": no secret in files')
        return Source(sql=query.required("sql"), url=url)
    raise section.fail('needs source = "file.csv" (or a glob, or { sql = "select …", url = "env:NAME" })')


def _leads(raw: Any) -> LeadsSpec:
    keys = "source id created account origin owner known categorical numeric missing time_format"
    section = Section(raw, "leads", keys)
    spec = LeadsSpec(
        source=_source(section),
        **section.every("id created account origin owner known time_format"),
        **section.every("categorical numeric missing", "texts"),
    )
    _check_columns(section, spec.categorical, spec.numeric)
    if spec.known and not spec.id:
        raise section.fail("declares known, so versions of a lead; that needs id as well")
    return spec


def _events(name: str, raw: Any) -> EventsSpec:
    if not name.strip():
        raise ProjectError(f"{FILE}: an event table needs a name, as in [events.touchpoints]; found an empty one")
    if name in RESERVED_TABLES:
        raise ProjectError(
            f"{FILE}: [events.{name}] takes a reserved name; rename it (reserved: {', '.join(RESERVED_TABLES)})"
        )
    keys = "source lead time known id categorical numeric time_format direction answered"
    section = Section(raw, f"events.{name}", keys)
    categorical, numeric = section.texts("categorical"), section.texts("numeric")
    spec = EventsSpec(
        name=name,
        source=_source(section),
        lead=section.required("lead"),
        time=section.required("time"),
        **section.every("known id time_format"),
        categorical=categorical,
        numeric=numeric,
        direction=declared(section, categorical, numeric),
    )
    _check_columns(section, spec.categorical, spec.numeric)
    return spec


def _check_columns(section: Section, categorical: tuple[str, ...], numeric: tuple[str, ...]) -> None:
    """Refuse a column of two kinds, and one without a name, of which no feature could be named."""
    if "" in categorical + numeric:
        raise section.fail('lists a column without a name, ""; leave it out, or give it a name in its source')
    both = sorted(set(categorical) & set(numeric))
    if both:
        raise section.fail(f"lists {both[0]!r} as categorical and as numeric; choose one")


def _outcome(raw: Any, leads: LeadsSpec) -> OutcomeSpec:
    section = Section(raw, "outcome", "source lead time column won lost known time_format")
    spec = OutcomeSpec(
        source=_source(section),
        **section.every("lead time column known time_format"),
        **section.every("won lost", "texts"),
    )
    if spec.column and not spec.won:
        raise section.fail(f'reads column {spec.column!r} but does not say which values are wins; add won = ["…"]')
    if spec.column is None and (spec.won or spec.lost):
        raise section.fail('lists won or lost but no column to find them in; add column = "…"')
    if spec.time is None and spec.column is None:
        raise section.fail("needs time (when a lead was won), or column and won for a labelled list without times")
    if set(spec.won) & set(spec.lost):
        raise section.fail(f"counts {sorted(set(spec.won) & set(spec.lost))[0]!r} as won and as lost; keep it in one")
    if spec.lead is None and spec.source != leads.source:
        raise section.fail(
            "needs lead = the column that holds the lead's id, because it reads another source than [leads]"
        )
    return spec


def _task(raw: Any, timezone: str, has_events: bool, timed: bool) -> Task:
    section = Section(raw, "task", "horizon cutoffs observed_from observed_until split")
    if not timed:
        for key in ("horizon", "cutoffs", "observed_from", "observed_until"):
            if key in section.raw:
                raise section.fail(f"sets {key}, but [outcome] has no time; add [outcome] time, or remove {key}")
    elif "split" in section.raw:
        raise section.fail("sets split, which is for lists without times; here blocks follow time. Remove split")
    split = section.text("split") or "random"
    if split not in ("random", "ordered"):
        raise section.fail(f"split must be 'random' or 'ordered', not {split!r}")
    horizon = section.text("horizon")
    if timed and horizon is None:
        raise section.fail('needs horizon = "30d": within what time must a lead convert to count as a win?')
    instants = {
        key: None if section.raw.get(key) is None
        else checked(
            lambda value: time.parse_instant(value, timezone), section.text(key), f"[task] {key} = {section.raw[key]!r}"
        )
        for key in ("observed_from", "observed_until")
    }  # fmt: skip
    since, until = instants["observed_from"], instants["observed_until"]
    if since is not None and until is not None and since >= until:
        raise section.fail(
            f"observed_from {section.raw['observed_from']!r} is not before observed_until "
            f"{section.raw['observed_until']!r}: nothing would be observed. Swap or mend them"
        )
    return Task(
        horizon=checked(time.parse_span, horizon, "[task] horizon") if horizon else None,
        horizon_text=horizon,
        cutoffs=_cutoffs(section.raw.get("cutoffs"), has_events),
        split=split,
        **instants,
    )


def _cutoffs(raw: Any, has_events: bool) -> CutoffRule:
    if raw is None:
        return CutoffRule(every=7 * time.DAY, max_per_lead=8) if has_events else CutoffRule(at_age=(0,))
    section = Section(raw, "task.cutoffs", "every after at_age source max_per_lead")
    given = [key for key in ("every", "after", "at_age", "source") if key in section.raw]
    if len(given) != 1:
        raise section.fail(
            f"needs exactly one of every, after, at_age, source; found {', '.join(given) or 'none'}. "
            'The default is cutoffs = { every = "7d", max_per_lead = 8 }'
        )
    at_most = section.whole("max_per_lead")
    if given == ["every"]:
        step = checked(time.parse_span, section.text("every"), "[task.cutoffs] every")
        return CutoffRule(every=step, max_per_lead=at_most or 8)
    if given == ["after"]:
        if section.text("after") != "events":
            raise section.fail(f'after must be "events", not {section.raw["after"]!r}')
        if not has_events:
            raise section.fail(
                'says after = "events", but there is no [events.…] table; add one, or say every or at_age'
            )
        return CutoffRule(after_events=True, max_per_lead=at_most or 8)
    if given == ["at_age"]:
        ages = [checked(time.parse_duration, age, "[task.cutoffs] at_age") for age in section.texts("at_age")]
        if not ages:
            raise section.fail('at_age is empty; write at least at_age = ["0d"]')
        return CutoffRule(at_age=tuple(sorted(ages)), max_per_lead=at_most)
    return CutoffRule(source=_source(section), max_per_lead=at_most)


def _check_whole(project: Project) -> None:
    """What only the whole file can contradict."""
    if project.store is not None and not project.timed:
        raise ProjectError(
            f"{FILE}: a list without times can't be kept in a store; add [outcome] time, or remove store"
        )
    if not project.timed and project.events:
        raise ProjectError(f"{FILE}: [events] need [outcome] time: without it nobody can say which events came before")
    if project.timed and project.leads.id is None:
        raise ProjectError(f"{FILE}: [leads] needs id = the column that names a lead")
    if project.timed and project.outcome.lead is None and project.leads.id is None:
        raise ProjectError(f"{FILE}: [outcome] needs lead = the column that holds the lead's id")
    if project.timed and project.leads.created is None and project.task.cutoffs.source is None:
        raise ProjectError(f"{FILE}: [leads] needs created = the column that says when a lead came in")
    if not (project.leads.categorical or project.leads.numeric or project.events):
        raise ProjectError(
            f"{FILE}: nothing to learn from: list categorical or numeric columns, or add an [events.…] table"
        )
