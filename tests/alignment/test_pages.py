"""The numbers on a page open the lists of the leads that they count."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pandas as pd
import pytest

import leadscore as ls
from leadscore.alignment import Agreement, Cohort, agreement, channels, funnel, handovers, pictures
from leadscore.alignment.attribution import RULES
from leadscore.alignment.channel_page import channels_page
from leadscore.alignment.pages import agreement_page, funnel_page, verdict
from leadscore.evaluate.page import Page, Section, Table, render, render_body
from leadscore.evaluate.page.blocks import MOST_SHOWN, Behind
from tests.alignment.test_reports import END


def tables(page: Page) -> list[Table]:
    return [block for section in page.sections for block in section.blocks if isinstance(block, Table)]


def opened(table: Table) -> dict[tuple[str, str], tuple[str, set[str]]]:
    """What each number of a table says and opens, by its row and column."""
    return {
        (str(row[0]), column): (cell.text, set(cell.behind))
        for row in table.rows
        for column, cell in zip(table.columns, row, strict=True)
        if isinstance(cell, Behind)
    }


@pytest.fixture
def agreed(tiny: ls.Data, by_touches: Any) -> Agreement:
    return agreement(Cohort.of(tiny, as_of=END), handovers(tiny, by_touches, until=END))


def test_every_number_of_the_agreement_opens_its_leads(tiny: ls.Data, agreed: Agreement) -> None:
    marketing, attempts, response, speed = (
        opened(each) for each in tables(agreement_page(Cohort.of(tiny, as_of=END), agreed))
    )
    assert marketing["2026-01-05", "all origins"] == ("3 of 7.0", {"L1", "L2", "L3"})
    assert marketing["2026-01-05", "ads"][1] == {"L1", "L2"}
    assert response["2026-01-05", "kept"] == ("2", {"L1", "L3"})
    assert response["2026-01-05", "missed"] == ("1", {"L2"})
    assert attempts["2026-02-23", "pending"] == ("1", {"L6"})
    assert attempts["2026-01-05", "waived"] == ("1", {"L1"})
    assert speed["B", "responded to"] == ("3", {"L1", "L2", "L3"})


def test_the_numbers_are_those_of_the_tables(tiny: ls.Data, agreed: Agreement) -> None:
    for table in tables(agreement_page(Cohort.of(tiny, as_of=END), agreed))[:3]:
        for said, leads in opened(table).values():
            assert int(said.partition(" of ")[0]) == len(leads)
    owed = agreed.sales.groupby("promise")[["kept", "missed", "pending", "waived"]].sum()
    shown = tables(agreement_page(Cohort.of(tiny, as_of=END), agreed))[1:3]
    for promise, table in zip(owed.index, shown, strict=True):
        cells = opened(table)
        for state in owed.columns:
            assert owed.loc[promise, state] == sum(
                len(leads) for (_, column), (_, leads) in cells.items() if column == state
            )


def test_every_number_of_the_funnel_opens_its_leads(tiny: ls.Data, by_touches: Any) -> None:
    cohort = Cohort.of(tiny, as_of=END)
    found = funnel(cohort, handovers(tiny, by_touches, until=END))
    stages, months = (opened(each) for each in tables(funnel_page(cohort, found)))
    assert stages["worked", "leads"][1] == {"L1", "L2", "L3"}
    assert stages["worked", "lost"] == ("1", {"L2"})
    assert stages["qualified", "open"][1] == {"L4", "L6"}
    for row in found.table.to_dict("records"):
        for column in ("leads", "stopped", "lost", "open"):
            assert stages[row["stage"], column][0] == f"{row[column]:,}"
    for row in found.months.to_dict("records"):
        assert months[row["month"], row["stage"]][0] == f"{row['leads']:,}"
    assert months["2026-02", "still open"][1] == {"L5", "L6"}


def test_every_number_of_the_channels_opens_its_leads(tiny: ls.Data, by_touches: Any) -> None:
    cohort = Cohort.of(tiny, as_of=END)
    found = [channels(tiny, by_touches, by=by, as_of=END) for by in ("lead.source", "touchpoints.channel")]
    page = channels_page(cohort, found)
    assert [section.title for section in page.sections[:2]] == ["By source", "By channel of touchpoints"]
    by_channel = next(table for table in tables(page) if table.columns[:2] == ("channel", "leads"))
    touches = opened(by_channel)
    assert touches["ads", "leads"] == ("2", {"L1", "L2"})
    assert touches["ads", "converted"][1] == {"L1"}
    assert touches["web", "judged"][1] == {"L3", "L4"}
    assert touches["email", "wins so far"] == ("1", {"L1"})
    assert touches["email", "wins still expected"] == ("0.4", {"L4"})
    table = found[1].table.set_index("channel")
    for (channel, column), (text, leads) in touches.items():
        if column in ("leads", "judged", "wins so far"):
            assert int(text) == table.loc[channel, column.replace(" ", "_")] == len(leads)
    costs = {row[0]: row[7] for row in by_channel.rows}
    assert costs["web"] == "–", "nobody says what it cost"
    assert any("touchpoints.cost say" in item for item in page.sections[-1].blocks[0].items)


def test_channels_are_shown_month_by_month_and_each_number_opens_its_leads(tiny: ls.Data, by_touches: Any) -> None:
    found = channels(tiny, by_touches, by="touchpoints.channel", as_of=END)
    [table] = [
        table for table in tables(channels_page(Cohort.of(tiny, as_of=END), [found])) if table.columns[0] == "month"
    ]
    assert [row[0] for row in table.rows] == sorted({*found.months["month"]}, reverse=True)
    shown = opened(table)
    for row in found.months.to_dict("records"):
        cell = shown.get((row["month"], row["channel"]))
        assert (cell is None) == (row["judged"] == 0)
        if cell is not None:
            assert cell[0] == f"{row['won']} of {row['judged']} ({row['expected']:.1f})"
            assert len(cell[1]) == row["judged"]
    judged = found.leads[found.leads["judged"]]
    assert set().union(*(leads for _, leads in shown.values())) == {*judged["lead_id"]}


def test_a_headline_holds_three_numbers_with_their_marks(tiny: ls.Data, agreed: Agreement) -> None:
    text, kept = verdict(agreed)
    assert not kept
    assert text.count(" %") == text.count("✗") == 3
    assert text.startswith("✗ marketing delivered 4 % of the qualified leads from ads that it promised; ✗ sales ")


def test_what_is_too_much_in_all_hides_no_origin_that_has_too_little(agreed: Agreement) -> None:
    marketing = agreed.marketing
    shares = marketing["origin"].map({"*": 2.0, "ads": 0.84})
    surplus = marketing.assign(delivered=marketing["promised"] * shares, unfinished=False)
    text, kept = verdict(replace(agreed, marketing=surplus, sales=agreed.sales[:0]))
    assert (text, kept) == ("✗ marketing delivered 84 % of the qualified leads from ads that it promised", False)
    text, kept = verdict(replace(agreed, marketing=surplus[surplus["origin"] == "*"], sales=agreed.sales[:0]))
    assert (text, kept) == ("✓ marketing delivered 200 % of the qualified leads that it promised", True)


def test_what_is_kept_whole_is_marked_so(agreed: Agreement) -> None:
    whole = agreed.sales.assign(kept=7, missed=0)[agreed.sales["promise"] == "response"]
    done = agreed.marketing.assign(delivered=agreed.marketing["promised"])
    text, kept = verdict(replace(agreed, sales=whole, marketing=done))
    assert kept
    assert text == (
        "✓ marketing delivered 100 % of the qualified leads that it promised; "
        "✓ sales responded in time to 100 % of its leads"
    )
    nearly = whole.assign(kept=999, missed=1)
    assert "✗ sales responded in time to 99 %" in verdict(replace(agreed, sales=nearly))[0]


def example(n: int, lead_id: str = "L{}") -> Page:
    cell = Behind(f"{n}", f"{n} leads", [lead_id.format(i) for i in range(n)], "all_leads")
    return Page("Title", "Verdict", [Section("Part", [Table(("", "number"), [("row", cell), ("other", cell)])])])


def test_a_list_is_bounded_and_says_where_the_rest_is() -> None:
    page = render(example(MOST_SHOWN + 1_200))
    assert page.count("and 1,200 more in all_leads.csv") == 2
    assert f"L{MOST_SHOWN - 1} and" in page
    assert "more in" not in render(example(MOST_SHOWN))


def test_every_link_to_a_list_and_back_has_its_end() -> None:
    page = render(example(3))
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {*re.findall(r'href="#([^"]+)"', page)} <= {*ids}
    assert len(re.findall(r'href="#l', page)) == 2
    assert "#l" not in render(example(0)), "nothing opens nothing"


def test_ids_lead_to_a_page_of_theirs_where_there_is_one() -> None:
    page = render_body(example(1, '"><b>{}'), lambda lead_id: f"/there/{len(lead_id)}")
    assert '<a href="/there/6">&#34;&gt;&lt;b&gt;0</a>' in page
    assert "<b>" not in render(example(1, "<b>{}"))
    assert '"><b>0' in unescape(page)


@pytest.mark.parametrize(
    ("best", "told"), [("web", "60 % of 10 wins are owed to web"), ("(missing)", "30 % of 10 wins")]
)
def test_the_headline_on_credit_names_a_channel_and_its_share(best: str, told: str) -> None:
    second = "email" if best == "(missing)" else "(missing)"
    rows = [(best, 6.0), (second, 3.0), ("(other)", 1.0)]
    table = pd.DataFrame([{"channel": name} | {f"credit_{rule}": wins for rule in RULES} for name, wins in rows])
    texts = [text.get_text() for text in pictures.credits_by_rule(table).texts]
    assert any(told in text for text in texts), texts
