"""The rooms below ``/app``: what sellers and marketers see of the store."""

from __future__ import annotations

import json
import secrets
import time as clock
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from leadscore.model.population import WORST
from service.access import Access
from service.pages import session, silence
from service.pages.call_list import MOST_CALLS, called, listed, verdict_on
from service.pages.lead import MOST_REASONS, portrait
from service.pages.pictures import plain
from service.pages.rendering import HOME, SIGN_IN, STYLE_PATH, page, style
from service.problems import INVALID, NOT_FOUND, Problem
from service.store.arrivals import ACCEPT, REJECT, VERDICTS
from service.store.scores import EVERYBODY, UNJUDGED, WAITING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.lead_routes import LeadAnswers

ROOMS = (
    (HOME, "Call list"),
    (f"{HOME}/channels", "Channels"),
    (f"{HOME}/funnel", "Funnel"),
    (f"{HOME}/agreement", "Agreement"),
)
AGES = ("7d", "30d", "90d")
N_LEADS = 50
JUDGED = "judged"
MOST_CHOICES = 200
PARTS = {
    "time": "time that passed",
    "fields": "edited fields",
    "events": "new events",
    "others": "other leads",
    "model": "another model",
}
"""The parts of a receipt, as a seller reads them."""
VERDICT_CHOICES = (
    ("", "all but rejected"),
    (UNJUDGED, "not judged yet"),
    (ACCEPT, "accepted"),
    (REJECT, "rejected"),
    (EVERYBODY, "all"),
)
"""What a seller asks for by what was said of leads; without a word those that nobody rejected: it is a list to call."""
ORDER_CHOICES = (("", "the best first"), (WAITING, "who waits for us longest"))
_FILTERS = ("search", "grade", "source", "owner", "max_age", "verdict", "order", "calls")
_OURS = ("calls",)
"""Filters that the API's list doesn't have."""


def add_desk(api: FastAPI, leads: LeadAnswers, access: Access) -> None:
    """Add the rooms to the public routes."""
    desk = _Desk(leads, access)
    routes: tuple[tuple[str, Callable[..., Any], str], ...] = (
        (HOME, desk.call_list, "GET"),
        (f"{HOME}/leads/{{lead_id:text}}", desk.lead, "GET"),
        *((address, desk.room, "GET") for address, _ in ROOMS[1:]),
        (f"{HOME}/tables/{{name}}.csv", desk.table, "GET"),
        (f"{HOME}/verdicts/{{lead_id:text}}", desk.verdict, "POST"),
        (SIGN_IN, desk.ask, "GET"),
        (SIGN_IN, desk.sign_in, "POST"),
        (f"{HOME}/sign-out", desk.sign_out, "POST"),
        (STYLE_PATH, desk.style, "GET"),
    )
    for path, endpoint, method in routes:
        api.add_api_route(path, endpoint, methods=[method], include_in_schema=False, response_class=Response)


