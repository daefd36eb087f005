"""The pages in a real browser: with a mouse, with keys alone, in the dark, on a telephone, for a screen reader."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from leadscore.cli import main
from leadscore.evaluate.page import render
from tests.alignment.test_pages import example
from tests.service.running import Serving, start, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_core = pytest.importorskip("axe_core_python", reason="axe-core is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
AXE = Path(axe_core.__file__).with_name("axe.min.js")
SHOTS = Path(__file__).parents[3] / "build" / "pages"
"""Pictures of every room, to be looked at."""
SCREENS = [("light", 1200), ("dark", 375)] + [
    pytest.param(*rest, marks=pytest.mark.slow) for rest in (("dark", 1200), ("light", 375))
]
"""Two of four hold every scheme and every width."""


@pytest.fixture(scope="module")
def served(
    fresh_sample: Any, sample_scorer_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Serving, str]]:
    """A running service over the sample with a key for a seller, and that key."""
    home = tmp_path_factory.mktemp("desk")
    keys = home / "keys.toml"
    minted = CliRunner().invoke(
        main, ["key", "eva", "--scope", "score", "--scope", "write", "--file", str(keys), "--json"]
    )
    secret = re.findall(r'"secret": "([^"]+)"', minted.output)[0]
    project = fresh_sample(every=4)
    with (project / "leadscore.toml").open("a") as file:
        file.write('\n[sla]\nqualified = "B"\nleads = { webinar = 10, "*" = 60 }\nrespond = { A = "4h", B = "24h" }\n')
    running = start(home, project, "--model", str(sample_scorer_folder), LEADSCORE_API_KEYS_FILE=str(keys))
    yield running, secret
    running.process.terminate()
    running.process.wait(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def sign_in(page: Any, served: tuple[Serving, str], path: str = "/app") -> None:
    running, secret = served
    page.goto(f"{running.url}{path}")
    page.get_by_label("API key").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


@pytest.fixture
def page(browser: Any, served: tuple[Serving, str]) -> Iterator[Any]:
    """A page that is signed in and shows the list; anything that goes wrong on it fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    faults: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: asked.append(request.url))
    sign_in(opened, served)

    def is_there() -> bool:
        opened.goto(f"{served[0].url}/app")
        return bool(opened.locator("li.lead").count())

    assert wait_for(is_there), "the keeper's first round"
    yield opened
    context.close()
    assert faults == []
    assert {re.sub(r"(//[^/]+)/.*", r"\1", url) for url in asked} == {served[0].url}, "nothing comes from elsewhere"


