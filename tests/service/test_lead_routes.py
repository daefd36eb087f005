"""The routes over a store filled from data/sample, on both databases: what they answer is what the library says."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import time
from leadscore.contacts import waiting_since
from leadscore.tables import Cutoffs
from service import access, contract, counting, lead_routes
from service.client import Client, ServiceProblem
from service.store import Store
from service.store.scores import write_cursor
from service.store.tables import whole
from service.stored import StoredLeads
from tests.service.conftest import Service, serving
from tests.service.test_api import JSON, problem

AS_OF = "2026-05-01T09:00:00Z"
INSTANTS = ("2025-06-01T00:00:00Z", "2026-05-01T09:00:00.000001Z", "2026-06-30T23:59:59+02:00")
_NUMBERS = itertools.count()
ODD_IDS = [
    *("a/b", "a b", "ü-漢-🙂", "100%", "%2F", "a%2Fb", ".", "..", "a/../b", "a?b#c&d=e", "a+b", "/", "//x", "x/"),
    *("x/score", "x/history", "score", "history", "é", "e\u0301", "'", '"', "\\", "a\tb", "a\nb", "null", "x" * 200),
]


@pytest.fixture
def client(stored_service: Service) -> Iterator[Client]:
    with stored_service.client() as client:
        yield client


@pytest.fixture
def store(kept_store: Store) -> Store:
    return kept_store


def new_lead(lead_id: str, **fields: Any) -> dict[str, Any]:
    return {"leads": [{"lead_id": lead_id, "created_at": "2026-04-20T08:30:00Z", "source": "webinar", **fields}]}


def meeting(event_id: str, lead_id: str, at: str = "2026-04-28T10:00:00Z") -> dict[str, Any]:
    row = {"event_id": event_id, "lead_id": lead_id, "occurred_at": at, "kind": "meeting", "direction": "inbound"}
    return {"events": {"interactions": [row]}}


def closing(lead_id: str, status: str, at: str) -> dict[str, Any]:
    return {"outcomes": [{"lead_id": lead_id, "status": status, "closed_at": at}]}


def refused(answer: Any, where: str) -> str:
    """Check that a parameter is refused, and return why."""
    [error] = problem(answer, 422, "invalid-document")["errors"]
    assert error["where"] == where
    return str(error["message"])


# Scores of stored leads


@pytest.mark.parametrize("at", INSTANTS)
def test_the_past_is_what_the_library_says_of_it(
    stored_service: Service, sample: ls.Data, scorer: ls.LeadScorer, at: str
) -> None:
    instant = time.parse_instant(at, "UTC")
    places = np.arange(0, len(sample.leads.ids), 30)
    asked = Cutoffs(places, np.full(len(places), instant))
    expected = scorer.records(scorer.score_rows(sample, asked, n_reasons=3))
    table = scorer.score(sample, cutoffs=asked)
    n_known = 0
    for row, place in enumerate(places):
        answer = stored_service.get(f"/v1/leads/{sample.leads.ids[place]}/score", params={"as_of": at})
        if sample.leads.created[place] > instant:
            assert problem(answer, 404, "unknown-lead")["detail"] == "The lead was not known yet at that instant"
            continue
        n_known += 1
        record = answer.json()
        record["warnings"] = [text for text in record["warnings"] if not text.endswith(" already")]
        assert record == expected[row]
        assert record["probability"] == table["probability"][row]
        assert record["as_of"] == time.format_instant(instant)
    assert 5 < n_known <= len(places)


def test_without_as_of_the_cutoff_is_now(stored_service: Service, client: Client, sample: ls.Data) -> None:
    lead_id = str(sample.leads.ids[-1])
    before = pd.Timestamp.now("UTC")
    now = client.score_stored(lead_id)
    assert now.as_of is not None
    assert before <= pd.Timestamp(now.as_of) <= pd.Timestamp.now("UTC")
    assert client.score_stored(lead_id, as_of=now.as_of) == now
    assert f'leadscore_scores_total{{grade="{now.grade}"}} 2.0' in stored_service.metrics()


def test_a_local_time_is_the_projects(client: Client, sample: ls.Data) -> None:
    lead_id = str(sample.leads.ids[0])
    assert client.score_stored(lead_id, as_of="2026-05-01").as_of == "2026-05-01T00:00:00Z"
    assert client.score_stored(lead_id, as_of="2026-05-01T11:00:00+02:00").as_of == AS_OF


@pytest.mark.parametrize("lead_id", ["nobody", "L000001 ", "l000001", "x" * 5_000, "\0", "L\0", "�"])
@pytest.mark.parametrize("what", ["score", "history"])
def test_a_lead_that_is_not_stored_is_unknown(stored_service: Service, lead_id: str, what: str) -> None:
    with stored_service.client() as client, pytest.raises(ServiceProblem) as caught:
        client.score_stored(lead_id) if what == "score" else client.history(lead_id)
    assert caught.value.kind == "unknown-lead"
    assert lead_id not in str(caught.value)


@pytest.mark.parametrize("raw", ["%ff%fe", "%ed%a0%80", "%C3%28"])
def test_an_id_that_is_not_utf_8_is_unknown(stored_service: Service, raw: str) -> None:
    problem(stored_service.get(f"/v1/leads/{raw}/score"), 404, "unknown-lead")


def test_a_lead_is_unknown_until_it_arrived(client: Client) -> None:
    client.send(new_lead("late"))
    with pytest.raises(ServiceProblem, match="not known yet at that instant"):
        client.score_stored("late", as_of=AS_OF)
    assert client.score_stored("late").lead_id == "late"


def test_an_event_alone_makes_no_lead(client: Client) -> None:
    acknowledged = client.send(meeting("of-nobody", "not-sent"))
    assert acknowledged.unknown_leads == 1
    with pytest.raises(ServiceProblem, match="No lead with this id is stored"):
        client.score_stored("not-sent")


@pytest.mark.parametrize(("status", "word"), [("won", "won"), ("disqualified", "lost")])
def test_a_closed_lead_is_scored_with_a_warning_from_when_that_was_known(
    client: Client, status: str, word: str
) -> None:
    lead_id = f"closed-{status}"
    client.send(new_lead(lead_id))
    before = client.score_stored(lead_id)
    assert not [text for text in before.warnings if "already" in text]
    client.send(closing(lead_id, status, "2026-04-29T10:00:00Z"))
    after = client.score_stored(lead_id)
    assert after.warnings[0] == f"the lead was {word} on 2026-04-29 already"
    assert client.score_stored(lead_id, as_of=before.as_of) == before


@pytest.mark.parametrize("lead_id", ODD_IDS, ids=ascii)
def test_ids_are_text_of_any_kind(client: Client, lead_id: str) -> None:
    client.send({**new_lead(lead_id), **meeting(f"of {lead_id}"[:200], lead_id)})
    score = client.score_stored(lead_id)
    assert score.lead_id == lead_id
    assert [reason for reason in score.reasons if "meeting" in reason.text.lower()] or score.intent
    assert client.history(lead_id).lead_id == lead_id


# What arrives


def test_an_event_counts_as_soon_as_it_is_acknowledged(client: Client, store: Store, scorer: ls.LeadScorer) -> None:
    client.send(new_lead("quick"))
    before = client.score_stored("quick")
    client.send(meeting("quick-1", "quick", at="2026-04-28T10:00:00Z"))
    after = client.score_stored("quick")
    assert (before.intent, before.probability) != (after.intent, after.probability)
    data = whole(store.journal)
    asked = Cutoffs.of(data, pd.DataFrame({"lead_id": ["quick"] * 2, "cutoff": [before.as_of, after.as_of]}))
    expected = scorer.records(scorer.score_rows(data, asked, n_reasons=3))
    assert [before.model_dump(), after.model_dump()] == expected


def test_what_is_sent_again_changes_nothing(client: Client, store: Store) -> None:
    verdict = {"event_id": "again-v", "lead_id": "again", "verdict": "reject", "reason": "no budget"}
    body = {**new_lead("again"), **meeting("again-1", "again"), **closing("again", "won", AS_OF), "verdicts": [verdict]}
    first = client.send(body)
    until, score = store.journal.until(), client.score_stored("again")
    again = [client.send(body), client.send(contract.Arrivals.model_validate(body))]
    assert (first.stored, first.repeated, first.outdated, first.unknown_leads) == (4, 0, 0, 0)
    assert [(one.stored, one.repeated) for one in again] == [(0, 4), (0, 4)]
    assert store.journal.until() == until
    assert client.score_stored("again", as_of=score.as_of) == score


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"people": []}, "people"),
        ({"leads": {}}, "leads"),
        ({"leads": [3]}, "leads[0]"),
        ({"leads": [{"created_at": AS_OF}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": " "}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": "a\0"}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": "x" * 201}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": "a", "created_at": "soon"}]}, "leads[0].created_at"),
        ({"leads": [{"lead_id": "a", "source": {}}]}, "leads[0].source"),
        ({"events": []}, "events"),
        ({"events": False}, "events"),
        ({"events": {"calls": []}}, "events.calls"),
        ({"events": {"interactions": [{"event_id": "1", "lead_id": "a"}]}}, "events.interactions[0].occurred_at"),
        ({"events": {"interactions": [{"lead_id": "a"}]}}, "events.interactions[0].event_id"),
        ({"outcomes": [{"lead_id": "a", "closed_at": AS_OF}]}, "outcomes[0].status"),
        ({"outcomes": [{"lead_id": "a", "status": "won"}]}, "outcomes[0].closed_at"),
        ({"verdicts": [{"event_id": "1", "lead_id": "a", "verdict": "maybe"}]}, "verdicts[0].verdict"),
        ({"verdicts": [{"lead_id": "a", "verdict": "accept"}]}, "verdicts[0].event_id"),
        ([], ""),
        (None, ""),
    ],
)
def test_what_can_not_be_stored_is_refused_whole(stored_service: Service, store: Store, body: Any, where: str) -> None:
    until = store.journal.until()
    if isinstance(body, dict) and isinstance(body.get("leads", []), list):
        body = {**body, "leads": [*body.get("leads", []), {"lead_id": "beside"}]}
    found = problem(stored_service.post("/v1/events", content=json.dumps(body), headers=JSON), 422, "invalid-document")
    assert [error["where"] for error in found["errors"]] == [where]
    assert store.journal.until() == until


def test_too_many_rows_are_refused(stored_service: Service) -> None:
    rows = [{"lead_id": str(number)} for number in range(stored_service.limits.rows + 1)]
    found = problem(stored_service.post("/v1/events", json={"leads": rows}), 422, "invalid-document")
    assert f"at most {stored_service.limits.rows} rows at once" in found["detail"]


def test_what_is_stored_is_counted_by_table(stored_service: Service, client: Client) -> None:
    client.send({**new_lead("counted"), **meeting("counted-1", "counted")})
    metrics = stored_service.metrics()
    assert 'leadscore_rows_total{table="leads"} 1.0' in metrics
    assert 'leadscore_rows_total{table="interactions"} 1.0' in metrics
    assert 'leadscore_lag_seconds_count{table="interactions"} 1.0' in metrics


# Parameters


@pytest.mark.parametrize(
    "text", ["", "soon", "nan", "1e400", "0", "2026-13-01", "20000-01-01", "9" * 5_000, "\0", "-1"]
)
def test_a_time_that_is_none_is_refused(stored_service: Service, text: str) -> None:
    message = refused(stored_service.get("/v1/leads/L000001/score", params={"as_of": text}), "query.as_of")
    assert not text or text == "0" or text not in message


@pytest.mark.parametrize("as_of", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_before_everything_nobody_is_known(stored_service: Service, as_of: str) -> None:
    problem(stored_service.get("/v1/leads/L000001/score", params={"as_of": as_of}), 404, "unknown-lead")


def test_the_last_instant_has_a_score(stored_service: Service) -> None:
    assert stored_service.get("/v1/leads/L000001/score", params={"as_of": "9999-12-31T23:59:59Z"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "name", "value", "message"),
    [
        ("/v1/leads", "limit", "0", "must be a whole number from 1 to 500"),
        ("/v1/leads", "limit", "501", "must be a whole number from 1 to 500"),
        ("/v1/leads", "limit", "-1", "must be a whole number from 1 to 500"),
        ("/v1/leads", "limit", "1.0", "must be a whole number from 1 to 500"),
        ("/v1/leads", "limit", "", "must be a whole number from 1 to 500"),
        ("/v1/leads", "limit", "９", "must be a whole number from 1 to 500"),
        ("/v1/leads", "limit", "9" * 5_000, "must be a whole number from 1 to 500"),
        ("/v1/leads", "min_age", "a week", "must be a duration"),
        ("/v1/leads", "max_age", "7", "must be a duration"),
        ("/v1/leads", "max_age", "-7d", "must be a duration"),
        ("/v1/leads", "max_age", "9" * 5_000 + "d", "must be a duration"),
        ("/v1/leads", "cursor", "", "is no cursor of this list"),
        ("/v1/leads", "cursor", "WzEsMl0", "is no cursor of this list"),
        ("/v1/leads", "cursor", "W" * 9_000, "is no cursor of this list"),
        ("/v1/leads", "cursor", "ü", "is no cursor of this list"),
        ("/v1/leads", "cursor", write_cursor(float("nan"), "a"), "is no cursor of this list"),
        ("/v1/leads", "cursor", write_cursor(0.5, "\0"), "is no cursor of this list"),
        ("/v1/leads", "cursor", write_cursor(0.5, "\ud800"), "is no cursor of this list"),
        ("/v1/leads", "source", "a\0", "holds the character NUL"),
        ("/v1/leads", "grade", "A\0", "holds the character NUL"),
        ("/v1/leads", "grade", "Z", "must be one of A, B, C, D"),
        ("/v1/leads/L000001/history", "limit", "201", "must be a whole number from 1 to 200"),
        ("/v1/leads/L000001/history", "limit", "many", "must be a whole number from 1 to 200"),
        ("/v1/leads", "search", "x" * 201, "is longer than 200 characters"),
        ("/v1/leads/L000001/history", "receipts", "yes", "must be true or false"),
        ("/v1/leads/L000001/history", "receipts", "", "must be true or false"),
    ],
)
def test_parameters_are_refused_by_name(
    stored_service: Service, path: str, name: str, value: str, message: str
) -> None:
    assert refused(stored_service.get(path, params={name: value}), f"query.{name}").startswith(message)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("/v1/leads", name) for name in ("source", "owner", "verdict", "min_age", "max_age", "limit", "cursor")),
        *(("/v1/leads/L000001/history", name) for name in ("limit", "receipts")),
        ("/v1/leads/L000001/score", "as_of"),
    ],
)
def test_a_parameter_given_twice_or_misspelt_is_refused(stored_service: Service, path: str, name: str) -> None:
    assert refused(stored_service.get(path, params={name: ["1", "1"]}), f"query.{name}") == "is given twice"
    message = refused(stored_service.get(path, params={f"{name}s": "zq7"}), "query")
    assert f"did you mean '{name}'" in message.lower()


# The call list


def test_the_list_is_what_the_keeper_scored(stored_service: Service, sample: ls.Data, scorer: ls.LeadScorer) -> None:
    expected = scorer.score(sample, as_of=AS_OF)
    page = stored_service.get("/v1/leads", params={"limit": 500, "verdict": "any"}).json()
    assert page["rescored_every_seconds"] == 900
    for listed, (_, row) in zip(page["leads"], expected.head(500).iterrows(), strict=False):
        assert (listed["lead_id"], listed["probability"]) == (row["lead_id"], row["probability"])
        assert listed["as_of"] == AS_OF
        assert listed["age_seconds"] > 0


@pytest.mark.parametrize("page", [1, 7, 500])
def test_pages_hold_everybody_once_and_in_order(
    client: Client, sample: ls.Data, scorer: ls.LeadScorer, page: int
) -> None:
    grades = ["A"] if page == 1 else []
    expected = scorer.score(sample, as_of=AS_OF)
    if grades:
        expected = expected[expected["grade"] == "A"]
    listed = [score.lead_id for score in client.call_list(page=page, grades=grades, verdict="any")]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(expected["lead_id"])


def test_filters_agree_with_the_files(client: Client, sample: ls.Data) -> None:
    files = pd.read_csv(sample.project.folder / "leads.csv", dtype=str).set_index("lead_id")
    everybody = list(client.call_list())
    for name, column in (("source", "source"), ("owner", "rep")):
        for value in files[column].dropna().unique()[:3]:
            found = [score.lead_id for score in client.call_list(**{name: value})]
            assert found == [one.lead_id for one in everybody if files[column][one.lead_id] == value]
    graded = [score.lead_id for score in client.call_list(grades=["A", "C"])]
    assert graded == [one.lead_id for one in everybody if one.grade in "AC"]
    assert list(client.call_list(grades=["A"], source="nowhere")) == []


def test_a_search_finds_what_a_seller_knows_of_a_lead(client: Client, sample: ls.Data) -> None:
    files = pd.read_csv(sample.project.folder / "leads.csv", dtype=str, keep_default_na=False).set_index("lead_id")
    fields = files[["account_id", "rep", "source", "industry", "country"]]
    told = {lead_id: [lead_id, *values] for lead_id, *values in fields.itertuples()}
    everybody = [score.lead_id for score in client.call_list()]
    account = told[everybody[7]][1]
    for text in (everybody[3], "0012", account, account.lower()[1:], "REP-03", "webi", "%", "_", "\\", "/", "' or 1=1"):
        wanted = [one for one in everybody if any(text.lower() in field.lower() for field in told[one])]
        assert [score.lead_id for score in client.call_list(search=text)] == wanted, text
    assert len([*client.call_list(search=account, source="nowhere")]) == 0


def test_a_search_sees_the_newest_profile_in_any_script(client: Client, store: Store, scorer: ls.LeadScorer) -> None:
    leads = StoredLeads(store, counting.count(store, store.journal.project))
    for rep, found in (("Jürgen", ["JÜRG"]), ("straße", ["STRASSE", "traß"])):
        client.send({"leads": [{"lead_id": "sought", "created_at": "2026-04-20T08:00:00Z", "rep": rep}]})
        at = time.parse_instant("2099-01-01T00:00:00Z", "UTC")
        store.scores.keep(leads.rescore(scorer, ["sought"], at=at)[0], (), cause="event")
        for text in found:
            assert [score.lead_id for score in client.call_list(search=text)] == ["sought"], text
    assert [*client.call_list(search="jürgen")] == []


def test_ages_filter_by_when_a_lead_was_created(client: Client, sample: ls.Data) -> None:
    created = dict(zip(sample.leads.ids, pd.to_datetime(sample.leads.created, unit="us", utc=True), strict=True))
    now = pd.Timestamp.now("UTC")
    middle = f"{(now - pd.Timestamp('2026-02-01', tz='UTC')).days}d"
    old = {score.lead_id for score in client.call_list(min_age=middle)}
    young = {score.lead_id for score in client.call_list(max_age=middle)}
    border = now - pd.Timedelta(days=int(middle[:-1]))
    assert old
    assert young
    assert not old & young
    assert old | young == {score.lead_id for score in client.call_list()}
    assert all(created[lead_id] < border for lead_id in old)
    assert list(client.call_list(max_age="0d")) == list(client.call_list(min_age="999999w")) == []


@pytest.mark.parametrize("page", [3, 500])
def test_who_waits_longest_stands_first_and_nobody_else(client: Client, sample: ls.Data, page: int) -> None:
    known = {*sample.leads.ids}  # other tests add leads of their own
    everybody = {score.lead_id: score for score in client.call_list() if score.lead_id in known}
    first = itertools.islice(client.call_list(page=page, order="waiting"), 60)
    listed = [score.lead_id for score in first if score.lead_id in known]
    lead = sample.leads.find([*everybody])
    at = np.full(len(lead), time.parse_instant(AS_OF, "UTC"))
    since = waiting_since(sample.project, sample.logs, lead, at, sample.leads.created[lead]).tolist()
    waits = {lead_id: instant for lead_id, instant in zip(everybody, since, strict=True) if instant != time.NEVER}
    assert listed == sorted(waits, key=lambda lead_id: (waits[lead_id], lead_id))[: len(listed)]
    assert len(listed) > 9
    for lead_id, score in everybody.items():
        assert (score.waiting_seconds is None) == (lead_id not in waits)


@pytest.mark.parametrize("place", [1e300, 0.5, -3.0, 2**63, -(2**64), 10**400, True, "1", None])
def test_a_cursor_of_another_order_or_beyond_all_time_is_refused(stored_service: Service, place: Any) -> None:
    """It leads nowhere: a page that began at the top again would be taken for the next one."""
    params = {"order": "waiting", "cursor": write_cursor(place, "a")}
    answer = stored_service.get("/v1/leads", params=params)
    assert refused(answer, "query.cursor").startswith("is no cursor of this list")


def test_a_cursor_of_who_waits_is_none_of_the_best(stored_service: Service) -> None:
    waiting = stored_service.get("/v1/leads", params={"order": "waiting", "limit": 1}).json()["next"]
    assert stored_service.get("/v1/leads", params={"order": "waiting", "cursor": waiting}).status_code == 200
    assert "is no cursor" in refused(stored_service.get("/v1/leads", params={"cursor": waiting}), "query.cursor")


def test_a_list_that_has_not_changed_is_not_sent_again(stored_service: Service, store: Store) -> None:
    first = stored_service.get("/v1/leads", params={"limit": 3})
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for header in (etag, f'"other", {etag}', "*"):
        again = stored_service.get("/v1/leads", params={"limit": 3}, headers={"if-none-match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), header
    others = {"limit": 4}, {"limit": 3, "grade": "A"}
    for query in others:
        assert stored_service.get("/v1/leads", params=query, headers={"if-none-match": etag}).status_code == 200


def test_a_list_that_has_changed_is_sent(stored_service: Service, store: Store) -> None:
    etag = stored_service.get("/v1/leads").headers["etag"]
    store.scores.keep((), ["nobody"], cause="event")
    assert stored_service.get("/v1/leads").headers["etag"] == etag
    last = stored_service.get("/v1/leads", params={"max_age": "9999d", "limit": 500}).json()["leads"][-1]
    store.scores.keep((), [last["lead_id"]], cause="event")
    answer = stored_service.get("/v1/leads", headers={"if-none-match": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag


def say(client: Client, lead_id: str | None, verdict: str) -> None:
    """Say something of a lead that was not said before."""
    event_id = f"said-{next(_NUMBERS)}"
    client.send({"verdicts": [{"event_id": event_id, "lead_id": lead_id, "verdict": verdict}]})


def test_verdicts_filter_the_list_as_they_do_the_page(client: Client) -> None:
    first, second, third, *_ = (score.lead_id for score in client.call_list_page(limit=5, verdict="none").leads)
    everybody = [score.lead_id for score in client.call_list(verdict="any")]
    say(client, first, "accept")
    say(client, second, "reject")
    asked = {
        word: [score.lead_id for score in client.call_list(page=7, verdict=word)]
        for word in ("accept", "reject", "none", "any", None)
    }
    assert first in asked["accept"]
    assert second in asked["reject"]
    assert asked["none"][0] == third
    assert asked["any"] == everybody
    assert asked[None] == [lead for lead in everybody if lead not in asked["reject"]], "a list to call"
    assert sorted(asked["accept"] + asked["reject"] + asked["none"]) == sorted(everybody)
    for lead_id in (first, second):
        say(client, lead_id, "withdraw")
    assert {first, second} <= {score.lead_id for score in client.call_list(verdict="none")}


def test_a_cursor_leads_on_when_a_lead_of_its_page_was_rejected_since(client: Client) -> None:
    before = [score.lead_id for score in client.call_list()]
    page = client.call_list_page(limit=3)
    say(client, page.leads[-1].lead_id, "reject")
    following = client.call_list_page(limit=3, cursor=page.next)
    assert [score.lead_id for score in following.leads] == before[3:6]
    say(client, page.leads[-1].lead_id, "withdraw")


def test_a_verdict_makes_it_another_list_at_once(stored_service: Service, client: Client) -> None:
    lead_id = client.call_list_page(limit=1).leads[0].lead_id
    for verdict in ("reject", "withdraw"):
        headers = {"if-none-match": stored_service.get("/v1/leads").headers["etag"]}
        assert stored_service.get("/v1/leads", headers=headers).status_code == 304
        say(client, lead_id, verdict)  # before any keeper has looked
        answer = stored_service.get("/v1/leads", headers=headers)
        assert answer.status_code == 200
        listed = [lead["lead_id"] for lead in answer.json()["leads"]]
        assert (lead_id in listed) is (verdict == "withdraw")


@pytest.mark.parametrize("word", ["", "open", "withdraw", "Any", "maybe"])
def test_another_verdict_is_refused_and_told_which_there_are(stored_service: Service, word: str) -> None:
    message = refused(stored_service.get("/v1/leads", params={"verdict": word}), "query.verdict")
    assert message == "must be one of none, accept, reject, any; without it the rejected are left out"


def test_a_list_by_age_is_sent_again_a_minute_later(stored_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.parse_instant("2026-06-01T00:00:00Z", "UTC")
    for query, later in (({"min_age": "7d"}, 200), ({"max_age": "7d"}, 200), ({"source": "webinar"}, 304)):
        monkeypatch.setattr(lead_routes, "_now", lambda: now)
        headers = {"if-none-match": stored_service.get("/v1/leads", params=query).headers["etag"]}
        assert stored_service.get("/v1/leads", params=query, headers=headers).status_code == 304
        monkeypatch.setattr(lead_routes, "_now", lambda: now + 60_000_000)
        assert stored_service.get("/v1/leads", params=query, headers=headers).status_code == later


# The history


def test_the_history_begins_with_the_first_score(client: Client) -> None:
    [best] = client.call_list_page(limit=1).leads
    assert best.lead_id is not None
    told = client.history(best.lead_id)
    [move] = told.scores
    assert (move.as_of, move.probability, move.score, move.cause) == (AS_OF, best.probability, best.score, "time")
    assert move.moved_by is None
    assert client.history(best.lead_id, limit=1, receipts=False) == told


def test_a_lead_without_scores_so_far_has_an_empty_history(client: Client) -> None:
    client.send(new_lead("unscored"))
    assert client.history("unscored").scores == []


# The OpenAPI document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_says_who_may_call_and_what_is_refused(stored_service: Service) -> None:
    document = stored_service.get("/openapi.json").json()
    assert document["paths"].keys() == {
        *("/v1/score", "/v1/score/batch", "/v1/model", "/v1/events"),
        *("/v1/leads", "/v1/leads/{lead_id}/score", "/v1/leads/{lead_id}/history"),
    }
    for _, path, operation in operations(document):
        scope = access.scope_of(path)
        assert operation["security"] == [{"bearer": [scope]}, {"header": [scope]}]
        assert operation["tags"]
        assert {"200", "401", "403", "429", "500", "503", "504"} <= operation["responses"].keys()
        assert f"scope `{scope}`" in operation["description"]
        named = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        for parameter in operation.get("parameters", []):
            assert parameter["schema"]
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()


def test_every_example_of_the_document_works(stored_service: Service) -> None:
    document = stored_service.get("/openapi.json").json()
    n_sent = 0
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for media_type, described in content.items():
            model = described["schema"]["$ref"].rpartition("/")[2]
            for example in document["components"]["schemas"][model]["examples"]:
                answer = stored_service.call(method, path, json=example, headers={"content-type": media_type})
                assert answer.status_code == 200, answer.text
                assert not re.search("undeclared|ignored", answer.text)
                n_sent += 1
        for parameter in operation.get("parameters", []):
            for example in parameter["schema"].get("examples", []):
                answer = stored_service.call(method, path, params={parameter["name"]: example})
                assert answer.status_code == 200, answer.text
                n_sent += 1
    assert n_sent >= 5
    assert stored_service.get("/v1/leads/L42/score").status_code == 200


def test_without_a_model_nothing_is_scored_and_all_else_goes_on(store: Store) -> None:
    with serving(store) as service:
        for path in ("/v1/leads/L000001/score", "/v1/leads/L000001/history"):
            problem(service.get(path), 503, "model-not-ready")
        assert service.get("/v1/leads").status_code == 200
        assert service.post("/v1/events", json=new_lead("unmodelled")).json()["stored"] == 1


def test_nothing_of_a_lead_is_logged_or_counted(stored_service: Service, client: Client) -> None:
    mark = "zq7-secret"
    client.send({**new_lead(mark, company=mark, source=mark), **meeting(mark, mark)})
    client.score_stored(mark)
    client.history(mark)
    list(client.call_list(source=mark, owner=mark))
    with pytest.raises(ServiceProblem) as caught:
        client.score_stored(mark, as_of=mark)
    assert mark not in str(caught.value) + stored_service.metrics() + "".join(stored_service.log)
    assert {"/v1/leads/{lead_id}/score", "/v1/leads/{lead_id}/history"} <= {
        line.get("route") for line in stored_service.log_lines()
    }


def test_a_lead_that_turns_out_to_have_been_closed_before_keeps_its_history(
    client: Client, store: Store, scorer: ls.LeadScorer
) -> None:
    """It was on the list while nobody knew."""
    client.send(new_lead("late-loss"))
    counted = counting.count(store, store.journal.project)
    leads, now = StoredLeads(store, counted), time.parse_instant(client.score_stored("late-loss").as_of, "UTC")
    for number in range(2):
        at = now + 10**9 * (number + 1)
        store.scores.keep(leads.rescore(scorer, ["late-loss"], at=at)[0], (), cause="event")
        client.send(meeting("late-loss-1", "late-loss", at=time.format_instant(now)))
    before = client.history("late-loss")
    assert len(before.scores) == 2
    client.send(closing("late-loss", "lost", "2026-04-29T10:00:00Z"))
    assert [move.as_of for move in client.history("late-loss").scores] == [move.as_of for move in before.scores]
