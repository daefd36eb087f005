from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from leadscore.errors import DataError
from leadscore.evaluate.metrics import bootstrap, by_group, evaluate, paired_bootstrap

# Few distinct values, so that nearly every example has ties across classes and at the edge of the top tenth.
ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.9, 1.0]), st.integers(1, 4)),
    min_size=2,
    max_size=40,
).filter(lambda rows: len({label for label, _, _ in rows}) == 2)


def columns(rows):
    label, probability, weight = zip(*rows, strict=True)
    return np.array(label), np.array(probability), np.array(weight, dtype=float)


def market(seed, n, *, base=-1.5, spread=1.0):
    """Rows whose probability is the truth."""
    rng = np.random.default_rng(seed)
    truth = expit(rng.normal(base, spread, n))
    return (rng.random(n) < truth).astype(int), truth, rng


def assert_same(first, second, *, without=("n", "n_positive")):
    assert first.keys() == second.keys()
    for name in first.keys() - set(without):
        if second[name] is None:
            assert first[name] is None, name
        else:
            assert first[name] == pytest.approx(second[name], rel=1e-9, abs=1e-9), name


@given(ROWS)
@settings(max_examples=200, deadline=None)
def test_ranking_and_proper_scores_equal_sklearn_with_weights_and_ties(rows):
    label, probability, weight = columns(rows)
    measured = evaluate(label, probability, weight=weight)
    assert measured["auc"] == pytest.approx(roc_auc_score(label, probability, sample_weight=weight))
    assert measured["average_precision"] == pytest.approx(
        average_precision_score(label, probability, sample_weight=weight)
    )
    assert measured["brier"] == pytest.approx(brier_score_loss(label, probability, sample_weight=weight))
    clipped = np.clip(probability, 1e-15, 1 - 1e-15)
    assert measured["log_loss"] == pytest.approx(log_loss(label, clipped, sample_weight=weight))
    assert measured["base_rate"] == pytest.approx(np.average(label, weights=weight))


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_a_weight_of_k_equals_k_copies_of_the_row(rows):
    label, probability, weight = columns(rows)
    copies = weight.astype(int)
    assert_same(
        evaluate(label, probability, weight=weight),
        evaluate(np.repeat(label, copies), np.repeat(probability, copies)),
    )


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_rows_changes_nothing_not_even_the_last_bit(rows, random):
    shuffled = random.sample(rows, len(rows))
    (label, probability, weight), (label2, probability2, weight2) = columns(rows), columns(shuffled)
    assert evaluate(label, probability, weight=weight / 3) == evaluate(label2, probability2, weight=weight2 / 3)


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_a_row_of_no_weight_changes_only_the_counts(rows):
    label, probability, weight = columns(rows)
    with_ghosts = evaluate(
        np.append(label, [0, 1]), np.append(probability, [0.7, 0.05]), weight=np.append(weight, [0, 0])
    )
    assert_same(evaluate(label, probability, weight=weight), with_ghosts)
    assert with_ghosts["n"] == len(rows) + 2


def test_lift_at_10pct_is_the_expected_value_over_random_tie_breaking():
    rng = np.random.default_rng(3)
    label, probability = rng.integers(0, 2, 50), rng.choice([0.2, 0.6, 0.7], 50, p=[0.9, 0.05, 0.05])
    lifts = []
    for _ in range(4000):
        top = np.lexsort((rng.random(50), -probability))[:5]
        lifts.append(label[top].mean() / label.mean())
    measured = evaluate(label, probability)
    assert measured["lift_at_10pct"] == pytest.approx(np.mean(lifts), abs=4 * np.std(lifts) / 4000**0.5)
    assert measured["precision_at_10pct"] == pytest.approx(measured["lift_at_10pct"] * label.mean())
    assert measured["recall_at_10pct"] == pytest.approx(measured["lift_at_10pct"] / 10)


