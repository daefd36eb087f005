"""A receipt reads in ten seconds: two phrases become one, and what is nothing is left out."""

from __future__ import annotations

import pytest

from leadscore.explain.telling import change_in_words


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("last call 2 days ago", "last call 16 days ago", "last call 2 → 16 days ago"),
        ("last call 4 hours ago", "last call 4 days ago", "last call 4 hours → 4 days ago"),
        ("last call 5 hours ago", "last call 2 days ago", "last call 5 hours → 2 days ago"),
        ("no calls so far", "last call 2 days ago", "no calls so far → last call 2 days ago"),
        ("3 calls in the last 7 days", "1 call in the last 7 days", "3 calls → 1 call in the last 7 days"),
        ("activity: W offers", "activity: W checks", "activity: W offers → W checks"),
        ("calls: 20.1 minutes on average", "calls: 3 minutes on average", "calls: 20.1 → 3 minutes on average"),
        (
            "as many calls in the last 7 days as in the 7 days before",
            "2 fewer calls in the last 7 days than in the 7 days before",
            "as many calls in the last 7 days as in the 7 days before → "
            "2 fewer calls in the last 7 days than in the 7 days before",
        ),
        ("source: ads", "source: ads", "source: ads"),
        ("a", "a a", "a → a a"),
    ],
)
def test_two_phrases_share_what_they_share(before: str, after: str, told: str) -> None:
    assert change_in_words(before, after) == told
