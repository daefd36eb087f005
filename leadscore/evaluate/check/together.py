"""What profile columns tell in company: a column taken out of a model of all shows what it alone brought.

A leak may be no better alone than chance and still lift a model, as a count of all touches beside a count of those so
far: only their difference knows the future. So each of the columns that gain a small LightGBM most is taken out of it,
out of fold, over judged leads.

========================= ============================================================================================
carries_the_model         taking it out costs .01 of AUC or more, and three standard errors: **warning** where that is
                          1.3 times what a column that is as good alone, and independent of the others, would cost,
                          it alone has less than three quarters of what all have (``AUC − .5``), and profiles have no
                          versions; else **note**. The three costliest. An honest column may be the best, but seldom
                          is it worth more in company than alone. Not where all together stay below AUC .55
profile_predicts_too_well all columns that are not severe reach AUC .90: the strongest is named, taken out, and the rest
                          judged again. **severe** where that costs .10, else **warning**
missingness_predicts      which columns are filled in, and nothing of what they say, reaches AUC .60: **note**, from .70
                          **warning**; names the column that tells most
written_together          99 % of the leads have a value in both or neither of it and a column that is suspicious for
                          more than that it carries the model: **warning**; what writes one writes the other
========================= ============================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leadscore.evaluate.check.findings import GRAVEST_FIRST, Severity
from leadscore.evaluate.check.material import FEWEST, Column, Material
from leadscore.evaluate.check.power import Ablation, column_auc
from leadscore.evaluate.check.suspicion import Suspicion, judged_leads, severe_columns

SEVERE_AUC, SEVERE_LOSS = 0.90, 0.10
MOST_ABLATED, MOST_ADDED = 12, 5
CARRIES, STANDARD_ERRORS = 0.01, 3.0
MORE_THAN_ALONE, NEARLY_ALL = 1.3, 0.75
FAINT, MOST_CARRIERS = 0.55, 3
MISSINGNESS, MUCH_MISSINGNESS = 0.60, 0.70
ALIKE, GAPPY = 0.99, 0.02


def together(found: list[Suspicion], material: Material) -> list[Suspicion]:
    """Return what the rules above hold against columns, and what each suspicious one adds to those not severe."""
    leads = np.flatnonzero(judged_leads(material.groups))
    columns = [column for column in material.columns if column.filled.any()]
    label = material.groups.won
    if len(columns) < 2 or min(label[leads].sum(), (~label[leads]).sum()) < 2 * FEWEST:
        return []
    ablation = Ablation(columns, label, leads, material.seed)
    severe = severe_columns(found)
    sound = [name for name in ablation.names if name not in severe]
    held = [
        *_written_together(found, columns),
        *_only_together(ablation, sound, columns),
        *_carriers(ablation, sound, columns, material),
        *_missingness([column for column in columns if column.name not in severe], leads, material),
    ]
    return held + _additions(ablation, sound, found)


def _additions(ablation: Ablation, sound: Sequence[str], found: Sequence[Suspicion]) -> list[Suspicion]:
    """What each suspicious column adds to those that are not severe, the gravest first."""
    gravest_first = sorted(found, key=lambda suspicion: GRAVEST_FIRST.index(suspicion.severity))
    suspects = {suspicion.column.name: suspicion.column for suspicion in gravest_first}
    return [
        Suspicion("note", "adds", column, _adds(ablation, [other for other in sound if other != name], name))
        for name, column in list(suspects.items())[:MOST_ADDED]
    ]


def _adds(ablation: Ablation, others: Sequence[str], name: str) -> str:
    without, with_it = ablation.auc(others), ablation.auc([*others, name])
    return f"the columns that are not severe reach AUC {without:.3f} without it, {with_it:.3f} with it"


def _only_together(ablation: Ablation, names: Sequence[str], columns: Sequence[Column]) -> list[Suspicion]:
    """Take out the strongest column again and again while the rest still tells too much."""
    left, before = list(names), ablation.auc(names)
    found: list[Suspicion] = []
    while before >= SEVERE_AUC and len(left) > 1 and len(found) < MOST_ADDED:
        name = ablation.by_gain(left)[0]
        left.remove(name)
        after = ablation.auc(left)
        severity: Severity = "severe" if before - after >= SEVERE_LOSS else "warning"
        evidence = (
            f"{len(left) + 1} columns that are not severe alone reach AUC {before:.3f}, {after:.3f} without this one"
        )
        found.append(Suspicion(severity, "profile_predicts_too_well", _named(name, columns), evidence))
        before = after
    return found


def _carriers(
    ablation: Ablation, names: Sequence[str], columns: Sequence[Column], material: Material
) -> list[Suspicion]:
    """Take each of the strongest columns out of the model of all."""
    whole = ablation.ranking(names)
    found: list[tuple[float, Suspicion]] = []
    if whole.auc < FAINT:
        return []
    for name in ablation.by_gain(names)[:MOST_ABLATED]:
        without = ablation.ranking([other for other in names if other != name])
        cost, error = whole.gain_over(without)
        if cost < CARRIES or cost < STANDARD_ERRORS * error:
            continue
        column = _named(name, columns)
        alone = _alone(column, material)
        hidden = _is_more_in_company(cost, whole.auc, alone) and not material.versioned
        evidence = (
            f"without it a model of all {len(names)} columns falls from AUC {whole.auc:.3f} to {without.auc:.3f}; "
            f"alone it reaches {alone:.3f}"
        )
        found.append((cost, Suspicion("warning" if hidden else "note", "carries_the_model", column, evidence)))
    return [held for _, held in sorted(found, key=lambda pair: -pair[0])[:MOST_CARRIERS]]


def _is_more_in_company(cost: float, whole: float, alone: float) -> bool:
    """Whether a column costs more than one that is as good alone and independent: powers then add up as squares do."""
    all_have, it_has = whole - 0.5, max(0.0, alone - 0.5)
    if it_has >= NEARLY_ALL * all_have:
        return False
    return cost >= MORE_THAN_ALONE * (all_have - float(np.sqrt(all_have**2 - it_has**2)))


def _alone(column: Column, material: Material) -> float:
    judged = judged_leads(material.groups)
    return column_auc(column.codes[judged], material.groups.won[judged], seed=material.seed)


def _missingness(columns: Sequence[Column], leads: np.ndarray, material: Material) -> list[Suspicion]:
    """What the mere fact that a value is there tells."""
    gappy = [column for column in columns if not column.filled.all()]
    if not gappy:
        return []
    filled = [Column(c.name, c.key, c.filled.astype(np.int32), ("missing", "filled")) for c in gappy]
    ablation = Ablation(filled, material.groups.won, leads, material.seed)
    ranking = ablation.ranking(ablation.names)
    if ranking.auc < MISSINGNESS or ranking.auc - 0.5 < STANDARD_ERRORS * ranking.error():
        return []
    column = _named(ablation.by_gain(ablation.names)[0], gappy)
    evidence = f"which of {len(gappy)} columns are filled in reaches AUC {ranking.auc:.3f} by itself, this one foremost"
    severity: Severity = "warning" if ranking.auc >= MUCH_MISSINGNESS else "note"
    return [Suspicion(severity, "missingness_predicts", column, evidence)]


def _written_together(found: Sequence[Suspicion], columns: Sequence[Column]) -> list[Suspicion]:
    """Columns that are filled in for the same leads as a suspicious one."""
    suspects = {held.column.name: held.column for held in found if held.severity != "note"}
    kin = []
    for column in columns:
        if column.name in suspects or min(column.filled.mean(), 1 - column.filled.mean()) < GAPPY:
            continue
        for name, suspect in suspects.items():
            if (column.filled == suspect.filled).mean() >= ALIKE:
                evidence = f"it is filled in for the same leads as {name}"
                kin.append(Suspicion("warning", "written_together", column, evidence))
                break
    return kin


def _named(name: str, columns: Sequence[Column]) -> Column:
    return next(column for column in columns if column.name == name)
