"""``[reasons]``: what a project may put in place of the catalogue's words, and how mistakes are named."""

from __future__ import annotations

import pytest

import leadscore as ls
from leadscore.errors import ProjectError
from leadscore.phrases.section import ReasonOptions, reason_options

TABLES = {"touchpoints": ("channel", "cost"), "v1.calls": ("to.whom",), "lead": ("employees", "lead source")}


def test_without_the_section_reasons_are_english():
    assert reason_options({}, TABLES) == ReasonOptions("en", {}, {})


def test_everything_that_may_be_said_otherwise():
    found = reason_options(
        {
            "language": "de",
            "nouns": {
                "touchpoints": ["contact", "contacts"],
                "touchpoints.channel": "way",
                "touchpoints.channel=web=1.5": ["visit", "visits"],
                "v1%2Ecalls.to%2Ewhom": "person",
                "lead.employees": "head count",
            },
            "phrases": {
                "since_last": {"text": "last {what_one} was {n} ago", "usual": ""},
                "touchpoints.channel=web.count": {"text": "{n} {what_n}{when}"},
                "touchpoints.cost.sum.30d": {"zero": "nothing spent{when}"},
                "account.touchpoints.count.30d": {"text": "{n} of others"},
                "lead.lead source": {"none": "no {column}"},
                "profile.age": {"negative": "not there yet"},
                "origin.win_rate": {"text": "{n} of {column}"},
            },
        },
        TABLES,
    )
    assert found.nouns["touchpoints.channel"] == ("way", "way")
    assert found.nouns["touchpoints"] == ("contact", "contacts")
    assert found.phrases["touchpoints.cost.sum.30d"] == {"zero": "nothing spent{when}"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"languge": "en"}, r"unknown key 'languge' in \[reasons\]. Did you mean 'language'\?"),
        ({"language": "dee"}, r"\[reasons\] language 'dee' has no phrases. Did you mean 'de'\? There are: de, en"),
        ({"nouns": {"touchpoint": "x"}}, r"'touchpoint': there is no \[events.touchpoint\].*touchpoints"),
        ({"nouns": {"touchpoints.chanel": "x"}}, r"declares no column 'chanel'. Did you mean 'channel'\?"),
        ({"nouns": {"lead.employes": "x"}}, r"\[leads\] declares no column 'employes'. Did you mean 'employees'\?"),
        ({"nouns": {"lead": "x"}}, "name a column of the profile"),
        ({"nouns": {"touchpoints": ["x"]}}, "must be one and many"),
        ({"nouns": {"touchpoints": ["x", " "]}}, "must be one and many"),
        ({"nouns": ["x"]}, r"\[reasons.nouns\] must be a table"),
        ({"phrases": {"cuont": {"text": "x"}}}, r"'cuont' is no op. Did you mean 'count'\?"),
        ({"phrases": {"touchpoints.cuont": {"text": "x"}}}, r"unknown op 'cuont'. Did you mean 'count'\?"),
        ({"phrases": {"touchpoint.count": {"text": "x"}}}, r"no \[events.touchpoint\]. Did you mean 'touchpoints'\?"),
        ({"phrases": {"touchpoints.chan.count.7d": {"text": "x"}}}, "declares no column 'chan'"),
        ({"phrases": {"count": {"txt": "x"}}}, "unknown key .txt. in .*count.*Did you mean .text."),
        ({"phrases": {"count": {"text": "{m}"}}}, r"unknown placeholder \{m\}.*Legal here: \{n\}, .*\{when\}"),
        ({"phrases": {"count": {"text": "{whats}"}}}, r"unknown placeholder \{whats\}. Did you mean 'what'\?"),
        ({"phrases": {"count": {"text": "{n.real}"}}}, r"unknown placeholder \{n.real\}"),
        ({"phrases": {"count": {"text": "{n:>9}"}}}, r"unknown placeholder \{n:>9\}"),
        ({"phrases": {"count": {"text": "{n!r}"}}}, r"unknown placeholder \{n!r\}"),
        ({"phrases": {"count": {"text": "{n"}}}, "a brace of its own is written twice"),
        ({"phrases": {"count": {"text": "{}"}}}, "unknown placeholder"),
        ({"phrases": {"count": {"text": " "}}}, "a reason must say something"),
        ({"phrases": {"count": {"text": 3}}}, "must be text in quotes"),
        ({"phrases": {"since_last": {"none": "{n}"}}}, r"unknown placeholder \{n\}"),
        ({"phrases": {"since_last": {"text": "{when}"}}}, r"unknown placeholder \{when\}"),
        ({"phrases": {"since_last": "x"}}, "must be a table"),
    ],
)  # fmt: skip
def test_mistakes_name_the_file_the_key_and_the_nearest(raw, message):
    with pytest.raises(ProjectError, match=message) as error:
        reason_options(raw, TABLES)
    assert str(error.value).startswith("leadscore.toml: ")


def test_a_project_file_carries_it(sample: ls.Data):
    raw = {**sample.project.raw, "reasons": {"nouns": {"lead.rep": "seller"}}}
    project = ls.Project.from_dict(raw, folder=sample.project.folder)
    assert project.reasons.nouns == {"lead.rep": ("seller", "seller")}
    assert ls.FeaturePlan.default(project).hash == ls.FeaturePlan.default(sample.project).hash
