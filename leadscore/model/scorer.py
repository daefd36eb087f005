"""The scorer: plan + model + calibration + reference population, from raw tables to scores with reasons."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore import documents, time
from leadscore.errors import ArtifactError, DocumentError
from leadscore.explain.caveats import caveats, of_context
from leadscore.explain.parts import Receipt
from leadscore.explain.reasons import Reasons
from leadscore.explain.receipt import receipt
from leadscore.features.plan import FeaturePlan
from leadscore.features.words import Words
from leadscore.model import artifact, baselines, calibration, golden
from leadscore.model.booster import Model, Progress, TreeModel
from leadscore.model.fitting import Fitted, fit
from leadscore.model.population import Population, grade
from leadscore.model.scores import Scores
from leadscore.plain import Layout
from leadscore.project import Project
from leadscore.snapshots import Snapshots, open_leads
from leadscore.tables import Cutoffs, Data


class LeadScorer:
    """Trains on snapshots, scores leads, and ships as a folder.

    Parameters
    ----------
    seed : int, decides every random choice; same data and seed, same bytes
    parameters : LightGBM parameters over the project's ``[model]``
    features : a plan of one's own, as of `FeaturePlan.of`; default is the project's
    """

    project: Project
    plan: FeaturePlan
    model: Model
    calibrator: calibration.Calibrator
    population: Population
    reasons: Reasons

    def __init__(
        self, *, seed: int = 0, parameters: Mapping[str, Any] | None = None, features: FeaturePlan | None = None
    ) -> None:
        self.seed = seed
        self.features = features
        self.parameters = dict(parameters or {})
        self.version: str | None = None
        self.manifest: dict[str, Any] = {}
        self.golden: list[dict[str, Any]] = []
        self.fitted: Fitted | None = None

    def fit(self, data: Data, snapshots: Snapshots, *, progress: Progress | None = None) -> LeadScorer:
        """Learn everything from snapshots: categories and trees on train, rounds on tune, calibration on calibrate.

        What was measured is what ships: there is no refit on all data.

        Raises
        ------
        TrainingError
            If there are no snapshots, or none or all of them are wins.
        """
        fitted = fit(data, snapshots, seed=self.seed, parameters=self.parameters, plan=self.features, progress=progress)
        self.project, self.plan, self.model = data.project, fitted.plan, fitted.model
        self.calibrator, self.population = fitted.calibration.calibrator, fitted.population
        self.fitted = fitted
        self._prepare()
        self.manifest = {
            "name": self.project.name,
            "horizon": self.horizon,
            "observed_until": time.format_instant(data.observed_until) if self.project.timed else None,
            "data": data.fingerprint,
            "train_rate": fitted.train_rate(),
            "latest_rate": fitted.latest_rate(),
            "rung": fitted.ladder.stands_on,
            "learnt_until": time.format_instant(fitted.blocks.starts["test"]) if self.project.timed else None,
            "warnings": list(fitted.blocks.warnings),
        }
        self.golden = self._golden_leads(data, fitted)
        return self

    def __repr__(self) -> str:
        if not hasattr(self, "plan"):
            return "<LeadScorer, not fitted>"
        return f"<LeadScorer of {self.name}: {len(self.plan.features)} features, {self.model.kind}, {self.horizon}>"

    @cached_property
    def document_layout(self) -> Layout | None:
        """How tables of lead documents are read from text, see `documents.plain_layout`."""
        return documents.plain_layout(self.project)

    @property
    def name(self) -> str:
        """The project's name, under which the model is registered."""
        return self.project.name

    @property
    def horizon(self) -> str | None:
        """The horizon of the probability as in ``[task]``, None for a list without times."""
        return self.project.task.horizon_text

    def score(
        self,
        data: Data,
        *,
        as_of: str | dt.datetime | int | None = None,
        cutoffs: pd.DataFrame | Cutoffs | None = None,
        n_reasons: int = 3,
    ) -> pd.DataFrame:
        """Score every open lead as of an instant, best first; or given leads at given cutoffs, as given.

        Parameters
        ----------
        as_of : instant (text without time zone is local to the project; an int is UTC microseconds). A list without
            times has none
        cutoffs : DataFrame with lead_id and cutoff instead: scored in order, without the risk set
        n_reasons : how many reasons each; 0 leaves out fit and intent as well, and is far faster

        Returns
        -------
        DataFrame
            lead_id, as_of (UTC), probability, score (0–100), grade, fit, intent, reasons (list of dict), warnings
            (list of str), model_version.

        Raises
        ------
        PlanError
            If the data have another schema than the scorer.
        ValueError
            If neither or both of `as_of` and `cutoffs` are given, or `as_of` can't be read.
        """
        if cutoffs is None and as_of is None and self.project.timed:
            raise ValueError('say as of when: as_of="2026-05-01", or cutoffs= a DataFrame with lead_id and cutoff')
        if cutoffs is not None and as_of is not None:
            raise ValueError("give as_of or cutoffs, not both")
        if cutoffs is None:
            instant = as_of if isinstance(as_of, int) else time.FOREVER
            if self.project.timed and not isinstance(as_of, int):
                instant = time.parse_instant(as_of, self.project.timezone)
            scores = self.score_rows(data, open_leads(data, instant), n_reasons=n_reasons)
            best_first = np.lexsort((np.arange(len(scores.margin)), -scores.margin))
            return self.frame(scores).iloc[best_first].reset_index(drop=True)
        asked = cutoffs if isinstance(cutoffs, Cutoffs) else Cutoffs.of(data, cutoffs)
        return self.frame(self.score_rows(data, asked, n_reasons=n_reasons))

    def score_documents(
        self, raw: Sequence[Any], *, now: int, n_reasons: int = 3
    ) -> list[dict[str, Any] | DocumentError]:
        """Score lead documents; a bad one yields its error at its place, the others are scored.

        Parameters
        ----------
        now : UTC microseconds, the cutoff of documents without ``as_of``

        Returns
        -------
        list
            One score record per document: lead_id, as_of, probability, score, grade, fit, intent, horizon, reasons,
            warnings, model.
        """
        results: list[Any] = []
        good: list[documents.LeadDocument] = []
        for document in raw:
            try:
                good.append(documents.parse(self.project, document, now=now))
                results.append(None)
            except DocumentError as error:
                results.append(error)
        if good:
            data, at = documents.to_data(self.project, good)
            asked = Cutoffs(np.arange(len(good)), at)
            given = [document.context for document in good]
            scores = self.score_rows(data, asked, n_reasons=n_reasons, given=given)
            for document, warnings in zip(good, scores.warnings, strict=True):
                warnings[:0] = document.warnings
            records = iter(self.records(scores))
            results = [next(records) if result is None else result for result in results]
        return results

    def documents(self, data: Data, cutoffs: pd.DataFrame | Cutoffs) -> list[dict[str, Any]]:
        """Return leads as of cutoffs as complete lead documents: scoring one gives what scoring the tables gives.

        Each holds what was visible at its cutoff, and under ``context`` what the plan asks of other leads.

        Parameters
        ----------
        cutoffs : DataFrame with lead_id and cutoff (UTC), any order, repeats allowed; document i is row i

        Raises
        ------
        DataError
            Naming the rows, if a lead is unknown or a cutoff unreadable.
        """
        asked = cutoffs if isinstance(cutoffs, Cutoffs) else Cutoffs.of(data, cutoffs)
        contexts = self.plan.context(data, asked)
        data, asked = data.near(asked)
        rows = zip(asked.lead.tolist(), asked.at.tolist(), contexts, strict=True)
        return [documents.from_data(data, lead, at, context) for lead, at, context in rows]

    def score_rows(
        self,
        data: Data,
        asked: Cutoffs,
        *,
        n_reasons: int,
        given: Sequence[Collection[str]] | None = None,
        as_json: bool = False,
    ) -> Scores:
        """Score leads at cutoffs: the one path that lists, documents, requests and reports take.

        `given` names, per row, the features of the company that came with the lead, where the tables don't hold them.
        `as_json` gives the reasons of each lead as JSON text, as files hold them.
        """
        if n_reasons:
            matrix = self.plan.transform(data, asked)
            margin = self.model.margin(matrix)
        else:
            margin = self._margin(data, asked)
        warnings = caveats(self.plan, data, asked)
        if data.context is not None:
            for row, names in enumerate(given or [data.context] * len(asked)):
                warnings[row] += of_context(self.plan, names)
        score = self.population.margin.score(margin)
        fit_score = intent_score = reasons = None
        if n_reasons:
            effects = self.model.contributions(matrix)
            groups = self.reasons.group_effects(effects)
            fit_score = self._score_of("fit", groups)
            intent_score = self._score_of("intent", groups) if data.project.events else None
            tell = self.reasons.json_of_rows if as_json else self.reasons.of_rows
            reasons = tell(matrix, effects, groups, n_reasons)
        return Scores(
            lead_ids=data.leads.ids[asked.lead],
            at=asked.at,
            margin=margin,
            probability=self.calibrator.apply(margin),
            score=score,
            grade=[self._grades[step] for step in score.tolist()],
            fit=fit_score,
            intent=intent_score,
            reasons=reasons,
            warnings=warnings,
        )

    def _margin(self, data: Data, asked: Cutoffs) -> NDArray[np.float64]:
        """Compute margins from the features that they depend on: of several hundred, trees split on half."""
        if not isinstance(self.model, TreeModel):
            return self.model.margin(self.plan.transform(data, asked))
        return self.model.margin_of_used(self._plan_of_used.transform(data, asked))

    @cached_property
    def _plan_of_used(self) -> FeaturePlan:
        assert isinstance(self.model, TreeModel)
        return self.plan.select(self.model.used)

    def explain(self, data: Data, asked: Cutoffs) -> list[dict[str, Any]]:
        """Return score records with every reason above noise, and all that the margin is made of.

        Beside the record: ``base``, ``margin``, the kind of ``calibration`` between margin and probability, the effects
        of ``fit``, ``intent`` and ``context`` (base and the three sum to the margin), and under ``groups`` every group
        of features as a reason, whatever its effect.
        """
        matrix = self.plan.transform(data, asked)
        effects = self.model.contributions(matrix)
        groups = self.reasons.group_effects(effects)
        records = self.records(self.score_rows(data, asked, n_reasons=groups.shape[1]))
        for row, record in enumerate(records):
            record["base"] = float(effects[row, -1])
            record["margin"] = float(effects[row].sum())
            record["calibration"] = self.calibrator.kind
            for side in ("fit", "intent", "context"):
                record[f"{side}_effect"] = float(self.reasons.side_effects(groups[row : row + 1], side)[0])
            record["groups"] = self.reasons.all_of_row(matrix[row], effects[row], groups[row])
        return records

    def receipt(
        self,
        data: Data,
        lead_id: str,
        *,
        from_: str | dt.datetime | int,
        to: str | dt.datetime | int,
        model_before: LeadScorer | None = None,
    ) -> Receipt:
        """Split the change of a lead's score between two times into parts that add up to it exactly.

        `model_before` is the model at `from_`, where it was another one. See `leadscore.explain.receipt.receipt`.

        Raises
        ------
        DataError
            If the lead is unknown or not open at `from_`, or the times can't be compared.
        """
        return receipt(data, lead_id, from_=from_, to=to, model_before=model_before or self, model_after=self)

    def group_importance(self, matrix: NDArray[Any]) -> dict[str, float]:
        """Return the mean absolute effect of every group of features over the rows of a matrix, largest first."""
        groups = np.abs(self.reasons.group_effects(self.model.contributions(matrix))).mean(axis=0)
        named = ((name, float(effect)) for name, effect in self.reasons.by_name(groups).items())
        return dict(sorted(named, key=lambda pair: (-pair[1], pair[0])))

    def frame(self, scores: Scores) -> pd.DataFrame:
        """Return scores as a table, see `score`."""
        return scores.frame(version=self.version, timed=self.project.timed)

    def records(self, scores: Scores) -> list[dict[str, Any]]:
        """Return scores as the records that go over the wire."""
        model = {"name": self.name, "version": self.version, "plan": self.plan.hash}
        return scores.records(model, horizon=self.horizon, timed=self.project.timed)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides a score, and of its version."""
        parts = [self.plan.hash, self.model.to_text(), self.calibrator.to_json(), self.population.to_dict()]
        return hashlib.sha256(json.dumps([*parts, self.project.raw, self.version], default=str).encode()).hexdigest()

    def save(self, folder: str | Path) -> Path:
        """Write the scorer as a folder; it appears whole or not at all. Returns the folder."""
        manifest = {
            **self.manifest,
            "project": {**self.project.raw, "name": self.project.name},
            "plan": self.plan.hash,
            "model": self.model.kind,
            "calibration": self.calibrator.kind,
            "seed": self.seed,
            "parameters": {**self.project.model, **self.parameters},
        }
        files = {
            "plan.json": artifact.to_json(self.plan.to_dict()),
            "model.txt": self.model.to_text(),
            "calibration.json": artifact.to_json(self.calibrator.to_json()),
            "population.json": artifact.to_json(self.population.to_dict()),
            "golden.json": artifact.to_json(self.golden),
        }
        return artifact.write(folder, files, manifest)

    @classmethod
    def load(cls, folder: str | Path, *, version: str | None = None) -> LeadScorer:
        """Read a scorer and check that it still scores its golden leads as it did when it was saved.

        Raises
        ------
        ArtifactError
            If the folder is damaged, of another format, or a golden lead scores differently here.
        """
        manifest, files = artifact.read(folder)
        try:
            scorer = cls(seed=manifest["seed"], parameters=manifest["parameters"])
            scorer.project = Project.from_dict(manifest["project"])
            scorer.plan = FeaturePlan.from_dict(json.loads(files["plan.json"]))
            scorer.model = baselines.read(manifest["model"], files["model.txt"])
            scorer.calibrator = calibration.from_json(json.loads(files["calibration.json"]))
            scorer.population = Population.from_dict(json.loads(files["population.json"]))
            scorer.golden = json.loads(files["golden.json"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ArtifactError(
                f"{folder} holds a scorer that can't be read ({type(error).__name__}: {error}). Save the scorer anew"
            ) from error
        if scorer.plan.hash != manifest.get("plan"):
            raise ArtifactError(f"{folder}: plan.json is not the plan that manifest.json names. Save the scorer anew")
        try:
            scorer.plan.check(scorer.project)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ArtifactError(
                f"{folder}: plan.json is no plan of its project ({error}). Save the scorer anew"
            ) from error
        scorer.manifest = {key: value for key, value in manifest.items() if key != "files"}
        scorer._prepare()
        scorer.check_golden(str(folder))
        scorer.version = version
        return scorer

    def check_golden(self, where: str = "the scorer") -> None:
        """Score the golden leads again; raises ArtifactError if any differs from what was recorded."""
        golden.check(self.golden, partial(self.score_documents, now=0), where)

    def _golden_leads(self, data: Data, fitted: Fitted) -> list[dict[str, Any]]:
        """A few test leads from the lowest to the highest margin, in raw form, with their scores."""
        rows = np.array(fitted.golden_rows(), dtype=np.int64)
        raw = self.documents(data, fitted.snapshots.take(rows).cutoffs)
        probabilities = [float(self.calibrator.apply(margin)) for margin in fitted.margin[rows]]
        return golden.of(raw, self.score_documents(raw, now=0), probabilities)

    def _prepare(self) -> None:
        """Build once what every request needs."""
        self.reasons = Reasons(self.plan, Words.of(self.project), self.population.usual)
        self._grades = [grade(step, self.project.grades) for step in range(101)]

    def _score_of(self, side: str, groups: NDArray[np.float64]) -> list[int]:
        reference = self.population.fit if side == "fit" else self.population.intent
        found: list[int] = reference.score(self.reasons.side_effects(groups, side)).tolist()
        return found
