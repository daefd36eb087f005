"""Everything the service refuses, as RFC 9457 ``application/problem+json``.

One table says which problems exist; the OpenAPI document, the page at ``/docs`` and the tests read it.
Details and errors say what is wrong and where, never what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from leadscore.errors import DocumentError

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One sort of problem: its name in ``type``, its status, its title and when it is answered."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The problem's URI reference: its paragraph on the service's own page."""
        return f"/docs#{self.name}"


MALFORMED = Kind("malformed-json", 400, "Malformed JSON", "not UTF-8, not JSON, or it holds NaN or Infinity")
UNAUTHENTICATED = Kind("unauthenticated", 401, "Unauthenticated", "no API key, an unknown one, or one that has expired")
SCOPE_MISSING = Kind("scope-missing", 403, "Scope missing", "the API key lacks the scope that `detail` names")
FOREIGN_HOST = Kind("foreign-host", 403, "Foreign host", "keys are off, and `Host` names more than localhost")
FOREIGN_FORM = Kind("foreign-form", 403, "Foreign form", "a form of `/app` was sent by a page of another site")
NOT_FOUND = Kind("not-found", 404, "Not found", "no such route")
UNKNOWN_LEAD = Kind("unknown-lead", 404, "Unknown lead", "no such lead is stored, or was known at that instant")
WRONG_METHOD = Kind("wrong-method", 405, "Wrong method", "the route exists, for the methods named in `Allow`")
SLOW_BODY = Kind("slow-body", 408, "Body too slow", "the body did not arrive in time")
TOO_LARGE = Kind("too-large", 413, "Body too large", "the body is larger than the stated limit")
UNSUPPORTED = Kind("unsupported-media-type", 415, "Unsupported media type", "the body isn't plain application/json")
INVALID = Kind("invalid-document", 422, "Invalid document", "JSON of another shape or content; `errors` says where")
BUSY = Kind("busy", 429, "Busy", "too many requests at once; try again after `Retry-After` seconds")
INTERNAL = Kind("internal-error", 500, "Internal error", "our fault; the log has a line with the request id")
NOT_READY = Kind("model-not-ready", 503, "Model not ready", "no model is in use; try again later")
STORE_DOWN = Kind("store-unreachable", 503, "Store unreachable", "the store does not answer; try again later")
NO_KEYS = Kind("no-keys", 503, "No API keys", "the service was started without API keys; `detail` says how to mint one")
TIMEOUT = Kind("timeout", 504, "Timeout", "the answer took too long")
OTHER = Kind("refused", 400, "Refused", "refused for a reason that has no name of its own")

KINDS = (
    MALFORMED,
    UNAUTHENTICATED,
    SCOPE_MISSING,
    FOREIGN_HOST,
    FOREIGN_FORM,
    NOT_FOUND,
    UNKNOWN_LEAD,
    WRONG_METHOD,
    SLOW_BODY,
    TOO_LARGE,
    UNSUPPORTED,
    INVALID,
    BUSY,
    INTERNAL,
    NOT_READY,
    STORE_DOWN,
    NO_KEYS,
    TIMEOUT,
    OTHER,
)
_KIND_OF_STATUS = {kind.status: kind for kind in reversed(KINDS)} | {400: OTHER}


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A request that is refused; `errors` point at fields as ``events.touchpoints[3].occurred_at``."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(kind.name)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.status = status or kind.status

    @classmethod
    def of_document(cls, error: DocumentError) -> Problem:
        """Return the problem of a lead document that can't be scored."""
        return cls(INVALID, str(error), errors=[(error.where, error.message)])

    @classmethod
    def of_status(cls, status: int, headers: Mapping[str, str] | None = None) -> Problem:
        """Return the problem for a bare status, as Starlette and BentoML answer them."""
        kind = _KIND_OF_STATUS.get(status, OTHER if status < 500 else INTERNAL)
        return cls(kind, f"{kind.title}: {kind.meaning}.", headers=headers, status=status)

    def as_json(self, request_id: str) -> dict[str, Any]:
        """Return the members of the problem, in the order of RFC 9457 and then our own."""
        return {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            "errors": [{"where": where, "message": message} for where, message in self.errors],
        }

    def response(self, request_id: str) -> Response:
        """Return the answer to send."""
        content = json.dumps(self.as_json(request_id), allow_nan=False).encode()
        return Response(content, self.status, self.headers, MEDIA_TYPE)
