"""Which proof covers which kind of feature: a primitive that one of them doesn't tell anything of fails here.

`tests/COVERAGE.md` is the table. To write it anew after adding a primitive or a proof:
LEADSCORE_WRITE_COVERAGE=1 pytest tests/test_coverage.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.parity import proofs as parity
from tests.parity.catalogue import KINDS, Kind
from tests.properties import proofs as properties
from tests.properties.proofs import union

TABLE = Path(__file__).parent / "COVERAGE.md"
PROOFS: dict[str, Callable[[], frozenset[Kind]]] = {
    "equals the oracle": parity.covered_by_oracle,
    "one lead = batch": lambda: union(map(parity.one_lead_equals_batch, parity.SEEDS)),
    "document = batch": lambda: union(map(parity.document_equals_batch, parity.SEEDS)),
    "without the future": lambda: union(map(properties.truncation_changes_nothing, properties.SEEDS)),
    "another future": lambda: union(map(properties.another_future_changes_nothing, properties.SEEDS)),
    "another past shows": lambda: union(map(properties.another_past_shows, properties.SEEDS)),
    "as rows arrive": lambda: union(map(properties.arrival_changes_nothing, properties.SEEDS)),
    "any order": lambda: union(map(properties.order_changes_nothing, properties.SEEDS)),
}
HEAD = """# What is proved of which feature

Written by the tests, never by hand: see `tests/test_coverage.py`. A tick says that the proof holds, and that it was
told of some value that is neither 0 nor NaN (*another past shows*: of a value that changed). A dash says that there is
nothing to prove: a calendar reads no rows.

- **equals the oracle**: the naive loop of `tests/parity/oracle.py`, over every window, on random streams of edges
- **one lead = batch**, **document = batch**: asked alone, from the tables or as a lead document with its context
- **without the future**: rows not visible at t, of this lead or another, could as well not be there
- **another future**: or be anything else
- **another past shows**: while other visible rows do give another value
- **as rows arrive**: what is asked between arrivals and redeliveries is what all rows say later of that time
- **any order**: of the input, and of what is asked, repeats included
"""


def applies(proof: str, kind: Kind) -> bool:
    return not (proof == "another past shows" and kind.whose == "calendar")


def uncovered(covered: Mapping[str, frozenset[Kind]], kinds: list[Kind]) -> list[str]:
    """Every kind and proof that should have told something of it, and did not."""
    return [
        f"{kind}: {proof}"
        for proof, told in covered.items()
        for kind in kinds
        if applies(proof, kind) and kind not in told
    ]


def table(covered: Mapping[str, frozenset[Kind]]) -> str:
    rows = [["feature", *covered], ["---", *([":-:"] * len(covered))]]
    for kind in KINDS:
        ticks = ["–" if not applies(proof, kind) else "✓" if kind in told else " " for proof, told in covered.items()]
        rows.append([str(kind), *ticks])
    return HEAD + "\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


@pytest.fixture(scope="module")
def covered() -> dict[str, frozenset[Kind]]:
    return {name: proof() for name, proof in PROOFS.items()}


def test_every_kind_of_feature_is_told_of_by_every_proof(covered):
    assert uncovered(covered, KINDS) == []


def test_the_table_is_what_the_proofs_say(covered):
    if os.environ.get("LEADSCORE_WRITE_COVERAGE"):
        TABLE.write_text(table(covered), encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == table(covered), "write it anew: see the head of this file"


def test_a_new_primitive_without_proofs_would_be_named():
    new = Kind("lead", "novelty", "any")
    missing = uncovered({name: frozenset(KINDS) for name in PROOFS}, [*KINDS, new])
    assert missing == [f"lead: novelty of any: {name}" for name in PROOFS]
