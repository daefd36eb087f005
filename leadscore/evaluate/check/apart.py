"""Do the leads that a model learns from look like those it is judged on? A model that tells them apart says no.

========================= ============================================================================================
train_and_test_differ     a small LightGBM says of which of the two blocks a snapshot is, out of fold, with AUC .70:
                          **note**, from .85 **warning**. It may not look at what follows the calendar by nature: age,
                          load, windows without end, days since the first, histories of account, origin and owner;
                          and snapshots of both blocks are drawn so that their leads are alike in age
accounts_in_both_blocks   accounts that have leads in the training and in the test: **note**, with what it means
leads_in_both_blocks      in a list without times: test leads that repeat the whole profile of one learnt from, 1 % or
                          more, where such pairs share their outcome more often than chance: **warning**
========================= ============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.adversarial import tell_apart
from leadscore.evaluate.check.findings import Finding, Series, Severity, leave_out, percent, verb
from leadscore.evaluate.check.forward import Forward, place_of
from leadscore.evaluate.check.material import FEWEST, Material
from leadscore.features.names import FeatureName
from leadscore.features.primitives import SIDE_OF_ROLE
from leadscore.snapshots import BLOCKS, split
from leadscore.tables import Data
from leadscore.time import DAY

DIFFER, DIFFER_MUCH = 0.70, 0.85
MOST_TOLD = 5
MANY_TWINS, STANDARD_ERRORS = 0.01, 4.0


def train_and_test_differ(material: Material) -> list[Finding]:
    """Ask whether the train block and the test block come from one world."""
    forward, project = material.forward, material.project
    if forward is None or (not project.timed and project.task.split != "ordered"):
        return []
    columns = [i for i, name in enumerate(forward.plan.features) if not _follows_calendar(name)]
    earlier, later = _alike_in_age(forward, *_parted(material, forward))
    if not columns:
        return []
    clusters = forward.snapshots.clusters()
    told = tell_apart(
        forward.matrix[earlier][:, columns], forward.matrix[later][:, columns],
        names=[forward.plan.names[i] for i in columns],
        categorical=[place for place, i in enumerate(columns) if i in set(forward.plan.categorical)],
        groups=(clusters[earlier], clusters[later]), seed=material.seed,
    )  # fmt: skip
    if told is None or told.auc < DIFFER:
        return []
    by = _by_column(told.by, material)
    shown = ", ".join(f"{name} ({percent(share)})" for name, share in list(by.items())[:MOST_TOLD])
    evidence = f"a model tells train from test snapshots with AUC {told.auc:.3f}, by {shown}"
    table, column = place_of(FeatureName.parse(next(iter(told.by))), project)
    remedy = "Ask what changed in the columns named, and whether it will stay so"
    if column is not None and table != "task":
        remedy += f". If the first only dates a lead, leave it out: {leave_out(project, table, column)}"
    severity: Severity = "warning" if told.auc >= DIFFER_MUCH else "note"
    top = list(by.items())[:8]
    series = Series("bars", "What tells train from test snapshots, share of all gain",
                    tuple(name for name, _ in top), {"gain": tuple(share for _, share in top)})  # fmt: skip
    return [Finding(severity, "train_and_test_differ", table, column, evidence, remedy, series)]


def _follows_calendar(name: FeatureName) -> bool:
    """Whether a feature grows or turns with the date, whatever leads do."""
    if name.table in ("calendar", "profile", *SIDE_OF_ROLE) or name.scope is not None:
        return True
    return name.window == "all" or name.op in ("since_first", "first", "mode")


def _by_column(by: Mapping[str, float], material: Material) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name, share in by.items():
        table, column = place_of(FeatureName.parse(name), material.project)
        place = f"{table}.{column}" if column else table
        shares[place] = shares.get(place, 0.0) + share
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _parted(material: Material, forward: Forward) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in the sample of the train and of the test block."""
    blocks = split(material.snapshots, seed=material.seed)
    earlier, later = (np.flatnonzero(np.isin(forward.rows, blocks.rows[block])) for block in ("train", "test"))
    return earlier, later


