from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import expit

from leadscore.errors import DataError, MissingExtraError
from leadscore.evaluate import plots
from leadscore.evaluate.capacity import capacity_curve


def market(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.8, 1, n)
    return (rng.random(n) < expit(margin)).astype(int), margin, rng


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def title(figure):
    return figure.texts[0].get_text()


@pytest.mark.parametrize(
    ("slope", "shift", "finding"),
    [
        (1, 0, "The probabilities hold"),
        (1, 1, "The probabilities are too high"),
        (1, -1, "The probabilities are too low"),
        (2, 1.8, "The probabilities are too bold"),
        (0.4, -1.1, "The probabilities are too cautious"),
    ],
)
def test_the_title_of_the_reliability_curve_states_the_finding(slope, shift, finding):
    label, margin, _ = market(20_000)
    figure = plots.reliability(label, expit(slope * margin + shift), seed=0, n_resamples=100)
    assert title(figure).startswith(finding)
    assert "20,000 snapshots" in figure.texts[1].get_text()


def test_few_wins_are_said_to_be_few_and_their_band_is_not_empty():
    label, margin, _ = market(120)
    figure = plots.reliability(label, expit(margin), seed=0)
    assert title(figure).startswith("Too few wins to judge by")
    none_won = plots._bands(plots.Rows.of(np.zeros(100), np.linspace(0.01, 0.2, 100)), 0, 50, 0.95)
    # Ten rows without a win: the exact 97.5 % bound is 1 - 0.025 ** (1 / 10).
    np.testing.assert_allclose(none_won.high, 0.3085, atol=1e-4)
    assert none_won.observed.tolist() == [0] * 10


def test_the_reliability_curve_shows_observed_rates_and_its_axes_name_their_units():
    label, margin, rng = market()
    weight = rng.uniform(1, 3, 3000)
    figure = plots.reliability(label, expit(margin), weight=weight, cluster=np.arange(3000) // 3, seed=1)
    upper, lower = figure.axes
    predicted, observed = upper.lines[1].get_data()
    assert len(predicted) == 10
    assert np.all(np.diff(predicted) > 0)
    assert np.average(observed) == pytest.approx(np.average(label, weights=weight), abs=2e-3)
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("Converted, % of leads", "Leads, %")
    assert lower.get_xlabel().startswith("Predicted probability, %")
    bars = sum(bar.get_height() for bar in lower.patches)
    assert 0.98 <= bars <= 1 + 1e-9


def test_tied_probabilities_draw_fewer_bands():
    label, margin, _ = market()
    figure = plots.reliability(label, np.where(margin > -1.8, 0.3, 0.1), seed=0, n_resamples=20)
    assert len(figure.axes[0].lines[1].get_xdata()) == 2
    constant = plots.reliability(label, np.full(3000, 0.2), seed=0, n_resamples=20)
    assert len(constant.axes[0].lines[1].get_xdata()) == 1
    assert any("1 band of equal size" in text for text in texts(constant))


def test_rows_without_weight_leave_no_trace():
    label, margin, _ = market(400)
    ghosts = np.append(label, [1, 1]), expit(np.append(margin, [9.0, -9.0]))
    with_ghosts = plots.reliability(*ghosts, weight=np.append(np.ones(400), [0, 0]), seed=0, n_resamples=5)
    alone = plots.reliability(label, expit(margin), seed=0, n_resamples=5)
    for one, other in zip(with_ghosts.axes[0].lines, alone.axes[0].lines, strict=True):
        assert len(one.get_xdata()) == len(other.get_xdata())
        assert np.isfinite(one.get_ydata()).all()
    assert np.allclose(with_ghosts.axes[0].lines[1].get_ydata(), alone.axes[0].lines[1].get_ydata())


def test_the_capacity_curve_states_what_a_tenth_of_the_list_finds():
    label, margin, _ = market()
    figure = plots.capacity(label, expit(margin), margin=margin)
    at = capacity_curve(label, expit(margin), margin=margin, shares=[0.1])
    assert title(figure) == f"Calling the best 10 % of the list finds {100 * at.recall[0]:.0f} % of the wins"
    assert {"this model", "random order", "ideal order"} <= set(texts(figure))
    ideal, random, model = (line.get_data() for line in figure.axes[0].lines[:3])
    assert ideal[0].tolist() == pytest.approx([0, label.mean(), 1])
    assert np.array_equal(*random)
    assert (model[1][0], model[1][-1]) == (0, pytest.approx(1))
    assert np.all(model[1] >= model[0] - 0.03)


def test_importance_names_the_largest_first_and_folds_the_rest():
    figure = plots.importance(["b", "a", "c", "d"], [2.0, 2.0, 5.0, 1.0], top=3)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["c", "a", "b", "1 other"]
    assert [bar.get_width() for bar in axes.patches] == [5, 2, 2, 1]
    assert title(figure) == "What moves the scores most: c"
    assert axes.get_xlabel() == "Mean absolute effect, log-odds"
    assert figure.texts[1].get_text() == "50 % of the movement of all 4"


def test_the_same_rows_draw_the_same_bytes_in_any_order():
    label, margin, rng = market(500)
    order, cluster = rng.permutation(500), np.arange(500) // 2
    drawn = [
        (
            png(plots.reliability(label[o], expit(margin[o]), cluster=cluster[o], seed=3, n_resamples=30)),
            png(plots.capacity(label[o], expit(margin[o]))),
        )
        for o in (np.arange(500), order)
    ]
    assert drawn[0] == drawn[1]
    bars = ["x", "y"], [1.0, 2.0]
    assert png(plots.importance(*bars)) == png(plots.importance(bars[0][::-1], bars[1][::-1]))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.reliability([], [], seed=0), "at least one row"),
        (lambda: plots.capacity([0, 0], [0.1, 0.2]), "at least one win"),
        (lambda: plots.importance(["a"], [1.0, 2.0]), "one finite value"),
        (lambda: plots.importance(["a"], [-1.0]), "one finite value"),
        (lambda: plots.importance([], []), "one finite value"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(DataError, match=message):
        draw()


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"leadscore\[tracking\]"):
        plots.importance(["a"], [1.0])


