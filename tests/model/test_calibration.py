from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from leadscore.errors import ArtifactError, TrainingError
from leadscore.model import calibration
from leadscore.model.calibration import Beta, Identity, Platt, choose, fit_beta, fit_platt, from_json

CALIBRATORS = [
    Identity(),
    Platt(0.7321, -0.4),
    Platt(3.1, 5.0),
    Beta(0.8, 1.3, -0.2),
    Beta(0.0, 2.0, 0.3),
    Beta(1.7, 0.0, 0.1),
]


def margins(seed, n, *, mean=-1.5, spread=1.2):
    return np.random.default_rng(seed).normal(mean, spread, n)


def outcomes(seed, log_odds):
    return (np.random.default_rng([seed, 1]).random(len(log_odds)) < expit(log_odds)).astype(float)


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
def test_one_row_and_a_batch_agree_bit_for_bit(calibrator):
    rng = np.random.default_rng(5)
    for n in [*range(1, 70), 127, 128, 129, 1000, 4099]:
        margin = rng.normal(0, 8, n)
        for batch in (margin, np.append(0.0, margin)[1:], np.repeat(margin, 3)[::3]):
            probability = calibrator.apply(batch)
            alone = np.array([calibrator.apply(margin[i : i + 1])[0] for i in range(n)])
            assert probability.tobytes() == alone.tobytes()


def test_a_million_rows_agree_with_each_of_them():
    margin = margins(1, 1_000_000, spread=5)
    picked = np.random.default_rng(2).integers(0, len(margin), 2000)
    for calibrator in CALIBRATORS:
        batch = calibrator.apply(margin)
        assert all(batch[i] == calibrator.apply(margin[i : i + 1])[0] for i in picked)


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
@given(st.lists(st.floats(-800, 800), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_never_decreasing_and_within_zero_and_one(calibrator, values):
    margin = np.sort(np.concatenate([values, np.nextafter(values, np.inf)]))
    probability = calibrator.apply(margin)
    assert np.all(np.diff(probability) >= 0)
    assert np.all((probability >= 0) & (probability <= 1))


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
def test_never_decreasing_between_neighbouring_floats(calibrator):
    for centre in (-37.0, -18.4, -1.0, 0.0, 1.0, 18.4, 37.0):
        margin = centre + np.arange(-20_000, 20_000) * np.spacing(max(abs(centre), 1e-3))
        assert np.all(np.diff(calibrator.apply(margin)) >= 0)


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
def test_strictly_increasing_where_margins_live(calibrator):
    probability = calibrator.apply(np.linspace(-6, 3, 1001))
    assert np.all(np.diff(probability) > 0)


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=repr)
def test_json_returns_the_same_calibrator(calibrator):
    again = from_json(json.loads(json.dumps(calibrator.to_json())))
    assert again == calibrator
    assert calibrator.to_json()["kind"] == calibrator.kind


def test_infinite_and_missing_margins():
    for calibrator in CALIBRATORS:
        low, high, nothing = calibrator.apply([-np.inf, np.inf, np.nan])
        assert 0 <= low < high <= 1
        assert np.isnan(nothing)


def test_shape_is_kept():
    assert Platt(1.0, 0.0).apply(np.zeros((2, 3))).shape == (2, 3)
    assert Beta(1.0, 1.0, 0.0).apply(0.0).shape == ()


def test_beta_of_one_and_one_is_no_calibration_and_of_equal_shapes_is_platt():
    margin = margins(3, 100)
    np.testing.assert_allclose(Beta(1.0, 1.0, 0.0).apply(margin), Identity().apply(margin), rtol=1e-10)
    np.testing.assert_allclose(Beta(0.6, 0.6, 0.2).apply(margin), Platt(0.6, 0.2).apply(margin), rtol=1e-10)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "isotonic"},
        {},
        {"kind": "platt", "a": 1.0},
        {"kind": "platt", "a": 1.0, "b": 0.0, "c": 1.0},
        {"kind": "platt", "a": -1.0, "b": 0.0},
        {"kind": "platt", "a": "1", "b": 0.0},
        {"kind": "platt", "a": float("nan"), "b": 0.0},
        {"kind": "beta", "a": 0.0, "b": 0.0, "c": 1.0},
        {"kind": "beta", "a": -0.1, "b": 1.0, "c": 1.0},
        {"kind": "none", "a": 1.0},
        {"kind": ["platt"]},
    ],
)
def test_a_damaged_document_is_refused(document):
    with pytest.raises(ArtifactError, match=r"calibration\.json"):
        from_json(document)


