"""The report as a page: every section, whatever the model; nothing of a user's is markup; the same bytes."""

from __future__ import annotations

import pandas as pd
import pytest

import leadscore as ls
from leadscore.evaluate.check import Finding
from leadscore.evaluate.report import judge, report
from leadscore.evaluate.report_page import report_page
from tests import builders
from tests.evaluate.test_page import Structure
from tests.evaluate.test_report import coin_flips

SECTIONS = (
    *("Read this first", "Data", "Label", "Beside the baselines", "Do the probabilities hold?"),
    *("If you can only call some", "Where it holds, and where not", "What drives conversion here"),
    *("Leakage and quality", "Model card"),
)


@pytest.fixture(scope="module")
def told(sample_scorer):
    return report(sample_scorer)


def headings(html: str) -> list[str]:
    return [part.split("</h2>")[0].partition(">")[2] for part in html.split("<h2")[1:]]


def test_the_verdict_comes_first_and_every_section_follows(sample_scorer, told) -> None:
    html = report_page(sample_scorer, told)
    assert html.index(told.verdict) < html.index("<h2")
    assert headings(html) == list(SECTIONS)
    page = Structure()
    page.feed(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert html == report_page(sample_scorer, told)


def test_the_card_names_what_makes_the_model_again(sample_scorer, told) -> None:
    html = report_page(sample_scorer, told)
    for text in (sample_scorer.plan.hash, sample_scorer.manifest["data"], "Limits", "with --seed 0"):
        assert text in html
    assert not [name for name in sample_scorer.plan.names if f">{name}<" in html]


def test_findings_are_shown_gravest_first_and_escaped(sample_scorer, told) -> None:
    grave = Finding("severe", "predicts_too_well", "leads", "<b>Tags</b>", "AUC .99", 'categorical = ["source"]')
    html = report_page(sample_scorer, told, findings=[grave])
    assert 'class="verdict bad"' in html
    assert html.index("too good to be true") < html.index("Beside the baselines</h2>")
    assert "1 severe: a model trained on this will disappoint." in html
    assert "&lt;b&gt;Tags" in html
    assert "<b>Tags" not in html
    assert "Nothing severe" in report_page(sample_scorer, told, findings=[])


def test_a_model_without_signal_has_a_page_that_says_so() -> None:
    data = coin_flips(1_500)
    scorer = ls.LeadScorer().fit(data, ls.snapshots(data))
    html = report_page(scorer, report(scorer))
    assert "NO SIGNAL BEYOND THE NOISE" in html
    assert "What drives conversion here" not in headings(html)


def test_a_hold_out_has_no_blocks_and_a_list_without_times_no_months(sample, sample_scorer_folder) -> None:
    loaded = ls.LeadScorer.load(sample_scorer_folder)
    assert "Leakage and quality" not in headings(report_page(loaded, judge(loaded, sample)))
    frame = pd.DataFrame(
        [("ads" if n % 3 else "fair", n % 17, str(int(n % 3 == 0 or n % 17 == 1))) for n in range(900)],
        columns=["source", "visits", "converted"],
    )
    data = ls.read(builders.project(base=builders.LABELLED), frames={"leads": frame, "outcome": frame})
    scorer = ls.LeadScorer(parameters={"num_iterations": 30}).fit(data, ls.snapshots(data))
    html = report_page(scorer, report(scorer))
    assert "Where it holds, and where not" not in headings(html)
    assert "This list has no times" in html
