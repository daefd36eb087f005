"""``webhooks.toml``: who is told of which changes. A file of the operator's, as targets and secrets are."""

from __future__ import annotations

import base64
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from leadscore.errors import LeadScoreError
from leadscore.section import Section
from service.store.outbox import Rule
from service.targets import may_reach

GRADES = ("A", "B", "C", "D")
KEYS = "url secret grades moved_by allow_private"
SECRET_BYTES = 24
"""The fewest that a secret has, as Standard Webhooks demands."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MINT = "python -c 'import base64, os; print(\"whsec_\" + base64.b64encode(os.urandom(32)).decode())'"


@dataclass(frozen=True)
class Hook:
    """One webhook. Its name goes to logs and metrics; its URL and secret nowhere.

    Attributes
    ----------
    secret : the bytes that messages are signed with
    allow_private : whether it may be in a private network, and unencrypted
    """

    rule: Rule
    url: httpx.URL = field(repr=False)
    secret: bytes = field(repr=False)
    allow_private: bool

    @property
    def name(self) -> str:
        """What the file calls it."""
        return self.rule.hook


def read_rules(path: Path) -> list[Rule]:
    """Return what the webhooks of a file are told; raises LeadScoreError as `read_hooks` does, secrets apart."""
    return [_rule(section, name) for name, section in _sections(path)]


def read_hooks(path: Path, environment: Mapping[str, str] = os.environ) -> list[Hook]:
    """Read the webhooks of a file.

    Raises
    ------
    LeadScoreError
        If the file can't be read, holds no webhook, or one of them is wrong: it names the file, the table and the
        remedy, and quotes no secret.
    """
    return [_hook(section, name, environment) for name, section in _sections(path)]


def _sections(path: Path) -> Iterable[tuple[str, Section]]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LeadScoreError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise LeadScoreError(f"can't read the webhooks in {path}: {error.strerror}. Mend --webhooks") from None
    tables = dict(Section(raw, "", "webhooks", path.name).sections("webhooks"))
    if not tables:
        raise LeadScoreError(f"{path} holds no webhook. Add one as a table [webhooks.NAME] with url and secret")
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            raise LeadScoreError(f"{path}: a webhook's name is 1 to 64 letters, digits, dashes and underscores")
        if not isinstance(table, dict) or not all(isinstance(table.get(key, ""), str) for key in ("url", "secret")):
            # Said here: a section would quote what it found, which may be a secret.
            raise LeadScoreError(f"{path}: webhooks.{name} must be a table, and its url and secret texts in quotes")
    return [(name, Section(table, f"webhooks.{name}", KEYS, path.name)) for name, table in tables.items()]


def _rule(section: Section, name: str) -> Rule:
    grades, moved_by = section.texts("grades"), section.whole("moved_by")
    if unknown := [grade for grade in grades if grade not in GRADES]:
        raise section.fail(f"grades names {unknown[0]!r}; grades are {', '.join(GRADES)}")
    if set(grades) == set(GRADES):
        raise section.fail("grades names all there are, so none is entered or left. Leave some out")
    if moved_by is not None and moved_by > 100:
        raise section.fail(f"moved_by = {moved_by} is more than a score can move; it has 0 to 100 points")
    if not grades and moved_by is None:
        raise section.fail('says nothing to tell. Add grades = ["A"], moved_by = 15, or both')
    return Rule(name, grades, moved_by)


def _hook(section: Section, name: str, environment: Mapping[str, str]) -> Hook:
    private = section.raw.get("allow_private", False)
    if not isinstance(private, bool):
        raise section.fail("allow_private must be true or false")
    secret = _secret(section, environment)
    return Hook(_rule(section, name), _url(section, allow_private=private), secret, private)


def _url(section: Section, *, allow_private: bool) -> httpx.URL:
    """The target. What is wrong with it is not quoted: it may hold a token."""
    try:
        url = httpx.URL(section.required("url"))
    except httpx.InvalidURL:
        raise section.fail("url is no URL. Write it as https://host/path") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise section.fail("url must be one of https, as https://host/path")
    if url.userinfo or url.fragment:
        raise section.fail("url holds a user, a password or a fragment. Take it out: messages are signed with secret")
    if url.scheme == "http" and not allow_private:
        raise section.fail("url is not encrypted. Use https, or allow_private = true in a network that is yours")
    if _is_address(url.host) and not may_reach(url.host, private=allow_private):
        raise section.fail(
            "url is an address that webhooks are not sent to. Use a public one, or allow_private = true for one of a "
            "private network or this machine"
        )
    return url


def _is_address(host: str) -> bool:
    return ":" in host or bool(re.fullmatch(r"[\d.]+", host))


def _secret(section: Section, environment: Mapping[str, str]) -> bytes:
    named = section.required("secret")
    if not named.startswith("env:"):
        raise section.fail('secret must name a variable, as secret = "env:CRM_SECRET": a secret is kept in no file')
    variable = named.removeprefix("env:")
    value = environment.get(variable)
    if not value:
        raise section.fail(f"secret: the variable {variable} is not set. Make a secret with: {_MINT}")
    try:
        secret = _decoded(value)
    except ValueError:
        raise section.fail(f"secret: what follows whsec_ in {variable} is not Base64. Make one with: {_MINT}") from None
    if len(secret) < SECRET_BYTES:
        raise section.fail(f"secret: {variable} has fewer than {SECRET_BYTES} bytes. Make a longer one with: {_MINT}")
    return secret


def _decoded(value: str) -> bytes:
    """Return a secret's bytes: those after ``whsec_`` are Base64, as libraries of Standard Webhooks have it."""
    if value.startswith("whsec_"):
        return base64.b64decode(value.removeprefix("whsec_"), validate=True)
    return value.encode()
