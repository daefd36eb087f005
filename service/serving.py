"""The model in use: loaded, checked, warmed, and held as one tuple that is swapped under running requests."""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leadscore.errors import ArtifactError, DocumentError
from service import UNREGISTERED, payload
from service.observing import Observer
from service.problems import NOT_READY, Problem

if TYPE_CHECKING:
    from leadscore import LeadScorer

N_WARM_ROUNDS = 3
"""The first compiles or loads the kernels, the others fill caches and pools."""
N_WARM_COPIES = 16
"""Long lists are explained by other kernels than few leads: both are compiled before the first request."""


class InUse(NamedTuple):
    """A version, its scorer, and the instant (ISO 8601, UTC) from which this process answers with it."""

    version: str
    scorer: LeadScorer
    since: str


class ModelInUse:
    """The one model that answers, or none yet.

    A request takes `current` once and keeps it to its end, so a swap never mixes two models in one answer.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._current: InUse | None = None

    @property
    def ready(self) -> bool:
        """Whether a model is in use."""
        return self._current is not None

    @property
    def current(self) -> InUse:
        """The model in use.

        Raises
        ------
        Problem
            503, if there is none.
        """
        if self._current is None:
            raise Problem(NOT_READY, "No model is in use yet", headers={"retry-after": "5"})
        return self._current

    def load(self, folder: str | Path, version: str) -> None:
        """Load a scorer folder, check its golden leads, warm it, and only then put it to use.

        Raises
        ------
        ArtifactError
            If the folder is damaged, fails its golden leads, or is of another project; the model in use stays.
        """
        from leadscore import LeadScorer

        self.use(LeadScorer.load(folder, version=version))

    def use(self, scorer: LeadScorer) -> None:
        """Warm a loaded scorer and swap it in: one assignment, seen whole or not at all.

        Raises
        ------
        ArtifactError
            If it is of another project than the model in use, so that its documents have other fields.
        """
        if self._current is not None and scorer.name != self._current.scorer.name:
            raise ArtifactError(
                f"the scorer is of project '{scorer.name}', and '{self._current.scorer.name}' is served. "
                "Start a service of its own for it"
            )
        self._warm(scorer)
        version = scorer.version or UNREGISTERED
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._current = InUse(version, scorer, since)
        self._observer.model(scorer.name, version, scorer.plan.hash, scorer.horizon)

    def score(self, documents: Sequence[Any], *, now: int) -> list[dict[str, Any] | DocumentError]:
        """Score parsed documents in order; one that can't be scored is its `DocumentError`.

        Parameters
        ----------
        documents : sequence
            Lead documents, or whatever was sent in their place.
        now : int
            Microseconds UTC: the cutoff of documents without ``as_of``.

        Raises
        ------
        Problem
            503, if no model is in use.
        """
        current = self.current
        results = current.scorer.score_documents(documents, now=now) if documents else []
        self._observer.scores(results)
        return results

    def score_body(self, body: bytes, *, now: int) -> dict[str, Any] | DocumentError:
        """Score the one lead document that a body holds; otherwise as `score`.

        Raises
        ------
        Problem
            Also 400, if the body is no JSON.
        """
        if not self.ready:
            payload.parse(body)  # what is wrong with a body is told first, as of one that is scored with others
        scorer = self.current.scorer
        results = scorer.score_documents([payload.parse_document(body, scorer.document_layout)], now=now)
        self._observer.scores(results)
        return results[0]

    def _warm(self, scorer: LeadScorer) -> None:
        documents = [golden["document"] for golden in scorer.golden]
        bodies = list(map(payload.dump, documents[:1]))
        for _ in range(N_WARM_ROUNDS):
            scorer.score_documents([payload.parse_document(body, scorer.document_layout) for body in bodies], now=0)
            scorer.score_documents(documents * N_WARM_COPIES, now=0)


def settle_garbage_collector() -> None:
    """Take what loading a model built out of the collector's sight, and let it run seldom.

    BentoML's tail latency is garbage collection over the hundreds of thousands of objects that imports leave
    behind: with this, p99 went from 113 ms to 2.7 ms. Once more after a swap takes a millisecond, as what was taken
    out stays out; the model that went is freed by its last request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
