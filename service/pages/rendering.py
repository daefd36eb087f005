"""Templates → HTML: everything escaped, no script, nothing from other hosts."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from leadscore.phrases.catalogue import catalogue
from service.access import PAGES

if TYPE_CHECKING:
    from jinja2 import Environment

HOME = PAGES
SIGN_IN = f"{HOME}/sign-in"
STYLE_PATH = f"{HOME}/style.css"
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "cache-control": "private, no-store",
}


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Answer a template of this package, filled with values."""
    text = _environment().get_template(template).render(home=HOME, style=style_address(), **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def refusal(title: str, detail: str, status: int) -> HTMLResponse:
    """Answer a refusal to a person."""
    return page("refusal.html", status=status, title=title, detail=detail)


def style() -> Response:
    """Answer the style sheet; its address changes with it, so it may be kept for ever."""
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_style(), media_type="text/css; charset=utf-8", headers=headers)


@cache
def style_address() -> str:
    """Return where the style sheet is."""
    return f"{STYLE_PATH}?v={hashlib.sha256(_style().encode()).hexdigest()[:12]}"


@cache
def _style() -> str:
    return files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def read(name: str) -> str:
        return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"ago": ago, "percent": percent, "spelled": spelled, "step": step}
    return environment


def step(text: str) -> str:
    """Return a text as one step of a path, whatever slashes it holds."""
    return quote(text, safe="")


def lead_address(lead_id: str) -> str:
    """Return where a lead has its page."""
    return f"{HOME}/leads/{step(lead_id)}"


def percent(chance: float) -> str:
    """Say a probability in percent, below a tenth with one decimal: ``3.7 %``, ``24 %``."""
    return f"{100 * chance:.1f} %" if chance < 0.1 else f"{100 * chance:.0f} %"


def spelled(span: str) -> str:
    """Spell a span out as a person writes it: ``30 days`` of ``30d``."""
    return catalogue().span(span) if span else span


def ago(seconds: float) -> str:
    """Say how long something is, rounded and in a person's unit, as reasons do: ``3 days``, ``5 minutes``."""
    return catalogue().duration(seconds / 86_400)[0]
