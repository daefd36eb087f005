from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from service.pages.docs import render
from service.problems import KINDS

if TYPE_CHECKING:
    from tests.service.conftest import Service


class Page(HTMLParser):
    """Tags and attributes of a page, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing(service: Service) -> None:
    response = service.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    targets = [value or "" for name, value in page.attributes if name in ("href", "src")]
    assert all(target.startswith(("/", "#")) for target in targets)


def test_the_page_is_whole_and_its_links_lead_somewhere(service: Service) -> None:
    page = Page(service.get("/docs").text)
    assert page.open == []
    ids = {value for name, value in page.attributes if name == "id"}
    links = {value[1:] for name, value in page.attributes if name == "href" and value and value[0] == "#"}
    assert links <= ids
    assert {kind.name for kind in KINDS} <= ids


def test_only_the_pages_own_style_is_allowed(service: Service) -> None:
    response = service.get("/docs")
    [style] = re.findall("<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["content-security-policy"]
    assert "script-src" not in response.headers["content-security-policy"]


def test_the_page_describes_every_route_with_or_without_a_model(service: Service, bare_service: Service) -> None:
    for text in (service.get("/docs").text, bare_service.get("/docs").text):
        for path in ("/v1/score", "/v1/score/batch", "/v1/model"):
            assert f"<code>{path}</code>" in text


def test_a_service_without_keys_asks_for_none(service: Service) -> None:
    text = service.get("/docs").text
    assert "asks for no API keys" in text
    assert "Needs an API key" not in text
    assert "LEADSCORE_KEY" not in text


def test_a_service_with_keys_says_which(service: Service) -> None:
    document = service.get("/openapi.json").json()
    text = render(document, KINDS)
    assert text.count("Needs an API key with the scope") == text.count("LEADSCORE_KEY") > 0
