"""The rooms below /app, over the sample's store on both databases."""

from __future__ import annotations

import copy
import dataclasses
import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import leadscore as ls
from leadscore import LeadScorer, time
from leadscore.evaluate.capacity import at_capacity
from leadscore.model.population import Reference
from leadscore.phrases.catalogue import catalogue
from leadscore.silence import Pulse
from leadscore.snapshots import open_leads
from service.access import COOKIE, Access
from service.keys import ApiKeys, Key
from service.measuring import _verdicts, measure
from service.pages import silence
from service.pages.call_list import WORTH_SAYING
from service.pages.pictures import inline
from service.pages.rendering import ago, spelled, step
from service.pages.session import inside
from service.store import Store, open_store
from service.store.arrivals import parse
from service.store.scores import RESCORED
from service.store.tables import whole
from tests.service.conftest import NOW, Service, serving

SELLER, SELLER_SECRET = Key.mint("seller", ["score", "write"])
READER, READER_SECRET = Key.mint("reader", ["score"])
SENDER, SENDER_SECRET = Key.mint("sender", ["write"])
ACCESS = Access(ApiKeys([SELLER, READER, SENDER], "here"))
OURS = {"origin": "http://localhost"}


@pytest.fixture
def desk(kept_store: Store, scorer: LeadScorer) -> Iterator[Service]:
    """A service over the sample's store that asks for keys."""
    with serving(kept_store, ACCESS) as service:
        service.model.use(scorer)
        yield service


def signed_in(secret: str) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={secret}"}


def listed(page: httpx.Response) -> list[str]:
    return re.findall(r'<div class="who"><a href="/app/leads/([^"]+)"', page.text)


def get(desk: Service, path: str, secret: str = SELLER_SECRET) -> httpx.Response:
    return desk.get(path, headers=signed_in(secret))


def test_an_empty_list_says_that_leads_are_being_scored_while_they_are(desk: Service, kept_store: Store) -> None:
    kept_store.shared.set_mark(RESCORED, 0)
    assert "Leads are being scored" in get(desk, "/app?search=nobody").text
    assert "Leads are being scored" not in get(desk, "/app").text
    kept_store.shared.set_mark(RESCORED, 1)
    assert "No open lead is like that" in get(desk, "/app?search=nobody").text


def test_who_is_not_signed_in_is_led_to_the_door(desk: Service) -> None:
    answer = desk.get("/app/leads/L000007")
    assert (answer.status_code, answer.headers["location"]) == (303, "/app/sign-in?after=/app/leads/L000007")
    assert "API key" in desk.get(answer.headers["location"]).text


def test_signing_in_leads_to_where_one_wanted_to_go(desk: Service) -> None:
    form = {"key": SELLER_SECRET, "after": "/app/leads/L000007"}
    answer = desk.post("/app/sign-in", data=form, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/app/leads/L000007")
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/app"))
    assert "Max-Age" not in cookie, "it ends with the browser"
    assert get(desk, "/app").status_code == 200


@pytest.mark.parametrize("key", ["", "wrong", "é", "x" * 5_000])
def test_a_wrong_key_is_not_let_in(desk: Service, key: str) -> None:
    answer = desk.post("/app/sign-in", data={"key": key}, headers=OURS)
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert "set-cookie" not in answer.headers


def test_signing_out_forgets_the_key(desk: Service) -> None:
    answer = desk.post("/app/sign-out", headers=OURS | signed_in(SELLER_SECRET))
    assert "Max-Age=0" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example", "//elsewhere.example", "/docs", "/application", "javascript:alert(1)", ""]
)
def test_a_sign_in_leads_nowhere_else(address: str) -> None:
    assert inside(address) == "/app"


@pytest.mark.parametrize("path", ["/app/sign-in", "/app/verdicts/L000007", "/app/sign-out"])
def test_a_form_of_another_site_is_refused(desk: Service, path: str) -> None:
    for origin in ({"origin": "http://elsewhere.example"}, {}, {"origin": "null"}):
        answer = desk.post(path, data={"verdict": "accept"}, headers=origin | signed_in(SELLER_SECRET))
        assert answer.status_code == 403
        assert "another site" in answer.text


