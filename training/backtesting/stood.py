"""One origin: the model that would have been trained that day, what its test promised, and its scores since.

Each origin is one Parquet file with the promise in its metadata, so that it is there whole or not at all; whatever
stopped a backtest, the next one begins with the first file that is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import leadscore as ls
from leadscore import time
from leadscore.batch import SLICE, whole_or_nothing
from leadscore.evaluate.report import Report, report
from leadscore.features.plan import FeaturePlan
from leadscore.model.booster import Predictor, Progress
from leadscore.snapshots import Snapshots
from leadscore.tables import Cutoffs
from training.backtesting.origins import known_at

FORMAT = 1
BASELINE = "baseline:"
"""What the columns of the ladder's other rungs begin with."""
_METADATA = b"leadscore.backtest"
_DECIDING = ("leadscore", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Stood:
    """An origin's model as it stood.

    Attributes
    ----------
    origin : UTC microseconds
    promise : plain JSON values: what the report of that day said
    scores : one row per row of `origins.since`, in its order: lead_id, cutoff, origin, probability, margin, score,
        grade, label (null where immature), and the probability of every baseline
    """

    origin: int
    promise: Mapping[str, Any]
    scores: pd.DataFrame


def key(everyone: Snapshots, *, seed: int, parameters: Mapping[str, Any]) -> str:
    """Name all that decides what stood: tables, cutoffs, project file, seed, parameters, format and versions."""
    data = everyone.data
    asked = hashlib.sha256(b"".join(part.tobytes() for part in (everyone.lead, everyone.at, everyone.label)))
    parts = {
        "format": FORMAT,
        "data": data.fingerprint,
        "cutoffs": asked.hexdigest(),
        "project": data.project.raw,
        "observed_until": data.observed_until,
        "seed": seed,
        "parameters": dict(parameters),
        "versions": {name: version(name) for name in _DECIDING},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def stand(
    data: ls.Data,
    later: Snapshots,
    origin: int,
    *,
    seed: int,
    parameters: Mapping[str, Any],
    progress: Progress | None = None,
) -> Stood:
    """Train as of an origin by the whole protocol, and score every later cutoff as it would have been scored."""
    known = known_at(data, origin)
    scorer = ls.LeadScorer(seed=seed, parameters=parameters)
    scorer.fit(known, ls.snapshots(known, seed=seed), progress=progress)
    rows = later.take(later.at >= origin)
    return Stood(origin, _promise(scorer, report(scorer)), _scores(scorer, data, rows, origin))


def _promise(scorer: ls.LeadScorer, judged: Report) -> dict[str, Any]:
    """What was said of the model on the day it was trained, without what it would quote of the data."""
    test = judged.judged.snapshots
    assert scorer.fitted is not None
    learnt = scorer.fitted.snapshots
    return {
        "rung": scorer.manifest["rung"],
        "verdict": judged.verdict,
        "n_won_known": len(np.unique(learnt.lead[learnt.label == 1])),
        "test_from": time.format_instant(int(test.at.min())),
        "test_to": time.format_instant(int(test.at.max())),
        "n_won": len(np.unique(test.lead[test.label == 1])),
        "predicted": float(np.average(judged.judged.probability, weights=test.weight)),
        "metrics": dict(judged.metrics),
        "intervals": {name: None if pair is None else list(pair) for name, pair in judged.intervals.items()},
        "warnings": list(scorer.fitted.blocks.warnings),
    }


def _scores(scorer: ls.LeadScorer, data: ls.Data, rows: Snapshots, origin: int) -> pd.DataFrame:
    assert scorer.fitted is not None
    plan, rungs = _plan_of_rungs(scorer), scorer.fitted.baselines
    parts: dict[str, list[Any]] = {}
    for start in range(0, len(rows), SLICE):
        part = Cutoffs(rows.lead[start : start + SLICE], rows.at[start : start + SLICE])
        said = scorer.score_rows(data, part, n_reasons=0)
        columns = {"probability": said.probability, "margin": said.margin, "score": said.score, "grade": said.grade}
        for name, values in {**columns, **_of_baselines(plan, rungs, data, part)}.items():
            parts.setdefault(name, []).append(np.asarray(values))
    frame = pd.DataFrame(
        {
            "lead_id": rows.data.leads.ids[rows.lead].astype(str),
            "cutoff": pd.to_datetime(rows.at.view("M8[us]"), utc=True),
            "origin": pd.to_datetime(np.full(len(rows), origin).view("M8[us]"), utc=True),
            **{name: np.concatenate(values) for name, values in parts.items()},
        }
    )
    label = pd.array(rows.label, dtype="Int8")
    label[rows.label < 0] = pd.NA
    return frame.assign(label=label)


def _of_baselines(plan: FeaturePlan, rungs: Mapping[str, Predictor], data: ls.Data, part: Cutoffs) -> dict[str, Any]:
    """Probabilities of the ladder's other rungs as they stood."""
    matrix = plan.transform(data, part)
    return {BASELINE + name: 1 / (1 + np.exp(-rung.margin(matrix))) for name, rung in rungs.items()}


def _plan_of_rungs(scorer: ls.LeadScorer) -> FeaturePlan:
    """The plan that the rungs look at: the scorer's own, or, where its model kept but few columns, all of them."""
    fitted = scorer.fitted
    assert fitted is not None
    if len(scorer.plan.features) == fitted.every_column.shape[1]:
        return scorer.plan
    learnt = fitted.snapshots.take(fitted.blocks.rows["train"])
    wide = FeaturePlan.default(scorer.project).fit(learnt.data, learnt.cutoffs)
    return wide.select([column for column, name in enumerate(wide.names) if name not in fitted.pruned])


def keep(stood: Stood, path: Path) -> None:
    """Write an origin whole or not at all."""
    told = json.dumps({"origin": stood.origin, "promise": stood.promise}, allow_nan=False, sort_keys=True)
    table = pa.Table.from_pandas(stood.scores, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _METADATA: told.encode()})
    with whole_or_nothing(path) as beside:
        pq.write_table(table, beside)


def kept(path: Path) -> Stood | None:
    """Read an origin back; None where it isn't there, or what is there can't be read."""
    try:
        table = pq.read_table(path)
        told = json.loads(table.schema.metadata[_METADATA])
        return Stood(told["origin"], told["promise"], table.to_pandas())
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