def test_platt_recovers_a_known_distortion():
    margin = margins(4, 60_000)
    fitted = fit_platt(margin, outcomes(4, 0.6 * margin + 0.5), np.ones_like(margin))
    assert fitted.a == pytest.approx(0.6, abs=0.03)
    assert fitted.b == pytest.approx(0.5, abs=0.06)


def test_platt_equals_an_unpenalised_weighted_logistic_regression():
    margin = margins(5, 3000)
    label, weight = outcomes(5, margin), np.random.default_rng(5).uniform(0.5, 4, 3000)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(margin[:, None], label, weight)
    fitted = fit_platt(margin, label, weight)
    assert (fitted.a, fitted.b) == pytest.approx((oracle.coef_[0, 0], oracle.intercept_[0]), rel=1e-5)


def test_a_weight_of_k_equals_k_copies():
    margin, weight = margins(6, 400), np.random.default_rng(6).integers(1, 4, 400)
    label = outcomes(6, margin)
    copied = np.repeat(margin, weight), np.repeat(label, weight), np.ones(weight.sum())
    for fit in (fit_platt, fit_beta):
        weighted, repeated = fit(margin, label, weight.astype(float)), fit(*copied)
        assert list(weighted.to_json().values())[1:] == pytest.approx(list(repeated.to_json().values())[1:])


def test_beta_recovers_a_beta_distortion():
    margin = margins(7, 200_000, mean=-0.5, spread=1.5)
    log_odds = 0.5 * log_expit(margin) - 1.6 * log_expit(-margin) - 0.3
    fitted = fit_beta(margin, outcomes(7, log_odds), np.ones_like(margin))
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx((0.5, 1.6, -0.3), abs=0.06)


def test_beta_stays_on_the_edge_rather_than_turn_downwards():
    margin = margins(8, 20_000, mean=0.0, spread=2.0)
    # Falling on the left and rising on the right: the best increasing curve is flat on the left, where a = 0.
    label = outcomes(8, -1.0 * log_expit(margin) - 2.0 * log_expit(-margin) - 2)
    fitted = fit_beta(margin, label, np.ones_like(margin))
    assert fitted.a == 0
    assert fitted.b > 0


def test_a_falling_or_separable_relation_has_no_fit():
    margin = margins(9, 2000)
    upside_down = outcomes(9, -margin)
    assert fit_platt(margin, upside_down, np.ones_like(margin)) is None
    assert fit_beta(margin, upside_down, np.ones_like(margin)) is None
    separated = (margin > -1.5).astype(float)
    assert fit_platt(margin, separated, np.ones_like(margin)) is None
    assert fit_beta(margin, separated, np.ones_like(margin)) is None
    assert fit_beta(np.zeros(10), np.tile([0.0, 1.0], 5), np.ones(10)) is None


