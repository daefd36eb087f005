"""Bytes in, bytes out: what the routes and BentoML's endpoint have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from anyio import CapacityLimiter, to_thread

from leadscore.errors import DocumentError
from service import payload
from service.limits import Limits
from service.problems import Problem
from service.serving import ModelInUse
from service.together import Together
from service.turns import Turns

N_THREADS = 2
"""Batches scored at once."""


@dataclass(frozen=True)
class Answers:
    """Answers of the model in use, within limits.

    `one`, `alone`, `batch` and `bare` take the raw body, and raise `Problem`: 400 for bytes that aren't JSON, 422 for
    another shape than they take, 503 without a model. The cutoff of documents without ``as_of`` is the moment of the
    call, one for all that are scored together.
    """

    model: ModelInUse
    limits: Limits
    turns: Turns = field(default_factory=Turns)
    _threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(N_THREADS))

    @cached_property
    def _together(self) -> Together[Any, Mapping[str, Any]]:
        return Together(self._score, self.turns)

    async def _score(self, documents: list[Any]) -> list[dict[str, Any] | DocumentError]:
        return self.model.score(documents, now=_now())

    async def in_thread(self, answer: Callable[..., bytes], body: bytes, *given: str) -> bytes:
        """Answer off the event loop: single leads need not wait for a batch, batches wait for each other."""
        return await to_thread.run_sync(answer, body, *given, limiter=self._threads)

    async def one(self, body: bytes) -> bytes:
        """Return the score record of one lead document, scored with others of its round; 422 if it can't be."""
        try:
            return payload.dump(await self._together.ask(payload.parse(body)))
        except DocumentError as error:
            raise Problem.of_document(error) from None

    def alone(self, body: bytes) -> bytes:
        """Return the same for a document that is scored with no other."""
        result = self.model.score_body(body, now=_now())
        if isinstance(result, DocumentError):
            raise Problem.of_document(result)
        return payload.dump(result)

    def batch(self, body: bytes, request_id: str) -> bytes:
        """Return ``{"scores": […]}`` for ``{"documents": […]}``, a problem at the place of a bad document."""
        parsed = payload.parse(body)
        if not isinstance(parsed, dict) or "documents" not in parsed:
            raise _wrong_shape("documents", 'expected {"documents": […]}')
        if n_unknown := len(parsed) - 1:
            raise _wrong_shape("", f"expected the field 'documents' alone, found {n_unknown} more")
        return self._scores(parsed["documents"], request_id)

    def bare(self, body: bytes, request_id: str) -> bytes:
        """Return ``{"scores": […]}`` for a bare list of lead documents, as BentoML's own clients send it."""
        return self._scores(payload.parse(body), request_id)

    def _scores(self, documents: Any, request_id: str) -> bytes:
        if not isinstance(documents, list):
            raise _wrong_shape("documents", "expected a list of lead documents")
        if len(documents) > self.limits.documents:
            found = f"at most {self.limits.documents} documents at once, found {len(documents)}"
            raise _wrong_shape("documents", found)
        results = self.model.score(documents, now=_now())
        return payload.dump({"scores": [_entry(result, request_id) for result in results]})


def _entry(result: Mapping[str, Any] | DocumentError, request_id: str) -> Mapping[str, Any]:
    if isinstance(result, DocumentError):
        return {"error": Problem.of_document(result).as_json(request_id)}
    return result


def _wrong_shape(where: str, message: str) -> Problem:
    return Problem.of_document(DocumentError(message, where=where))


def _now() -> int:
    return time.time_ns() // 1_000
