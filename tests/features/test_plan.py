"""What a plan learns, from which rows; what it refuses; that it survives being written down."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.errors import PlanError
from leadscore.features.primitives import LEAD_PRIMITIVES
from leadscore.options import FeatureOptions
from leadscore.tables import Cutoffs
from tests import builders

T = "2025-02-01T00:00:00Z"


def event(lead: str, at: str, channel: object, known: str | None = None, event_id: object = None) -> dict:
    return {"event_id": event_id, "lead_id": lead, "occurred_at": at, "ingested_at": known or at, "channel": channel,
            "cost": None}  # fmt: skip


def world(events: list[dict], sources: dict[str, object] | None = None) -> ls.Data:
    sources = sources or {"a": "ads"}
    leads = [{"lead_id": n, "created_at": "2025-01-01", "source": s, "employees": 1} for n, s in sources.items()]
    return ls.read(
        builders.project(),
        frames={
            "leads": pd.DataFrame(leads, dtype=object),
            "touchpoints": pd.DataFrame(events, dtype=object),
            "outcome": pd.DataFrame(columns=["lead_id", "closed_at", "status"], dtype=object),
        },
    )


def at(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["lead_id", "cutoff"])


def learnt(data: ls.Data, *pairs: tuple[str, str]) -> tuple[str, ...]:
    return ls.FeaturePlan.default(data.project).fit(data, at(*pairs)).learnt["touchpoints.channel"].seen


def test_fit_learns_nothing_that_was_not_visible():
    data = world(
        [
            event("a", "2025-01-05", "email"),
            event("a", "2025-01-06", "late", known="2025-02-01"),
            event("a", "2025-02-01", "at the cutoff"),
            event("a", "2025-03-01", "future"),
            event("b", "2025-01-05", "of a lead nobody asked about"),
        ],
        {"a": "ads", "b": "planted"},
    )
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    assert plan.learnt["touchpoints.channel"].seen == ("email",)
    assert plan.learnt["lead.source"].seen == ("ads",)
    for word in ("late", "future", "cutoff", "nobody", "planted"):
        assert word not in json.dumps(plan.to_dict())


def test_an_event_counts_once_however_many_cutoffs_see_it():
    events = [event("a", "2025-01-05", "many"), event("b", "2025-01-05", "two"), event("b", "2025-01-06", "two")]
    data = world(events, {"a": "ads", "b": "ads"})
    cutoffs = [("a", f"2025-01-{day}") for day in range(10, 20)]
    assert learnt(data, *cutoffs, ("b", T)) == ("two", "many")


def test_the_commonest_are_kept_and_ties_go_by_alphabet():
    events = [event("a", "2025-01-05", f"w{n:02d}") for n in range(40)]
    data = world([*events, event("a", "2025-01-06", "w39"), event("a", "2025-01-06", "w38")])
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    column = plan.learnt["touchpoints.channel"]
    assert column.kept == ("w38", "w39", *(f"w{n:02d}" for n in range(28)))
    assert len(column.kept) == FeatureOptions.categories == 30
    assert len(column.seen) == 40
    assert column.codes == (*column.kept, "(other)", "(missing)")
    assert "touchpoints.channel=(other).count.7d" in plan.names
    assert "touchpoints.channel=(missing).count.7d" not in plan.names
    assert plan.transform(data, at(("a", T)))[0, plan.names.index("touchpoints.channel=(other).count.all")] == 10


def test_other_and_missing():
    data = world(
        [event("a", "2025-01-05", "email"), event("a", "2025-01-06", None), event("a", "2025-03-01", "new")],
        {"a": "ads", "b": None, "c": "unheard of"},
    )
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    last, source = plan.names.index("touchpoints.channel.last"), plan.names.index("lead.source")
    matrix = plan.transform(data, at(("a", "2025-01-06"), ("a", T), ("a", "2025-04-01"), ("b", T), ("c", T)))
    said = [plan.category(plan.features[last], code) for code in matrix[:, last]]
    assert said == ["email", "(missing)", "(other)", None, None]
    who = [plan.category(plan.features[source], code) for code in matrix[:, source]]
    assert who == ["ads", "ads", "ads", "(missing)", "(other)"]


def test_data_that_use_our_words_are_other():
    data = world(
        [event("a", "2025-01-05", word) for word in ("(other)", "(missing)", "email", "(other)")],
        {"a": "(missing)", "b": "(other)"},
    )
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T), ("b", T)))
    assert plan.learnt["touchpoints.channel"].seen == ("email",)
    matrix = plan.transform(data, at(("a", T), ("b", T)))
    for name, codes in (("touchpoints.channel.mode", [1.0, np.nan]), ("lead.source", [0.0, 0.0])):
        assert matrix[:, plan.names.index(name)].tolist() == pytest.approx(codes, nan_ok=True)


def test_a_category_that_a_plan_names_is_itself_even_where_it_was_not_kept():
    events = [event("a", "2025-01-05", f"w{n:02d}") for n in range(40)]
    data = world(events)
    names = [f"touchpoints.channel={word}.count.all" for word in ("w35", "(other)", "w01", "never said")]
    both = ls.FeaturePlan.of(data.project, names).fit(data, at(("a", T)))
    assert both.transform(data, at(("a", T))).tolist() == [[1.0, 10.0, 1.0, 0.0]]
    alone = ls.FeaturePlan.of(data.project, names[1:2]).fit(data, at(("a", T)))
    assert alone.transform(data, at(("a", T))).tolist() == [[10.0]]


def test_of_is_exactly_these_columns_with_nothing_to_learn():
    data = world([event("a", "2025-01-05", "email"), event("a", "2025-01-25", "ads")])
    names = ["touchpoints.count.30d", "touchpoints.channel=ads.count.7d", "lead.employees", "profile.age"]
    plan = ls.FeaturePlan.of(data.project, names)
    assert plan.names == names
    assert plan.transform(data, at(("a", T), ("a", "2025-01-05"))).tolist() == [[2, 1, 1, 31], [0, 0, 1, 4]]


def test_the_default_plan_is_complete():
    names = ls.FeaturePlan.default(builders.project()).names
    on_request = {"calendar.days_to_month_end", "touchpoints.gap_mean", "touchpoints.channel.entropy.7d"}
    assert {*LEAD_PRIMITIVES, "lead.source", "lead.employees", "touchpoints.count.1d"} - on_request <= set(names)
    assert not on_request & set(names)
    assert {f"touchpoints.cost.{op}.90d" for op in ("sum", "mean", "min", "max", "std")} <= set(names)
    assert {f"touchpoints.channel.{op}" for op in ("last", "previous", "first", "mode")} <= set(names)
    assert len(names) == len(set(names))


def test_a_list_without_times_has_only_its_profile():
    plan = ls.FeaturePlan.default(builders.project(base=builders.LABELLED))
    assert plan.names == ["lead.source", "lead.visits", "profile.missing"]


def test_a_plan_survives_json():
    data = world([event("a", "2025-01-05", "a.b=c%d"), event("a", "2025-01-06", None)])
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    again = ls.FeaturePlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again.hash == plan.hash
    assert again.names == plan.names
    assert again.transform(data, at(("a", T))).tobytes() == plan.transform(data, at(("a", T))).tobytes()


def test_the_hash_tells_plans_apart():
    data = world([event("a", "2025-01-05", "email")])
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    elsewhere = ls.FeaturePlan.default(builders.project({"timezone": "Europe/Berlin"}))
    others = [plan.select([0, 1]), plan.select([1, 0]), ls.FeaturePlan.default(data.project), elsewhere]
    assert len({plan.hash, *(other.hash for other in others)}) == 5
    assert plan.hash == ls.FeaturePlan.default(data.project).fit(data, at(("a", T))).hash


def test_select_keeps_what_was_learnt():
    data = world([event("a", "2025-01-05", "email")])
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    columns = [plan.names.index("touchpoints.channel.last"), plan.names.index("touchpoints.count.30d")]
    few = plan.select(columns)
    assert few.names == ["touchpoints.channel.last", "touchpoints.count.30d"]
    assert few.learnt == plan.learnt
    assert few.transform(data, at(("a", T))).tolist() == plan.transform(data, at(("a", T)))[:, columns].tolist()


def test_fit_and_select_leave_the_plan_as_it_was():
    data = world([event("a", "2025-01-05", "email")])
    plan = ls.FeaturePlan.default(data.project)
    before = plan.hash
    plan.fit(data, at(("a", T))).select([0])
    assert plan.hash == before
    assert plan.learnt == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["touchpoints.count.30d"] * 2, "'touchpoints.count.30d' is named twice; columns of a plan are unique"),
        (["lead.sorce"], "'lead.sorce': [leads] declares no column 'sorce'. Did you mean 'source'?"),
        (["touchpoint.count.30d"], "'touchpoint.count.30d' is no feature. Did you mean 'touchpoints'?"),
        (["profile.agee"], "'profile.agee' is no feature. Did you mean 'profile.age'?"),
        (["touchpoints.cuont.30d"], "'touchpoints.cuont.30d': unknown op 'cuont'. Did you mean 'count'?"),
        (["touchpoints.chanel.last"],
         "'touchpoints.chanel.last': [events.touchpoints] declares no column 'chanel'. Did you mean 'channel'?"),
        (["touchpoints.cost=5.count.7d"], "'touchpoints.cost=5.count.7d': 'cost' is numeric and has no categories"),
        (["touchpoints.channel.sum.7d"],
         "'touchpoints.channel.sum.7d': sum is not taken of a categorical subject, but of: numeric"),
        (["touchpoints.count"], "'touchpoints.count': count needs a window, as in .30d"),
        (["touchpoints.since_last.7d"], "'touchpoints.since_last.7d': since_last has no window"),
        (["touchpoints.count.0d"], "'touchpoints.count.0d': '0d' is empty; use at least '1m'"),
        (["count"], "'count' is not a feature name; write table[.column[=category]].op[.window]"),
    ],
)  # fmt: skip
def test_names_that_the_project_cannot_compute(names, message):
    with pytest.raises(PlanError) as caught:
        ls.FeaturePlan.of(builders.project(), names)
    assert str(caught.value) == message


def test_a_list_without_times_has_no_cutoff_to_ask_about():
    with pytest.raises(PlanError) as caught:
        ls.FeaturePlan.of(builders.project(base=builders.LABELLED), ["calendar.hour"])
    assert str(caught.value) == "'calendar.hour' needs a cutoff, and a list without times has none"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"events": None}, "the plan was made for a project with [events.touchpoints], this one has none"),
        ({"events.touchpoints.categorical": ["medium"]},
         "the plan was made for [events.touchpoints] categorical = ['channel'], this project says ['medium']. "
         "Use the columns the model was trained on, in their order, or train anew"),
        ({"leads.numeric": []}, "the plan was made for [leads] numeric = ['employees'], this project says []. "
         "Use the columns the model was trained on, in their order, or train anew"),
        ({"timezone": "Europe/Berlin"}, "the plan was made with timezone 'UTC', this project has 'Europe/Berlin'"),
    ],
)  # fmt: skip
def test_a_plan_refuses_data_of_another_schema_by_name(tmp_path, changes, message):
    data = world([event("a", "2025-01-05", "email")])
    plan = ls.FeaturePlan.default(data.project).fit(data, at(("a", T)))
    files = {"touchpoints.csv": builders.TOUCHPOINTS.replace("channel", "medium")} if "medium" in message else {}
    other = builders.read(tmp_path, files, changes)
    for use in (plan.transform, plan.fit):
        with pytest.raises(PlanError) as caught:
            use(other, at(("a", T)))
        assert str(caught.value) == message


def test_a_plan_with_something_to_learn_says_so():
    data = world([event("a", "2025-01-05", "email")])
    for plan, what in (
        (ls.FeaturePlan.default(data.project), "'lead.source' has something"),
        (ls.FeaturePlan.of(data.project, ["touchpoints.channel.last"]), "'touchpoints.channel.last' has something"),
        (
            ls.FeaturePlan.of(data.project, ["touchpoints.channel=(other).count.7d"]),
            "'touchpoints.channel=(other).count.7d' has something",
        ),
    ):
        with pytest.raises(PlanError) as caught:
            plan.transform(data, at(("a", T)))
        expected = f"{what} to learn first: plan = plan.fit(data, cutoffs), with cutoffs of the train block"
        assert str(caught.value) == expected


def test_another_format_is_refused():
    with pytest.raises(PlanError) as caught:
        ls.FeaturePlan.from_dict({"format": 99})
    assert str(caught.value) == "this plan has format 99; this version of leadscore reads 2"


def options(**features: object) -> ls.FeaturePlan:
    changes = {"features": features, "leads.account": "company", "leads.numeric": ["employees", "Amount [EUR]"]}
    return ls.FeaturePlan.default(builders.project(changes))


def test_a_project_chooses_windows_and_half_lives():
    names = options(windows=["2w", "all"], half_lives=["12h"]).names
    assert {"touchpoints.count.2w", "touchpoints.count.all", "touchpoints.trend.2w"} <= set(names)
    assert not any(name.endswith((".30d", "trend.all", "decay.7d")) for name in names)
    assert "touchpoints.decay.12h" in names


def test_blanks_around_a_length_of_time_are_no_part_of_a_name():
    plan = options(windows=[" 7d", "7d", "all "], half_lives=["12h\n"])
    assert plan.names == options(windows=["7d", "all"], half_lives=["12h"]).names
    assert ls.FeaturePlan.from_dict(plan.to_dict()).features == plan.features


@pytest.mark.parametrize(
    ("drop", "gone"),
    [
        ("std", lambda name: ".std." in name),
        ("rhythm", lambda name: name.split(".")[1] == "active_days"),
        ("company", lambda name: name.startswith("account.")),
        ("touchpoints.cost.*.1d", lambda name: name.startswith("touchpoints.cost.") and name.endswith(".1d")),
        ("profile.age", lambda name: name == "profile.age"),
        ("lead.Amount [EUR]", lambda name: name == "lead.Amount [EUR]"),
    ],
)
def test_a_project_drops_ops_families_names_and_globs(drop, gone):
    everything = options().names
    assert any(map(gone, everything))
    assert options(drop=[drop]).names == [name for name in everything if not gone(name)]


def test_categories_are_dropped_once_they_are_known():
    data = world([event("a", "2025-01-05", "email"), event("a", "2025-01-06", "web")])
    project = builders.project(
        {"features": {"drop": ["touchpoints.channel=web.*", "touchpoints.channel=*.since_last"]}}
    )
    data = ls.Data(project, data.leads, data.logs, data.outcomes)
    names = ls.FeaturePlan.default(project).fit(data, at(("a", T))).names
    assert [name for name in names if "=" in name] == [
        f"touchpoints.channel=email.count.{window}" for window in project.features.windows
    ]


def test_a_project_adds_what_the_default_has_not():
    added = ["touchpoints.count.14d", "touchpoints.channel=demo.decay.7d", "account.touchpoints.cost.sum.90d"]
    names = options(add=added, drop=["touchpoints.*"]).names
    assert names[-3:] == added
    assert [name for name in names if name.startswith("touchpoints.")] == added[:2]


def test_a_feature_of_the_default_that_is_added_in_other_letters_stands_there_once():
    data = world([event("a", "2025-01-05", "email")])
    project = builders.project({"features": {"add": ["touchpoints.channel=%65mail.count.7d"]}})
    data = ls.Data(project, data.leads, data.logs, data.outcomes)
    names = ls.FeaturePlan.default(project).fit(data, at(("a", T))).names
    assert names.count("touchpoints.channel=email.count.7d") == 1


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            {"drop": ["rythm"]},
            "[features] drop: 'rythm' is no feature that a plan has by itself, and no glob, op or family of one. "
            "Did you mean 'rhythm'?",
        ),
        ({"add": ["touchpoints.reply"]}, "'touchpoints.reply': no column of [events.touchpoints] says which events "
         'went out and which came in; add direction = { column = "…", outbound = ["…"], inbound = ["…"] }'),
        ({"add": ["touchpoints.decay.all"]}, "'touchpoints.decay.all': decay needs a half-life, as in .7d, and 'all' "
         "is none"),
        ({"add": ["touchpoints.trend.all"]}, "'touchpoints.trend.all': trend needs a window with one before it, as in "
         ".7d, and 'all' is none"),
        ({"add": ["touchpoints.trend"]}, "'touchpoints.trend': trend needs a window, as in .30d"),
        ({"add": ["touchpoints.decay"]}, "'touchpoints.decay': decay needs a half-life, as in .7d"),
        ({"add": ["owner.win_rate"]}, "'owner.win_rate': [leads] declares no owner; add owner = the column that names "
         "it"),
        ({"add": ["account.rate"]}, "'account.rate' is no feature. Did you mean 'account.win_rate'? There are: "
         "account.win_rate, account.n_won, account.n_resolved, account.open_leads"),
        ({"add": ["account.calls.count.7d"]}, "'account.calls.count.7d': there is no [events.calls]."),
        ({"add": ["account.touchpoints.channel.last"]}, "'account.touchpoints.channel.last': last is taken of a lead's "
         "own events, not of its account's"),
    ],
)  # fmt: skip
def test_what_a_project_can_not_have(features, message):
    with pytest.raises(PlanError) as error:
        options(**features)
    assert str(error.value).startswith("leadscore.toml: [features] ")
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["open_leads", "load", "account.open_leads", "*.open_leads"])
def test_what_is_there_on_request_is_added_by_op_family_name_or_glob(text):
    assert "account.open_leads" not in options().names
    assert set(options(add=[text]).names) - set(options().names) == {"account.open_leads"}
    assert options(add=["open_leads"], drop=["load"]).names == options().names
    assert options(drop=["load"]).names == options().names


def test_one_name_is_no_list_of_names():
    with pytest.raises(PlanError) as error:
        ls.FeaturePlan.of(builders.project(), "touchpoints.count.7d")
    assert str(error.value) == "names must be a list, as in ['touchpoints.count.7d']"


def test_a_plan_from_before_answers_were_known_goes_on_by_direction_alone(sample):
    """Its model was trained so; another direction is refused as ever."""
    told = ls.FeaturePlan.of(sample.project, ["interactions.waiting"])
    raw = json.loads(json.dumps(told.to_dict()))
    direction = raw["schema"]["events"]["interactions"]["direction"]
    assert direction.pop("answered")
    older = ls.FeaturePlan.from_dict(raw)
    asked = Cutoffs(np.arange(400), np.full(400, sample.observed_until))
    now, then = (plan.transform(sample, asked)[:, 0] for plan in (told, older))
    assert np.isnan(now).sum() > np.isnan(then).sum(), "whom somebody spoke to waits no longer"
    direction["outbound"] = ["away"]
    with pytest.raises(PlanError, match="direction"):
        ls.FeaturePlan.from_dict(raw).transform(sample, asked)
