"""A scorer: the same bytes twice, the same scores by every way, whole on disk, and honest where it can't learn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import time
from leadscore.errors import ArtifactError, DocumentError, PlanError, TrainingError
from leadscore.model.population import Population, Reference, grade
from leadscore.model.scores import COLUMNS
from leadscore.project import Source
from leadscore.reading import read
from leadscore.tables import Cutoffs
from tests import builders

AS_OF = "2026-05-01"
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
AT = time.parse_instant(AS_OF, "UTC")


def as_of(data: ls.Data, ids: object) -> Cutoffs:
    found = data.leads.find(ids)
    return Cutoffs(found, np.full(len(found), AT))


@pytest.fixture(scope="module")
def scores(sample, sample_scorer) -> pd.DataFrame:
    return sample_scorer.score(sample, as_of=AS_OF)


def fitted(data: ls.Data, seed: int = 0, **parameters: int) -> ls.LeadScorer:
    return ls.LeadScorer(seed=seed, parameters={"num_iterations": 20, **parameters}).fit(data, ls.snapshots(data))


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_trainings_give_the_same_bytes(sample, sample_snapshots, sample_scorer, sample_scorer_folder, tmp_path):
    again = ls.LeadScorer(seed=0, parameters={"num_iterations": 60, "learning_rate": 0.1}).fit(sample, sample_snapshots)
    assert again.model.to_text() == sample_scorer.model.to_text()
    assert contents(again.save(tmp_path / "again")) == contents(sample_scorer_folder)


def test_another_seed_is_another_model(sample, sample_snapshots, sample_scorer):
    other = ls.LeadScorer(seed=2, parameters={"num_iterations": 60, "learning_rate": 0.1}).fit(sample, sample_snapshots)
    assert other.model.to_text() != sample_scorer.model.to_text()


def test_the_order_of_the_tables_changes_no_byte_of_the_model(tmp_path):
    rows = [
        (("ads", "web", "fair")[n % 3], n % 17, str(int(n % 3 == 0 or n % 17 == 1)), f"L{n:04d}") for n in range(900)
    ]
    table = pd.DataFrame(rows, columns=["source", "visits", "converted", "id"])
    project = builders.project({"leads.id": "id"}, base=builders.LABELLED)
    texts = set()
    for order in (table, table.iloc[::-1], table.sample(frac=1, random_state=3)):
        texts.add(fitted(ls.read(project, frames={"leads": order, "outcome": order})).model.to_text())
    assert len(texts) == 1


def test_a_loaded_scorer_scores_the_same(sample, scores, sample_scorer_folder):
    loaded = ls.LeadScorer.load(sample_scorer_folder)
    pd.testing.assert_frame_equal(loaded.score(sample, as_of=AS_OF), scores)


def test_saving_what_was_loaded_writes_the_same_files(sample_scorer_folder, tmp_path):
    loaded = ls.LeadScorer.load(sample_scorer_folder)
    assert contents(loaded.save(tmp_path / "copy")) == contents(sample_scorer_folder)


def test_a_scorer_is_text_and_json_without_pickles(sample_scorer_folder):
    files = contents(sample_scorer_folder)
    assert sorted(files) == [
        *("calibration.json", "golden.json", "manifest.json", "model.txt", "plan.json", "population.json")
    ]
    for name, content in files.items():
        text = content.decode("utf-8")
        if name.endswith(".json"):
            json.loads(text, parse_constant=pytest.fail)


def test_a_scorer_replaces_a_scorer_and_nothing_else(sample_scorer, tmp_path):
    first = contents(sample_scorer.save(tmp_path / "scorer"))
    assert contents(sample_scorer.save(tmp_path / "scorer")) == first
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(ArtifactError) as caught:
        sample_scorer.save(tmp_path / "other")
    assert str(caught.value) == f"{tmp_path / 'other'} exists and is no scorer; choose another folder"
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_golden_leads_are_checked_at_every_load(sample_scorer, tmp_path):
    import hashlib

    folder = sample_scorer.save(tmp_path / "scorer")
    golden = json.loads((folder / "golden.json").read_text())
    golden[1]["score"]["probability"] += 1e-6
    (folder / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["golden.json"] = hashlib.sha256((folder / "golden.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError) as caught:
        ls.LeadScorer.load(folder)
    told = str(caught.value)
    assert told.startswith(f"{folder}: golden lead 1 scores ")
    assert told.endswith("Use the versions of leadscore and LightGBM that it was trained with, or train anew")


def test_golden_leads_span_the_ranking(sample_scorer):
    margins = [golden["score"]["score"] for golden in sample_scorer.golden]
    assert len(margins) == 5
    assert margins == sorted(margins)
    assert margins[-1] - margins[0] > 60


def test_a_lead_too_long_for_a_document_is_no_golden_lead(sample, sample_scorer, monkeypatch):
    lengths = [max(map(len, golden["document"]["events"].values())) for golden in sample_scorer.golden]
    assert min(lengths) < max(lengths)
    monkeypatch.setattr("leadscore.events.MOST_EVENTS", min(lengths))
    shorter = [golden for golden, n in zip(sample_scorer.golden, lengths, strict=True) if n == min(lengths)]
    assert sample_scorer._golden_leads(sample, sample_scorer.fitted) == shorter
    monkeypatch.setattr("leadscore.events.MOST_EVENTS", -1)
    with pytest.raises(TrainingError, match=r"^none of 5 test leads can be written as a lead document"):
        sample_scorer._golden_leads(sample, sample_scorer.fitted)


def test_a_scored_list(scores):
    assert tuple(scores.columns) == COLUMNS
    assert scores["lead_id"].is_unique
    assert scores["probability"].between(0, 1).all()
    assert scores["score"].between(0, 100).all()
    assert scores[["fit", "intent"]].notna().all().all()
    assert (scores["as_of"] == pd.Timestamp(AS_OF, tz="UTC")).all()
    assert set(scores["grade"]) <= set("ABCD")
    assert [grade(int(step), {"A": 90.0, "B": 70.0, "C": 40.0}) for step in scores["score"]] == list(scores["grade"])


def test_the_best_stand_first_and_score_follows_probability(scores):
    assert scores["score"].is_monotonic_decreasing
    assert (scores["probability"].diff().dropna() <= 1e-12).all()


def test_only_open_leads_are_scored(sample, scores):
    won, lost = sample.outcomes.won_at, sample.outcomes.lost_at
    at_risk = time.at_risk(sample.leads.created, won, lost, np.full(len(won), AT))
    assert sorted(scores["lead_id"]) == sorted(sample.leads.ids[at_risk])


def test_given_cutoffs_are_scored_as_given(sample, sample_scorer, scores):
    asked = pd.DataFrame({"lead_id": [*scores["lead_id"][:5], "L000001", scores["lead_id"][0]], "cutoff": AS_OF})
    found = sample_scorer.score(sample, cutoffs=asked)
    assert found["lead_id"].tolist() == asked["lead_id"].tolist()
    pd.testing.assert_frame_equal(found.iloc[:5], scores.iloc[:5])
    pd.testing.assert_series_equal(found.iloc[6], found.iloc[0], check_names=False)


def test_instants_may_be_said_in_many_ways(sample, sample_scorer, scores):
    for as_of in (AT, pd.Timestamp(AS_OF), pd.Timestamp(AS_OF, tz="UTC"), "2026-05-01T02:00:00+02:00"):
        pd.testing.assert_frame_equal(sample_scorer.score(sample, as_of=as_of), scores)


def test_a_list_and_documents_score_the_same(sample, sample_scorer, scores):
    some = scores.iloc[::9]
    raw = sample_scorer.documents(sample, as_of(sample, some["lead_id"]))
    records = sample_scorer.score_documents(json.loads(json.dumps(raw)), now=0)
    for record, (_, row) in zip(records, some.iterrows(), strict=True):
        for key in ("lead_id", "probability", "score", "grade", "fit", "intent", "reasons", "warnings"):
            assert record[key] == row[key], key
        assert record["as_of"] == "2026-05-01T00:00:00Z"
        assert record["horizon"] == "30d"
        assert record["model"] == {"name": "market", "version": None, "plan": sample_scorer.plan.hash}


def test_a_document_scores_the_same_alone_and_among_others(sample, sample_scorer, scores):
    raw = sample_scorer.documents(sample, as_of(sample, scores["lead_id"][:120]))
    together = sample_scorer.score_documents(raw, now=0)
    assert [sample_scorer.score_documents([one], now=0)[0] for one in raw[:20]] == together[:20]


def test_a_bad_document_stands_at_its_place(sample, sample_scorer):
    (good,) = sample_scorer.documents(sample, as_of(sample, sample.leads.ids[5:6]))
    found = sample_scorer.score_documents([good, {"lead": {}}, good, None], now=0)
    assert [isinstance(one, DocumentError) for one in found] == [False, True, False, True]
    assert found[0] == found[2]
    assert sample_scorer.score_documents([], now=0) == []


def test_without_reasons_the_score_is_the_same(sample, sample_scorer, scores):
    bare = sample_scorer.score(sample, as_of=AS_OF, n_reasons=0)
    assert bare["probability"].tolist() == scores["probability"].tolist()
    assert bare["score"].tolist() == scores["score"].tolist()
    assert bare[["fit", "intent"]].isna().all().all()
    assert not any(bare["reasons"])


def test_an_unseen_value_and_a_lead_without_history_are_said(sample_scorer):
    raw = {"lead": {"lead_id": "N", "created_at": "2026-04-30", "country": "ATLANTIS", "source": "ads"}}
    (record,) = sample_scorer.score_documents([raw], now=AT)
    assert "lead.country: 'ATLANTIS' was not seen in training" in record["warnings"]
    assert "no event is known yet: the score rests on the profile alone" in record["warnings"]


def test_nobody_open_is_an_empty_list(sample, sample_scorer, scores):
    nobody = sample_scorer.score(sample, as_of="2001-01-01")
    assert len(nobody) == 0
    assert list(nobody.columns) == list(scores.columns)
    assert len(sample_scorer.score(sample, as_of="2001-01-01", n_reasons=0)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, 'say as of when: as_of="2026-05-01", or cutoffs= a DataFrame with lead_id and cutoff'),
        ({"as_of": AS_OF, "cutoffs": pd.DataFrame()}, "give as_of or cutoffs, not both"),
        ({"as_of": "soon"}, "not a time; write ISO 8601, as in '2026-05-01T09:00:00Z'"),
    ],
)
def test_it_must_be_said_as_of_when(sample, sample_scorer, options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is compared whole)
        sample_scorer.score(sample, **options)
    assert str(caught.value) == message


def test_data_of_another_project_are_refused(tmp_path, sample_scorer):
    with pytest.raises(PlanError, match=r"the plan was made for \[events\.touchpoints\] categorical"):
        sample_scorer.score(builders.read(tmp_path), as_of=AS_OF)


def test_scores_that_tie_share_the_middle_rank():
    reference = Reference.of(np.array([3.0, 1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 1.0]))
    assert reference.percentile(np.array([0.0, 1.0, 1.5, 2.0, 3.0, 9.0])).tolist() == [0, 25, 50, 62.5, 87.5, 100]
    weighted = Reference.of(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    assert weighted.percentile(np.array([1.0, 2.0])).tolist() == [37.5, 87.5]
    assert Reference.of(np.empty(0), np.empty(0)).percentile(np.array([5.0])).tolist() == [50.0]
    assert [one.varies for one in (weighted, Reference.of(np.zeros(2), np.ones(2)))] == [True, False]
    population = Population(reference, weighted, reference)
    assert Population.from_dict(json.loads(json.dumps(population.to_dict()))).fit.weights.tolist() == [3, 1]


def test_scores_spread_evenly_over_the_reference(sample_scorer, sample_snapshots):
    fitted_ = sample_scorer.fitted
    rows = np.concatenate([fitted_.blocks.rows["calibrate"], fitted_.blocks.rows["test"]])
    percentiles = sample_scorer.population.margin.percentile(fitted_.margin[rows])
    weight = sample_snapshots.weight[rows]
    assert np.average(percentiles, weights=weight) == pytest.approx(50, abs=1e-6)
    assert np.average(percentiles >= 90, weights=weight) == pytest.approx(0.1, abs=0.01)


# --- where there is little to learn from ----------------------------------------------------------------------------


def few_wins(n_leads: int = 120, n_won: int = 20) -> ls.Data:
    leads = [(f"L{n:03d}", f"2025-01-{1 + n % 28:02d}") for n in range(n_leads)]
    closed = [(f"L{n * 5:03d}", f"2025-0{2 + n % 3}-{1 + n % 27:02d}", "won") for n in range(n_won)]
    events = [(f"L{n:03d}", f"2025-02-{1 + n % 27:02d}") for n in range(0, n_leads, 2)]
    return builders.history(leads, closed, events, {"task.observed_until": "2025-06-01"})


def test_too_few_wins_stay_on_a_lower_rung_and_say_so(tmp_path):
    data = few_wins()
    scorer = fitted(data)
    assert scorer.fitted.ladder.stands_on in scorer.fitted.baselines
    assert scorer.fitted.ladder.rungs[-1].why == "Trees need 30 won leads in each block, and there are fewer."
    assert scorer.manifest["rung"] == scorer.fitted.ladder.stands_on
    assert scorer.model.kind in ("rate", "logistic")
    assert scorer.manifest["warnings"][0].startswith("Too few wins: ")
    scores = scorer.score(data, as_of="2025-05-01")
    assert scores["probability"].between(0.0001, 0.9999).all()
    again = ls.LeadScorer.load(scorer.save(tmp_path / "scorer"))
    pd.testing.assert_frame_equal(again.score(data, as_of="2025-05-01"), scores)


def test_effects_of_a_baseline_sum_to_its_margin_too():
    data = few_wins()
    scorer = fitted(data)
    asked = Cutoffs(np.arange(50), np.full(50, time.parse_instant("2025-05-01", "UTC")))
    for record, margin in zip(
        scorer.explain(data, asked), scorer.model.margin(scorer.plan.transform(data, asked)), strict=True
    ):
        told = sum(record[key] for key in ("base", "fit_effect", "intent_effect", "context_effect"))
        assert told == pytest.approx(float(margin), abs=1e-9)


@pytest.mark.parametrize(
    ("closed", "until", "message"),
    [
        ([], "2025-06-01", "is a win"),
        ([], "2025-01-02", "no mature snapshot to learn from"),
    ],
)
def test_what_cannot_be_learnt_from(closed, until, message):
    data = builders.history([("a", "2025-01-01")], closed, changes={"task.observed_until": until})
    with pytest.raises(TrainingError, match=message):
        fitted(data)


def test_a_plan_without_features_teaches_nothing():
    data = builders.labelled(100, {"features": {"drop": ["*"]}})
    with pytest.raises(TrainingError, match=r"Drop less in \[features\]"):
        fitted(data)


def test_a_list_of_wins_alone_teaches_nothing():
    frame = pd.DataFrame({"source": list("xy") * 50, "visits": 1, "converted": "1"})
    data = ls.read(builders.project(base=builders.LABELLED), frames={"leads": frame, "outcome": frame})
    with pytest.raises(TrainingError) as caught:
        fitted(data)
    assert str(caught.value) == (
        "all 100 snapshots are wins (n_candidates 100, n_outside_risk_set 0, n_immature 0, n_open 0). "
        "Leads that didn't convert must be in [leads] too"
    )


def test_a_labelled_list_is_learnt_scored_and_saved(tmp_path):
    rng = np.random.default_rng(0)
    visits = rng.integers(0, 50, 1_200)
    won = rng.random(1_200) < 0.1 + 0.6 * (visits > 30)
    status = np.where(rng.random(1_200) < 0.1, "", won.astype(int).astype(str))
    frame = pd.DataFrame({"source": rng.choice(["ads", "web"], 1_200), "visits": visits, "converted": status})
    data = ls.read(builders.project(base=builders.LABELLED), frames={"leads": frame, "outcome": frame})
    scorer = fitted(data)
    assert scorer.fitted.ladder.stands_on == "trees"
    assert scorer.horizon is None
    scores = scorer.score(data)
    assert len(scores) == (status == "").sum()
    assert scores["as_of"].isna().all()
    assert scores["intent"].isna().all()
    again = ls.LeadScorer.load(scorer.save(tmp_path / "scorer"))
    pd.testing.assert_frame_equal(again.score(data), scores)
    (record,) = again.score_documents([{"lead": {"source": "ads", "visits": "45"}}], now=0)
    assert (record["as_of"], record["horizon"], record["intent"]) == (None, None, None)
    (idle,) = again.score_documents([{"lead": {"source": "ads", "visits": 1}}], now=0)
    assert record["probability"] > idle["probability"]


def test_a_document_without_context_says_what_it_lacks(sample, sample_scorer):
    (whole,) = sample_scorer.documents(sample, as_of(sample, ["L000100"]))
    names = [sample_scorer.plan.names[column] for column in sample_scorer.plan.company]
    assert list(whole["context"]) == names
    assert len(names) > 5
    alone = {part: content for part, content in whole.items() if part != "context"}
    partly = alone | {"context": {name: whole["context"][name] for name in names[1:]}}
    vain = whole | {"context": whole["context"] | {"owner.win_raet": 1}}
    scored = sample_scorer.score_documents([whole, alone, partly, vain], now=0)
    said = [[text for text in record["warnings"] if text.startswith("context")] for record in scored]
    assert said == [
        [],
        [f"context: {names[0]}, {names[1]} and {len(names) - 2} more not given; taken as unknown"],
        [f"context: {names[0]} not given; taken as unknown"],
        ["context: 1 name(s) that this model doesn't ask for ignored"],
    ]


def test_trees_have_seen_an_unknown_company(sample, sample_scorer):
    """Of a company that trees never saw missing, LightGBM would take NaN for 0."""
    company = set(sample_scorer.plan.company)
    model = sample_scorer.model.booster.dump_model()
    nodes = [tree["tree_structure"] for tree in model["tree_info"]]
    kinds = set()
    while nodes:
        node = nodes.pop()
        if "split_feature" in node:
            nodes += [node["left_child"], node["right_child"]]
            kinds |= {node["missing_type"]} if node["split_feature"] in company else set()
    assert kinds == {"NaN"}


def test_a_list_scores_as_the_project_does_that_it_is_part_of(sample, sample_scorer, scores, tmp_path):
    """The other leads of its companies stand in the project's own file."""
    leads = pd.read_csv(SAMPLE / "leads.csv", dtype=str)
    part = leads[leads["lead_id"].isin(scores["lead_id"][::5])]
    part.assign(account_id=part["account_id"].fillna("A new company")).to_csv(tmp_path / "part.csv", index=False)
    data = read(sample.project, leads=Source(path=str(tmp_path / "part.csv")), outcome="optional")
    assert (data.listed.sum(), len(data.leads.ids)) == (len(part), len(leads))
    found = sample_scorer.score(data, as_of=AS_OF)
    expected = scores[scores["lead_id"].isin(part["lead_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)


def test_a_list_without_its_project_says_that_its_company_is_unknown(sample_scorer, fresh_sample):
    folder = fresh_sample()
    (folder / "leads.csv").rename(folder / "new.csv")
    project = ls.Project.load(folder)
    data = read(project, leads=Source(path=str(folder / "new.csv")), outcome="optional")
    scored = sample_scorer.score(data, as_of=AS_OF, n_reasons=0)
    assert all(any(text.startswith("context: ") for text in warnings) for warnings in scored["warnings"])


def test_a_plan_of_ones_own(sample, sample_snapshots):
    names = ["lead.employees", "touchpoints.count.30d", "account.win_rate", "interactions.waiting", "lead.source"]
    plan = ls.FeaturePlan.of(sample.project, names)
    scorer = ls.LeadScorer(features=plan, parameters={"num_iterations": 5}).fit(sample, sample_snapshots)
    assert scorer.plan.names == names
    assert scorer.plan.prior is not None


def test_scores_and_reasons_load_no_lightgbm(sample_scorer_folder, tmp_path) -> None:
    """It takes half a second to begin, and nothing here asks it."""
    code = (
        "import sys; from leadscore.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'lightgbm', 'sklearn'} & sys.modules.keys()))"
    )
    sample = Path(__file__).parents[2] / "data" / "sample"
    command = ["score", sample, "--model", sample_scorer_folder, "--out", tmp_path / "scored.csv"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
