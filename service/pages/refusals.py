"""A refusal as whoever asked can read it: a page below ``/app``, a problem everywhere else."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from service.access import is_page
from service.pages.rendering import SIGN_IN, refusal
from service.problems import INVALID, NOT_FOUND, SCOPE_MISSING, UNAUTHENTICATED, UNKNOWN_LEAD, Kind, Problem

_FOR_PEOPLE: dict[Kind, tuple[str, str | None]] = {
    NOT_FOUND: ("There is no such page", "The address may be mistyped, or what was here is gone"),
    UNKNOWN_LEAD: ("There is no such lead", "No lead with this id is known here; look for it on the call list"),
    INVALID: ("That can't be shown", None),
    SCOPE_MISSING: ("Your key doesn't open this", None),
}
"""Title and detail as somebody at a page reads them, where those of the API are for developers; None: as they are."""


def respond(problem: Problem, path: str, request_id: str) -> Response:
    """Answer a problem; who isn't signed in is led to where that is done."""
    if not is_page(path):
        return problem.response(request_id)
    if problem.kind is UNAUTHENTICATED:
        return RedirectResponse(f"{SIGN_IN}?after={quote(path)}", status_code=303)
    title, detail = _FOR_PEOPLE.get(problem.kind, (problem.kind.title, None))
    return refusal(title, (detail or problem.detail).rstrip("."), problem.status)