def test_the_cookie_opens_the_pages_alone(desk: Service) -> None:
    assert desk.get("/v1/leads", headers=signed_in(SELLER_SECRET)).status_code == 401
    assert get(desk, "/app", "x").status_code == 303


def test_a_key_without_the_scope_is_told_so_on_a_page(desk: Service) -> None:
    answer = get(desk, "/app", SENDER_SECRET)
    assert answer.status_code == 403
    assert "score" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_the_list_is_that_of_the_api(desk: Service) -> None:
    leads = desk.get("/v1/leads?limit=50", headers={"x-api-key": SELLER_SECRET}).json()["leads"]
    assert listed(get(desk, "/app")) == [lead["lead_id"] for lead in leads]
    text = html.unescape(get(desk, "/app").text)
    least = WORTH_SAYING * max(abs(reason["effect"]) for reason in leads[0]["reasons"])
    for reason in leads[0]["reasons"]:
        if -reason["effect"] >= least or reason in [one for one in leads[0]["reasons"] if one["effect"] > 0][:2]:
            assert reason["text"] in text
    assert '<option value="paid_search">paid search</option>' in text


def test_pages_follow_each_other_without_a_gap(desk: Service) -> None:
    first = get(desk, "/app")
    following = html.unescape(re.findall(r'href="(/app\?[^"]*cursor[^"]*)"', first.text)[0])
    second = get(desk, following)
    everybody = desk.get("/v1/leads?limit=100", headers={"x-api-key": SELLER_SECRET}).json()["leads"]
    assert [*listed(first), *listed(second)] == [lead["lead_id"] for lead in everybody]
    assert '<ol class="leads" start="51">' in second.text


@pytest.mark.parametrize(
    "query", ["grade=A", "source=webinar", "search=0012", "max_age=90d", "grade=B&source=referral"]
)
def test_filters_are_those_of_the_api(desk: Service, query: str) -> None:
    leads = desk.get(f"/v1/leads?limit=50&{query}", headers={"x-api-key": SELLER_SECRET}).json()["leads"]
    assert listed(get(desk, f"/app?{query}")) == [lead["lead_id"] for lead in leads]


def test_a_row_says_whose_lead_it_is_and_old_data_are_told(desk: Service) -> None:
    page = get(desk, "/app?source=webinar").text
    rows = page.split('<div class="who">')[1:]
    rows = [row for row in rows if re.search(r">L\d{6}<", row)]  # other tests of this store add leads of their own
    assert len(rows) > 20
    assert all(re.search(r'<span class="about">A\d+ · rep-\d+ · webinar</span>', row) for row in rows)
    assert "Nothing has happened to any lead on this page for" in page  # the sample ended long ago
    assert re.search(r'\d %\s<span class="unseen">likely to be won within 30 days</span>', rows[0])
    assert "The % beside a lead: likely to be won within 30 days." in page


def test_a_search_without_a_hit_leads_back_to_all(desk: Service) -> None:
    page = get(desk, "/app?search=zzzz").text
    assert 'No open lead is like that. <a href="/app">Show all</a>' in page


def test_the_line_says_what_the_calls_bring(desk: Service) -> None:
    page = get(desk, "/app?calls=7").text
    leads = desk.get("/v1/leads?limit=7", headers={"x-api-key": SELLER_SECRET}).json()["leads"]
    wins = at_capacity(np.array([lead["probability"] for lead in leads]), 7)
    expected = f"{wins.expected:.0f}" if wins.expected >= 10 else f"{wins.expected:.1f}"
    assert f"<strong>{expected} wins</strong>" in page
    assert page[: page.index('class="line"')].count('<li class="lead') == 7


@pytest.mark.parametrize("query", ["grade=Z", "calls=-1", "calls=many", "cursor=x", "max_age=old", "calls=99999"])
def test_a_wrong_question_is_answered_on_a_page(desk: Service, query: str) -> None:
    answer = get(desk, f"/app?{query}")
    assert answer.status_code == 422
    assert "<h1>That can&#39;t be shown</h1>" in answer.text


def test_a_reader_can_look_and_not_say(desk: Service) -> None:
    assert "Reject" in get(desk, "/app").text
    assert "Reject" not in get(desk, "/app", READER_SECRET).text
    answer = desk.post("/app/verdicts/L000007", data={"verdict": "accept"}, headers=OURS | signed_in(READER_SECRET))
    assert answer.status_code == 403