def violations(page: Any) -> list[str]:
    """What a screen reader or a person with weak eyes would stumble over, serious or worse."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => await axe.run({resultTypes: ['violations'], preload: false})")["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in ("serious", "critical")
    ]


def shoot(page: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=False)


def test_a_seller_works_the_list(page: Any) -> None:
    page.get_by_label("We can call").fill("3")
    page.get_by_role("button", name="Show").click()
    assert "The best 3 should bring" in page.inner_text("main")
    assert page.get_by_text("Below this line").count() == 1
    shoot(page, "call_list")
    first = page.locator("li.lead").first
    lead_id = first.locator(".who a").inner_text()
    first.get_by_text("Reject…").click()
    first.get_by_label("Why").fill("no budget")
    first.get_by_role("button", name=f"Reject {lead_id}").click()
    assert "calls=3" in page.url, "one comes back to where one was"
    assert f"{lead_id} is rejected" in page.locator(".judged").inner_text()
    assert lead_id not in page.locator("ol.leads").inner_text()
    shoot(page, "call_list_rejected")
    page.get_by_role("link", name="show them").click()
    assert "rejected by eva: no budget" in page.locator("li.lead").first.inner_text()
    assert violations(page) == []
    page.go_back()
    page.get_by_role("button", name="Undo").click()
    assert "taken back" in page.locator(".judged").inner_text()
    assert lead_id in page.locator("ol.leads").inner_text()


def test_a_reason_leads_to_its_event(page: Any) -> None:
    page.locator(".who a").nth(1).click()
    shoot(page, "lead")
    reason = page.locator(".effects a").first
    target = reason.get_attribute("href")
    reason.click()
    assert page.url.endswith(target)
    assert page.locator(f"li{target}").is_visible()


def test_filters_stay_while_paging(page: Any) -> None:
    page.get_by_label("Not older than").select_option("any age")
    page.get_by_label("Grade").select_option("D")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="To the best").wait_for()
    assert page.get_by_label("Grade").input_value() == "D"


def test_everything_can_be_done_with_keys_alone(browser: Any, served: tuple[Serving, str], page: Any) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.who a')"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "one sees where one is"
    page.keyboard.press("Enter")
    page.wait_for_url("**/app/leads/**")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim().startsWith('Accept')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    assert "accepted by eva" in page.inner_text("main")


@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_no_room_has_a_serious_barrier(
    page: Any, served: tuple[Serving, str], browser: Any, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    lead = page.locator(".who a").first.get_attribute("href")
    for name, path in (("call_list", "/app?calls=5"), ("lead", lead)):
        page.goto(f"{served[0].url}{path}")
        assert violations(page) == []
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is wider than the screen"
        shoot(page, f"{name}_{scheme}_{width}")


@pytest.mark.parametrize(("width", "n_fit"), [(1280, 6), (1000, 4)])
def test_rows_are_compact_and_stand_below_each_other(page: Any, width: int, n_fit: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    rows = page.locator("li.lead").all()[:6]
    for part in (".who", ".why", ".ages", ".say"):
        assert len({row.locator(part).bounding_box()["x"] for row in rows}) == 1, part
    last = rows[n_fit - 1].bounding_box()
    assert last["y"] + last["height"] <= 900, f"{n_fit} leads fit on the screen"
    shoot(page, f"call_list_{width}")


def test_on_a_telephone_the_filters_are_folded_away(page: Any) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    assert not page.get_by_label("We can call").is_visible()
    assert page.locator("li.lead").first.bounding_box()["y"] < 450, "the first lead is seen at once"
    page.get_by_text("Search and filters").click()
    page.get_by_label("We can call").fill("3")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_text("Search and filters (1 set)").is_visible()
    page.set_viewport_size({"width": 1200, "height": 800})
    assert page.get_by_label("We can call").is_visible()


@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_marketing_finds_its_rooms(page: Any, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for room, heading in (("Channels", "what each channel brings"), ("Funnel", "where leads leak"),
                          ("Agreement", "what marketing and sales promised")):  # fmt: skip

        def is_measured(room: str = room, heading: str = heading) -> bool:
            page.get_by_role("link", name=room, exact=True).click()
            return heading in page.inner_text("main")

        assert wait_for(is_measured), room
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{room} is wider than the screen"
        assert_charts_can_be_read(page)
        shoot(page, f"{room.lower()}_{scheme}_{width}")
        open_first_list(page)
        assert violations(page) == [], "of the room with a list open, all of it"
        shoot(page, f"{room.lower()}_leads_{scheme}_{width}")
        with page.expect_download() as download:
            page.locator(".downloads a").first.click()
        assert Path(download.value.path()).read_text().count("\n") > 1


def assert_charts_can_be_read(page: Any) -> None:
    """Every chart is drawn once and lies within the screen; none of its letters is cut, or lower than 10 pixels."""
    for figure in page.locator("figure").all():
        [drawn] = [svg for svg in figure.locator("svg").all() if svg.is_visible()]
        box = drawn.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]
        sizes = drawn.evaluate(
            "svg => [...svg.querySelectorAll('text')].map("
            "text => parseFloat(getComputedStyle(text).fontSize) * svg.getScreenCTM().a)"
        )
        assert min(sizes) >= 10
        cut = "svg => [...svg.querySelectorAll('text')].some(text => text.getBoundingClientRect().right > "
        assert not drawn.evaluate(f"{cut}svg.getBoundingClientRect().right + 1)")


def open_first_list(page: Any) -> None:
    """With keys alone: a number opens its list, which closes again where one came from."""
    number = page.locator(".report td a").first
    number.focus()
    page.keyboard.press("Enter")
    shown = page.locator(".report .behind:visible")
    assert shown.count() == 1
    assert shown.inner_text().startswith(number.get_attribute("aria-label").partition(": ")[2])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Close"
    page.keyboard.press("Enter")
    assert shown.count() == 0
    assert page.evaluate("document.activeElement.id") == number.get_attribute("id")
    number.click()


def test_a_number_of_a_room_leads_to_its_leads(page: Any) -> None:
    def is_measured() -> bool:
        page.get_by_role("link", name="Agreement", exact=True).click()
        return bool(page.locator(".report td a").count())

    assert wait_for(is_measured)
    page.locator(".report td a").first.click()
    lead = page.locator(".report .behind:visible p:last-child a").first
    lead_id = lead.inner_text()
    lead.click()
    assert page.inner_text("h1") == lead_id
    page.go_back()
    assert page.locator(".report .behind:visible").count() == 1, "one comes back to the open list"


def test_a_report_in_a_file_opens_its_lists_too(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(render(example(150)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 375, "height": 800}, color_scheme="dark")
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("td a").nth(1).click()
    assert page.locator(".behind:visible").count() == 1
    assert "and 50 more in all_leads.csv" in page.locator(".behind:visible").inner_text()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    shoot(page, "report_leads")
    page.get_by_role("link", name="Close").click()
    assert page.locator(".behind:visible").count() == 0
    page.close()


def test_the_door(browser: Any, served: tuple[Serving, str]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served[0].url}/app/leads/L000009")
    assert violations(page) == []
    shoot(page, "sign_in")
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").is_visible()
    page.get_by_label("API key").fill(served[1])
    page.get_by_role("button", name="Sign in").click()
    assert page.url.endswith("/app/leads/L000009")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{served[0].url}/app")
    assert "sign-in" in page.url
    context.close()
