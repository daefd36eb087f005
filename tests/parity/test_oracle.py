"""The oracle against what a person works out on paper: one small history, seen at a few instants."""

from __future__ import annotations

import math

import pytest

from tests.parity.oracle import Oracle
from tests.parity.streams import DAY, SMOOTHING, Stream, micros

HOUR = DAY // 24
NOON = micros("2025-06-10T12:00:00Z")


def touchpoint(lead: str, at: int, **other: object) -> dict:
    row = {"event_id": None, "lead_id": lead, "occurred_at": at, "ingested_at": at, "channel": "ads", "campaign": None}
    return row | {"cost": None, "clicks": None} | other


def talk(lead: str, at: int, direction: str | None) -> dict:
    return {"lead_id": lead, "occurred_at": at, "kind": "call", "direction": direction, "minutes": None}


def profile(lead: str, created: int | None, account: str | None = "north", rep: str | None = "ann") -> dict:
    row = {"lead_id": lead, "created_at": created, "account": account, "rep": rep, "source": "ads"}
    return row | {"industry": None, "employees": None, "revenue": None}


def closing(lead: str, status: str | None, at: int, recorded: int | None = None) -> dict:
    return {"lead_id": lead, "status": status, "closed_at": at, "recorded_at": at if recorded is None else recorded}


def history(leads=None, touchpoints=(), interactions=(), outcomes=(), timezone="UTC", versions=False) -> Oracle:
    leads = [profile("A", NOON - 50 * DAY)] if leads is None else leads
    events = {"touchpoints": list(touchpoints), "interactions": list(interactions)}
    return Oracle(Stream(timezone, versions, leads, events, list(outcomes), [], []))


def test_variety():
    words = ["ads", "email", "ads", None, "ads", "email"]
    truth = history(touchpoints=[touchpoint("A", NOON - n * HOUR, channel=w) for n, w in enumerate(words, 1)])
    assert truth.value("touchpoints.channel.nunique.1d", "A", NOON) == 2
    expected = -(3 / 5 * math.log(3 / 5) + 2 / 5 * math.log(2 / 5))
    assert truth.value("touchpoints.channel.entropy.1d", "A", NOON) == pytest.approx(expected, rel=1e-12)
    assert truth.value("touchpoints.channel.entropy.1d", "A", NOON - 6 * HOUR) != 0  # of nothing
    assert truth.value("touchpoints.channel.entropy.all", "A", NOON - 5 * HOUR) == 0  # of one value
    assert math.isnan(truth.value("touchpoints.campaign.entropy.all", "A", NOON))
    assert truth.value("touchpoints.campaign.nunique.all", "A", NOON) == 0


def test_rhythm():
    at = [NOON - 10 * DAY, NOON - 6 * DAY, NOON - 4 * DAY]
    truth = history(touchpoints=[touchpoint("A", instant) for instant in at])
    assert truth.value("touchpoints.gap_mean", "A", NOON) == 3
    assert truth.value("touchpoints.gap_std", "A", NOON) == 1
    assert truth.value("touchpoints.gap_now", "A", NOON) == pytest.approx(4 / 3)
    assert truth.value("touchpoints.gap_std", "A", at[2]) == 0  # one gap
    for op in ("gap_mean", "gap_std", "gap_now"):
        assert math.isnan(truth.value(f"touchpoints.{op}", "A", at[1]))  # one event
    together = history(touchpoints=[touchpoint("A", NOON - DAY)] * 2)
    assert together.value("touchpoints.gap_mean", "A", NOON) == 0
    assert math.isnan(together.value("touchpoints.gap_now", "A", NOON))