def test_a_verdict_is_kept_with_who_gave_it_and_why(desk: Service) -> None:
    lead_id = listed(get(desk, "/app"))[3]
    form = {"verdict": "reject", "reason": "<b>no budget</b>", "back": "/app?grade=A"}
    answer = desk.post(f"/app/verdicts/{lead_id}", data=form, headers=OURS | signed_in(SELLER_SECRET))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/app?grade=A&judged={lead_id}")
    page = get(desk, f"/app/leads/{lead_id}").text
    assert "rejected by seller: &lt;b&gt;no budget&lt;/b&gt;" in page
    assert "<strong>rejected by seller: &lt;b&gt;no budget&lt;/b&gt;</strong>" in page
    desk.post(f"/app/verdicts/{lead_id}", data={"verdict": "accept"}, headers=OURS | signed_in(SELLER_SECRET))
    assert "accepted by seller" in get(desk, f"/app/leads/{lead_id}").text


def say(desk: Service, lead_id: str, verdict: str, back: str = "/app") -> str:
    """Say something of a lead; returns the page that follows."""
    form = {"verdict": verdict, "back": back}
    answer = desk.post(f"/app/verdicts/{lead_id}", data=form, headers=OURS | signed_in(SELLER_SECRET))
    return get(desk, answer.headers["location"]).text


def test_a_rejected_lead_leaves_the_list_until_it_is_taken_back(desk: Service) -> None:
    before = listed(get(desk, "/app"))
    page = say(desk, before[0], "reject")
    assert "is rejected, and off this list." in page
    assert "1 rejected left out" in page
    assert listed(get(desk, "/app"))[:3] == before[1:4]
    rejected = get(desk, "/app?verdict=reject")
    assert listed(rejected) == [before[0]]
    assert "<strong>1 lead</strong>, 1–1 shown" in rejected.text
    assert listed(get(desk, "/app?verdict=any")) == before
    page = say(desk, before[0], "withdraw", "/app?judged=other")
    assert "taken back. Nothing is said of it now." in page
    assert listed(get(desk, "/app")) == before
    assert "✕ rejected by" not in get(desk, f"/app/leads/{before[0]}").text


def test_leads_can_be_asked_for_by_what_was_said_of_them(desk: Service) -> None:
    first, second, third, *_ = listed(get(desk, "/app?verdict=none"))
    say(desk, first, "accept")
    say(desk, second, "reject")
    assert first in listed(get(desk, "/app?verdict=accept"))
    assert listed(get(desk, "/app?verdict=reject")) == [second]
    assert listed(get(desk, "/app?verdict=none"))[0] == third
    say(desk, second, "withdraw")
    assert get(desk, "/app?verdict=maybe").status_code == 422


def test_the_page_says_how_many_leads_there_are(desk: Service) -> None:
    n = len(everybody(desk))
    page = get(desk, "/app")
    assert f"<strong>{n:,} leads</strong>, 1–50 shown" in page.text
    following = html.unescape(re.findall(r'href="(/app\?[^"]*cursor[^"]*)"', page.text)[0])
    assert f"<strong>{n:,} leads</strong>, 51–" in get(desk, following).text
    assert "What do Accept and Reject do?" in page.text
    assert "Both are kept with your name and your reason" in page.text
    assert "What do Accept and Reject do?" not in get(desk, "/app", READER_SECRET).text


def everybody(desk: Service) -> list[str]:
    found, cursor = [], ""
    while cursor is not None:
        asked = f"/v1/leads?limit=500{f'&cursor={cursor}' if cursor else ''}"
        page = desk.get(asked, headers={"x-api-key": SELLER_SECRET}).json()
        found += [lead["lead_id"] for lead in page["leads"]]
        cursor = page["next"]
    return found


@pytest.mark.parametrize("form", [{}, {"verdict": "maybe"}, {"verdict": "reject", "reason": "x" * 20_000}])
def test_a_verdict_of_another_kind_is_refused(desk: Service, form: dict[str, str]) -> None:
    answer = desk.post("/app/verdicts/L000007", data=form, headers=OURS | signed_in(SELLER_SECRET))
    assert answer.status_code in (413, 422)


