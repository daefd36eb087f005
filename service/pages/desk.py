"""The rooms below ``/app``: what sellers and marketers see of the store."""

from __future__ import annotations

import json
import math
import secrets
import time as clock
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from leadscore.model.population import WORST
from service.access import Access
from service.pages import session
from service.pages.call_list import MOST_CALLS, listed
from service.pages.lead import portrait
from service.pages.rendering import HOME, SIGN_IN, STYLE_PATH, page, style
from service.problems import INVALID, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.lead_routes import LeadAnswers

ROOMS = ((HOME, "Call list"),)
AGES = ("7d", "30d", "90d")
N_LEADS = 50
CHOICES_SECONDS = 60.0
PARTS = {
    "time": "time that passed",
    "fields": "edited fields",
    "events": "new events",
    "others": "other leads",
    "model": "another model",
}
"""The parts of a receipt, as a seller reads them."""
_FILTERS = ("search", "grade", "source", "owner", "max_age", "calls")


def add_desk(api: FastAPI, leads: LeadAnswers, access: Access) -> None:
    """Add the rooms to the public routes."""
    desk = _Desk(leads, access)
    for path, endpoint, method in (
        (HOME, desk.call_list, "GET"),
        (f"{HOME}/leads/{{lead_id:text}}", desk.lead, "GET"),
        (f"{HOME}/verdicts/{{lead_id:text}}", desk.verdict, "POST"),
        (SIGN_IN, desk.ask, "GET"),
        (SIGN_IN, desk.sign_in, "POST"),
        (f"{HOME}/sign-out", desk.sign_out, "POST"),
        (STYLE_PATH, desk.style, "GET"),
    ):
        api.add_api_route(path, endpoint, methods=[method], include_in_schema=False, response_class=Response)


class _Desk:
    """Answers with pages."""

    def __init__(self, leads: LeadAnswers, access: Access) -> None:
        self._leads = leads
        self._access = access
        self._chosen: Mapping[str, list[str]] = {}
        self._chosen_at = -math.inf

    async def call_list(self, request: Request) -> Response:
        """The call list: filtered, paged, with a line after the leads that can be called."""
        store, now = self._leads.leads.store, _now()
        project = store.journal.project
        filters = {name: value for name in _FILTERS if (value := request.query_params.get(name, "").strip())}
        calls = _whole(filters.get("calls"), most=MOST_CALLS, name="calls")
        first = _whole(request.query_params.get("first"), most=10_000_000, name="first") or 0
        asked = {name: value for name, value in filters.items() if name != "calls"}
        cursor = request.query_params.get("cursor")
        query = self._leads.list_query(asked | ({"cursor": cursor} if cursor else {}) | {"limit": str(N_LEADS)}, now)
        found = await self._leads.read(lambda: listed(store, query, n_calls=calls, first=first, now=now))
        choices = await self._choices()
        following = None
        if found.cursor is not None:
            following = _address(filters | {"cursor": found.cursor, "first": str(first + len(found.entries))})
        return self._page(
            request,
            "call_list.html",
            room="Call list",
            listed=found,
            first=first,
            asked={name: filters.get(name) for name in _FILTERS},
            grades=(*project.grades, WORST),
            choices=[(name, title, choices[name]) for name, title in (("source", "Source"), ("owner", "Owner"))
                     if choices[name]],
            ages=AGES,
            most_calls=MOST_CALLS,
            horizon=project.task.horizon_text,
            start=_address(filters),
            next=following,
        )  # fmt: skip

    async def _choices(self) -> Mapping[str, list[str]]:
        """What can be filtered by, as of at most a minute ago: to find out reads the whole list."""
        if clock.monotonic() - self._chosen_at > CHOICES_SECONDS or not any(self._chosen.values()):
            self._chosen = await self._leads.in_thread(self._leads.leads.store.scores.choices)
            self._chosen_at = clock.monotonic()
        return self._chosen

    async def lead(self, request: Request, lead_id: str) -> Response:
        """One lead."""
        current = self._leads.model.current
        found = await self._leads.in_thread(lambda: portrait(self._leads.leads, current, lead_id, now=_now()))
        return self._page(request, "lead.html", room="", lead=found, parts=PARTS)

    async def verdict(self, request: Request, lead_id: str) -> Response:
        """Store what a seller says of a lead, and lead back."""
        form = await session.form_of(request)
        if form.get("verdict") not in ("accept", "reject"):
            raise Problem(INVALID, "A verdict is accept or reject")
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
        return RedirectResponse(session.inside(form.get("back", HOME)), status_code=303)

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

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        key = request.scope["state"].get("key")
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        may_write = key is None or "write" in key.scopes
        signed_in = None if key is None else key.name
        return page(template, rooms=ROOMS, signed_in=signed_in, may_write=may_write, here=here, **values)


def _address(query: Mapping[str, str]) -> str:
    return f"{HOME}?{urlencode(query, quote_via=quote)}" if query else HOME


def _whole(text: str | None, *, most: int, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
        raise Problem(INVALID, f"{name} must be a whole number, at most {most:,}")
    return int(text) or None


def _now() -> int:
    return clock.time_ns() // 1_000