def test_evaluation_loads_nothing_heavy_and_drawing_leaves_pyplot_alone():
    script = """
import sys
import leadscore.evaluate.plots, leadscore.evaluate.metrics, leadscore.model.calibration
heavy = {"matplotlib", "sklearn", "lightgbm"} & set(sys.modules)
assert not heavy, heavy
figure = leadscore.evaluate.plots.importance(["a"], [1.0])
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_figures_are_plain_figures():
    label, margin, _ = market(200)
    figures = [
        plots.reliability(label, expit(margin), seed=0, n_resamples=5),
        plots.capacity(label, expit(margin)),
        plots.importance(["a"], [1.0]),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        assert png(figure).startswith(b"\x89PNG")


def test_a_dollar_is_no_mathematics():
    names = ["$1k_$5k", "cost per $: 10_% of $", "$\\frac{$"]
    figure = plots.importance(names, [3.0, 2.0, 1.0])
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names


def test_a_long_title_takes_more_lines_above_axes_that_keep_their_size():
    def inches(figure):
        place, (_, height) = figure.axes[0].get_position(), figure.get_size_inches()
        return place.y0 * height, place.height * height

    short, long = (plots.importance([name, "other"], [3.0, 1.0]) for name in ("c", "what marketing sent to them " * 5))
    assert title(short).count("\n") == 0
    assert title(long).count("\n") == 2
    assert inches(long) == pytest.approx(inches(short))
    long.draw_without_rendering()
    for text in long.texts:
        assert text.get_window_extent().x1 <= long.bbox.width
    assert long.texts[0].get_window_extent().y0 > long.texts[1].get_window_extent().y1
    assert long.texts[1].get_window_extent().y0 > long.axes[0].get_window_extent().y1
