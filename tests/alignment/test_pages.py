"""The numbers on a page open the lists of the leads that they count."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.alignment import Agreement, Channels, Cohort, Handovers, agreement, channels, funnel, handovers, pictures
from leadscore.alignment.agreement_page import agreement_page, promised, verdict
from leadscore.alignment.attribution import RULES
from leadscore.alignment.channel_page import channels_page
from leadscore.alignment.listing import NEARLY_ALL, facts
from leadscore.alignment.pages import funnel_page
from leadscore.evaluate.page import Page, Section, Table, render, render_body
from leadscore.evaluate.page.blocks import MOST_SHOWN, Behind
from leadscore.sla import Sla
from leadscore.time import NEVER
from tests.alignment.test_reports import END, at


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
    score, marketing, attempts, response, speed = (
        opened(each) for each in tables(agreement_page(Cohort.of(tiny, as_of=END), agreed))
    )
    assert score["all", "judged"] == ("4", {"L1", "L2", "L3", "L4"})
    assert score["B", "won"] == ("1", {"L1"})
    assert marketing["2026-01-05", "all origins"] == ("3 of 7.0", {"L1", "L2", "L3"})
    assert marketing["2026-01-05", "ads"][1] == {"L1", "L2"}
    assert response["2026-01-05", "kept"] == ("2", {"L1", "L3"})
    assert response["2026-01-05", "missed"] == ("1", {"L2"})
    assert attempts["2026-02-23", "pending"] == ("1", {"L6"})
    assert attempts["2026-01-05", "waived"] == ("1", {"L1"})
    assert speed["B", "responded to"] == ("3", {"L1", "L2", "L3"})


def test_the_numbers_are_those_of_the_tables(tiny: ls.Data, agreed: Agreement) -> None:
    for table in tables(agreement_page(Cohort.of(tiny, as_of=END), agreed))[:4]:
        for said, leads in opened(table).values():
            assert int(said.partition(" of ")[0]) == len(leads)
    owed = agreed.sales.groupby("promise")[["kept", "missed", "pending", "waived"]].sum()
    shown = tables(agreement_page(Cohort.of(tiny, as_of=END), agreed))[2:4]
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
        for column, name in {"leads": "leads", "skipped": "of these, skipped it"}.items():
            assert stages[row["stage"], name][0] == f"{row[column]:,}"
        for column in ("stopped", "lost", "open"):
            assert stages[row["stage"], column][0] == f"{row[column]:,}"
    for row in found.months.to_dict("records"):
        assert months[row["month"], row["stage"]][0] == f"{row['leads']:,}"
    assert months["2026-02", "still open"][1] == {"L5", "L6"}


def test_the_qualified_without_those_that_skipped_are_the_handed_over(tiny: ls.Data, by_touches: Any) -> None:
    cohort = Cohort.of(tiny, as_of=END)
    found = funnel(cohort, handovers(tiny, by_touches, qualified="A", until=END))
    page = funnel_page(cohort, found)
    [stages] = [opened(table) for table in tables(page) if "of these, skipped it" in table.columns]
    assert stages["qualified", "leads"] == ("4", {"L1", "L2", "L3", "L4"})
    assert stages["qualified", "of these, skipped it"] == ("2", {"L2", "L3"})
    assert dict(page.facts)["Handed over"] == "2"
    agreed = agreement_page(cohort, agreement(cohort, handovers(tiny, by_touches, qualified="A", until=END)))
    assert dict(agreed.facts)["Handed over"] == "2"
    assert "most of them after sales had got in touch: 1" in page.verdict
    nobody = replace(tiny.outcomes, lost_at=np.full(6, NEVER), lost_seen=np.full(6, NEVER))
    kept = Cohort.of(replace(tiny, outcomes=nobody), as_of=END)
    assert funnel_page(kept, funnel(kept)).verdict == "Of 6 leads 1 were won, none was lost"


def test_a_page_says_what_makes_its_open_leads_others_than_all(tiny: ls.Data) -> None:
    def still_open(data: ls.Data, since: str | None = None) -> str:
        cohort = Cohort.of(data, as_of=END, since=since and at(since))
        return dict(facts(cohort))["Still open"]

    assert still_open(tiny) == "4"
    assert still_open(tiny, "2026-01-10T00:00:00Z") == "3 (all open leads: 4, with 1 created before 2026-01-10)"
    later = np.where(tiny.outcomes.lost_seen == NEVER, NEVER, END)
    recorded = replace(tiny, outcomes=replace(tiny.outcomes, lost_seen=later))
    assert still_open(recorded) == "5 (all open leads: 4, without 1 whose end was recorded later)"


def test_a_page_says_that_events_have_stopped(tiny: ls.Data, by_touches: Any) -> None:
    lively = Cohort.of(tiny, as_of=END)
    assert funnel_page(lively, funnel(lively)).notice == ""
    cohort = Cohort.of(tiny, as_of=at("2026-04-05T12:00:00Z"))  # usual are pauses of up to 28 days
    told = "No events are known from the last 36 days: the numbers are those of 28 February 2026."
    found = [channels(tiny, by_touches, by="lead.source", as_of=cohort.as_of)]
    handed = handovers(tiny, by_touches, until=cohort.as_of)
    pages = (
        channels_page(cohort, found),
        funnel_page(cohort, funnel(cohort)),
        agreement_page(cohort, agreement(cohort, handed)),
    )
    assert [page.notice for page in pages] == [told] * 3
    assert told in render(pages[1])


@pytest.mark.parametrize(
    ("won", "told", "kept"),
    [(1, "the score kept its promise.", True), (4, "the score promised too little.", False)],
)
def test_one_line_says_what_the_score_promised_of_the_leads_handed_over(
    tiny: ls.Data, agreed: Agreement, won: int, told: str, kept: bool
) -> None:
    cohort = Cohort.of(tiny, as_of=END)
    text, is_kept = promised(cohort, replace(agreed, wins=agreed.wins.assign(won=won)))
    assert text == (
        f"Of 4 leads handed over 10 days ago or longer {won} were won within 10 days, where the score expected 1 "
        f"(0 to 2 in nine of ten cases): {told}"
    )
    assert is_kept is kept
    [block, *_] = agreement_page(cohort, replace(agreed, wins=agreed.wins.assign(won=won))).sections[0].blocks
    assert (block.text, block.tone) == (text, "plain" if kept else "unsure")


def test_a_score_that_promised_more_than_came_is_told_so(tiny: ls.Data, agreed: Agreement) -> None:
    much = agreed.wins.assign(expected=40.0, expected_low=30, expected_high=50, judged=400)
    text, kept = promised(Cohort.of(tiny, as_of=END), replace(agreed, wins=much))
    assert text.endswith("the score expected 40 (30 to 50 in nine of ten cases): the score promised too much.")
    assert not kept


def test_what_was_handed_over_lately_is_not_judged(tiny: ls.Data, by_touches: Any) -> None:
    early = Cohort.of(tiny, as_of=at("2026-01-09T00:00:00Z"))
    text, _ = promised(early, agreement(early, handovers(tiny, by_touches, until=early.as_of)))
    assert text == "No lead was handed over 10 days ago or longer: what the score promised can't be judged yet."


def test_sources_are_said_in_words(tiny: ls.Data, agreed: Agreement) -> None:
    sla = replace(tiny.project.sla, leads={"paid_search": 10})
    data = replace(tiny, project=replace(tiny.project, sla=sla))
    marketing = agreed.marketing[agreed.marketing["origin"] == "ads"].assign(origin="paid_search")
    leads = agreed.leads.assign(origin="paid_search")
    page = agreement_page(Cohort.of(data, as_of=END), replace(agreed, marketing=marketing, leads=leads))
    text = render(page)
    assert "paid_search" not in text
    assert "10 qualified leads a month from paid search" in text
    assert "delivered in the week of 2026-01-05 from paid search" in text


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
    for channel, _, judged, converted, estimated, *_ in by_channel.rows:
        row = table.loc[channel]
        if row["judged"]:
            assert converted.text == f"{row['won']:.0f} ({row['won'] / row['judged']:.1%})", judged
            assert estimated.startswith(f"{row['won_rate']:.1%} (")
    costs = {row[0]: row[8] for row in by_channel.rows}
    assert costs["web"] == "–", "nobody says what it cost"
    assert any("taken from touchpoints.cost," in item for item in page.sections[-1].blocks[0].items)


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


def test_every_chart_is_drawn_for_a_telephone_too(tiny: ls.Data, by_touches: Any) -> None:
    cohort = Cohort.of(tiny, as_of=END)
    found = [channels(tiny, by_touches, by=by, as_of=END) for by in ("lead.source", "touchpoints.channel")]
    for page, n in ((channels_page(cohort, found), 3), (funnel_page(cohort, funnel(cohort)), 1)):
        text = render(page)
        widths = {kind: re.findall(rf'<svg role="img" class="{kind}" [^>]*viewBox="0 0 ([0-9.]+) ', text)
                  for kind in ("broad", "slim")}  # fmt: skip
        assert [len(each) for each in widths.values()] == [n, n]
        assert {float(width) for width in widths["slim"]} == {pictures.NARROW.width * 72}
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))


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


def titled(figure: Any) -> str:
    """The title of a figure on one line."""
    return " ".join(figure.texts[0].get_text().split())


def compared(*rows: tuple[str, float, float, float], by: str = "touchpoints.campaign") -> Channels:
    """Channels of ten judged leads each: name, rate, and the ends of its interval."""
    table = pd.DataFrame(rows, columns=["channel", "won_rate", "won_rate_low", "won_rate_high"])
    table = table.assign(judged=10, expected=1.0)
    return Channels(by, table, table, table, 20, 0, 0, n_judged=20, n_won=3, expected=2.0)


def test_a_chart_of_rates_is_titled_by_what_differs_between_its_rows() -> None:
    apart = (("paid_social", 0.03, 0.01, 0.05), ("few", 0.5, 0.02, 0.9), ("referral", 0.12, 0.08, 0.2))
    for shape in (pictures.BROAD, pictures.NARROW):
        title = titled(pictures.expected_and_found(compared(*apart), shape))
        assert title == "referral converted at 12.0 %, paid social at 3.0 %: their intervals don't overlap"
    alike = (("a", 0.03, 0.01, 0.08), ("b", 0.12, 0.08, 0.2))
    title = titled(pictures.expected_and_found(compared(*alike, ("(missing)", 0.9, 0.8, 1.0))))
    assert title == "No campaign differs from another: their intervals overlap"
    assert titled(pictures.expected_and_found(compared(apart[0]))) == "Found 15.0 %, expected 10.0 %"


def test_credits_rank_what_is_no_channel_last() -> None:
    wins = {"(missing)": 9.0, "web": 1.0, "email": 3.0, "(other)": 5.0}
    table = pd.DataFrame(
        [{"channel": name} | {f"credit_{rule}": credit for rule in RULES} for name, credit in wins.items()]
    )
    figure = pictures.credits_by_rule(table)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[::-1] == ["email", "web", "(other)", "(missing)"], "the last is drawn on top"
    assert titled(figure) == "By Shapley 17 % of 18 wins are owed to email, the most of those that are named"


@pytest.mark.parametrize("shape", [pictures.BROAD, pictures.NARROW])
def test_no_title_leaves_its_chart(shape: pictures.Shape) -> None:
    names = ["retargeting_in_winter", "BLACK_FRIDAY_2026_EMEA"]
    rates = compared((names[0], 0.1, 0.0, 0.2), (names[1], 0.9, 0.8, 1.0))
    credited = pd.DataFrame([{"channel": name} | dict.fromkeys((f"credit_{r}" for r in RULES), 2.0) for name in names])
    for figure in (pictures.expected_and_found(rates, shape), pictures.credits_by_rule(credited, shape)):
        figure.draw_without_rendering()
        for text in figure.texts:
            assert text.get_window_extent().x1 <= figure.bbox.width, text.get_text()
        [axes] = figure.axes
        assert figure.texts[1].get_window_extent().y0 > axes.get_window_extent().y1


def test_the_leads_in_the_header_of_the_channels_add_up(sample: ls.Data, sample_scorer: ls.LeadScorer) -> None:
    cohort = Cohort.of(sample, as_of=sample.observed_until)
    page = channels_page(cohort, [channels(sample, sample_scorer, by="lead.source", as_of=cohort.as_of)])
    told = {name: value.replace(",", "") for name, value in page.facts}
    parts = [int(told[name]) for name in ("Judged", "Too young to judge", "Closed within a day")]
    assert sum(parts) == int(told["Leads"])
    ended = np.minimum(cohort.won_at, cohort.lost_at) < cohort.created + 86_400_000_000
    mature = cohort.created + 86_400_000_000 + cohort.horizon <= cohort.as_of
    assert parts[2] == int((ended & mature).sum()) > 0


def test_one_lead_is_spoken_of_as_one(tiny: ls.Data, by_touches: Any) -> None:
    cohort, handed = Cohort.of(tiny, as_of=END), handovers(tiny, by_touches, until=END)
    found = [channels(tiny, by_touches, by=by, as_of=END) for by in ("lead.source", "touchpoints.channel")]
    pages = (
        channels_page(cohort, found),
        funnel_page(cohort, funnel(cohort, handed)),
        agreement_page(cohort, agreement(cohort, handed)),
    )
    titles = [
        cell.title for page in pages for table in tables(page) for row in table.rows for cell in row
        if isinstance(cell, Behind) and len(cell.behind) == 1
    ]  # fmt: skip
    assert "1 lead of “web” created in 2026-02, judged" in titles
    for title in titles:
        assert not {"are", "were", "have", "leads"} & {*title.split()}, title


@pytest.mark.parametrize(
    ("grade", "left_out", "told"),
    [
        ("B", 0.0, "Grade B lets 100.0 % of leads through: it separates nothing. Choose a higher grade in [sla] "
                   "qualified."),
        ("B", 1 - NEARLY_ALL, "Grade B lets 95.0 % of leads through: it separates nothing. Choose a higher grade in "
                              "[sla] qualified."),
        ("B", 1.01 - NEARLY_ALL, ""),
        ("A", 0.0, "Grade A lets 100.0 % of leads through: it separates nothing. Raise its floor in [grades]."),
    ],
)  # fmt: skip
def test_a_grade_that_nearly_all_leads_reach_is_told_so(
    sample: ls.Data, grade: str, left_out: float, told: str
) -> None:
    data = replace(sample, project=replace(sample.project, sla=Sla(qualified=grade)))
    cohort = Cohort.of(data, as_of=data.observed_until)
    handed = handed_over(cohort, grade, len(cohort) - int(left_out * len(cohort) + 1e-6))
    assert funnel_page(cohort, funnel(cohort, handed)).notice == told
    assert agreement_page(cohort, agreement(cohort, handed)).notice == told
    assert funnel_page(cohort, funnel(cohort)).notice == ""


def test_of_few_leads_it_is_not_said_that_nearly_all_are_qualified(tiny: ls.Data) -> None:
    cohort = Cohort.of(tiny, as_of=END)
    assert funnel_page(cohort, funnel(cohort, handed_over(cohort, "B", 6))).notice == ""


def handed_over(cohort: Cohort, grade: str, n: int) -> Handovers:
    """The first leads of a cohort, handed over when they were created."""
    created = cohort.created[:n]
    return Handovers(cohort.lead[:n], created + 1, created, np.full(n, grade, dtype=object), np.full(n, 0.1))
