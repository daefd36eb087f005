"""The three reports as pages, in the words of those who read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from leadscore import time
from leadscore.alignment import pictures
from leadscore.alignment.agreement import KEPT, MISSED, PENDING, STATES, WAIVED, Agreement
from leadscore.alignment.attribution import RULES
from leadscore.alignment.channels import Channels
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.funnel import STAGES, Funnel
from leadscore.evaluate.page import Behind, Block, Listing, Page, Picture, Section, Table, Text
from leadscore.sla import EVERYWHERE, Sla

MOST_WEEKS = 13
_FUNNEL, _AGREEMENT = "funnel_leads", "agreement_leads"
"""The tables that hold a row per lead."""
_OPENS = "A number opens the list of its leads."
_NEWEST = f"The {MOST_WEEKS} newest weeks; the CSV files hold all."


def channels_page(cohort: Cohort, found: Sequence[Channels]) -> Page:
    """Return the report on channels; raises MissingExtraError without matplotlib."""
    first = found[0]
    verdict = f"Of {first.n_judged:,} judged leads {first.n_won:,} converted; the model expected {first.expected:,.0f}"
    sections = [_dimension(each) for each in found]
    sections.append(
        Section(
            "How to read this",
            [
                Listing(
                    [
                        "A lead is judged a day after it was created, by the channels that had touched it by then, if "
                        "it was open and its horizon has passed since. Younger leads are counted, never judged.",
                        "Rates of few leads are pulled towards the rate of all, and their intervals are wide.",
                        "The range of what was expected holds chance alone: a channel outside it converts otherwise "
                        "than the model thinks. Where many leads are judged, a model that is a little off shows.",
                        "A lead that several channels touched is in each one's row; only credits add up.",
                        *(f"{rule.replace('_', ' ').capitalize()}: {told}" for rule, told in RULES.items()),
                    ]
                )
            ],
        )
    )
    title = f"{cohort.data.project.name}: what each channel brings"
    return Page(title, verdict, sections, facts=_facts(cohort, first.n_immature))


def _dimension(found: Channels) -> Section:
    table = found.table
    blocks: list[Block] = []
    if (table["judged"] > 0).any():
        figure = pictures.expected_and_found(found)
        blocks.append(Picture(figure, f"Rates found and expected for each {found.by}; the table below has the numbers"))
    blocks.append(
        Table(
            ("", "leads", "judged", "converted", "expected", "wins so far", "open, expected", "cost per win", "days"),
            [_channel_row(row) for row in table.to_dict("records")],
            "Expected: what the model said on entry, with the 90 % range if it is right. Cost per win counts credited "
            "wins, known and to be expected. Days from creation to win: median.",
        )
    )
    if not np.allclose(table["credit_first_touch"], table["credit_last_touch"]):  # else the rules have nothing to share
        figure = pictures.credits_by_rule(table)
        blocks += [
            Picture(figure, f"Wins credited to each {found.by} by four rules; the table below has the numbers"),
            Table(
                ("", *(rule.replace("_", " ") for rule in RULES)),
                [
                    (row["channel"], *(f"{row[f'credit_{rule}']:.1f}" for rule in RULES))
                    for row in table.to_dict("records")
                ],
                "Wins so far, shared out by four rules.",
            ),
        ]
    if found.n_untouched:
        blocks.append(Text(f"{found.n_untouched:,} of {found.n_leads:,} leads have no touch here and are in no row."))
    return Section(f"By {found.by}", blocks)


def _channel_row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    rate = f"{row['won_rate']:.1%} ({row['won_rate_low']:.1%} to {row['won_rate_high']:.1%})" if row["judged"] else "–"
    expected = f"{row['expected']:.1f} ({row['expected_low']:.0f} to {row['expected_high']:.0f})"
    return (
        str(row["channel"]),
        f"{row['leads']:,}",
        f"{row['judged']:,}",
        rate if not row["judged"] else f"{row['won']:,}: {rate}",
        expected if row["judged"] else "–",
        f"{row['wins_so_far']:,}",
        f"{row['open_expected']:.1f}",
        _number(row["cost_per_win"], ",.0f"),
        _number(row["days_half"], ".0f"),
    )


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
                    f"Whoever reached a stage counts in all before it. Open leads may still go on. {_OPENS}",
                    words=(1,),
                ),
            ],
        ),
        Section("By month of creation", [_by_month(found)]),
    ]
    title = f"{cohort.data.project.name}: where leads leak"
    return Page(title, verdict, sections, facts=_facts(cohort, None))


def _stage_row(row: Mapping[Any, Any], found: Funnel) -> tuple[str | Behind, ...]:
    share = "" if row["of_before"] != row["of_before"] else (
        f"{row['of_before']:.1%} ({row['of_before_low']:.1%} to {row['of_before_high']:.1%})"
    )  # fmt: skip
    stage, leads = str(row["stage"]), found.leads
    ended = leads[(leads["stage"] == stage) & (leads["state"] != "won")]
    return (
        stage,
        STAGES[stage],
        _leads(_reached(found, leads, stage), f"that came as far as “{stage}”", _FUNNEL),
        share,
        _leads(ended, f"that came no further than “{stage}”", _FUNNEL),
        *(
            _leads(ended[ended["state"] == state], f"that came no further than “{stage}” and are {state}", _FUNNEL)
            for state in ("lost", "open")
        ),
    )


def _reached(found: Funnel, leads: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Those of some leads that came to a stage or further."""
    return leads[leads["stage"].isin(found.names[found.names.index(stage) :])]