def still_open(desk: Service) -> str:
    """The best lead of the list, but those that were closed after it was made."""
    key = {"x-api-key": SELLER_SECRET}
    for lead_id in listed(get(desk, "/app")):
        if not any(
            "already" in said for said in desk.get(f"/v1/leads/{lead_id}/score", headers=key).json()["warnings"]
        ):
            return lead_id
    raise AssertionError("all of them were closed")


def test_a_lead_is_shown_with_all_its_reasons(desk: Service) -> None:
    lead_id = still_open(desk)
    page = html.unescape(get(desk, f"/app/leads/{lead_id}").text)
    record: dict[str, Any] = desk.get(f"/v1/leads/{lead_id}/score", headers={"x-api-key": SELLER_SECRET}).json()
    for reason in record["reasons"]:
        assert reason["text"] in page
    anchors = set(re.findall(r'href="#(e\d+)"', page))
    assert anchors
    assert anchors <= set(re.findall(r'id="(e\d+)"', page)), "a reason leads to its event"


def test_a_lead_s_page_begins_with_who_it_is_and_the_strongest_reasons(desk: Service) -> None:
    page = get(desk, f"/app/leads/{still_open(desk)}").text
    places = [page.index(part) for part in ('class="profile"', "What speaks for it", "Timeline")]
    assert places == sorted(places)
    for side in page.split('<section class="card"><h2>What speaks')[1:3]:
        shown, _, more = side.split("</section>")[0].partition("<details")
        assert shown.count("<li>") == 8 or not more
        assert f"<summary>{more.count('<li>')} weaker ones</summary>" in more or not more


def test_a_timeline_reads_as_sentences(desk: Service) -> None:
    lead = {"lead_id": "T1", "created_at": "2026-06-20T08:00:00Z", "source": "paid_search"}
    touch = {"event_id": "t", "lead_id": "T1", "occurred_at": "2026-06-21T08:00:00Z", "channel": "email",
             "action": "open", "cost": 0.5}  # fmt: skip
    visit = touch | {"event_id": "v", "occurred_at": "2026-06-20T09:00:00Z", "channel": "web", "action": "visit"}
    demo = visit | {"event_id": "d", "occurred_at": "2026-06-20T12:00:00Z", "action": "demo_request"}
    book = visit | {"event_id": "b", "occurred_at": "2026-06-20T13:00:00Z", "channel": "content", "action": "download",
                    "campaign": "summer_sale"}  # fmt: skip
    talk = {"event_id": "c", "lead_id": "T1", "occurred_at": "2026-06-22T08:00:00Z", "kind": "call",
            "direction": "outbound", "outcome": "no_answer"}  # fmt: skip
    missed = talk | {"event_id": "m", "occurred_at": "2026-06-20T10:00:00Z", "kind": "meeting", "outcome": "no_show"}
    rang = talk | {"event_id": "r", "occurred_at": "2026-06-20T11:00:00Z", "direction": "inbound", "outcome": None}
    events = {"touchpoints": [touch, visit, demo, book], "interactions": [talk, missed, rang]}
    body = {"leads": [lead], "events": events,
            "outcomes": [{"lead_id": "T1", "closed_at": "2026-06-23T08:00:00Z", "status": "lost"}]}  # fmt: skip
    assert desk.post("/v1/events", json=body, headers={"x-api-key": SELLER_SECRET}).status_code == 200
    told = get(desk, "/app/leads/T1").text
    assert re.search(r"<dt>source</dt><dd>paid search</dd>", told)
    page = re.sub(r"<[^>]+>|\s+", " ", told.partition("Timeline")[2])
    page = re.sub(" +", " ", page)
    assert "2026-06-23 08:00 outcome: lost" in page
    assert "2026-06-22 08:00 unanswered call from us" in page
    assert "2026-06-20 09:00 page visit channel web" in page
    assert "2026-06-20 12:00 demo request channel web" in page
    assert "2026-06-20 13:00 download campaign summer sale" in page
    assert "2026-06-20 10:00 missed meeting from us" in page
    assert "2026-06-20 11:00 call from them" in page
    assert "2026-06-21 08:00 e-mail opened channel email cost 0.5" in page
    assert "The score has not moved" in page