class _Desk:
    """Answers with pages."""

    def __init__(self, leads: LeadAnswers, access: Access) -> None:
        self._leads = leads
        self._access = access

    async def call_list(self, request: Request) -> Response:
        """The call list: filtered, paged, with a line after the leads that can be called."""
        store, now = self._leads.leads.store, _now()
        project = store.journal.project
        filters = {name: value for name in _FILTERS if (value := request.query_params.get(name, "").strip())}
        calls = _whole(filters.get("calls"), most=MOST_CALLS, name="calls")
        first = _whole(request.query_params.get("first"), most=10_000_000, name="first") or 0
        asked = {name: value for name, value in filters.items() if name not in _OURS}
        cursor = request.query_params.get("cursor")
        query = self._leads.list_query(asked | ({"cursor": cursor} if cursor else {}) | {"limit": str(N_LEADS)}, now)
        found = await self._leads.read(lambda: listed(store, query, n_calls=calls, first=first, now=now))
        following = None
        if found.cursor is not None:
            following = _address(filters | {"cursor": found.cursor, "first": str(first + len(found.entries))})
        return await self._page(
            request,
            "call_list.html",
            room="Call list",
            listed=found,
            first=first,
            asked={name: filters.get(name) for name in _FILTERS},
            grades=(*project.grades, WORST),
            choices=[
                (name, title, values)
                for name, title, role in (("source", "Source", "origin"), ("owner", "Owner", "owner"))
                if (values := self._choices(role))
            ],
            ages=AGES,
            verdicts=VERDICT_CHOICES,
            orders=ORDER_CHOICES,
            rejected=_address(filters | {"verdict": REJECT}),
            judged=await self._judged(request),
            most_calls=MOST_CALLS,
            horizon=project.task.horizon_text,
            start=_address(filters),
            next=following,
        )  # fmt: skip

    async def _judged(self, request: Request) -> tuple[str, Mapping[str, Any] | None] | None:
        """The lead of which something was said just now, and what, so that it can be taken back."""
        lead_id = request.query_params.get(JUDGED)
        if lead_id is None or "\0" in lead_id:
            return None
        store = self._leads.leads.store
        return lead_id, await self._leads.read(lambda: verdict_on(store, lead_id))

    def _choices(self, role: str) -> list[tuple[str, str]]:
        """The sources or owners that the base was counted by, and what they are called; some of very many."""
        counted = self._leads.leads.counted
        found = [] if counted is None else sorted(counted.counts.groups.get(role, ()))[:MOST_CHOICES]
        return [(value, called(role, value)) for value in found]

    async def lead(self, request: Request, lead_id: str) -> Response:
        """One lead."""
        current = self._leads.model.current
        found = await self._leads.in_thread(lambda: portrait(self._leads.leads, current, lead_id, now=_now()))
        return await self._page(request, "lead.html", room="", lead=found, parts=PARTS, most_reasons=MOST_REASONS)

    async def room(self, request: Request) -> Response:
        """A room that is measured now and then."""
        name = request.url.path.rpartition("/")[2]
        title = next(title for address, title in ROOMS if address.endswith(f"/{name}"))
        found = await self._leads.in_thread(lambda: self._measured(f"{name}.html"))
        there = [table for table in self._tables() if table.startswith(name)]
        agreed = self._leads.leads.store.journal.project.sla.qualified is not None
        body, age = (None, 0.0) if found is None else (plain(found.text), max(0.0, clock.time() - found.at))
        shown = {"title": title, "body": body, "age": age, "tables": there, "agreed": agreed}
        return await self._page(request, "room.html", room=title, **shown)

    async def table(self, request: Request, name: str) -> Response:
        """A table of a room."""
        found = None
        if name in self._tables():
            found = await self._leads.in_thread(lambda: self._measured(f"{name}.csv"))
        if found is None:
            raise Problem(NOT_FOUND, "There is no such table, or it was not measured yet")
        headers = {"content-disposition": f'attachment; filename="{name}.csv"', "cache-control": "private, no-store"}
        return Response(found.text, media_type="text/csv; charset=utf-8", headers=headers)

    def _tables(self) -> list[str]:
        """The tables that were measured."""
        rooms = self._leads.rooms
        return [] if rooms is None else sorted(path.stem for path in rooms.glob("*.csv"))

    def _measured(self, name: str) -> _Measured | None:
        path = None if self._leads.rooms is None else self._leads.rooms / name
        if path is None or not path.exists():
            return None
        return _Measured(path.read_bytes().decode("utf-8"), path.stat().st_mtime)

    async def verdict(self, request: Request, lead_id: str) -> Response:
        """Store what a seller says of a lead, of a closed one too, as `POST /v1/events` does, and lead back."""
        form = await session.form_of(request)
        if form.get("verdict") not in VERDICTS:
            raise Problem(INVALID, "A verdict is accept, reject or withdraw")
        said: dict[str, Any] = {
            "event_id": f"page-{secrets.token_hex(12)}",
            str(self._leads.leads.store.journal.project.leads.id): lead_id,
            "verdict": form["verdict"],
        }
        if form.get("reason", "").strip():
            said["reason"] = form["reason"].strip()
        key = request.scope["state"].get("key")
        if key is not None:
            said["by"] = key.name
        await self._leads.events(json.dumps({"verdicts": [said]}).encode())
        return RedirectResponse(_with_judged(session.inside(form.get("back", HOME)), lead_id), status_code=303)

    async def ask(self, request: Request) -> Response:
        """The page that asks for a key."""
        return session.sign_in_page(after=request.query_params.get("after", HOME))

    async def sign_in(self, request: Request) -> Response:
        """Take a key."""
        return await session.sign_in(request, self._access)

    async def sign_out(self, request: Request) -> Response:
        """Forget it."""
        return await session.sign_out(request)

    async def style(self, request: Request) -> Response:
        """The style sheet."""
        return style()

    async def _page(self, request: Request, template: str, **values: Any) -> Response:
        key = request.scope["state"].get("key")
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        may_write = key is None or "write" in key.scopes
        signed_in = None if key is None else key.name
        about: dict[str, Any] = {"rooms": ROOMS, "signed_in": signed_in, "may_write": may_write, "here": here}
        return page(template, **about, silence=await self._silence(request), **values)

    async def _silence(self, request: Request) -> str | None:
        """What is said above a page when events have stopped; a room says it itself, as of its measuring."""
        if request.url.path in {address for address, _ in ROOMS[1:]}:
            return None
        leads = self._leads
        return await leads.read(lambda: silence.told(leads.leads.store, leads.rooms, now=_now()))


class _Measured(NamedTuple):
    """What a file of a room holds, and when it was written, seconds since 1970."""

    text: str
    at: float


def _address(query: Mapping[str, str]) -> str:
    return f"{HOME}?{urlencode(query, quote_via=quote)}" if query else HOME


def _with_judged(back: str, lead_id: str) -> str:
    """An address of the list with the lead of which something was just said; the lead's own page shows it anyway."""
    address = urlsplit(back)
    if address.path != HOME:
        return back
    kept = {name: value for name, value in parse_qsl(address.query) if name != JUDGED}
    return _address(kept | {JUDGED: lead_id})


def _whole(text: str | None, *, most: int, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
        raise Problem(INVALID, f"{name} must be a whole number from 1 to {most:,}")
    return int(text) or None


def _now() -> int:
    return clock.time_ns() // 1_000
