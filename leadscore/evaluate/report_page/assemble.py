"""The sections of the report in their order."""

from __future__ import annotations

from collections.abc import Sequence

from leadscore.evaluate.check.findings import Finding
from leadscore.evaluate.drivers import drivers
from leadscore.evaluate.page import Block, Listing, Page, Section, Text, render
from leadscore.evaluate.page.blocks import Tone
from leadscore.evaluate.report import Report
from leadscore.evaluate.report_page import material, measured
from leadscore.evaluate.report_page.cells import count, number, share
from leadscore.evaluate.verdict import NO_SIGNAL
from leadscore.model.scorer import LeadScorer


def report_page(scorer: LeadScorer, report: Report, *, findings: Sequence[Finding] | None = None) -> str:
    """Return a report as one self-contained HTML file.

    Parameters
    ----------
    scorer : the one that was judged; one that was loaded has no blocks, baselines or drivers to show
    findings : what `leadscore.evaluate.check` found in the same data; None if nobody looked

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib isn't installed.
    """
    fitted = scorer.fitted
    severe = [finding for finding in findings or () if finding.severity == "severe"]
    sections = [
        _warnings(report, severe),
        material.data(report),
        material.label(report, fitted),
        measured.baselines(report, None if fitted is None else fitted.ladder),
        measured.reliability(report, scorer.seed),
        measured.lists(report),
        measured.parts(report),
        measured.conversion(drivers(scorer)),
        material.findings(findings) if fitted is not None else None,
        material.card(scorer, report),
    ]
    n_won = int(report.snapshots["n_won_leads"])
    facts = [
        ("Judged on", f"{count(report.metrics['n'] or 0)} snapshots, {count(report.metrics['n_positive'] or 0)} wins"),
        ("Cutoffs", material.judged_from_to(report)),
        ("Leads that were won, in all", count(n_won)),
        ("AUC", number(report.metrics["auc"])),
        ("Predicted, observed", f"{share(measured.mean_probability(report))}, {share(report.metrics['base_rate'])}"),
        ("Lift in the best 10 %", number(report.metrics["lift_at_10pct"], 1)),
    ]
    title = f"{scorer.name} · conversion within {scorer.horizon}" if scorer.horizon else scorer.name
    shown = [section for section in sections if section is not None]
    tone = "bad" if severe else _tone(report.verdict)
    return render(Page(title, report.verdict, shown, tone, facts))


def _warnings(report: Report, severe: Sequence[Finding]) -> Section | None:
    leaks = [
        f"leadscore check finds {finding.table}.{finding.column or ''} severe ({finding.evidence}): what follows is "
        "too good to be true"
        for finding in severe
    ]
    if not leaks and not report.warnings:
        return None
    blocks: list[Block] = [Text(leak, "bad") for leak in leaks]
    if report.warnings:
        blocks.append(Listing(report.warnings) if len(report.warnings) > 1 else Text(report.warnings[0]))
    return Section("Read this first", blocks)


def _tone(verdict: str) -> Tone:
    if verdict.startswith((NO_SIGNAL, "The model is BEATEN")):
        return "bad"
    return "good" if verdict.startswith("The model beats") else "unsure"
