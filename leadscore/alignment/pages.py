"""The funnel as a page, in the words of those who read it, and the tables of all three reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from leadscore.alignment import pictures
from leadscore.alignment.agreement import Agreement
from leadscore.alignment.agreement_page import AGREEMENT_LEADS
from leadscore.alignment.channel_page import CHANNEL_LEADS
from leadscore.alignment.channels import Channels
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.funnel import LOST, STAGES, Funnel
from leadscore.alignment.listing import LISTED, facts, leads_behind, notice
from leadscore.evaluate.page import Behind, Page, Picture, Section, Table
from leadscore.sla import QUALIFIED

_FUNNEL = "funnel_leads"
"""The table that holds a row per lead."""


def funnel_page(cohort: Cohort, found: Funnel) -> Page:
    """Return the report on the funnel; raises as `channels_page`."""
    table = found.table
    stopped = table[table["stage"] != "won"]
    worst = stopped.iloc[int(stopped["lost"].to_numpy().argmax())]
    verdict = f"Of {len(cohort):,} leads {int(cohort.won.sum()):,} were won, "
    n_lost = int(cohort.lost.sum())
    verdict += f"{n_lost:,} lost, most of them {LOST[worst['stage']]}: {worst['lost']:,}" if n_lost else "none was lost"
    grade = cohort.data.project.sla.qualified or QUALIFIED
    sections = [
        Section(
            "How far leads came",
            [
                Picture(
                    pictures.stages(table),
                    "Leads by stage; the table below has the numbers",
                    pictures.stages(table, pictures.NARROW),
                ),
                Table(
                    ("", "when", "leads", "of these, skipped it", "of the stage before", "stopped", "lost", "open"),
                    [_stage_row(row, found, grade) for row in table.to_dict("records")],
                    "Whoever reached a stage counts in all before it, even where it skipped one. The qualified without "
                    f"those that skipped it are the leads handed over. Open leads may still go on. {LISTED}",
                    words=(1,),
                ),
            ],
        ),
        Section("By month of creation", [_by_month(found)]),
    ]
    title = f"{cohort.data.project.name}: where leads leak"
    n_handed = 0
    counts: list[tuple[str, int]] = []
    if "qualified" in found.names:
        [qualified] = table[table["stage"] == "qualified"].to_dict("records")
        n_handed = qualified["leads"] - qualified["skipped"]
        counts = [("Handed over", n_handed)]
    return Page(title, verdict, sections, facts=facts(cohort, *counts), notice=notice(cohort, n_handed))


def _stage_row(row: Mapping[Any, Any], found: Funnel, grade: str) -> tuple[str | Behind, ...]:
    share = "" if row["of_before"] != row["of_before"] else (
        f"{row['of_before']:.1%} ({row['of_before_low']:.1%} to {row['of_before_high']:.1%})"
    )  # fmt: skip
    stage, leads = str(row["stage"]), found.leads
    came = _reached(found, leads, stage)
    skipped = [stage in one.split() for one in came["skipped"]]
    ended = leads[(leads["stage"] == stage) & (leads["state"] != "won")]
    return (
        stage,
        STAGES[stage].format(grade=grade),
        leads_behind(came, f"that came as far as “{stage}”", _FUNNEL),
        leads_behind(came[skipped], f"that came further than “{stage}” and skipped it", _FUNNEL),
        share,
        leads_behind(ended, f"that came no further than “{stage}”", _FUNNEL),
        *(
            leads_behind(ended[ended["state"] == state], f"that came no further than “{stage}”, {state}", _FUNNEL)
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
        still_open = leads_behind(leads[leads["state"] == "open"], f"created in {month}, still open", _FUNNEL)
        rows.append((str(month), *stages, still_open))
    return Table(("", *found.names, "still open"), rows, "The younger a month, the more of its leads are open.")


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
            "agreement_wins": found.wins,
            AGREEMENT_LEADS: found.leads,
        }
    return {
        name: pd.concat([table.assign(by=each.by) for each, table in tables], ignore_index=True)
        for name, tables in (
            ("channels", [(each, each.table) for each in found]),
            ("channels_by_month", [(each, each.months) for each in found]),
            (CHANNEL_LEADS, [(each, each.leads) for each in found]),
        )
    }