def test_a_day_that_comes_twice_is_two_days_with_its_morrow_not_four():
    """St. John's, 2007-11-04: at a minute past midnight it is 23:01 of the third again."""
    at = [micros(f"2007-11-04T{clock}Z") for clock in ("02:29:00", "02:30:30", "02:31:00", "03:30:00")]
    truth = history(touchpoints=[touchpoint("A", instant) for instant in at], timezone="America/St_Johns")
    assert [truth.local(instant).day for instant in at] == [3, 4, 3, 4]
    assert truth.value("touchpoints.active_days.1d", "A", at[-1] + 1) == 2
    assert truth.value("touchpoints.active_days.1d", "A", at[0]) == 0


def test_change():
    hours = (1, 2, 30, 47, 48, 49)
    truth = history(touchpoints=[touchpoint("A", NOON - n * HOUR) for n in hours])
    assert truth.value("touchpoints.trend.1d", "A", NOON) == 2 - 3
    assert truth.value("touchpoints.trend.7d", "A", NOON) == 6
    assert truth.value("touchpoints.trend.7d", "A", NOON - 49 * HOUR) == 0
    two = history(touchpoints=[touchpoint("A", NOON - 12 * HOUR), touchpoint("A", NOON - DAY, channel="email")])
    assert two.value("touchpoints.decay.12h", "A", NOON) == 0.75
    assert two.value("touchpoints.channel=email.decay.12h", "A", NOON) == 0.25
    assert two.value("touchpoints.decay.12h", "A", NOON - DAY) == 0


def test_response():
    said = ["outbound", "Outbound ", "internal", "inbound", "inbound", None, "outbound", "OUTBOUND"]
    truth = history(interactions=[talk("A", NOON + n * DAY, word) for n, word in enumerate(said)])
    reply, waiting = "interactions.reply", "interactions.waiting"
    assert math.isnan(truth.value(reply, "A", NOON + 3 * DAY))
    assert truth.value(waiting, "A", NOON + 3 * DAY) == 3  # since the first of two
    assert truth.value(reply, "A", NOON + 3 * DAY + 1) == 2  # to the last of two
    assert truth.value(reply, "A", NOON + 20 * DAY) == 2  # the second inbound answers nothing
    assert math.isnan(truth.value(waiting, "A", NOON + 6 * DAY))
    assert truth.value(waiting, "A", NOON + 20 * DAY) == 14
    assert math.isnan(history().value(waiting, "A", NOON))
    declared = history(touchpoints=[
        touchpoint("A", NOON, channel="landing_page"), touchpoint("A", NOON + DAY, channel="a.b=c-d"),
    ])  # fmt: skip
    assert declared.value("touchpoints.reply", "A", NOON + 2 * DAY) == 1


def test_what_was_answered_is_an_answer_whoever_began():
    said = [("outbound", None), ("outbound", 5), ("outbound", None), ("inbound", 5), ("outbound", 0), (None, 5)]
    rows = [talk("A", NOON + n * DAY, word) | {"minutes": minutes} for n, (word, minutes) in enumerate(said)]
    truth = history(interactions=rows)
    reply, waiting = "interactions.reply", "interactions.waiting"
    assert truth.value(waiting, "A", NOON + DAY) == 1
    assert math.isnan(truth.value(waiting, "A", NOON + 2 * DAY)), "the second call was answered"
    assert truth.value(reply, "A", NOON + 2 * DAY) == 1, "a day after the first"
    assert math.isnan(truth.value(waiting, "A", NOON + 4 * DAY)), "they called, and were answered"
    assert truth.value(waiting, "A", NOON + 6 * DAY) == 2, (
        "a call of no length waits; one without direction ends nothing"
    )
    at_once = history(interactions=rows[1:2])
    assert at_once.value(reply, "A", NOON + 2 * DAY) == 0
    words = [("c00", None), ("no_answer", 9), ("c07", None), ("c07", 1)]
    for campaign, clicks in words:
        row = touchpoint("A", NOON, channel="email", campaign=campaign) | {"clicks": clicks}
        declared = history(touchpoints=[row])
        unanswered = (campaign, clicks) in (("no_answer", 9), ("c07", None))
        assert math.isnan(declared.value("touchpoints.waiting", "A", NOON + DAY)) is not unanswered


