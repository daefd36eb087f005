"""Signing in: the API key itself, in a cookie that no script sees and no other site can send."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.access import COOKIE, Access
from service.pages.rendering import HOME, SIGN_IN, page
from service.problems import FOREIGN_FORM, TOO_LARGE, Problem

_MOST_BYTES = 10_000


async def form_of(request: Request) -> dict[str, str]:
    """Read a form that one of our own pages sent.

    Raises
    ------
    Problem
        403 if another site's page sent it, 413 if it is too large for any of our forms.
    """
    headers = request.headers
    own = urlsplit(headers.get("origin", "")).netloc == headers.get("host")
    if not own and headers.get("sec-fetch-site") != "same-origin":
        raise Problem(FOREIGN_FORM, "This form was sent by another site, or by a browser that doesn't say whose it is")
    body = await request.body()
    if len(body) > _MOST_BYTES:
        raise Problem(TOO_LARGE, "No form of this page is so long")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


def sign_in_page(*, failed: bool = False, after: str = HOME) -> Response:
    """Ask for the key."""
    return page("sign_in.html", status=401 if failed else 200, failed=failed, after=inside(after), sign_in=SIGN_IN)


async def sign_in(request: Request, access: Access) -> Response:
    """Take a key, and lead to where the person wanted to go."""
    form = await form_of(request)
    secret, after = form.get("key", "").strip(), inside(form.get("after", HOME))
    known = access.keys is not None and access.keys.find(secret.encode("utf-8", "replace")) is not None
    if not known and not access.keyless:
        return sign_in_page(failed=True, after=after)
    answer = RedirectResponse(after, status_code=303)
    if known:
        answer.set_cookie(
            COOKIE, secret, path=HOME, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
    return answer


async def sign_out(request: Request) -> Response:
    """Forget the key."""
    await form_of(request)
    answer = RedirectResponse(SIGN_IN, status_code=303)
    answer.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")
    return answer


def inside(address: str) -> str:
    """An address of ours, whatever was asked for: a sign-in must lead nowhere else."""
    return address if address == HOME or address.startswith((f"{HOME}/", f"{HOME}?")) else HOME
