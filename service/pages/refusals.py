"""A refusal as whoever asked can read it: a page below ``/app``, a problem everywhere else."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from service.access import is_page
from service.pages.rendering import SIGN_IN, refusal
from service.problems import UNAUTHENTICATED, Problem


def respond(problem: Problem, path: str, request_id: str) -> Response:
    """Answer a problem; who isn't signed in is led to where that is done."""
    if not is_page(path):
        return problem.response(request_id)
    if problem.kind is UNAUTHENTICATED:
        return RedirectResponse(f"{SIGN_IN}?after={quote(path)}", status_code=303)
    return refusal(problem.kind.title, problem.detail, problem.status)
