"""The agreement as a page: what both sides promised, what the score promised them, and what came of it."""

from __future__ import annotations

from leadscore.alignment.agreement import KEPT, MISSED, PENDING, STATES, WAIVED, Agreement
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.listing import LISTED, facts, leads_behind, notice, number
from leadscore.alignment.promise import ALL
from leadscore.evaluate.page import Behind, Block, Listing, Page, Section, Table, Text
from leadscore.features.words import in_words
from leadscore.phrases.catalogue import ENGLISH, catalogue
from leadscore.sla import EVERYWHERE, Sla

MOST_WEEKS = 13
AGREEMENT_LEADS = "agreement_leads"
"""The table that holds a row per lead."""
MOST_TOLD = 3
"""Numbers that a headline holds: more are read by nobody."""
_PROMISES = {"response": "a first response", "attempts": "attempts", "verdict": "a verdict"}
_KEPT_WORDS = {
    "response": "sales responded in time to {share} of its leads",
    "attempts": "sales tried often enough with {share}",
    "verdict": "sales gave a verdict in time on {share}",
}
_NEWEST = f"The {MOST_WEEKS} newest weeks; the CSV files hold all."


def agreement_page(cohort: Cohort, found: Agreement) -> Page:
    """Return the report on the agreement."""
    sla = cohort.data.project.sla
    sections = [_score(cohort, found), _marketing(found), _sales(found), _speed(found)]
    sections.append(Section("What was agreed", [Listing(promises(sla))]))
    title = f"{cohort.data.project.name}: what marketing and sales promised"
    text, kept = verdict(found)
    shown = [section for section in sections if section.blocks]
    n_handed = len(found.leads)
    return Page(title, text, shown, tone="good" if kept else "unsure", facts=facts(cohort, ("Handed over", n_handed)),
                notice=notice(cohort, n_handed))  # fmt: skip


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
        which = _from(str(origin))
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
        told.append(f"Marketing owes {quota:,} qualified leads a month{_from(origin)}.")
    told += [f"Sales owes {grade} leads a first response within {_span(span)}." for grade, span in sla.respond.items()]
    told += [
        f"Sales owes {grade} leads that don't answer {n} attempts within {_span(sla.within)}."
        for grade, n in sla.attempts.items()
    ]
    return told + ([f"Sales owes a verdict within {_span(sla.verdict)}."] if sla.verdict is not None else [])


def _from(origin: str) -> str:
    """Which leads, in words, with the blank before them."""
    return "" if origin == EVERYWHERE else f" from {in_words(origin) or origin}"


def _span(microseconds: int) -> str:
    hours = microseconds / 3_600_000_000
    return f"{hours:g} hours" if hours < 48 else f"{hours / 24:g} days"


def _score(cohort: Cohort, found: Agreement) -> Section:
    """What the score promised of the leads handed over: in one line, and by grade."""
    text, kept = promised(cohort, found)
    blocks: list[Block] = [Text(text, "plain" if kept else "unsure")]
    rows: list[tuple[str | Behind, ...]] = []
    for row in found.wins.to_dict("records"):
        over = found.leads[found.leads["judged"]]
        if row["grade"] != ALL:
            over = over[over["grade"] == row["grade"]]
        title = "handed over" if row["grade"] == ALL else f"handed over as {row['grade']}"
        rows.append(
            (
                str(row["grade"]),
                leads_behind(over, f"{title} and judged", AGREEMENT_LEADS),
                leads_behind(over[over["won"]], f"{title}, judged and won in time", AGREEMENT_LEADS),
                f"{row['expected']:.1f} ({row['expected_low']:.0f} to {row['expected_high']:.0f})",
            )
        )
    told = f"Expected: what the score said at the handover, with the 90 % range if it is right. {LISTED}"
    if len(rows) > 1:
        blocks.append(Table(("grade", "judged", "won", "expected"), rows, told))
    return Section("The score: wins among the leads handed over", blocks)


def promised(cohort: Cohort, found: Agreement) -> tuple[str, bool]:
    """Say in one line what the score promised of the leads handed over and what came, and whether it was kept."""
    spelled = catalogue(ENGLISH).span(str(cohort.data.project.task.horizon_text))
    row = found.wins.to_dict("records")[-1]  # all grades together
    n, won = int(row["judged"]), int(row["won"])
    if not n:
        return f"No lead was handed over {spelled} ago or longer: what the score promised can't be judged yet.", True
    low, high = int(row["expected_low"]), int(row["expected_high"])
    said = "the score kept its promise" if low <= won <= high else (
        "the score promised too much" if won < low else "the score promised too little"
    )  # fmt: skip
    return (
        f"Of {n:,} leads handed over {spelled} ago or longer {won:,} were won within {spelled}, where the score "
        f"expected {row['expected']:,.0f} ({low:,} to {high:,} in nine of ten cases): {said}."
    ), low <= won <= high


def _marketing(found: Agreement) -> Section:
    origins = list(dict.fromkeys(found.marketing["origin"]))
    rows: list[tuple[str | Behind, ...]] = []
    for week, of_week in [*found.marketing.groupby("week")][: -MOST_WEEKS - 1 : -1]:
        by_origin = of_week.set_index("origin")
        mine = found.leads[found.leads["week"] == week]
        cells = [
            leads_behind(
                mine if name == EVERYWHERE else mine[mine["origin"] == name],
                f"delivered in the week of {week}{_from(name)}",
                AGREEMENT_LEADS,
                f"{by_origin.loc[name, 'delivered']:,} of {by_origin.loc[name, 'promised']:.1f}",
            )
            for name in origins
        ]
        rows.append((f"{week}{' (not over yet)' if of_week['unfinished'].any() else ''}", *cells))
    headings = ["all origins" if name == EVERYWHERE else in_words(name) or name for name in origins]
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
            parts = [leads_behind(mine[mine[state] == one], f"{title} {one}", AGREEMENT_LEADS)
                     for one in (KEPT, MISSED, PENDING, WAIVED)]  # fmt: skip
            cells.append((str(week), leads_behind(mine, f"{title} owed", AGREEMENT_LEADS), *parts))
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
                leads_behind(mine, f"handed over as {row['grade']}", AGREEMENT_LEADS),
                leads_behind(
                    mine[mine["human_hours"].notna()],
                    f"handed over as {row['grade']} and responded to",
                    AGREEMENT_LEADS,
                ),
                *(number(row[name], ",.1f") for name in ("system_half", "system_tenth", "human_half", "human_tenth")),
            )
        )
    headings = ("grade", "leads", "responded to", "system: median", "slowest tenth", "people: median", "slowest tenth")
    told = "Hours. System: from what happened to the handover. People: from the handover to the first response."
    return Section("Speed to lead", [Table(headings, rows, told)] if rows else [])