def test_none_is_chosen_on_calibrated_margins_in_most_seeds():
    kinds = []
    for seed in range(60):
        margin = margins([10, seed], 1500)
        label = outcomes(seed, margin)
        kinds.append(choose(margin, label, groups=np.arange(1500) // 3, seed=seed).calibrator.kind)
    assert kinds.count("none") >= 48


@pytest.mark.parametrize(
    ("distorted", "kind"),
    [
        (lambda margin: 0.5 * margin + 0.8, "platt"),
        (lambda margin: 0.2 * log_expit(margin) - 2.5 * log_expit(-margin) - 1.0, "beta"),
    ],
)
def test_a_distortion_is_chosen_away(distorted, kind):
    margin = margins(11, 20_000, spread=1.8)
    label = outcomes(11, distorted(margin))
    choice = choose(margin, label, groups=np.arange(20_000) // 2, seed=0)
    none, *candidates = choice.candidates
    assert [row.kind for row in choice.candidates] == ["none", "platt", "beta", "venn_abers"]
    assert (none.difference, none.standard_error, none.beats_none) == (0, 0, False)
    best = min(candidates, key=lambda row: row.log_loss)
    assert best.beats_none
    assert choice.calibrator.kind == best.kind
    if kind == "beta":
        assert best.kind == "beta"
    truth = expit(distorted(margin))
    assert np.abs(choice.calibrator.apply(margin) - truth).max() < 0.06
    assert best.difference == pytest.approx(best.log_loss - none.log_loss)


def test_the_order_of_rows_changes_nothing_not_even_the_last_bit():
    margin = np.round(margins(12, 3000), 2)
    label, lead = outcomes(12, 0.5 * margin), np.random.default_rng(12).integers(0, 900, 3000)
    weight, order = np.random.default_rng(13).uniform(1, 4, 3000), np.random.default_rng(14).permutation(3000)
    first = choose(margin, label, groups=lead, weight=weight, seed=1)
    again = choose(margin[order], label[order], groups=lead[order], weight=weight[order], seed=1)
    assert first == again
    assert first.calibrator.kind != "none"
    assert first.candidates != choose(margin, label, groups=lead, weight=weight, seed=2).candidates


def test_a_lead_never_helps_to_calibrate_itself():
    names = [f"L{i}" for i in range(103)]
    fold = calibration._folds(names, seed=4, n_folds=5)
    assert sorted(np.bincount(fold)) == [20, 20, 21, 21, 21]
    # Copies of every lead's rows, in the same fold, teach nothing: the table is the same and no surer.
    margin, label = margins(15, 600), outcomes(15, 0.4 * margins(15, 600))
    lead = np.arange(600)
    once = choose(margin, label, groups=lead, seed=0)
    twice = choose(np.tile(margin, 2), np.tile(label, 2), groups=np.tile(lead, 2), seed=0)
    for a, b in zip(once.candidates, twice.candidates, strict=True):
        if a.kind == "venn_abers":  # a new lead counts as much as the mean row, so rows matter to it
            continue
        assert (a.log_loss, a.standard_error) == pytest.approx((b.log_loss, b.standard_error), rel=1e-9)


def test_one_group_or_one_class_keeps_none():
    margin = margins(16, 200)
    for label, groups in ((outcomes(16, margin), np.zeros(200)), (np.zeros(200), np.arange(200))):
        choice = choose(margin, label, groups=groups, seed=0)
        assert choice.calibrator == Identity()
        assert all(row.log_loss is None and not row.beats_none for row in choice.candidates[1:])


@pytest.mark.parametrize(
    ("margin", "label", "weight"),
    [
        ([], [], None),
        ([0.0, np.nan], [0, 1], None),
        ([0.0, 1.0], [0, 3], None),
        ([0.0, 1.0], [0, 1], [1, -1]),
        ([0.0, 1.0], [0, 1], [0, 0]),
        ([0.0, 1.0], [0, 1, 1], None),
    ],
)
def test_bad_rows_are_refused(margin, label, weight):
    with pytest.raises(TrainingError, match="Calibration needs"):
        choose(margin, label, groups=np.arange(len(margin)), weight=weight, seed=0)


def test_the_level_of_a_constant_is_set():
    """A base rate learnt long ago is no better than the rate of the latest block."""
    label = (np.random.default_rng(17).random(4_000) < 0.3).astype(float)
    choice = choose(np.full(4_000, -3.0), label, groups=np.arange(4_000), seed=0)
    assert choice.calibrator.kind == "platt"
    assert choice.calibrator.apply([-3.0]) == pytest.approx(label.mean())
    assert fit_platt(np.zeros(5), np.zeros(5), np.ones(5)) is None
