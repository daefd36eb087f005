"""Columns that say by their name that they are written over and over, or made from what came later.

The rule ``rewritten_by_name`` holds for profiles without versions: the name of a column says *last*, *status*, *stage*,
*score* or the like, and alone it ranks won leads above others with AUC .60 or more: **warning**. Nothing else tells
such a column from an honest one in a table that shows today's values only.
"""

from __future__ import annotations

import re

from leadscore.evaluate.check.findings import percent
from leadscore.evaluate.check.material import FEWEST, Column, Groups
from leadscore.evaluate.check.power import column_auc
from leadscore.evaluate.check.suspicion import Suspicion, judged_leads

TELLS = 0.60
_REWRITTEN = frozenset(
    """last latest recent modified updated changed closed close stage status state lifecycle phase disposition
    result outcome converted conversion qualified disqualified reason score scoring grade rating index quality rank tag
    tags total lifetime""".split()
)


def rewritten_by_name(column: Column, groups: Groups, *, seed: int) -> Suspicion | None:
    """Whether a column's name and power together ask for a look."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+", " ", column.name).casefold().split()
    said = [word for word in words if word in _REWRITTEN]
    judged = judged_leads(groups)
    label = groups.won[judged]
    if not said or min(label.sum(), (~label).sum()) < FEWEST:
        return None
    alone = column_auc(column.codes[judged], label, seed=seed)
    if alone < TELLS:
        return None
    evidence = (
        f"'{said[0]}' in its name says that it is written again as time goes on, no version says when, and alone it "
        f"reaches AUC {alone:.3f} ({percent(column.filled.mean())} of the leads have a value)"
    )
    return Suspicion("warning", "rewritten_by_name", column, evidence)
