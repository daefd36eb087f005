"""What a model was made of: tables, label, blocks, findings of the check, and its card."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from leadscore import time
from leadscore.evaluate.check.findings import Finding
from leadscore.evaluate.page import Block, Listing, Picture, Section, Table, Text
from leadscore.evaluate.report import Report
from leadscore.evaluate.report_page.cells import count, share, words
from leadscore.evaluate.report_page.pictures import rate_by_month, timeline
from leadscore.model.fitting import Fitted
from leadscore.model.scorer import LeadScorer
from leadscore.snapshots import BLOCKS

_LIMITS = (
    "It knows what the declared tables know. A conversation that nobody logged does not exist for it.",
    "It learnt from leads as they were worked: leads that sales never called look like leads that don't convert.",
    "Scores rank and give chances of converting within the horizon. They don't say whom a call would change.",
    "It was judged on the months of the test. When the market, the sources or the recording change, it has to be "
    "judged again: leadscore monitor.",
)


def data(report: Report) -> Section:
    """Tables as they were read, and how snapshots were cut into blocks."""
    read = report.judged.snapshots.data
    rows = [[table, count(n)] for table, n in read.n_rows.items()]
    blocks: list[Block] = [Table(["Table", "Rows"], rows, "As they stand in their sources")]
    if read.notes:
        blocks.append(Listing([f"{note.table}: {note.text}" for note in read.notes]))
    if report.blocks:
        if report.blocks["test"]["from"] and all(report.blocks[name]["n"] for name in BLOCKS):
            blocks.append(Picture(timeline(report.blocks), "Train, tune, calibrate and test blocks over time"))
        cells = [
            [name, *(count(block[key]) for key in ("n", "n_positive", "n_won_leads")),
             share(block["base_rate"]), _day(block["from"]), _day(block["to"])]
            for name, block in ((name, report.blocks[name]) for name in BLOCKS)
        ]  # fmt: skip
        headings = ["Block", "Snapshots", "Wins", "Won leads", "Convert", "From", "To"]
        blocks.append(
            Table(headings, cells, "A snapshot is a lead at a cutoff. Each block saw only what was known then")
        )
        dropped = report.blocks["n_dropped"]
        if dropped:
            blocks.append(Text(f"{dropped:,} snapshots are in no block: their label reaches into a later block that "
                               "holds the same lead, or into the embargo."))  # fmt: skip
    return Section("Data", blocks)


def label(report: Report, fitted: Fitted | None) -> Section:
    """What counts as a win, what was too young to tell, and the rate over time."""
    project, counts = report.judged.snapshots.data.project, report.snapshots
    outcome = project.outcome
    won = f"{outcome.column} is {' or '.join(outcome.won)}" if outcome.column else "a row in the outcome's table"
    within = f", within {project.task.horizon_text} of the cutoff" if project.timed else ""
    blocks: list[Block] = [Text(f"A win is: {won}{within}.")]
    names = {
        "n": "snapshots with a settled label", "n_positive": "of them wins", "n_leads": "leads",
        "n_won_leads": "of them won", "n_immature": "snapshots too young to tell: left out, never counted as losses",
        "n_outside_risk_set": "candidates not open at their cutoff",
        "n_sampled_out": "beyond the most kept per lead; the kept ones weigh for them", "n_open": "leads still open",
    }  # fmt: skip
    rows = [[count(counts[key]), text] for key, text in names.items() if key in counts]
    blocks.append(Table(["Number", "Of what"], rows, "Labels", words=(1,)))
    if fitted is not None and project.timed and len(fitted.blocks.rows["test"]):
        picture = rate_by_month(fitted.snapshots, fitted.blocks.starts["test"])
        blocks.append(Picture(picture, "Share of snapshots that convert, by month"))
    return Section("Label", blocks)


def findings(found: Sequence[Finding] | None) -> Section:
    """What the check found, gravest first; notes are counted."""
    if found is None:
        return Section("Leakage and quality", [Text("Not looked at in this training. Run: leadscore check")])
    grave = [finding for finding in found if finding.severity != "note"]
    n_notes = len(found) - len(grave)
    notes = f"{n_notes} notes more; leadscore check looks closer"
    if not grave:
        return Section("Leakage and quality", [Text(f"Nothing severe, and no warning. {notes}.", "good")])
    rows = [
        [finding.severity, words(finding.kind), ".".join(filter(None, (finding.table, finding.column))),
         finding.evidence, finding.remedy]
        for finding in grave
    ]  # fmt: skip
    severe = sum(finding.severity == "severe" for finding in grave)
    blocks: list[Block] = [Table(["", "What", "Where", "Evidence", "Remedy"], rows, notes, words=(1, 2, 3, 4))]
    if severe:
        blocks.insert(0, Text(f"{severe} severe: a model trained on this will disappoint.", "bad"))
    return Section("Leakage and quality", blocks)


def card(scorer: LeadScorer, report: Report) -> Section:
    """What the model is, what it is for, what it can't do, and how to make it again."""
    project, manifest = report.judged.snapshots.data.project, scorer.manifest
    settings = {**project.model, **scorer.parameters}
    facts = [
        ("Name", scorer.name),
        ("Kind", {"lightgbm": "LightGBM trees", "rate": "smoothed rates", "logistic": "logistic"}[scorer.model.kind]),
        ("Rung", words(str(manifest.get("rung", "–")))),
        ("Horizon", scorer.horizon or "none: a list without times"),
        ("Calibration", words(scorer.calibrator.kind)),
        ("Features", count(len(scorer.plan.features))),
        ("Seed", str(scorer.seed)),
        ("Parameters over the defaults", ", ".join(f"{key} = {value}" for key, value in settings.items()) or "none"),
        ("Data, SHA-256", str(manifest.get("data", "–"))),
        ("Observed until", str(manifest.get("observed_until") or "–")),
        ("Plan, SHA-256", scorer.plan.hash),
        ("Code", f"leadscore {metadata.version('leadscore')}, lightgbm {metadata.version('lightgbm')}"),
    ]
    use = (
        "To order leads and to plan by expected wins, for the population that it was trained on. Not to decide alone "
        "about people, and not for a population of another kind."
    )
    again = f"leadscore train on the same tables with --seed {scorer.seed} and the same versions gives the same bytes."
    table = Table(["", ""], [list(fact) for fact in facts], words=(1,))
    return Section("Model card", [table, Text(use), Text("Limits", "unsure"), Listing(_LIMITS), Text(again)])


def _day(instant: str | None) -> str:
    return "–" if instant is None else instant[:10]


def judged_from_to(report: Report) -> str:
    """The span of cutoffs that were judged."""
    rows = report.judged.snapshots
    if not rows.data.project.timed or len(rows) == 0:
        return "a list without times"
    return f"{time.format_instant(int(rows.at.min()))[:10]} to {time.format_instant(int(rows.at.max()))[:10]}"