def test_the_margin_ranks_and_the_probability_is_judged():
    label, truth, _ = market(1, 500)
    coarse, margin = np.round(truth, 1), np.log(truth / (1 - truth))
    by_margin, fine, alone = (
        evaluate(label, coarse, margin=margin),
        evaluate(label, truth),
        evaluate(label, coarse),
    )
    for name in ("auc", "average_precision", "lift_at_10pct", "precision_at_10pct", "recall_at_10pct"):
        assert by_margin[name] == pytest.approx(fine[name])
        assert by_margin[name] != alone[name]
    for name in ("log_loss", "brier", "calibration_slope", "expected_calibration_error"):
        assert by_margin[name] == pytest.approx(alone[name])


def test_slope_and_intercept_equal_an_unpenalised_logistic_regression():
    label, truth, rng = market(2, 2000)
    weight = rng.integers(1, 5, 2000).astype(float)
    logit = 1.7 * np.log(truth / (1 - truth)) + 0.4
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    oracle.fit(logit[:, None], label, sample_weight=weight)
    measured = evaluate(label, expit(logit), weight=weight)
    assert measured["calibration_slope"] == pytest.approx(oracle.coef_[0, 0], rel=1e-5)
    shifted = expit(logit + measured["calibration_intercept"])
    assert np.average(shifted, weights=weight) == pytest.approx(measured["base_rate"], rel=1e-9)


def test_the_truth_has_slope_one_and_intercept_zero():
    label, truth, _ = market(4, 200_000)
    measured = evaluate(label, truth)
    assert measured["calibration_slope"] == pytest.approx(1, abs=0.02)
    assert measured["calibration_intercept"] == pytest.approx(0, abs=0.02)
    assert measured["expected_calibration_error"] < 0.005


@pytest.mark.parametrize(("slope", "shift"), [(2, 0), (0.5, 0), (1, 0.5), (1, -0.5)])
def test_proper_scores_are_minimised_by_the_truth(slope, shift):
    label, truth, _ = market(5, 50_000)
    wrong = expit(slope * np.log(truth / (1 - truth)) + shift)
    right, distorted = evaluate(label, truth), evaluate(label, wrong)
    assert right["log_loss"] < distorted["log_loss"]
    assert right["brier"] < distorted["brier"]
    assert right["expected_calibration_error"] < distorted["expected_calibration_error"]
    assert right["auc"] == pytest.approx(distorted["auc"])


def test_a_bold_model_has_a_slope_below_one_and_an_optimist_a_negative_intercept():
    label, truth, _ = market(6, 50_000)
    margin = np.log(truth / (1 - truth))
    assert evaluate(label, expit(2 * margin))["calibration_slope"] == pytest.approx(0.5, abs=0.03)
    assert evaluate(label, expit(margin + 1))["calibration_intercept"] == pytest.approx(-1, abs=0.03)


def test_expected_calibration_error_by_hand():
    # 20 rows, ten bins of two; each bin predicts 0.05, 0.15, … and converts 0 or 1 of 2.
    probability = np.repeat(np.arange(10) / 10 + 0.05, 2) + np.tile([0, 1e-9], 10)
    label = np.tile([0, 1], 10)
    expected = np.mean(np.abs(0.5 - (np.arange(10) / 10 + 0.05)))
    assert evaluate(label, probability)["expected_calibration_error"] == pytest.approx(expected)


