"""The three reports as pages, in the words of those who read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from leadscore.alignment import pictures
from leadscore.alignment.agreement import KEPT, MISSED, PENDING, STATES, WAIVED, Agreement
from leadscore.alignment.channel_page import CHANNEL_LEADS
from leadscore.alignment.channels import Channels
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.funnel import STAGES, Funnel
from leadscore.alignment.listing import LISTED, facts, leads_behind, number
from leadscore.evaluate.page import Behind, Block, Listing, Page, Picture, Section, Table
from leadscore.features.words import in_words
from leadscore.sla import EVERYWHERE, Sla

MOST_WEEKS = 13
_FUNNEL, _AGREEMENT = "funnel_leads", "agreement_leads"
"""The tables that hold a row per lead."""
MOST_TOLD = 3
"""Numbers that a headline holds: more are read by nobody."""
_PROMISES = {"response": "a first response", "attempts": "attempts", "verdict": "a verdict"}
_KEPT_WORDS = {
    "response": "sales responded in time to {share} of its leads",
    "attempts": "sales tried often enough with {share}",
    "verdict": "sales gave a verdict in time on {share}",
}
_NEWEST = f"The {MOST_WEEKS} newest weeks; the CSV files hold all."


def funnel_page(cohort: Cohort, found: Funnel) -> Page:
    """Return the report on the funnel; raises as `channels_page`."""
    table = found.table
    stopped = table[table["stage"] != "won"]
    worst = stopped.iloc[int(stopped["lost"].to_numpy().argmax())]
    verdict = (
        f"Of {len(cohort):,} leads {int(cohort.won.sum()):,} were won; most were lost in the stage "
        f"“{worst['stage']}”: {worst['lost']:,}"
    )
    sections = [
        Section(
            "How far leads came",
            [
                Picture(pictures.stages(table), "Leads by stage; the table below has the numbers"),
                Table(
                    ("", "when", "leads", "of the stage before", "stopped", "lost", "open"),
                    [_stage_row(row, found) for row in table.to_dict("records")],
                    f"Whoever reached a stage counts in all before it. Open leads may still go on. {LISTED}",
                    words=(1,),
                ),
            ],
        ),
        Section("By month of creation", [_by_month(found)]),
    ]
    title = f"{cohort.data.project.name}: where leads leak"
    return Page(title, verdict, sections, facts=facts(cohort, None))


def _stage_row(row: Mapping[Any, Any], found: Funnel) -> tuple[str | Behind, ...]:
    share = "" if row["of_before"] != row["of_before"] else (
        f"{row['of_before']:.1%} ({row['of_before_low']:.1%} to {row['of_before_high']:.1%})"
    )  # fmt: skip
    stage, leads = str(row["stage"]), found.leads
    ended = leads[(leads["stage"] == stage) & (leads["state"] != "won")]
    return (
        stage,
        STAGES[stage],
        leads_behind(_reached(found, leads, stage), f"that came as far as “{stage}”", _FUNNEL),
        share,
        leads_behind(ended, f"that came no further than “{stage}”", _FUNNEL),
        *(
            leads_behind(
                ended[ended["state"] == state], f"that came no further than “{stage}” and are {state}", _FUNNEL
            )
            for state in ("lost", "open")
        ),
    )


def _reached(found: Funnel, leads: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Those of some leads that came to a stage or further."""
    return leads[leads["stage"].isin(found.names[found.names.index(stage) :])]


def _by_month(found: Funnel) -> Table:
    rows: list[tuple[str | Behind, ...]] = []
    for month, leads in found.leads.groupby("month"):
        told = f"created in {month} that came as far as"
        stages = [leads_behind(_reached(found, leads, stage), f"{told} “{stage}”", _FUNNEL) for stage in found.names]
        still_open = leads_behind(leads[leads["state"] == "open"], f"created in {month} that are open", _FUNNEL)
        rows.append((str(month), *stages, still_open))
    return Table(("", *found.names, "still open"), rows, "The younger a month, the more of its leads are open.")


def agreement_page(cohort: Cohort, found: Agreement) -> Page:
    """Return the report on the agreement."""
    sla = cohort.data.project.sla
    sections = [_marketing(found), _sales(found), _speed(found), Section("What was agreed", [Listing(promises(sla))])]
    title = f"{cohort.data.project.name}: what marketing and sales promised"
    facts_below = [*facts(cohort, None), ("Handed over", f"{len(found.leads):,} leads")]
    text, kept = verdict(found)
    shown = [section for section in sections if section.blocks]
    return Page(title, text, shown, tone="good" if kept else "unsure", facts=facts_below)


def verdict(found: Agreement) -> tuple[str, bool]:
    """Say how both sides kept their word, at most three numbers with a mark each, and whether all was kept.

    What isn't due yet is left out. Of the origins that marketing promised leads from, and of the promises of sales,
    those that were kept worst are told: what one of them has too much makes up for no other.
    """
    told: list[tuple[float, str]] = []
    done = found.marketing[~found.marketing["unfinished"].astype(bool)]
    if len(done):
        totals = done.groupby("origin")[["delivered", "promised"]].sum()
        share, origin = min(zip(totals["delivered"] / totals["promised"], totals.index, strict=True))
        which = "" if origin == EVERYWHERE else f" from {in_words(str(origin)) or origin}"
        told.append((share, f"marketing delivered {{share}} of the qualified leads{which} that it promised"))
    of_sales = []
    for promise, rows in found.sales.groupby("promise"):
        kept, missed = int(rows[KEPT].sum()), int(rows[MISSED].sum())
        if kept + missed:
            of_sales.append((kept / (kept + missed), _KEPT_WORDS[str(promise)]))
    told += sorted(of_sales)[: MOST_TOLD - len(told)]
    text = "; ".join(f"{'✓' if share >= 1 else '✗'} {words.format(share=_whole(share))}" for share, words in told)
    return text or "Nothing that was promised is due yet", all(share >= 1 for share, _ in told)


