"""The rule: what a monitor advises, and the sentences that say why. Each sentence has its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leadscore.evaluate.page.blocks import Tone
from leadscore.model.ladder import MATERIAL
from leadscore.snapshots import FEWEST_WINS
from training.monitoring.freshness import Feed
from training.monitoring.matured import Matured
from training.monitoring.shifts import Apart, GroupShift, ScoreShift
from training.monitoring.unseen import Unseen

Word = Literal["keep", "wait", "recalibrate", "retrain", "mend the data", "no signal"]
AUC_FALL = 0.02
LEVEL_OFF = math.log(1.2)
SLOPE_OFF = 0.25
LARGE = 0.25
MUCH_UNSEEN = 0.10
IMPORTANT, FELT = 0.05, 0.1
SOME_SIGNAL = 0.55
TONES: dict[Word, Tone] = {
    "keep": "good",
    "wait": "unsure",
    "recalibrate": "unsure",
    "retrain": "bad",
    "mend the data": "bad",
    "no signal": "bad",
}
RULE = (
    f"no signal: the model did not beat the base rate when it was trained, and doesn't rank what has matured since "
    f"(AUC {SOME_SIGNAL:g} or more, beyond the noise) either",
    "mend the data: a table has been silent for more than three times its longest usual gap, and for more than a day",
    f"retrain: the AUC of what has matured is below what was promised, by more than {AUC_FALL:g} and by more than "
    "chance (one-sided 95 %, with the noise of both)",
    f"retrain: {MUCH_UNSEEN:.0%} more of a column's rows than then have categories that training never saw, and there "
    f"is drift (PSI {LARGE:g} or more beyond chance) of the scores, or of features that make {IMPORTANT:.0%} or more "
    f"of them and have moved them by {FELT:g} log-odds or more",
    f"recalibrate: the level (calibration intercept, {LEVEL_OFF:.2f} log-odds or more: a fifth of the odds) or the "
    f"slope (further from 1 than promised, by {SLOPE_OFF:g} or more and by more than chance) is off beyond its 95 % "
    "interval",
    "retrain: the log-loss is no longer below that of the base rate",
    "retrain: as many leads have been won since, and matured, as the model had to learn from",
    f"wait: fewer than {FEWEST_WINS} won leads have matured, and there is such drift, or that much unseen",
    f"keep: none of these. Outcomes have a say from {FEWEST_WINS} won and matured leads on",
)
"""In the order in which they are asked; the first that applies is the verdict."""


@dataclass(frozen=True)
class Verdict:
    """What to do, why (the deciding sentence first), and with which command."""

    word: Word
    why: tuple[str, ...]
    remedy: str

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        return f"{self.word.upper()}: {self.why[0]}"

    @property
    def tone(self) -> Tone:
        """How a page marks it."""
        return TONES[self.word]


@dataclass(frozen=True)
class Evidence:
    """All that the rule looks at.

    Attributes
    ----------
    had_signal : whether the model beat the base rate on its own test
    learnt_from : won leads that it learnt from; None where the tables don't reach back
    matured : None where nothing has matured
    scores : None where no lead was open since
    groups : features by what they are about, the most important drift first; empty where they can't be compared
    unseen : columns with new or vanished categories
    feeds : every table, fed or not; empty without times
    """

    had_signal: bool
    learnt_from: int | None
    matured: Matured | None
    scores: ScoreShift | None
    groups: tuple[GroupShift, ...]
    apart: Apart | None
    unseen: tuple[Unseen, ...]
    feeds: tuple[Feed, ...]

    @property
    def n_won(self) -> int:
        """Won leads among what has matured."""
        return 0 if self.matured is None else self.matured.n_won_leads

    @property
    def judgeable(self) -> bool:
        """Whether enough has matured for outcomes to have a say."""
        return self.n_won >= FEWEST_WINS and self.matured is not None and self.matured.metrics["auc"] is not None


def decide(found: Evidence) -> Verdict:
    """Ask the questions of `RULE` in their order; what the others say stands below the first that applies."""
    ranking, level = _ranking(found), _level(found)
    answers: tuple[tuple[Word, list[str]], ...] = (
        ("no signal", _without_signal(found)),
        ("mend the data", _stopped(found)),
        ("retrain", ranking),
        ("retrain", _another_world(found)),
        ("recalibrate", level),
        ("retrain", _loses(found)),
        ("retrain", _much_to_learn(found)),
        ("wait", [] if found.judgeable else _alarms(found)),
    )
    applying = [(word, sentence) for word, sentences in answers for sentence in sentences]
    word: Word = applying[0][0] if applying else "keep"
    why = [sentence for _, sentence in applying]
    if word == "no signal":  # of what never ranked, nothing can have fallen or hold
        why = [sentence for sentence in why if sentence not in ranking]
    else:
        why += _holding(found, ranking, level)
    watched = _alarms(found) if found.judgeable and word in ("keep", "recalibrate") else []
    remedy = WATCH if word == "keep" and watched else REMEDIES[word]
    return Verdict(word, tuple(dict.fromkeys([*why, *watched])), remedy)


REMEDIES: dict[Word, str] = {
    "keep": "Nothing is to be done. Run this again when more has matured",
    "wait": "Don't trust the scores blindly. Run this again when more has matured; look at what drifted meanwhile",
    "recalibrate": "Run leadscore train: it learns and calibrates anew on all that has matured, judges the result, and "
    "registers it as challenger. Nothing is ever refitted silently; until then the order of the list is right and its "
    "probabilities are not",
    "retrain": "Run leadscore train: it learns and calibrates anew on all that has matured, judges the result, and "
    "registers it as challenger. A category that was only renamed is better mended in the data",
    "mend the data": "Bring the rows that are missing, then run this again",
    "no signal": "Don't use the scores. Look for columns that say more of who buys, then run leadscore train",
}
WATCH = (
    "The model may stay: what has matured holds. Look at what has changed meanwhile; a category that was only renamed "
    "is better mended in the data"
)


def _without_signal(found: Evidence) -> list[str]:
    """None in training, and none since; a level that is off can hide one from the log-loss, so matured wins decide."""
    if found.had_signal or _ranks(found):
        return []
    matured = found.matured
    now = ""
    if matured is not None and matured.metrics["auc"] is not None:
        now = f", and ranks what has matured since with AUC {_of(found)}, where .5 is a guess"
    return [f"There is no signal: the model did not beat the base rate when it was trained{now}"]


def _ranks(found: Evidence) -> bool:
    """Whether what has matured is ranked better than by a guess, beyond the noise and by enough to matter."""
    auc, span = (
        (None, None) if found.matured is None else (found.matured.metrics["auc"], found.matured.intervals["auc"])
    )
    return found.judgeable and auc is not None and span is not None and span[0] > 0.5 and auc >= SOME_SIGNAL


def _stopped(found: Evidence) -> list[str]:
    return [
        f"{feed.table} has stopped: its last row is of {str(feed.last)[:10]}, {feed.silent_days:.1f} days ago; "
        f"usually at most {feed.usual_days:.1f} days pass"
        if feed.last
        else f"{feed.table} has no row"
        for feed in found.feeds
        if feed.stopped
    ]


def _ranking(found: Evidence) -> list[str]:
    """The ranking fell: beyond the noise, and by enough to matter."""
    fall = None if found.matured is None else found.matured.auc
    if not found.judgeable or fall is None or fall.fall <= max(AUC_FALL, fall.noise):
        return []
    return [
        f"The ranking fell: AUC {_of(found)} where {fall.promised:.3f} was promised, {fall.fall:.3f} lower; chance "
        f"explains {fall.noise:.3f}"
    ]


def _level(found: Evidence) -> list[str]:
    """Level or slope is off: beyond the noise, and by enough to matter."""
    matured = found.matured
    if not found.judgeable or matured is None:
        return []
    sentences = []
    level, span = matured.metrics["calibration_intercept"], matured.intervals["calibration_intercept"]
    if level is not None and span is not None and not span[0] <= 0 <= span[1] and abs(level) >= LEVEL_OFF:
        sentences.append(
            f"The level is off: predicted {matured.mean_probability:.1%}, observed {matured.metrics['base_rate']:.1%}; "
            f"intercept {_with(level, span)}, 0 is right"
        )
    slope, span, change = matured.metrics["calibration_slope"], matured.intervals["calibration_slope"], matured.slope
    if slope is not None and span is not None and not span[0] <= 1 <= span[1]:
        further = abs(slope - 1) if change is None else abs(slope - 1) - abs(change.promised - 1)
        if further >= max(SLOPE_OFF, 0.0 if change is None else change.noise):
            sentences.append(f"The slope is off: {_slope(matured)}, too {'bold' if slope < 1 else 'cautious'}")
    return sentences


def _slope(matured: Matured) -> str:
    promised = matured.promised.get("calibration_slope")
    in_training = "" if promised is None else f" where {promised:.3f} was promised"
    return _with(matured.metrics["calibration_slope"], matured.intervals["calibration_slope"]) + in_training


def _loses(found: Evidence) -> list[str]:
    matured = found.matured
    against = None if matured is None else matured.against_base_rate
    if not found.judgeable or against is None or against.difference < 0:
        return []
    return [
        f"The model no longer beats the base rate: log-loss {against.difference:+.4f} "
        f"[{against.low:+.4f}, {against.high:+.4f}] against it"
    ]


def _another_world(found: Evidence) -> list[str]:
    """Much is unseen and what counts has drifted; there must be something to learn the new world from."""
    much = [column for column in found.unseen if column.more >= MUCH_UNSEEN]
    if not found.judgeable or not much or not _drifted(found):
        return []
    return [f"The world is another: {_unseen_words(much[0])}. {_drifted(found)[0]}"]


def _much_to_learn(found: Evidence) -> list[str]:
    if not found.learnt_from or found.n_won < max(FEWEST_WINS, found.learnt_from):
        return []
    return [
        f"There is much more to learn from: {found.n_won:,} leads were won since and have matured; the model learnt "
        f"from {found.learnt_from:,}"
    ]


def _alarms(found: Evidence) -> list[str]:
    much = [column for column in found.unseen if column.more >= MUCH_UNSEEN]
    return [*_drifted(found), *map(_unseen_words, much)]


def _drifted(found: Evidence) -> list[str]:
    """Large drift beyond chance of the scores, or of features that the model leans on, so that the scores feel it."""
    sentences = []
    if found.scores is not None and found.scores.shift.beyond >= LARGE:
        shift = found.scores.shift
        sentences.append(
            f"The scores have drifted: PSI {shift.psi:.2f}, chance makes {shift.by_chance:.2f}; mean probability "
            f"{found.scores.mean_then:.1%} then, {found.scores.mean_now:.1%} now"
        )
    for group in found.groups:
        if group.share >= IMPORTANT and group.shift.beyond >= LARGE and group.distance >= FELT:
            sentences.append(
                f"{group.name} has drifted: PSI {group.shift.psi:.2f} of {group.feature}, chance makes "
                f"{group.shift.by_chance:.2f}; it is {group.share:.0%} of what moves the scores, and its effect on "
                f"them moved by {group.distance:.2f} log-odds ({group.moved_scores:+.2f} in the mean)"
            )
    return sentences[:3]


def _holding(found: Evidence, ranking: Sequence[str], level: Sequence[str]) -> list[str]:
    """What speaks for the model, or that nothing can speak yet."""
    matured = found.matured
    if not found.judgeable or matured is None:
        return [
            f"Too few matured wins to judge: {found.n_won} won leads of the {FEWEST_WINS} needed; nothing but drift "
            "can be seen yet"
        ]
    sentences = []
    fall, against = matured.auc, matured.against_base_rate
    if not ranking and fall is not None:
        sentences.append(
            f"The ranking holds: AUC {_of(found)} where {fall.promised:.3f} was promised (chance explains "
            f"{fall.noise:.3f} less)"
        )
    if not level:
        sentences.append(
            f"The probabilities hold: predicted {matured.mean_probability:.1%}, observed "
            f"{matured.metrics['base_rate']:.1%}; slope {_slope(matured)}"
        )
    if against is not None and against.difference < 0:
        little = -against.difference < MATERIAL * (matured.metrics["log_loss"] or 0.0)
        but = ", not beyond the noise" if against.high >= 0 else ", too little to matter" if little else ""
        sentences.append(
            f"It beats the base rate on log-loss by {-against.difference:.4f} [{-against.high:.4f}, "
            f"{-against.low:.4f}]{but}"
        )
    return sentences


def _unseen_words(column: Unseen) -> str:
    named = ", ".join(f"'{word}'" for word, _ in column.new[:2])
    gone = f" while {', '.join(repr(word) for word, _ in column.gone[:2])} has gone: renamed?" if column.gone else ""
    then = "" if column.share_then is None else f" ({column.share_then:.0%} then)"
    return (
        f"{column.share_now or 0:.0%} of the rows of {column.table}.{column.column} have categories that training "
        f"never saw{then}: {named}{gone}"
    )


def _of(found: Evidence) -> str:
    assert found.matured is not None
    return _with(found.matured.metrics["auc"], found.matured.intervals["auc"])


def _with(value: float | None, span: tuple[float, float] | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f}" + (f" [{span[0]:.3f}, {span[1]:.3f}]" if span is not None else "")