def test_the_others_of_the_account():
    came = NOON - 50 * DAY
    leads = [profile(lead, came) for lead in "ABC"] + [profile("D", came, None), profile("E", came, "south")]
    rows = [touchpoint(lead, NOON - n * HOUR, cost=n) for n, lead in enumerate("ABCDE", 1)]
    truth = history(leads, rows)
    assert truth.value("account.touchpoints.count.all", "A", NOON) == 2
    assert truth.value("account.touchpoints.cost.sum.all", "B", NOON) == 1 + 3
    assert truth.value("account.touchpoints.since_last", "C", NOON) == 1 / 24
    assert math.isnan(truth.value("account.touchpoints.count.all", "D", NOON))  # of no account
    assert truth.value("account.touchpoints.count.all", "E", NOON) == 0  # of no others
    assert math.isnan(truth.value("account.touchpoints.since_last", "E", NOON))


def test_who_changes_account_takes_its_events_along():
    came = NOON - 50 * DAY
    leads = [profile("A", came) | {"updated_at": came}, profile("B", came, "south") | {"updated_at": came}]
    leads.append(profile("B", came) | {"updated_at": NOON})
    truth = history(leads, [touchpoint("B", came + DAY)], versions=True)
    assert truth.value("account.touchpoints.count.all", "A", NOON) == 0
    assert truth.value("account.touchpoints.count.all", "A", NOON + 1) == 1
    assert math.isnan(truth.value("account.touchpoints.count.all", "A", came))  # nothing known of A yet
    assert math.isnan(truth.value("account.n_won", "A", came))


def test_history_and_load():
    came = NOON - 10 * DAY
    leads = [profile(lead, came) for lead in "ABCD"] + [profile("E", None), profile("F", NOON - 40 * DAY)]
    outcomes = [closing("B", "won", came + DAY, came + 3 * DAY), closing("C", "lost", came + 5 * DAY, came + 4 * DAY)]
    outcomes.append(closing("D", "won", came - 1))  # before it came: no win
    truth = history(leads, outcomes=outcomes)
    truth.prior = 0.25
    seen = came + 3 * DAY
    # before it: F is past its horizon 10 days before noon, and still open; E never came
    assert [truth.value(f"owner.{op}", "A", seen) for op in ("n_won", "n_resolved", "open_leads")] == [0, 1, 4]
    assert [truth.value(f"owner.{op}", "A", seen + 1) for op in ("n_won", "n_resolved", "open_leads")] == [1, 2, 3]
    assert [truth.value(f"owner.{op}", "A", NOON) for op in ("n_won", "n_resolved", "open_leads")] == [1, 3, 2]
    assert truth.value("origin.win_rate", "A", NOON) == pytest.approx((1 + SMOOTHING / 4) / (3 + SMOOTHING))
    assert truth.value("account.n_won", "B", NOON) == 0  # not its own


def test_a_win_that_was_seen_stays_seen_when_an_earlier_one_is_recorded_late():
    came = NOON - 10 * DAY
    leads = [profile("A", came), profile("B", came)]
    outcomes = [closing("B", "won", came + 2 * DAY), closing("B", "won", came + DAY, came + 8 * DAY)]
    truth = history(leads, outcomes=outcomes)
    assert truth.value("owner.n_won", "A", came + 2 * DAY + 1) == 1


def test_the_prior_counts_every_lead_that_had_come_by_the_last_training_cutoff():
    came = NOON - 10 * DAY
    leads = [profile(lead, came, None, None) for lead in "ABC"] + [profile("D", NOON), profile("E", None)]
    truth = history(leads, outcomes=[closing("A", "won", came + DAY), closing("B", "lost", came + DAY)])
    truth.learn([("A", came), ("B", NOON)])
    assert truth.prior == (1 + 1) / (2 + 2)