def test_a_closed_lead_is_no_lead_to_call(desk: Service) -> None:
    key, closed = {"x-api-key": SELLER_SECRET}, {"lead_id": "T2", "closed_at": "2026-06-23T08:00:00Z", "status": "won"}
    lead = {"lead_id": "T2", "created_at": "2026-06-20T08:00:00Z"}
    assert desk.post("/v1/events", json={"leads": [lead]}, headers=key).status_code == 200
    page = get(desk, "/app/leads/T2").text
    assert "likely to be won" in page
    assert "Accept" in page
    assert desk.post("/v1/events", json={"outcomes": [closed]}, headers=key).status_code == 200
    page = get(desk, "/app/leads/T2").text
    assert re.search(r"<h1>T2</h1>\s*<p class=\"chance\"><strong>Won on 2026-06-23</strong></p>", page)
    assert not re.search(r"likely to be won|Accept|Reject|What speaks|class=\"grade", page)
    late = desk.post("/app/verdicts/T2", data={"verdict": "accept"}, headers=OURS | signed_in(SELLER_SECRET))
    assert late.status_code == 303
    assert "accepted by seller" in get(desk, "/app/leads/T2").text, "what was said is kept, however late"


def test_a_page_leaves_out_the_side_that_the_model_does_not_use(desk: Service, scorer: LeadScorer) -> None:
    address = f"/app/leads/{still_open(desk)}"
    assert re.search(r'<p class="sides">fit \d+, intent \d+', get(desk, address).text)
    blind = copy.copy(scorer)
    alike = Reference.of(np.zeros(3), np.ones(3))
    blind.population = dataclasses.replace(scorer.population, fit=alike)
    desk.model.use(blind)
    page = get(desk, address).text
    assert re.search(r'<p class="sides">intent \d+', page)
    assert "this model doesn't use the profile" in page


def test_reasons_of_both_sides_are_named_alike(desk: Service) -> None:
    page = get(desk, "/app").text
    for side in ("for it", "against it"):
        assert f'<li><span class="side">{side}</span>' in page


@pytest.mark.parametrize("lead_id", ["a/b?c#d e", 'x"><script>alert(1)</script>', "ümlaut/../../docs", "=1+1"])
def test_an_id_of_any_text_is_shown_and_led_to(desk: Service, lead_id: str) -> None:
    lead = {"lead_id": lead_id, "created_at": "2026-06-20T08:00:00Z", "source": "<i>web</i>"}
    said = desk.post("/v1/events", json={"leads": [lead]}, headers={"x-api-key": SELLER_SECRET})
    assert said.status_code == 200
    page = get(desk, f"/app/leads/{step(lead_id)}")
    assert page.status_code == 200
    assert (
        f"<h1>{html.escape(lead_id, quote=True).replace('&#x27;', '&#39;').replace('&quot;', '&#34;')}</h1>"
        in page.text
    )
    assert "<script" not in page.text
    assert "&lt;i&gt;web&lt;/i&gt;" in page.text
    form = re.findall(r'action="(/app/verdicts/[^"]+)"', page.text)[0]
    assert desk.post(form, data={"verdict": "accept"}, headers=OURS | signed_in(SELLER_SECRET)).status_code == 303
    assert "accepted by seller" in get(desk, f"/app/leads/{step(lead_id)}").text


def test_an_unknown_lead_is_said_on_a_page(desk: Service) -> None:
    answer = get(desk, "/app/leads/nobody")
    assert answer.status_code == 404
    assert "<h1>There is no such lead</h1>" in answer.text


def test_an_unknown_room_is_said_on_a_page(desk: Service) -> None:
    with_admin = Key.mint("admin", ["admin", "score"])
    answer = desk.guarded_by(Access(ApiKeys([with_admin[0]], "here"))).get(
        "/app/attic", headers=signed_in(with_admin[1])
    )
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>There is no such page</h1>" in answer.text
    assert not re.search("route|/docs|leadscore key", answer.text)


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(desk: Service) -> None:
    for path in ("/app", f"/app/leads/{listed(get(desk, '/app'))[0]}", "/app/sign-in"):
        answer = get(desk, path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in policy
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)
        assert not re.search(r'(?:href|src|action)="(?!/app|#)', answer.text)
        assert answer.headers["cache-control"] == "private, no-store"


