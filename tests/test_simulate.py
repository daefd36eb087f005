"""The simulated market: same seed, same bytes; rows that make sense; a truth that is one."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import time
from leadscore.errors import ProjectError
from leadscore.simulate import simulate
from leadscore.simulate.day import Day, later_today, live
from leadscore.simulate.history import Moments, run, true_probabilities
from leadscore.simulate.market import ACTIONS, DEMO, OPEN, SECONDS_A_DAY, STATUSES, WON, Market
from leadscore.simulate.people import People
from leadscore.simulate.season import Season
from leadscore.simulate.world import Log, State, World
from leadscore.simulate.writing import FILES, Kind

DATA = Path(__file__).parents[1] / "data"
HORIZON = pd.Timedelta("30D")
UNTIL = pd.Timestamp("2026-06-30", tz="UTC")
COLUMNS = {
    "leads.csv": "lead_id,created_at,account_id,source,rep,industry,country,employees",
    "touchpoints.csv": "event_id,lead_id,occurred_at,ingested_at,channel,action,campaign,cost",
    "interactions.csv": "event_id,lead_id,occurred_at,recorded_at,kind,direction,outcome,rep,minutes",
    "outcomes.csv": "lead_id,closed_at,status,recorded_at",
    "truth.csv": "lead_id,cutoff,probability",
}


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def silent(done: int) -> None:
    """Show no progress."""


def world_of(n_leads: int, seed: int = 1, **numbers: float) -> World:
    market = replace(Market(), **numbers)
    season = Season.of(market)
    return World(market, season, People.draw(market, season, n_leads, generator(seed)))


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    tables = {name.removesuffix(".csv"): pd.read_csv(folder / name) for name in COLUMNS}
    for table in tables.values():
        for column in table.columns:
            if column.endswith("_at") or column == "cutoff":
                table[column] = pd.to_datetime(table[column], format="%Y-%m-%dT%H:%M:%SZ", utc=True)
    leads, outcomes = tables["leads"], tables["outcomes"]
    life = leads[["lead_id", "created_at"]].merge(outcomes.drop(columns="recorded_at"), on="lead_id", how="left")
    return {**tables, "life": life.set_index("lead_id")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("market") / "six", n_leads=6_000, seed=3, n_truths=6_000)


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return tables_of(folder)


def truth_with_labels(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    truth = tables["truth"].join(tables["life"], on="lead_id")
    wins = truth["closed_at"].where(truth["status"] == "won")
    return truth.assign(label=(wins >= truth["cutoff"]) & (wins < truth["cutoff"] + HORIZON))


def auc(label: pd.Series, probability: pd.Series) -> float:
    ranks, n_positive = probability.rank(), int(label.sum())
    above = ranks[label].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * (len(label) - n_positive)))


# What is written


def test_same_seed_same_bytes_and_truth_changes_no_other_file(tmp_path: Path) -> None:
    first = simulate(tmp_path / "first", n_leads=200, seed=5)
    second = simulate(tmp_path / "second", n_leads=200, seed=5)
    other = simulate(tmp_path / "other", n_leads=200, seed=6)
    without = simulate(tmp_path / "without", n_leads=200, seed=5, truth=False)
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()
        if name != "truth.csv":
            assert (first / name).read_bytes() == (without / name).read_bytes()
    assert (without / "truth.csv").read_text() == COLUMNS["truth.csv"] + "\n"


def test_the_committed_sample_is_what_simulate_writes_now(tmp_path: Path) -> None:
    written = simulate(tmp_path / "sample", n_leads=2_000, seed=7)
    assert sorted(path.name for path in written.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (written / name).read_bytes() == (DATA / "sample" / name).read_bytes(), name
    assert sum(path.stat().st_size for path in written.iterdir()) < 4_000_000


@pytest.mark.parametrize("kind", ["market", "renewals"])
def test_a_history_ends_when_it_is_asked_to(tmp_path: Path, kind: Kind) -> None:
    until = dt.date(2031, 3, 1)
    written = simulate(tmp_path / "asked", n_leads=150, seed=2, kind=kind, until=until)
    assert f"--seed 2 --until {until}" in (written / "leadscore.toml").read_text().splitlines()[0]
    data = ls.Project.load(written).read()
    end = time.parse_instant("2031-03-01", "UTC")
    assert data.observed_until == end
    last = max(int(log.time.max()) for log in data.logs.values())
    assert end - 3 * time.DAY < last < end
    assert end - 901 * time.DAY < data.leads.created.min() < data.leads.created.max() < end
    assert simulate(tmp_path / "asked", n_leads=150, seed=2, kind=kind) == written, "it is ours, and is replaced"


@pytest.mark.parametrize("kind", ["market", "renewals"])
@pytest.mark.parametrize("until", [dt.date(2026, 6, 30), dt.date(2031, 3, 1)])
def test_what_is_known_later_than_the_asked_end_is_in_no_file(tmp_path: Path, kind: Kind, until: dt.date) -> None:
    written = simulate(tmp_path / "asked", n_leads=1_500, seed=2, kind=kind, until=until, n_truths=500)
    end = f"{until}T00:00:00Z"
    for file in written.glob("*.csv"):
        table = pd.read_csv(file, dtype=str)
        for column in table.columns:
            if column.endswith("_at") or column == "cutoff":
                assert (table[column] < end).all(), (file.name, column)


def test_only_the_rows_known_later_are_left_out(tmp_path: Path) -> None:
    """By default the history ends on 2026-06-30, and late rows are there: the same, asked for, is as of that day."""
    late = simulate(tmp_path / "late", n_leads=1_500, seed=2)
    asked = simulate(tmp_path / "asked", n_leads=1_500, seed=2, until=dt.date(2026, 6, 30))
    known = {"touchpoints.csv": "ingested_at", "interactions.csv": "recorded_at", "outcomes.csv": "recorded_at"}
    for name in COLUMNS:
        every, arrived = (pd.read_csv(folder / name, dtype=str) for folder in (late, asked))
        if name in known:
            there = every[known[name]] < "2026-06-30T00:00:00Z"
            assert not there.all(), name
            every = every[there].reset_index(drop=True)
        pd.testing.assert_frame_equal(arrived, every)


@pytest.mark.parametrize("until", [dt.date(1979, 12, 31), dt.date(3000, 1, 1)])
def test_an_end_out_of_range_is_refused(tmp_path: Path, until: dt.date) -> None:
    with pytest.raises(ProjectError, match="years 1980 to 2999; got"):
        simulate(tmp_path / "market", n_leads=5, seed=0, until=until)


def test_files_are_plain_csv_with_the_promised_columns(folder: Path) -> None:
    for name, columns in COLUMNS.items():
        content = (folder / name).read_bytes()
        assert content.startswith(columns.encode() + b"\n")
        assert content.endswith(b"\n")
        assert b'"' not in content
        assert b"\r" not in content


def test_every_file_and_column_is_explained() -> None:
    explained = (DATA / "README.md").read_text()
    for name, columns in COLUMNS.items():
        section = explained.split(f"### {name}")[1].split("\n##")[0]
        for column in columns.split(","):
            assert f"| `{column}` |" in section, (name, column)


def test_project_file_names_every_table_but_the_truth(folder: Path) -> None:
    text = (folder / "leadscore.toml").read_text()
    project = tomllib.loads(text)
    sources = {project["leads"]["source"], project["outcome"]["source"]}
    for name, table in project["events"].items():
        sources.add(table["source"])
        named = {table[key] for key in ("lead", "time", "known", "id")} | {
            *table["categorical"],
            *table["numeric"],
        }
        assert named == set(COLUMNS[f"{name}.csv"].split(","))
    assert sources == set(COLUMNS) - {"truth.csv"}
    assert project["task"]["observed_until"] == "2026-06-30"
    assert "known" not in project["leads"]


def test_progress_counts_every_step_once(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    simulate(tmp_path / "market", n_leads=5, seed=0, progress=lambda done, total: steps.append((done, total)))
    n_steps = Market().n_days + Market().horizon_days
    assert steps == [(i + 1, n_steps) for i in range(n_steps)]


def test_a_single_lead_is_a_market(tmp_path: Path) -> None:
    assert len(tables_of(simulate(tmp_path / "one", n_leads=1, seed=0))["leads"]) == 1


# Where it is written


def test_a_folder_of_someone_elses_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "leadscore.toml").write_text('name = "acme"\n')
    with pytest.raises(ProjectError, match=r"must be empty or hold an earlier simulation; found leadscore\.toml"):
        simulate(tmp_path, n_leads=5, seed=0)
    assert (tmp_path / "leadscore.toml").read_text() == 'name = "acme"\n'
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ProjectError, match="must be a folder; found a file"):
        simulate(tmp_path / "leadscore.toml", n_leads=5, seed=0)


def test_an_earlier_simulation_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    simulate(tmp_path, n_leads=20, seed=0)
    (tmp_path / "mlflow.db").write_text("runs")
    simulate(tmp_path, n_leads=30, seed=0)
    assert len(tables_of(tmp_path)["leads"]) == 30
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "mlflow.db"}


def test_nothing_appears_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(table: object, file: Path) -> None:
        if file.name == "truth.csv":
            raise OSError("no space left")
        file.write_text("half")

    monkeypatch.setattr("leadscore.simulate.writing._write_csv", full_disk)
    with pytest.raises(OSError, match="no space left"):
        simulate(tmp_path / "market", n_leads=5, seed=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("n_leads", "seed"), [(0, 1), (-1, 1), (5, -1)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, n_leads: int, seed: int) -> None:
    with pytest.raises(ProjectError, match="at least 1 lead and a seed of at least 0"):
        simulate(tmp_path / "market", n_leads=n_leads, seed=seed)


# Rows that make sense


def test_ids_are_unique_and_refer_to_leads(tables: dict[str, pd.DataFrame]) -> None:
    leads = set(tables["leads"]["lead_id"])
    assert len(leads) == len(tables["leads"]) == 6_000
    assert tables["leads"]["lead_id"].iloc[41] == "L000042"
    for name in ("touchpoints", "interactions", "outcomes", "truth"):
        assert set(tables[name]["lead_id"]) <= leads
    assert tables["outcomes"]["lead_id"].is_unique
    assert tables["interactions"]["event_id"].is_unique
    assert not tables["truth"].duplicated(["lead_id", "cutoff"]).any()


def test_leads_arrive_through_the_whole_history(tables: dict[str, pd.DataFrame]) -> None:
    created = tables["leads"]["created_at"]
    assert created.is_monotonic_increasing
    assert created.min() >= pd.Timestamp("2025-01-01", tz="UTC")
    assert created.max() < UNTIL
    assert created.dt.strftime("%Y-%m").value_counts().min() > 0.02 * len(created)


def test_companies_have_several_leads_of_one_profile(tables: dict[str, pd.DataFrame]) -> None:
    by_company = tables["leads"].groupby("account_id")
    assert 0.25 < (by_company.size() > 1).mean() < 0.45
    assert (by_company[["industry", "country", "employees"]].nunique() <= 1).all(axis=None)
    assert (by_company["source"].nunique() > 1).any()
    assert 0.1 < tables["leads"]["employees"].isna().mean() < 0.3


def test_rows_happen_before_the_end_and_are_known_after_they_happen(tables: dict[str, pd.DataFrame]) -> None:
    known = {"touchpoints": "ingested_at", "interactions": "recorded_at", "outcomes": "recorded_at"}
    for name, column in known.items():
        time = tables[name]["closed_at" if name == "outcomes" else "occurred_at"]
        assert (tables[name][column] >= time).all()
        assert time.max() < UNTIL


def test_before_creation_there_are_only_visits_known_from_creation_on(
    tables: dict[str, pd.DataFrame],
) -> None:
    touched = tables["touchpoints"].join(tables["life"], on="lead_id")
    early = touched[touched["occurred_at"] < touched["created_at"]]
    assert 0.01 < len(early) / len(touched) < 0.15
    assert set(zip(early["channel"], early["action"], strict=True)) == {("web", "visit")}
    assert (early["ingested_at"] >= early["created_at"]).all()
    worked = tables["interactions"].join(tables["life"], on="lead_id")
    assert (worked["occurred_at"] >= worked["created_at"]).all()
    closed = tables["life"].dropna()
    assert (closed["closed_at"] > closed["created_at"]).all()


def test_after_closing_there_is_only_onboarding_of_customers(tables: dict[str, pd.DataFrame]) -> None:
    touched = tables["touchpoints"].join(tables["life"], on="lead_id")
    late = touched[touched["occurred_at"] > touched["closed_at"]]
    assert 0 < len(late) < 0.03 * len(touched)
    assert set(late["campaign"]) == {"onboarding"}
    assert set(late["status"]) == {"won"}
    worked = tables["interactions"].join(tables["life"], on="lead_id")
    assert not (worked["occurred_at"] > worked["closed_at"]).any()


def test_redelivered_rows_differ_only_in_their_later_arrival(tables: dict[str, pd.DataFrame]) -> None:
    touchpoints = tables["touchpoints"]
    again = touchpoints["event_id"].duplicated()
    assert 0.010 < again.mean() < 0.020
    repeated = touchpoints[touchpoints["event_id"].isin(touchpoints.loc[again, "event_id"])]
    by_event = repeated.groupby("event_id")
    assert (by_event[["lead_id", "occurred_at", "channel", "action"]].nunique() == 1).all(axis=None)
    assert (by_event["ingested_at"].nunique() == by_event.size()).all()
    assert not touchpoints.drop(columns="ingested_at")[~again]["event_id"].duplicated().any()


def test_some_rows_are_late_and_some_channels_come_by_night(tables: dict[str, pd.DataFrame]) -> None:
    touchpoints = tables["touchpoints"].sort_values("ingested_at").drop_duplicates("event_id")
    created = tables["life"]["created_at"].reindex(touchpoints["lead_id"]).to_numpy()
    named = touchpoints[touchpoints["occurred_at"].to_numpy() >= created]
    wait = named["ingested_at"] - named["occurred_at"]
    by_night = named["channel"].isin(["ads", "event", "webinar"])
    assert named.loc[by_night, "ingested_at"].dt.hour.eq(2).all()
    assert 0.03 < (wait[~by_night] >= pd.Timedelta("1D")).mean() < 0.05
    waits = tables["interactions"]["recorded_at"] - tables["interactions"]["occurred_at"]
    assert 0.10 < (waits >= pd.Timedelta("12h")).mean() < 0.14


# A market, not noise


def test_leads_have_a_handful_of_touchpoints_and_end_in_every_way(tables: dict[str, pd.DataFrame]) -> None:
    n_touchpoints = tables["touchpoints"].groupby("lead_id").size().reindex(tables["leads"]["lead_id"], fill_value=0)
    assert 6 <= n_touchpoints.median() <= 12
    ends = tables["life"]["status"].fillna("open").value_counts(normalize=True)
    assert set(ends.index) == {*STATUSES, "open"}
    assert ends.min() > 0.1
    days = (tables["life"]["closed_at"] - tables["life"]["created_at"]).dt.days
    median = days.groupby(tables["life"]["status"]).median()
    assert median["disqualified"] < median["won"] < median["lost"]


def test_an_open_makes_a_click_likelier_and_a_click_a_visit(tables: dict[str, pd.DataFrame]) -> None:
    scanner_wait = pd.Timedelta("5s")
    touchpoints = tables["touchpoints"].drop_duplicates("event_id").sort_values("occurred_at")
    kind = touchpoints["channel"] + "." + touchpoints["action"]

    def share_followed(cause: str, effect: str) -> float:
        columns = ["lead_id", "occurred_at"]
        effects = touchpoints.loc[kind == effect, columns].assign(effect_at=lambda t: t["occurred_at"])
        followed = pd.merge_asof(
            touchpoints.loc[kind == cause, columns].assign(occurred_at=lambda t: t["occurred_at"] + scanner_wait),
            effects,
            on="occurred_at",
            by="lead_id",
            direction="forward",
            tolerance=pd.Timedelta("2D"),
        )
        return float(followed["effect_at"].notna().mean())

    assert share_followed("email.open", "email.click") > 5 * share_followed("web.visit", "email.click")
    assert share_followed("email.click", "web.visit") > 3 * share_followed("email.sent", "web.visit")
    assert share_followed("webinar.attend", "web.demo_request") > 3 * share_followed("web.visit", "web.demo_request")


def test_people_rest_on_weekends_and_holidays(tables: dict[str, pd.DataFrame]) -> None:
    day = tables["interactions"]["occurred_at"]
    assert (day.dt.day_of_week >= 5).mean() < 0.03
    season = Season.of(Market())
    labour_day, day_before = ((d - Market().first_day).days for d in (dt.date(2025, 5, 1), dt.date(2025, 4, 30)))
    assert season.buying[labour_day] < 0.2 * season.buying[day_before]


def test_holidays_are_those_of_the_history_s_own_years() -> None:
    market = Market.ending(dt.date(2028, 6, 30))
    season = Season.of(market)
    good_friday, week_before = ((d - market.first_day).days for d in (dt.date(2028, 4, 14), dt.date(2028, 4, 7)))
    assert season.buying[good_friday] < 0.2 * season.buying[week_before]
    assert Market.ending(dt.date(2026, 6, 30)) == Market() == Market.ending(None)


def test_some_sellers_answer_early_and_some_late(tables: dict[str, pd.DataFrame]) -> None:
    outbound = tables["interactions"].query("direction == 'outbound'")
    first = outbound.groupby("lead_id")["occurred_at"].min()
    wait = (first - tables["life"]["created_at"]).dropna().dt.total_seconds() / 86_400
    rep = tables["leads"].set_index("lead_id")["rep"].reindex(wait.index)
    median = wait.groupby(rep).median()
    assert median.max() > 4 * median.min()


def test_sources_differ_and_better_ones_win_more(tables: dict[str, pd.DataFrame]) -> None:
    won = tables["life"]["status"].eq("won")
    rate = won.groupby(tables["leads"].set_index("lead_id")["source"]).mean()
    assert rate["referral"] > 1.5 * rate["paid_social"]
    assert rate["referral"] > 2 * rate["bought_list"]


# The truth


def test_truth_is_a_monday_grid_of_open_leads_with_a_whole_horizon(tables: dict[str, pd.DataFrame]) -> None:
    truth = tables["truth"].join(tables["life"], on="lead_id")
    assert len(truth) == 6_000
    assert truth["cutoff"].dt.day_of_week.eq(0).all()
    assert truth["cutoff"].eq(truth["cutoff"].dt.normalize()).all()
    assert (truth["cutoff"] + HORIZON).max() <= UNTIL
    assert (truth["created_at"] <= truth["cutoff"]).all()
    assert not (truth["closed_at"] < truth["cutoff"]).any()
    assert truth["probability"].between(0.0, 1.0, inclusive="neither").all()


def test_truth_ranks_as_well_as_promised_and_is_calibrated(tables: dict[str, pd.DataFrame]) -> None:
    truth = truth_with_labels(tables)
    assert 0.03 <= truth["label"].mean() <= 0.08
    assert 0.72 <= auc(truth["label"], truth["probability"]) <= 0.80
    band = pd.qcut(truth["probability"], 4, labels=False)
    assert truth.groupby(band)["label"].mean().is_monotonic_increasing
    assert abs(surplus_in_standard_errors(truth)) < 4
    assert abs(surplus_in_standard_errors(truth[band == 3])) < 4


def surplus_in_standard_errors(truth: pd.DataFrame) -> float:
    """Wins beyond those expected, over the standard error of that sum; cutoffs of one lead stand together."""
    surplus = (truth["label"] - truth["probability"]).groupby(truth["lead_id"]).sum()
    return float(surplus.sum() / np.sqrt((surplus**2).sum()))


def test_truth_beats_what_the_source_alone_tells(tables: dict[str, pd.DataFrame]) -> None:
    truth = truth_with_labels(tables)
    source = tables["leads"].set_index("lead_id")["source"].reindex(truth["lead_id"]).to_numpy()
    rate = truth.groupby(source)["label"].transform("mean")
    assert auc(truth["label"], truth["probability"]) > auc(truth["label"], rate) + 0.08


def test_the_sample_can_be_trained_on() -> None:
    life = tables_of(DATA / "sample")["life"]
    won = life[life["status"] == "won"]
    assert len(won) >= 350
    cutoffs = pd.date_range(pd.Timestamp("2025-01-06", tz="UTC"), UNTIL - HORIZON, freq="7D")
    open_at = [(life["created_at"] <= c) & ~(life["closed_at"] < c) for c in cutoffs]
    share = np.cumsum([mask.sum() for mask in open_at]) / np.sum([mask.sum() for mask in open_at])
    block = np.searchsorted([0.55, 0.70, 0.85], share)
    test_begins = cutoffs[block == 3][0]
    for number in range(4):
        mine = cutoffs[(block == number) & ((number == 3) | (cutoffs + HORIZON <= test_begins))]
        winners = {lead for c in mine for lead in won.index[(won["closed_at"] >= c) & (won["closed_at"] < c + HORIZON)]}
        assert len(winners) >= 30, number


def state_of(world: World, n: int) -> State:
    """Several copies of the first lead, on a Tuesday a month after it came, with nothing left of its past."""
    state = State.new(np.zeros(n, dtype=np.int64), np.full(n, int(world.people.created_day[0]) + 30))
    tuesday = state.day - (state.day + world.market.first_day.weekday() - 1) % 7
    state.day = tuesday
    return state


@pytest.mark.parametrize(("name", "sign"), [("heat", 1), ("contact", 1), ("fatigue", -1)])
def test_the_hazard_of_a_win_moves_with_the_state(name: str, sign: int) -> None:
    world = world_of(50)
    state = state_of(world, 5)
    setattr(state, name, np.array([4.0, 5.0, 6.0, 8.0, 12.0]))
    won, lost, _ = world.hazards(state)
    assert (sign * np.diff(won) > 0).all()
    if name != "contact":
        assert (sign * np.diff(lost) < 0).all()


def test_the_hazard_of_a_win_rises_with_quality_and_that_of_the_rest_falls() -> None:
    world = world_of(50)
    same = replace(
        world.people,
        quality=np.linspace(-2.0, 2.0, 50),
        source=np.zeros(50, dtype=np.int64),
        created=np.zeros(50, dtype=np.int64),
    )
    state = State.new(np.arange(50), np.full(50, 34))
    won, lost, disqualified = World(world.market, world.season, same).hazards(state)
    assert (np.diff(won) > 0).all()
    assert (np.diff(lost) < 0).all()
    assert (np.diff(disqualified) < 0).all()


def test_better_leads_are_won_more_often() -> None:
    world = world_of(4_000)
    log, _ = run(world, generator(2), n_moments=0, moments_rng=generator(3), progress=silent)
    lead, _, status = (np.concatenate(column) for column in zip(*log.outcomes, strict=True))
    won = np.isin(np.arange(4_000), lead[status == WON])
    by_quality = [won[third].mean() for third in np.array_split(np.argsort(world.people.quality), 3)]
    assert by_quality[0] < by_quality[1] < by_quality[2]
    assert by_quality[2] > 2 * by_quality[0]


def test_true_probabilities_equal_the_naive_count_of_drawn_futures() -> None:
    """The specification: live thirty days, draw every close, count wins."""
    world = world_of(400)
    _, moments = run(world, generator(2), n_moments=40, moments_rng=generator(3), progress=silent)
    probability = true_probabilities(world, moments, generator(4), progress=silent, n_replicas=400)
    n_futures, rng = 1_500, generator(5)
    state = moments.state.take(np.repeat(np.arange(40), n_futures))
    is_open, is_won = np.ones(40 * n_futures, dtype=bool), np.zeros(40 * n_futures, dtype=bool)
    for _ in range(world.market.horizon_days):
        hazards, _ = live(world, state, rng)
        arrival = rng.standard_exponential(hazards.shape) / np.maximum(hazards, 1e-300)
        closes = is_open & (arrival.min(axis=0) < 1.0)
        is_won |= closes & (arrival.argmin(axis=0) == WON)
        is_open &= ~closes
    counted = is_won.reshape(40, n_futures).mean(axis=1)
    error = np.sqrt(probability * (1 - probability) / n_futures) + 0.002
    assert (np.abs(counted - probability) < 4.5 * error).all()
    assert counted.mean() == pytest.approx(probability.mean(), abs=0.003)


def test_moments_are_left_as_they_were() -> None:
    world = world_of(100)
    _, moments = run(world, generator(2), n_moments=20, moments_rng=generator(3), progress=silent)
    before = Moments(moments.state.take(np.arange(20)), moments.key.copy())
    true_probabilities(world, moments, generator(4), progress=silent, n_replicas=2)
    for name in (
        "day",
        "excitement",
        "heat",
        "fatigue",
        "contact",
        "asked",
        "unanswered",
        "tried",
        "campaign",
    ):
        np.testing.assert_array_equal(getattr(moments.state, name), getattr(before.state, name))


def test_a_quiet_world_stays_quiet() -> None:
    """Without interest, excitement or sellers nothing happens, and nothing is felt."""
    world = world_of(50, mailing_half_life=1e-3)
    still = replace(world.people, interest=np.zeros(50), answer_rate=np.zeros(6), created=np.zeros(50, dtype=np.int64))
    state, log = State.new(np.arange(50), np.full(50, 3)), Log()
    quiet_season = replace(world.season, mailing=np.zeros(world.market.n_days))
    live(World(world.market, quiet_season, still), state, generator(1), log)
    assert sum(len(row[0]) for row in log.touchpoints + log.interactions) == 0
    assert state.heat.sum() == state.fatigue.sum() == state.contact.sum() == 0.0
    assert (state.day == 4).all()


def test_events_of_a_day_stay_in_it_and_after_creation() -> None:
    world = world_of(3_000)
    lead = np.flatnonzero(world.people.created_day == world.people.created_day[1_500])
    state, log = State.new(lead, world.people.created_day[lead]), Log()
    state.excitement[:] = 50.0
    Day(world, state, generator(1), log).market_to()
    rows, time, action, _ = (np.concatenate(column) for column in zip(*log.touchpoints, strict=True))
    assert set(action) >= {OPEN, DEMO}
    assert len(action) > len(ACTIONS)
    assert (time >= world.people.created[rows]).all()
    assert (time // SECONDS_A_DAY == world.people.created_day[rows]).all()


def test_later_today_never_reaches_midnight_and_never_goes_back() -> None:
    rng = generator(1)
    time = rng.integers(0, 10 * SECONDS_A_DAY, size=10_000)
    time[:2] = SECONDS_A_DAY - 1, 0
    later = later_today(time, 20_000.0 * rng.standard_exponential(10_000))
    assert (later >= time).all()
    assert (later // SECONDS_A_DAY == time // SECONDS_A_DAY).all()