def _by_month(found: Funnel) -> Table:
    rows: list[tuple[str | Behind, ...]] = []
    for month, leads in found.leads.groupby("month"):
        stages = [_leads(_reached(found, leads, stage), f"created in {month} that came as far as “{stage}”", _FUNNEL)
                  for stage in found.names]  # fmt: skip
        still_open = _leads(leads[leads["state"] == "open"], f"created in {month} that are open", _FUNNEL)
        rows.append((str(month), *stages, still_open))
    return Table(("", *found.names, "still open"), rows, "The younger a month, the more of its leads are open.")


def _leads(leads: pd.DataFrame, title: str, file: str, text: str | None = None) -> Behind:
    """A number of leads that opens their list."""
    told = f"{len(leads):,}"
    title = f"{told} lead{'' if len(leads) == 1 else 's'} {title}"
    return Behind(told if text is None else text, title, leads["lead_id"].tolist(), file)


def agreement_page(cohort: Cohort, found: Agreement) -> Page:
    """Return the report on the agreement."""
    sla = cohort.data.project.sla
    sections = [_marketing(found), _sales(found), _speed(found), Section("What was agreed", [Listing(promises(sla))])]
    title = f"{cohort.data.project.name}: what marketing and sales promised"
    facts = [*_facts(cohort, None), ("Handed over", f"{len(found.leads):,} leads")]
    return Page(title, verdict(found), [section for section in sections if section.blocks], facts=facts)


def verdict(found: Agreement) -> str:
    """Say in one sentence how both sides kept their word; what isn't due yet is left out."""
    told = []
    done = found.marketing[~found.marketing["unfinished"].astype(bool)]
    if len(done):
        # A promise for all origins holds those for single ones.
        whole = done[done["origin"] == EVERYWHERE] if EVERYWHERE in set(done["origin"]) else done
        short = int((whole.groupby("week")["missing"].sum() > 0).sum())
        told.append(
            f"marketing promised {whole['promised'].sum():,.0f} qualified leads and delivered "
            f"{whole['delivered'].sum():,.0f}, too few in {short} of {whole['week'].nunique()} weeks"
        )
    for promise, rows in found.sales.groupby("promise"):
        kept, missed = int(rows[KEPT].sum()), int(rows[MISSED].sum())
        if kept + missed:
            told.append(f"sales kept {kept:,} of {kept + missed:,} promises of {_PROMISES[str(promise)]}")
    text = "; ".join(told) or "nothing that was promised is due yet"
    return text[0].upper() + text[1:]


_PROMISES = {"response": "a first response", "attempts": "attempts", "verdict": "a verdict"}


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
            _leads(
                mine if name == EVERYWHERE else mine[mine["origin"] == name],
                f"delivered in the week of {week}{'' if name == EVERYWHERE else f' from {name}'}",
                _AGREEMENT,
                f"{by_origin.loc[name, 'delivered']:,} of {by_origin.loc[name, 'promised']:.1f}",
            )
            for name in origins
        ]
        rows.append((f"{week}{' (not over yet)' if of_week['unfinished'].any() else ''}", *cells))
    headings = ["all origins" if name == EVERYWHERE else name for name in origins]
    told = f"Delivered of promised; a month's promise is spread evenly over its days. {_OPENS} {_NEWEST}"
    return Section("Marketing: qualified leads", [Table(("week of", *headings), rows, told)] if rows else [])


def _sales(found: Agreement) -> Section:
    blocks: list[Block] = []
    for promise in dict.fromkeys(found.sales["promise"]):
        state, what = STATES[promise], _PROMISES[promise]
        owed = found.leads[found.leads[state].notna()]
        cells: list[tuple[str | Behind, ...]] = []
        for week, mine in [*owed.groupby("week")][: -MOST_WEEKS - 1 : -1]:
            title = f"handed over in the week of {week}, {what}"
            parts = [_leads(mine[mine[state] == one], f"{title} {one}", _AGREEMENT)
                     for one in (KEPT, MISSED, PENDING, WAIVED)]  # fmt: skip
            cells.append((str(week), _leads(mine, f"{title} owed", _AGREEMENT), *parts))
        told = f"{what.capitalize()}. Pending: not due yet. Waived: closed or answered before that. {_OPENS} {_NEWEST}"
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
                _leads(mine, f"handed over as {row['grade']}", _AGREEMENT),
                _leads(
                    mine[mine["human_hours"].notna()],
                    f"handed over as {row['grade']} and responded to",
                    _AGREEMENT,
                ),
                *(_number(row[name], ",.1f") for name in ("system_half", "system_tenth", "human_half", "human_tenth")),
            )
        )
    headings = ("grade", "leads", "responded to", "system: median", "slowest tenth", "people: median", "slowest tenth")
    told = "Hours. System: from what happened to the handover. People: from the handover to the first response."
    return Section("Speed to lead", [Table(headings, rows, told)] if rows else [])


def _facts(cohort: Cohort, n_immature: int | None) -> list[tuple[str, str]]:
    timezone = cohort.data.project.timezone
    facts = [
        ("Leads created", f"{time.format_instant(cohort.since)[:10]} to {time.format_instant(cohort.as_of)[:10]}"),
        ("As of", f"{time.format_instant(cohort.as_of)[:16].replace('T', ' ')} UTC"),
        ("Leads", f"{len(cohort):,}"),
        ("Still open", f"{int(cohort.open.sum()):,}"),
        ("Time zone", timezone),
    ]
    return facts if n_immature is None else [*facts, ("Too young to judge", f"{n_immature:,}")]


def _number(value: float, form: str) -> str:
    return "–" if value != value else format(value, form)


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
        )
    }