def test_the_style_sheet_may_be_kept_for_ever(desk: Service) -> None:
    address = re.findall(r'<link rel="stylesheet" href="([^"]+)"', desk.get("/app/sign-in").text)[0]
    answer = desk.get(address)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


def test_no_key_is_ever_logged(desk: Service) -> None:
    desk.post("/app/sign-in", data={"key": SELLER_SECRET}, headers=OURS)
    get(desk, "/app?search=Mrs+Secret")
    lines = "\n".join(desk.log)
    assert SELLER_SECRET not in lines
    assert "Secret" not in lines
    assert '"route": "/app"' in lines


def test_without_keys_nobody_need_sign_in(stored_service: Service) -> None:
    page = stored_service.get("/app")
    assert page.status_code == 200
    assert "Sign out" not in page.text
    assert "Both are kept with your reason" in page.text, "nobody knows a name"
    lead_id = listed(page)[5]
    answer = stored_service.post(f"/app/verdicts/{lead_id}", data={"verdict": "accept"}, headers=OURS)
    assert answer.status_code == 303
    assert "accepted" in stored_service.get(f"/app/leads/{lead_id}").text


def test_a_reason_that_says_accept_accepts_nothing(new_url: Any, sample: ls.Data) -> None:
    store = open_store(new_url("sqlite"), sample.project)
    lead = {"lead_id": "L1", "created_at": "2026-06-20T08:00:00Z"}
    said = [{"event_id": f"V{n}", "lead_id": "L1", "verdict": verdict, "reason": "accept"}
            for n, verdict in enumerate(("accept", "reject"))]  # fmt: skip
    store.journal.append(parse(sample.project, {"leads": [lead], "verdicts": said}, most_rows=9).rows, lambda: NOW)
    assert _verdicts(store, whole(store.journal)).accepted.tolist() == [True, False]
    store.close()


def test_what_was_taken_back_counts_no_more(new_url: Any, sample: ls.Data) -> None:
    store = open_store(new_url("sqlite"), sample.project)
    leads = [{"lead_id": lead, "created_at": "2026-06-20T08:00:00Z"} for lead in ("L1", "L2")]
    told = [("L1", "reject"), ("L2", "accept"), ("L1", "withdraw"), ("L1", "accept"), ("L2", "withdraw")]
    said = [{"event_id": f"V{n}", "lead_id": lead, "verdict": verdict} for n, (lead, verdict) in enumerate(told)]
    store.journal.append(parse(sample.project, {"leads": leads, "verdicts": said}, most_rows=9).rows, lambda: NOW)
    found = _verdicts(store, whole(store.journal))
    assert (found.lead.tolist(), found.accepted.tolist()) == ([0], [True])
    store.close()


def test_rooms_are_filled_by_what_is_measured(kept_store: Store, scorer: LeadScorer, tmp_path: Path) -> None:
    with serving(kept_store, rooms=tmp_path / "rooms") as service:
        service.model.use(scorer)
        assert "Come back in a few minutes" in service.get("/app/funnel").text
        assert service.get("/app/tables/funnel.csv").status_code == 404
        measure(kept_store, scorer, tmp_path / "rooms", now=NOW)
        page = service.get("/app/funnel").text
        assert "where leads leak" in page
        assert "Measured less than a minute ago" in page
        assert f"<dd>{time.format_instant(NOW)[:16].replace('T', ' ')} UTC</dd>" in page
        assert re.search(r'<div class="behind" id="l[-0-9]+".*\n.*\n<p><a href="/app/leads/L\d+">', page)
        assert not re.search(r"<style|\sstyle=", page)
        table = service.get("/app/tables/funnel.csv")
        assert table.headers["content-type"].startswith("text/csv")
        assert table.text.startswith("stage,leads,")
        assert "Wins credited" in service.get("/app/channels").text
        assert "[sla]" in service.get("/app/agreement").text, "nothing is agreed in the sample"
        assert service.get("/app/tables/..%2fcounts.csv").status_code == 404


