"""The rule on evidence made by hand: which question decides, and that each sentence has its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leadscore.evaluate.capacity import ListCalibration
from leadscore.evaluate.drift import Shift
from leadscore.evaluate.metrics import Difference
from training.monitoring.freshness import Feed
from training.monitoring.matured import Change, Matured
from training.monitoring.shifts import GroupShift, ScoreShift
from training.monitoring.unseen import Unseen
from training.monitoring.verdict import REMEDIES, RULE, WATCH, Evidence, decide

STILL = Shift(0.02, 0.03, 0.08, ("a", "b"), (0.5, 0.5), (0.55, 0.45))
MOVED = replace(STILL, psi=0.6)
LIST = ListCalibration(0.1, 100, 20, 20, 0.2, 0.2, 1.0, 15, 25, 0.95)
MATURED = Matured(
    n=1_000,
    n_leads=500,
    n_won_leads=80,
    mean_probability=0.12,
    metrics={
        **{"auc": 0.7, "log_loss": 0.3, "base_rate": 0.12},
        **{"calibration_slope": 1.0, "calibration_intercept": 0.0},
    },
    intervals={"auc": (0.65, 0.75), "calibration_slope": (0.8, 1.2), "calibration_intercept": (-0.1, 0.1)},
    against_base_rate=Difference(-0.02, -0.03, -0.01),
    promised={"auc": 0.71, "calibration_slope": 1.0},
    auc=Change(0.71, 0.70, 0.04),
    slope=Change(1.0, 1.0, 0.2),
    in_list=LIST,
    months=(),
)
SCORES = ScoreShift(STILL, 0.12, 0.12, {"A": 0.1, "D": 0.9}, {"A": 0.1, "D": 0.9}, (), None)
FEED = Feed("calls", "events", "2026-05-01T00:00:00Z", 2.0, 1.5, False, 40.0, 40.0)
GROUP = GroupShift("lead, source", "lead.source", 1, MOVED, 0.3, -0.4, 0.5)
UNSEEN = Unseen("leads", "source", 0.0, 0.4, 1_000, (("partner-new", 0.4),), (("partner", 0.38),))
ALL_WELL = Evidence(True, 500, MATURED, SCORES, (), None, (), (FEED,))


def off(metric: str, value: float, span: tuple[float, float]) -> Matured:
    return replace(
        MATURED, metrics={**MATURED.metrics, metric: value}, intervals={**MATURED.intervals, metric: span}
    )  # fmt: skip


FALLEN = replace(MATURED, auc=Change(0.78, 0.70, 0.04))
LEVEL = off("calibration_intercept", -0.5, (-0.6, -0.4))
BOLD = off("calibration_slope", 0.6, (0.4, 0.8))
FEW = replace(MATURED, n_won_leads=29)


@pytest.mark.parametrize(
    ("word", "starts", "changes"),
    [
        ("keep", "The ranking holds: AUC 0.700 [0.650, 0.750] where 0.710 was promised", {}),
        ("retrain", "The ranking fell: AUC 0.700", {"matured": FALLEN}),
        ("keep", "The ranking holds", {"matured": replace(MATURED, auc=Change(0.74, 0.70, 0.05))}),  # chance does that
        ("keep", "The ranking holds", {"matured": replace(MATURED, auc=Change(0.715, 0.70, 0.01))}),  # sure, and small
        ("recalibrate", "The level is off: predicted 12.0%, observed 12.0%; intercept -0.500", {"matured": LEVEL}),
        ("keep", "The ranking", {"matured": off("calibration_intercept", -0.1, (-0.15, -0.05))}),
        ("recalibrate", "The slope is off: 0.600", {"matured": BOLD}),
        ("keep", "The ranking", {"matured": replace(BOLD, slope=Change(0.7, 0.6, 0.1))}),  # as it was in training
        ("keep", "The ranking", {"matured": replace(BOLD, slope=Change(1.0, 0.6, 0.5))}),  # a promise never sure
        ("retrain", "The ranking fell", {"matured": replace(LEVEL, auc=FALLEN.auc)}),
        ("retrain", "The model no longer beats the base rate: log-loss +0.0100 [-0.0100, +0.0200]",
         {"matured": replace(MATURED, against_base_rate=Difference(0.01, -0.01, 0.02))}),
        ("recalibrate", "The level", {"matured": replace(LEVEL, against_base_rate=Difference(0.01, -0.01, 0.02))}),
        ("retrain", "The world is another: 40% of the rows of leads.source", {"unseen": (UNSEEN,), "groups": (GROUP,)}),
        ("keep", "The ranking", {"unseen": (UNSEEN,)}),  # nothing that counts has moved
        ("keep", "The ranking", {"groups": (GROUP,)}),  # moved, and what has matured still holds
        ("retrain", "There is much more to learn from: 80 leads", {"learnt_from": 80}),
        ("wait", "lead, source has drifted", {"matured": None, "groups": (GROUP,)}),
        ("keep", "Too few", {"matured": None, "groups": (replace(GROUP, distance=0.05),)}),  # which no score has felt
        ("keep", "Too few matured wins to judge: 29 won leads of the 30 needed", {"matured": FEW}),
        ("keep", "Too few matured wins to judge: 0 won leads", {"matured": None}),
        ("keep", "Too few", {"matured": replace(FEW, auc=FALLEN.auc)}),
        ("wait", "The scores have drifted: PSI 0.60, chance makes 0.03",
         {"matured": FEW, "scores": replace(SCORES, shift=MOVED)}),
        ("wait", "40% of the rows of leads.source", {"matured": None, "unseen": (UNSEEN,)}),
        ("mend the data", "calls has stopped: its last row is of 2026-05-01, 9.0 days ago; usually at most 1.5 days",
         {"feeds": (replace(FEED, silent_days=9.0, stopped=True),), "matured": FALLEN}),
        ("no signal", "There is no signal: the model did not beat the base rate when it was trained",
         {"had_signal": False, "matured": off("auc", 0.51, (0.47, 0.55))}),
        ("no signal", "There is no signal", {"had_signal": False, "matured": None}),
        ("keep", "The ranking holds", {"had_signal": False}),  # a level that was off hid a ranking that is there
    ],
)  # fmt: skip
def test_the_first_question_that_applies_decides(word, starts, changes) -> None:
    found = decide(replace(ALL_WELL, **changes))
    assert (found.word, found.why[0][: len(starts)]) == (word, starts)
    assert found.sentence.startswith(word.upper())
    watched = word == "keep" and bool({"unseen", "groups"} & changes.keys()) and changes.get("matured", MATURED)
    assert found.remedy == (WATCH if watched else REMEDIES[word])
    assert len(set(found.why)) == len(found.why)
    assert any(line.startswith(word) for line in RULE)


def test_a_gone_category_beside_a_new_one_asks_whether_it_was_renamed() -> None:
    found = decide(replace(ALL_WELL, unseen=(UNSEEN,), groups=(GROUP,)))
    assert "'partner-new' while 'partner' has gone: renamed?" in found.why[0]
    assert "moved by 0.50 log-odds (-0.40 in the mean)" in found.why[0]


def test_what_is_not_beyond_the_noise_is_said_so() -> None:
    weak = replace(MATURED, against_base_rate=Difference(-0.001, -0.003, 0.001))
    assert "not beyond the noise" in decide(replace(ALL_WELL, matured=weak)).why[-1]
    tiny = replace(MATURED, against_base_rate=Difference(-0.001, -0.0012, -0.0008))
    assert "too little to matter" in decide(replace(ALL_WELL, matured=tiny)).why[-1]