def _alike_in_age(
    forward: Forward, earlier: NDArray[np.int64], later: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As many of either side from each doubling of age, evenly spread; all where there are no times."""
    some = forward.snapshots
    if not some.data.project.timed:
        return earlier, later
    days = (some.at - some.data.leads.created[some.lead]) / DAY
    doubling = np.floor(np.log2(1 + days)).astype(np.int64)
    kept: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for one in np.unique(doubling):
        sides = [rows[doubling[rows] == one] for rows in (earlier, later)]
        n = min(map(len, sides))
        for side, rows in zip(kept, sides, strict=True):
            side.append(rows[np.linspace(0, len(rows) - 1, n).astype(np.int64)] if n else rows[:0])
    return np.sort(np.concatenate(kept[0])), np.sort(np.concatenate(kept[1]))


def in_both_blocks(material: Material) -> list[Finding]:
    """Look for accounts, and repeated leads, that the test shares with what is learnt from."""
    blocks = split(material.snapshots, seed=material.seed)
    learnt = np.concatenate([blocks.rows[block] for block in BLOCKS[:-1]])
    lead = material.snapshots.lead
    earlier, later = np.unique(lead[learnt]), np.unique(lead[blocks.rows["test"]])
    if not len(earlier) or not len(later):
        return []
    return [*_accounts(material, earlier, later), *_repeated(material, earlier, later)]


def _accounts(material: Material, earlier: NDArray[np.int64], later: NDArray[np.int64]) -> list[Finding]:
    leads = material.data.leads
    if "account" not in leads.roles:
        return []
    account = leads.latest("account")
    known = later[account[later] >= 0]
    shared = np.isin(account[known], account[earlier])
    if not shared.any():
        return []
    n_accounts = len(np.unique(account[known][shared]))
    evidence = (
        f"{verb(n_accounts, 'account has', 'accounts have')} leads in the test and among those learnt from: "
        f"{shared.sum():,} of {len(later):,} test leads ({percent(shared.sum() / len(later))}), of which a model may "
        "know the company"
    )
    remedy = (
        "Nothing to mend if new leads will be of known accounts as often. For new companies believe the test on "
        "accounts never seen before, which every training report has under account"
    )
    column = material.project.leads.account
    return [Finding("note", "accounts_in_both_blocks", "leads", column, evidence, remedy)]


def _repeated(material: Material, earlier: NDArray[np.int64], later: NDArray[np.int64]) -> list[Finding]:
    """Exact profiles that stand on both sides of a random split, and agree in their outcome beyond chance."""
    label = material.data.outcomes.label
    if label is None or not len(material.columns):
        return []
    whole = np.unique(_profiles(material.data), axis=0, return_inverse=True)[1]
    n_leads = np.bincount(whole[earlier], minlength=int(whole.max()) + 1)
    n_won = np.bincount(whole[earlier], weights=label[earlier] == 1, minlength=len(n_leads))
    once = later[n_leads[whole[later]] == 1]  # a profile that many leads share is common, not repeated
    if len(once) < max(FEWEST, MANY_TWINS * len(later)):
        return []
    same = (n_won[whole[once]] == 1) == (label[once] == 1)
    base = float((label[earlier] == 1).mean())
    chance = base**2 + (1 - base) ** 2
    if same.mean() - chance < STANDARD_ERRORS * np.sqrt(chance * (1 - chance) / len(once)):
        return []
    evidence = (
        f"{len(once):,} of {len(later):,} test leads repeat the whole profile of exactly one lead learnt from, and "
        f"{percent(float(same.mean()))} of these share its outcome ({percent(chance)} by chance)"
    )
    remedy = "If they are one person entered twice, merge them in the source: the test is easier than new leads will be"
    return [Finding("warning", "leads_in_both_blocks", "leads", None, evidence, remedy)]


def _profiles(data: Data) -> NDArray[np.float64]:
    version = data.leads.offsets[1:] - 1
    return np.concatenate([data.leads.codes[:, version], np.nan_to_num(data.leads.values[:, version], nan=-1e300)]).T