def test_one_class_leaves_ranking_and_calibration_undefined():
    measured = evaluate([0, 0, 0], [0.1, 0.2, 0.3])
    assert measured["n"] == 3
    assert measured["n_positive"] == 0
    for name in ("auc", "average_precision", "calibration_slope", "calibration_intercept"):
        assert measured[name] is None
    assert measured["lift_at_10pct"] is None
    assert measured["recall_at_10pct"] is None
    assert measured["precision_at_10pct"] == 0
    assert measured["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.7]).mean())


def test_a_confident_mistake_still_has_a_slope():
    label, probability = [0, 0, 0, 0, 0, 1], [0.3, 0.3, 0.9, 0.9, 1.0, 0.9]
    measured = evaluate(label, probability, weight=[1, 3, 1, 1, 4, 1])
    assert measured["calibration_slope"] == pytest.approx(-0.0708359483, rel=1e-8)


def test_a_constant_has_half_an_auc_no_slope_and_a_lift_of_one():
    measured = evaluate([0, 1, 0, 0], [0.25] * 4)
    assert measured["auc"] == 0.5
    assert measured["calibration_slope"] is None
    assert measured["calibration_intercept"] == pytest.approx(0, abs=1e-12)
    assert measured["average_precision"] == 0.25
    assert measured["lift_at_10pct"] == 1


def test_the_shift_of_certainties_is_undefined():
    assert evaluate([1, 0, 0], [0.0, 0.0, 1.0])["calibration_intercept"] is None
    assert evaluate([1, 0, 1, 0], [0.0, 0.2, 0.3, 1.0])["calibration_intercept"] is not None


def test_separated_classes_have_no_slope():
    assert evaluate([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.4])["calibration_slope"] is None
    assert evaluate([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4])["calibration_slope"] is None


def test_certain_probabilities_are_clipped_in_the_logarithm_alone():
    measured = evaluate([1, 0], [0.0, 0.0])
    assert measured["log_loss"] == pytest.approx(-np.log(1e-15) / 2)
    assert measured["brier"] == 0.5


def test_no_rows_and_no_weight_are_undefined_not_zero():
    empty, weightless = evaluate([], []), evaluate([0, 1], [0.1, 0.2], weight=[0, 0])
    assert (empty["n"], weightless["n"]) == (0, 2)
    for measured in (empty, weightless):
        assert all(value is None for name, value in measured.items() if not name.startswith("n"))


@pytest.mark.parametrize(
    ("label", "probability", "options", "named"),
    [
        ([0, 2], [0.1, 0.2], {}, "label"),
        ([0, 1], [0.1, np.nan], {}, "probability"),
        ([0, 1], [0.1, 1.2], {}, "probability"),
        ([0, 1], [0.1, 0.2], {"weight": [1, -1]}, "weight"),
        ([0, 1], [0.1, 0.2], {"margin": [1, np.nan]}, "margin"),
        ([0, 1], [0.1], {}, "length"),
    ],
)
def test_bad_rows_are_refused_by_name(label, probability, options, named):
    with pytest.raises(DataError, match=named):
        evaluate(label, probability, **options)


def clustered_market(seed, n_accounts=120, per_account=5):
    """Leads that share their account's luck: the truth is right on average, rows are not independent."""
    rng = np.random.default_rng(seed)
    luck = np.repeat(rng.normal(0, 1, n_accounts), per_account)
    account = np.repeat(np.arange(n_accounts), per_account)
    label = (rng.random(len(luck)) < expit(luck - 1)).astype(int)
    return label, np.full(len(luck), 0.3), account


@pytest.mark.slow
def test_clustered_intervals_cover_where_rowwise_ones_are_too_narrow():
    true_rate = expit(np.random.default_rng(0).normal(-1, 1, 10**6)).mean()
    covered = {"clustered": 0, "rowwise": 0}
    for seed in range(100):
        label, probability, account = clustered_market(seed)
        for kind, cluster in (("clustered", account), ("rowwise", np.arange(len(label)))):
            low, high = bootstrap(label, probability, cluster, seed=seed, n_resamples=60, level=0.8)["base_rate"]
            covered[kind] += low <= true_rate <= high
    assert 0.70 <= covered["clustered"] / 100 <= 0.88
    assert covered["rowwise"] < covered["clustered"]


def test_intervals_equal_resampling_rows_by_hand():
    label, truth, rng = market(7, 300)
    cluster = rng.integers(0, 40, 300)
    intervals = bootstrap(label, truth, cluster, seed=11, n_resamples=50)
    rng = np.random.default_rng(11)
    resampled = []
    for _ in range(50):
        drawn = rng.integers(0, 40, 40)
        rows = np.concatenate([np.flatnonzero(cluster == c) for c in drawn])
        resampled.append(evaluate(label[rows], truth[rows]))
    for name, interval in intervals.items():
        by_hand = np.quantile([measured[name] for measured in resampled], [0.025, 0.975])
        assert interval == pytest.approx(tuple(by_hand), rel=1e-7, abs=1e-9), name


def test_intervals_depend_on_the_seed_and_not_on_the_order_of_rows():
    label, truth, rng = market(8, 400)
    cluster, weight, order = rng.integers(0, 90, 400), rng.uniform(0.5, 3, 400), rng.permutation(400)
    first = bootstrap(label, truth, cluster, weight=weight, seed=1, n_resamples=20)
    again = bootstrap(label[order], truth[order], cluster[order], weight=weight[order], seed=1, n_resamples=20)
    assert first == again
    assert first != bootstrap(label, truth, cluster, weight=weight, seed=2, n_resamples=20)
    named = np.array([f"account {c:03}" for c in cluster])
    assert first == bootstrap(label, truth, named, weight=weight, seed=1, n_resamples=20)


def test_intervals_are_undefined_where_the_metric_is():
    constant = bootstrap([0, 1, 0, 1], [0.5] * 4, [1, 2, 3, 4], seed=0)
    assert constant["calibration_slope"] is None
    assert constant["base_rate"] is not None
    single = bootstrap([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1], seed=0)
    assert all(interval is None for interval in single.values())
    # One win: a third of the resamples hold none.
    assert bootstrap([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4], seed=0)["auc"] is None


def test_the_paired_difference_sees_what_two_intervals_hide():
    label, truth, rng = market(9, 4000)
    lead = rng.integers(0, 1500, 4000)
    noisy = expit(np.log(truth / (1 - truth)) + rng.normal(0, 0.35, 4000))
    paired = paired_bootstrap(label, truth, noisy, lead, seed=3)
    assert paired.keys() == {"log_loss", "auc"}
    assert paired["log_loss"].high < 0 < paired["auc"].low
    assert paired["log_loss"].difference == pytest.approx(
        evaluate(label, truth)["log_loss"] - evaluate(label, noisy)["log_loss"]
    )
    alone = bootstrap(label, truth, lead, seed=3), bootstrap(label, noisy, lead, seed=3)
    assert alone[0]["log_loss"][1] > alone[1]["log_loss"][0]


def test_a_model_does_not_differ_from_itself():
    label, truth, rng = market(10, 200)
    paired = paired_bootstrap(label, truth, truth, rng.integers(0, 50, 200), seed=0, metrics=("brier", "auc"))
    assert all(tuple(difference) == (0, 0, 0) for difference in paired.values())
    with pytest.raises(DataError, match="Unknown metric"):
        paired_bootstrap(label, truth, truth, np.arange(200), seed=0, metrics=("accuracy",))


def test_by_group_measures_each_group_alone_in_sorted_order():
    label, truth, rng = market(11, 600)
    month, weight = rng.choice(["2026-02", "2026-01", "2026-03"], 600), rng.uniform(1, 3, 600)
    groups = by_group(label, truth, month, weight)
    assert [group["group"] for group in groups] == ["2026-01", "2026-02", "2026-03"]
    assert sum(group["n"] for group in groups) == 600
    here = month == "2026-02"
    alone = evaluate(label[here], truth[here], weight=weight[here])
    for name in ("n", "n_positive", "base_rate", "auc", "log_loss", "brier", "lift_at_10pct"):
        assert groups[1][name] == alone[name]
    assert groups[1]["mean_probability"] == pytest.approx(np.average(truth[here], weights=weight[here]))
