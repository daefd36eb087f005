"""The page shell: whole in itself, everything escaped, the same bytes."""

from html.parser import HTMLParser

import numpy as np

from leadscore.evaluate import plots
from leadscore.evaluate.page import Listing, Page, Picture, Section, Table, Text, render


def example(name: str = "webinar") -> Page:
    picture = Picture(plots.importance([name, "other"], [2.0, 1.0]), f"importance of {name}")
    blocks = [Text(f"about {name}"), Listing([name]), Table(["name", "n"], [[name, "1"]], name, strong=0), picture]
    return Page("acme", f"verdict on {name}", [Section(title, blocks) for title in ("One", "Two", "Three")], "good")


class Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.ids += [value for key, value in attributes if key == "id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)
        self.ids += [value for key, value in attributes if key == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_well_formed_and_its_ids_are_unique():
    page = Structure()
    page.feed(render(example()))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.seen.count("svg") == 3


def test_a_page_needs_no_other_host_and_runs_nothing():
    html = render(example())
    assert "<script" not in html
    assert "default-src 'none'" in html
    addresses = {part.split('"')[0] for part in html.split('="http')[1:]}
    assert addresses <= {"://www.w3.org/2000/svg", "://www.w3.org/1999/xlink"}


def test_what_a_user_wrote_is_text():
    page = Structure()
    page.feed(render(example('"><img src=x> --><script>alert(1)</script>')))
    assert page.open == []
    assert not {"img", "script"} & set(page.seen)


def test_the_same_page_has_the_same_bytes():
    assert render(example()) == render(example())


def test_pictures_follow_light_and_dark():
    rng = np.random.default_rng(0)
    chance = rng.random(500)
    picture = Picture(plots.reliability(rng.random(500) < chance, chance, seed=0), "reliability")
    html = render(Page("t", "v", [Section("s", [picture])]))
    svg = html[html.index("<svg") :]
    assert "var(--ink)" in svg
    assert plots.INK not in svg
    assert "#ffffff" not in svg