def _whole(share: float) -> str:
    """A share in whole percent, rounded down: what falls short of all must not read as all."""
    return f"{int(100 * share + 1e-9)} %"


def promises(sla: Sla) -> list[str]:
    """Say what an agreement holds, a sentence for each promise."""
    told = [f"A lead is qualified, and handed over, when its grade first is {sla.qualified} or better."]
    for origin, quota in sla.leads.items():
        where = "" if origin == EVERYWHERE else f" from {origin}"
        told.append(f"Marketing owes {quota:,} qualified leads a month{where}.")
    told += [f"Sales owes {grade} leads a first response within {_span(span)}." for grade, span in sla.respond.items()]
    told += [
        f"Sales owes {grade} leads that don't answer {n} attempts within {_span(sla.within)}."
        for grade, n in sla.attempts.items()
    ]
    return told + ([f"Sales owes a verdict within {_span(sla.verdict)}."] if sla.verdict is not None else [])


def _span(microseconds: int) -> str:
    hours = microseconds / 3_600_000_000
    return f"{hours:g} hours" if hours < 48 else f"{hours / 24:g} days"


def _marketing(found: Agreement) -> Section:
    origins = list(dict.fromkeys(found.marketing["origin"]))
    rows: list[tuple[str | Behind, ...]] = []
    for week, of_week in [*found.marketing.groupby("week")][: -MOST_WEEKS - 1 : -1]:
        by_origin = of_week.set_index("origin")
        mine = found.leads[found.leads["week"] == week]
        cells = [
            leads_behind(
                mine if name == EVERYWHERE else mine[mine["origin"] == name],
                f"delivered in the week of {week}{'' if name == EVERYWHERE else f' from {name}'}",
                _AGREEMENT,
                f"{by_origin.loc[name, 'delivered']:,} of {by_origin.loc[name, 'promised']:.1f}",
            )
            for name in origins
        ]
        rows.append((f"{week}{' (not over yet)' if of_week['unfinished'].any() else ''}", *cells))
    headings = ["all origins" if name == EVERYWHERE else name for name in origins]
    told = f"Delivered of promised; a month's promise is spread evenly over its days. {LISTED} {_NEWEST}"
    return Section("Marketing: qualified leads", [Table(("week of", *headings), rows, told)] if rows else [])


def _sales(found: Agreement) -> Section:
    blocks: list[Block] = []
    for promise in dict.fromkeys(found.sales["promise"]):
        state, what = STATES[promise], _PROMISES[promise]
        owed = found.leads[found.leads[state].notna()]
        cells: list[tuple[str | Behind, ...]] = []
        for week, mine in [*owed.groupby("week")][: -MOST_WEEKS - 1 : -1]:
            title = f"handed over in the week of {week}, {what}"
            parts = [leads_behind(mine[mine[state] == one], f"{title} {one}", _AGREEMENT)
                     for one in (KEPT, MISSED, PENDING, WAIVED)]  # fmt: skip
            cells.append((str(week), leads_behind(mine, f"{title} owed", _AGREEMENT), *parts))
        told = f"{what.capitalize()}. Pending: not due yet. Waived: closed or answered before that. {LISTED} {_NEWEST}"
        blocks.append(Table(("handed over in the week of", "leads", KEPT, MISSED, PENDING, WAIVED), cells,
                            told))  # fmt: skip
    return Section("Sales: what was owed to them", blocks)


def _speed(found: Agreement) -> Section:
    rows: list[tuple[str | Behind, ...]] = []
    for row in found.speed.to_dict("records"):
        mine = found.leads[found.leads["grade"] == row["grade"]]
        rows.append(
            (
                str(row["grade"]),
                leads_behind(mine, f"handed over as {row['grade']}", _AGREEMENT),
                leads_behind(
                    mine[mine["human_hours"].notna()],
                    f"handed over as {row['grade']} and responded to",
                    _AGREEMENT,
                ),
                *(number(row[name], ",.1f") for name in ("system_half", "system_tenth", "human_half", "human_tenth")),
            )
        )
    headings = ("grade", "leads", "responded to", "system: median", "slowest tenth", "people: median", "slowest tenth")
    told = "Hours. System: from what happened to the handover. People: from the handover to the first response."
    return Section("Speed to lead", [Table(headings, rows, told)] if rows else [])


Found = Sequence[Channels] | Funnel | Agreement


def tables_of(found: Found) -> dict[str, pd.DataFrame]:
    """Return every table of a report by the name of its file."""
    if isinstance(found, Funnel):
        return {"funnel": found.table, "funnel_by_month": found.months, _FUNNEL: found.leads}
    if isinstance(found, Agreement):
        return {
            "agreement_marketing": found.marketing,
            "agreement_sales": found.sales,
            "agreement_speed": found.speed,
            _AGREEMENT: found.leads,
        }
    return {
        name: pd.concat([table.assign(by=each.by) for each, table in tables], ignore_index=True)
        for name, tables in (
            ("channels", [(each, each.table) for each in found]),
            ("channels_by_month", [(each, each.months) for each in found]),
            (CHANNEL_LEADS, [(each, each.leads) for each in found]),
        )
    }
