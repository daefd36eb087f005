"""Who may call what: one table of paths, and what it takes to be let in."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from service.keys import FILE_VARIABLE, MINT, ApiKeys, Key
from service.problems import FOREIGN_HOST, NO_KEYS, NOT_FOUND, SCOPE_MISSING, UNAUTHENTICATED, Problem

OPEN = frozenset(
    {"/", "/docs", "/openapi.json", "/healthz", "/livez", "/readyz", "/app/sign-in", "/app/sign-out", "/app/style.css"}
)
"""Paths that need no key."""
SCOPE_OF = {
    "/v1/score": "score",
    "/v1/score/batch": "score",
    "/v1/model": "score",
    "/v1/leads": "score",
    "/v1/leads/": "score",
    "/v1/events": "write",
    "/score": "score",
    "/schema.json": "score",
    "/metrics": "admin",
    "/app": "score",
    "/app/verdicts/": "write",
    "/app/": "score",
}
"""Path → scope; one that ends in a slash stands for all below it, the first that fits.

What isn't here is there for `admin` alone.
"""

PAGES = "/app"
"""What people look at, and sign in to."""
COOKIE = "leadscore_key"
"""Holds the API key of a signed-in browser; no script sees it, no other site can send it."""

KEYLESS_VARIABLE = "LEADSCORE_KEYLESS"
KEYLESS_ON_LOOPBACK = "loopback"
"""Set by ``leadscore serve`` where it listens on a loopback address alone."""

HOW_TO_CONFIGURE = f"Mint one with: {MINT} --file keys.toml; then start with {FILE_VARIABLE}=keys.toml"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]+)?")


def is_page(path: str) -> bool:
    """Whether a path is one that people look at."""
    return path == PAGES or path.startswith(f"{PAGES}/")


def scope_of(path: str) -> str | None:
    """Return the scope that the table gives a path or a route template; None if it isn't there."""
    path = path.removesuffix("\n")  # a route's pattern ends in $, which matches before a last line break too
    if path in SCOPE_OF:
        return SCOPE_OF[path]
    below = (scope for prefix, scope in SCOPE_OF.items() if prefix.endswith("/") and path.startswith(prefix))
    return next(below, None)


@dataclass(frozen=True)
class Access:
    """What a service asks of a request: a key; without keys a loopback address; without that it answers nobody."""

    keys: ApiKeys | None
    keyless: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Access:
        """Read the keys, and whether the service may do without.

        Raises
        ------
        LeadScoreError
            If there are keys and something is wrong with them.
        """
        return cls(ApiKeys.of(environment), environment.get(KEYLESS_VARIABLE) == KEYLESS_ON_LOOPBACK)

    def identify(self, path: str, headers: Headers) -> Key | None:
        """Return the key that a request presents, or None where none is needed.

        Raises
        ------
        Problem
            401 without a valid key, 503 if no keys are configured, 403 if it was sent to another host's name
            while keys are off: a page elsewhere may have rebound its name to this machine.
        """
        if self.keys is None and self.keyless:
            if not is_loopback(_host_name(headers.get("host", ""))):
                raise Problem(FOREIGN_HOST, "Without API keys the service answers to localhost alone. Call it so")
            return None
        if path in OPEN:
            return None
        if self.keys is None:
            raise Problem(NO_KEYS, f"The service has no API keys and answers nobody. {HOW_TO_CONFIGURE}")
        presented = _presented(headers) or _of_browser(path, headers)
        key = self.keys.find(presented.pop()) if len(presented) == 1 else None
        if key is None:
            detail = "Send a valid API key as Authorization: Bearer KEY, or as X-API-Key: KEY"
            raise Problem(UNAUTHENTICATED, detail, headers={"www-authenticate": "Bearer"})
        return key


def authorize(key: Key, path: str) -> None:
    """Let a key pass, or not.

    Raises
    ------
    Problem
        403 if the path needs a scope that the key lacks; 404 if the table doesn't name the path: whatever may be
        there is for `admin`.
    """
    scope = scope_of(path)
    if (scope or "admin") in key.scopes:
        return
    if scope is None:
        raise Problem(NOT_FOUND, "No such route. /docs lists them")
    raise Problem(SCOPE_MISSING, f"This route needs a key with the scope {scope}")


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone: localhost, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(header: str) -> str:
    found = _HOST.fullmatch(header)
    return found[1].strip("[]") if found else ""


def _of_browser(path: str, headers: Headers) -> set[bytes]:
    """Return the secret that a signed-in browser sends with the requests for its pages, and with no others."""
    if not is_page(path):
        return set()
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return set()
    return set() if found is None else {found.value.encode("utf-8", "replace")}


def _presented(headers: Headers) -> set[bytes]:
    """Return the secrets that a request sends. Two that differ are none: which of them was meant is a guess."""
    secrets = {value.encode("latin-1") for value in headers.getlist("x-api-key")}
    for value in headers.getlist("authorization"):
        scheme, _, secret = value.partition(" ")
        if scheme.lower() == "bearer":
            secrets.add(secret.strip().encode("latin-1"))
    return secrets
