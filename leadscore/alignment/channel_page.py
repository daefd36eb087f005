"""The report on channels, as a marketer reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from leadscore.alignment import pictures
from leadscore.alignment.attribution import RULES
from leadscore.alignment.channels import Channels, cost_columns
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.listing import LISTED, facts, leads_behind, notice, number
from leadscore.evaluate.page import Behind, Block, Listing, Page, Picture, Section, Table, Text
from leadscore.features.names import FeatureName
from leadscore.features.words import Words, in_words
from leadscore.phrases.catalogue import ENGLISH

MOST_MONTHS, MOST_CHANNELS = 12, 6
"""The newest months and the largest channels that fit into a table; the CSV files hold all."""
CHANNEL_LEADS = "channels_leads"
"""The table that holds a row per channel and lead."""
_RULES = {"first_touch": "first touch", "last_touch": "last touch", "time_decay": "time decay", "shapley": "Shapley"}


def channels_page(cohort: Cohort, found: Sequence[Channels]) -> Page:
    """Return the report on channels; raises MissingExtraError without matplotlib."""
    first = found[0]
    verdict = f"Of {first.n_judged:,} judged leads {first.n_won:,} converted; the model expected {first.expected:,.0f}"
    words = Words(replace(cohort.data.project.reasons, language=ENGLISH, phrases={}))
    sections = [_dimension(each, _called(each.by, words), place == 0) for place, each in enumerate(found)]
    sections.append(Section("How to read this", [Listing(_how_to_read(cohort))]))
    title = f"{cohort.data.project.name}: what each channel brings"
    counts = (
        ("Judged", first.n_judged),
        ("Too young to judge", first.n_immature),
        ("Closed within a day", first.n_leads - first.n_judged - first.n_immature),
    )
    return Page(title, verdict, sections, facts=facts(cohort, *counts), notice=notice(cohort))


def _how_to_read(cohort: Cohort) -> list[str]:
    columns = cost_columns(cohort.data)
    cost = (
        f"Cost is taken from {' and '.join(columns)}, in its own unit." if columns else "No column says what it cost."
    )
    return [
        "A lead is judged a day after it was created, by the channels that had touched it by then, if "
        "it was still open then and its horizon has passed since. Younger leads, and those that closed within a day, "
        "are counted, not judged.",
        "Rates of few leads are pulled towards the rate of all, and their intervals are wide.",
        "The range of what was expected allows for chance alone: a channel outside it converts better or worse than "
        "the model thinks. Where many leads are judged, even a model that is a little off falls outside.",
        "A lead that several channels touched stands in the row of each; only credits add up.",
        f"{cost} A dash says that no cost is known: it may still have cost something. Cost per win counts credited "
        "wins, known and still expected.",
        *(f"{_RULES[rule].capitalize()}: {told}" for rule, told in RULES.items()),
    ]


def _called(by: str, words: Words) -> tuple[str, str]:
    """What a dimension is called, and what a row of it: ``channel of touchpoints``, ``channel``."""
    table, _, column = by.partition(".")
    row = words.topic(FeatureName("lead", "value", column))
    return (row, row) if table == "lead" else (words.topic(FeatureName(table, "mode", column)), row)


def _dimension(found: Channels, called: tuple[str, str], first: bool) -> Section:
    table, (title, row_name) = found.table, called
    blocks: list[Block] = []
    if first:
        blocks.append(
            Text("How to read this: a dot right of its mark did better than expected; a wide band means few leads. "
                 f"{LISTED} More at the bottom.")
        )  # fmt: skip
    if (table["judged"] > 0).any():
        alt = f"Rates found and expected for each {title}; the table below has the numbers"
        broad, narrow = (pictures.expected_and_found(found, shape) for shape in (pictures.BROAD, pictures.NARROW))
        blocks.append(Picture(broad, alt, narrow))
    behind = dict(iter(found.leads.groupby("channel")))
    blocks.append(
        Table(
            (row_name, "leads", "judged", "converted", "rate, estimated", "expected to convert", "wins so far",
             "wins still expected", "cost per win", "days to win"),
            [_row(row, behind.get(row["channel"], found.leads[:0])) for row in table.to_dict("records")],
            "Converted: how many, and their share of the judged. Estimated: that share, pulled towards that of all "
            "where leads are few, with its 90 % range. Expected: what the model said on entry, with the 90 % range if "
            "it is right. Days to win: median.",
        )
    )  # fmt: skip
    if (found.months["judged"] > 0).any():
        blocks.append(_by_month(found))
    if not np.allclose(table["credit_first_touch"], table["credit_last_touch"]):  # else the rules have nothing to share
        alt = f"Wins credited to each {title} by four rules; the table below has the numbers"
        broad, narrow = (pictures.credits_by_rule(table, shape) for shape in (pictures.BROAD, pictures.NARROW))
        blocks += [
            Picture(broad, alt, narrow),
            Table(
                (row_name, *(_RULES[rule] for rule in RULES)),
                [
                    (in_words(row["channel"]) or row["channel"], *(f"{row[f'credit_{rule}']:.1f}" for rule in RULES))
                    for row in table.to_dict("records")
                ],
                "Wins so far, shared out by four rules.",
            ),
        ]
    if found.n_untouched:
        blocks.append(Text(f"{found.n_untouched:,} of {found.n_leads:,} leads have no touch here and are in no row."))
    return Section(f"By {title}", blocks)


def _by_month(found: Channels) -> Table:
    """The judged leads of the largest channels, by month of creation, the newest first."""
    names = [*found.table["channel"].head(MOST_CHANNELS)]
    called = [in_words(name) or name for name in names]
    months = {str(month): rows for month, rows in found.months.groupby("month")}
    rows: list[tuple[str | Behind, ...]] = []
    for month in sorted(months, reverse=True)[:MOST_MONTHS]:
        of_channel = {row["channel"]: row for row in months[month].to_dict("records")}
        behind = found.leads[(found.leads["month"] == month) & found.leads["judged"]]
        cells: list[str | Behind] = []
        for name, told in zip(names, called, strict=True):
            row = of_channel.get(name)
            if row is None or not row["judged"]:
                cells.append("–")
                continue
            text = f"{row['won']:,} of {row['judged']:,} ({row['expected']:.1f})"
            title = f"of “{told}” created in {month}, judged"
            cells.append(leads_behind(behind[behind["channel"] == name], title, CHANNEL_LEADS, text))
        rows.append((month, *cells))
    told = "Month of creation: converted of judged leads, in brackets what the model expected."
    return Table(("month", *called), rows, f"{told} The newest months and largest channels; the CSV files hold all.")


def _row(row: Mapping[Any, Any], leads: pd.DataFrame) -> tuple[str | Behind, ...]:
    called = in_words(str(row["channel"])) or str(row["channel"])
    name = f"“{called}”"
    rate = f"{row['won_rate']:.1%} ({row['won_rate_low']:.1%} to {row['won_rate_high']:.1%})" if row["judged"] else "–"
    won = f"{row['won']:,} ({row['won'] / row['judged']:.1%})" if row["judged"] else "–"
    expected = f"{row['expected']:.1f} ({row['expected_low']:.0f} to {row['expected_high']:.0f})"

    def listed(mask: pd.Series, told: str, text: str | None = None) -> Behind:
        return leads_behind(leads[mask], f"of {name}{told}", CHANNEL_LEADS, text)

    return (
        called,
        listed(leads["judged"] | True, ""),
        listed(leads["judged"], ", judged"),
        listed(leads["won"], ", judged and converted", won),
        rate,
        expected if row["judged"] else "–",
        listed(leads["state"] == "won", ", won so far"),
        listed(leads["state"] == "open", ", still open", f"{row['open_expected']:.1f}"),
        number(row["cost_per_win"], ",.0f" if row["cost_per_win"] >= 10 else ",.2f"),
        number(row["days_half"], ".0f"),
    )