def test_every_page_says_when_events_have_stopped(
    filled_store: Path, sample: ls.Data, scorer: LeadScorer, tmp_path: Path
) -> None:
    store = open_store(str(shutil.copy(filled_store, tmp_path / "store.db")), sample.project)
    until = store.journal.until()
    with serving(store, rooms=tmp_path / "rooms") as service:
        service.model.use(scorer)
        (tmp_path / "rooms").mkdir()
        assert "No events are known" not in service.get("/app").text, "nobody has measured how they arrive"
        silence.write(tmp_path / "rooms", Pulse(NOW, 3 * time.DAY), until=until)
        said = "what stands here is as of 1 May 2026."
        pages = ("/app", "/app/leads/L000007")
        assert all(
            re.search(f"No events are known from the last [0-9,]+ days: {said}", service.get(page).text)
            for page in pages
        )
        assert said not in service.get("/app/funnel").text, "a room says it of itself"
        verdict = {"event_id": "v", "lead_id": "L000007", "verdict": "accept"}
        assert service.post("/v1/events", json={"verdicts": [verdict]}).status_code == 200
        assert said in service.get("/app").text, "what a seller says is no event"
        for event_id, day, is_silent in (("old", "2026-04-30", True), ("new", "2026-05-02", False)):
            touch = {"event_id": event_id, "lead_id": "L000007", "occurred_at": f"{day}T08:00:00Z", "channel": "email"}
            assert service.post("/v1/events", json={"events": {"touchpoints": [touch]}}).status_code == 200
            assert (said in service.get("/app").text) is is_silent, "a late arrival of an old event ends no silence"
        assert not any(said in service.get(page).text for page in pages)
    store.close()


def test_a_pulse_of_now_says_nothing(kept_store: Store, tmp_path: Path) -> None:
    silence.write(tmp_path, Pulse(NOW, time.DAY), until=kept_store.journal.until())
    assert silence.told(kept_store, tmp_path, now=NOW + 2 * time.DAY) is None
    told = silence.told(kept_store, tmp_path, now=NOW + 4 * time.DAY)
    assert told == "No events are known from the last 4 days: what stands here is as of 1 May 2026."
    assert silence.told(kept_store, None, now=NOW + 4 * time.DAY) is None


def test_a_room_says_that_events_have_stopped_and_which_leads_it_leaves_out(
    filled_store: Path, sample: ls.Data, scorer: LeadScorer, tmp_path: Path
) -> None:
    store = open_store(str(shutil.copy(filled_store, tmp_path / "store.db")), sample.project)
    later = time.parse_instant("2026-07-20T00:00:00Z", "UTC")
    measure(store, scorer, tmp_path / "rooms", now=later)
    page = (tmp_path / "rooms" / "funnel.html").read_text()
    assert re.search(r"No events are known from the last 2\d days: the numbers are those of 2\d June 2026\.", page)
    data = whole(store.journal)
    created = data.leads.created
    everybody = open_leads(data, later).lead
    n_older = int((created[everybody] < later - 365 * time.DAY).sum())
    assert n_older
    assert f"(all open leads: {len(everybody):,}, with {n_older} created before 2025-07-20)" in page
    assert silence.told(store, tmp_path / "rooms", now=later) is not None
    store.close()


def test_a_figure_needs_no_style_of_its_own() -> None:
    drawn = (
        '<?xml?><svg width="20pt" height="10pt"><metadata>x</metadata><defs><style type="text/css">*{}</style></defs>'
    )
    drawn += '<path style="fill: none; stroke: #fff"/></svg>'
    assert inline(drawn, "what it shows") == (
        '<svg role="img" aria-label="what it shows" viewBox="0 0 20 10" class="chart" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><defs></defs>'
        '<path fill="none" stroke="#fff"/></svg>'
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "less than a minute"), (60, "1 minute"), (7_199, "2 hours"), (86_400 * 4.9, "5 days")],
)
def test_ages_are_said_as_reasons_say_them(seconds: float, said: str) -> None:
    assert ago(seconds) == said == catalogue().duration(seconds / 86_400)[0]


@pytest.mark.parametrize(("span", "said"), [("30d", "30 days"), ("1w", "1 week"), ("36h", "36 hours"), ("", "")])
def test_a_span_is_spelled_out(span: str, said: str) -> None:
    assert spelled(span) == said
