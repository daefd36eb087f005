"""A client of the service: each public route as a method, in the models of `contract`.

It imports neither the library nor the server, and logs nothing. httpx logs the address of every request, which names
the lead, at the level INFO: raise the logger ``httpx`` above it where ids are not to be logged.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx
import pydantic_core
from pydantic import BaseModel, ValidationError

from service.contract import (
    Acknowledgement,
    Arrivals,
    Batch,
    CallList,
    FieldProblem,
    History,
    LeadDocument,
    ListedScore,
    ModelCard,
    ProblemDetails,
    RefusedDocument,
    Score,
    Scores,
)

LONGEST_WAIT_SECONDS = 30
"""A service that asks for more patience than this is not asked again."""
_FIRST_WAIT_SECONDS = 0.25
_AGAIN = frozenset({429, 503})
_LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
_Model = TypeVar("_Model", bound=BaseModel)


class ServiceProblem(Exception):  # noqa: N818 - the word of RFC 9457
    """What the service refused, or failed at.

    Attributes
    ----------
    kind : the name of the problem, as ``unknown-lead``; empty where the answer is none of the service's
    status : of HTTP
    detail : what is wrong, and what to do
    errors : the fields that are wrong, each with `where` and `message`
    request_id : finds the request in the service's log
    """

    def __init__(
        self, kind: str, status: int, detail: str, errors: Sequence[FieldProblem] = (), request_id: str = ""
    ) -> None:
        super().__init__(kind, status, detail, errors, request_id)
        self.kind = kind
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id

    def __str__(self) -> str:
        known_as = f" [request {self.request_id}]" if self.request_id else ""
        return f"{self.status} {self.kind or 'no answer of the service'}: {self.detail}{known_as}"


class ListFilters(TypedDict, total=False):
    """Which leads of the call list; None filters nothing, except that without a `verdict` the rejected are left out.

    `verdict` is what was said last of a lead: none for nothing, any for whatever it was. Ages are durations, as
    ``14d``; `search` is a part of the id, account, owner or a categorical field, in any case. `order` is the
    best first, or ``waiting``: only leads that wait for us, the longest first.
    """

    grades: Sequence[str]
    source: str | None
    owner: str | None
    search: str | None
    verdict: Literal["none", "accept", "reject", "any"] | None
    min_age: str | None
    max_age: str | None
    order: Literal["score", "waiting"]


class Client:
    """A service at a URL; a context manager, and safe to share among threads.

    Every route may be asked again, as rows that are sent have ids. That is done up to `retries` times, where the
    connection was lost or the service says when (429 and 503 with ``Retry-After``); never after a timeout.

    Parameters
    ----------
    url : str
        Where the service answers, as ``http://127.0.0.1:3000``.
    api_key : str, optional
        Its secret; needed unless the service has no keys.
    timeout : float
        Seconds for the connection, and for each piece of an answer; the service takes at most 30 for a whole one.
    retries : int
        How often a request is sent again.
    sleep : callable
        Waits so many seconds.
    transport : httpx.BaseTransport, optional
        How requests travel, for proxies, certificates and tests.

    Raises
    ------
    ValueError
        If the key can't be the secret of one.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries
        self._sleep = sleep
        self._http = httpx.Client(base_url=url, headers=_headers(api_key), timeout=timeout, transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def score(self, document: LeadDocument | Mapping[str, Any]) -> Score:
        """Score one lead document; nothing is stored.

        Raises
        ------
        ServiceProblem
            As every method: what the service refused or failed at, the last answer where it was asked again.
        httpx.TransportError
            As every method: if no answer came.
        """
        return self._post("/v1/score", document, Score)

    def score_batch(
        self, documents: Batch | Sequence[LeadDocument | Mapping[str, Any]]
    ) -> list[Score | RefusedDocument]:
        """Score lead documents in order; in the place of one that can't be scored stands what is wrong with it."""
        body = documents if isinstance(documents, Batch) else {"documents": [_plain(one) for one in documents]}
        return self._post("/v1/score/batch", body, Scores).scores

    def send(self, arrivals: Arrivals | Mapping[str, Any]) -> Acknowledgement:
        """Store leads, events, outcomes and verdicts: all of them or none; they are durable when this returns.

        Of a model only the fields that were set are sent.
        """
        return self._post("/v1/events", arrivals, Acknowledgement)

    def score_stored(self, lead_id: str, *, as_of: dt.datetime | str | None = None) -> Score:
        """Score a stored lead, now or as it would have been scored at an earlier instant."""
        return self._get(f"/v1/leads/{_segment(lead_id)}/score", {"as_of": _instant(as_of)}, Score)

    def history(self, lead_id: str, *, limit: int = 20, receipts: bool = True) -> History:
        """Return how the score of a lead moved, oldest first, and with `receipts` what moved it."""
        asked = {"limit": limit, "receipts": "true" if receipts else "false"}
        return self._get(f"/v1/leads/{_segment(lead_id)}/history", asked, History)

    def call_list(self, *, page: int = 500, **filters: Unpack[ListFilters]) -> Iterator[ListedScore]:
        """Iterate over all open leads that nobody rejected, the best first, a page at a time.

        Each page is as the list stands when it is asked for: a lead that moves meanwhile may come twice, or not at all.
        """
        cursor: str | None = None
        while True:
            found = self.call_list_page(limit=page, cursor=cursor, **filters)
            yield from found.leads
            cursor = found.next
            if cursor is None:
                return

    def call_list_page(self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[ListFilters]) -> CallList:
        """Return one page of the call list; `cursor` is the `next` of the page before, asked with the same filters."""
        asked: dict[str, Any] = {**filters, "limit": limit, "cursor": cursor}
        asked["grade"] = [*asked.pop("grades", ())]
        return self._get("/v1/leads", asked, CallList)

    def model(self) -> ModelCard:
        """Return the model in use."""
        return self._get("/v1/model", {}, ModelCard)

    def _get(self, path: str, parameters: Mapping[str, Any], model: type[_Model]) -> _Model:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._ask(self._http.build_request("GET", path, params=given), model)

    def _post(self, path: str, body: BaseModel | Mapping[str, Any], model: type[_Model]) -> _Model:
        content = pydantic_core.to_json(_plain(body))
        headers = {"content-type": "application/json"}
        return self._ask(self._http.build_request("POST", path, content=content, headers=headers), model)

    def _ask(self, request: httpx.Request, model: type[_Model]) -> _Model:
        for n_before in range(self._retries):
            try:
                response = self._http.send(request)
            except _LOST:
                wait: float | None = _FIRST_WAIT_SECONDS * 2**n_before
            else:
                wait = _asks_to_wait(response)
            if wait is None:
                return _read(response, model)
            self._sleep(wait)
        return _read(self._http.send(request), model)


def _headers(api_key: str | None) -> dict[str, str]:
    """The key as a header; one from a file may end in a new line."""
    if api_key is None:
        return {}
    secret = api_key.strip()
    if not (secret and secret.isascii() and secret.isprintable()):
        raise ValueError("the API key is empty or holds characters that no secret has; pass what leadscore key printed")
    return {"authorization": f"Bearer {secret}"}


def _plain(value: Any) -> Any:
    """A model as plain values, with the fields that were set: a null that was said is another thing than none."""
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def _segment(lead_id: str) -> str:
    """An id as one part of a path, whatever it holds; dots too, as ``..`` would lead elsewhere."""
    return quote(lead_id, safe="").replace(".", "%2E")


def _instant(value: dt.datetime | str | None) -> str | None:
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _asks_to_wait(response: httpx.Response) -> float | None:
    """Seconds after which the service wants to be asked again, None if it doesn't."""
    said = response.headers.get("retry-after", "")
    if response.status_code not in _AGAIN or not (said.isascii() and said.isdigit() and len(said) < 9):
        return None
    return float(said) if int(said) <= LONGEST_WAIT_SECONDS else None


def _read(response: httpx.Response, model: type[_Model]) -> _Model:
    """Return an answer as its model; an error names no value of it."""
    if response.status_code != 200:
        raise _problem(response)
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        told = f"the answer is no {model.__name__}; is this the service's address, and the client of its version?"
        raise ServiceProblem("", 200, told, request_id=response.headers.get("x-request-id", "")) from None


def _problem(response: httpx.Response) -> ServiceProblem:
    try:
        told = ProblemDetails.model_validate_json(response.content)
    except ValidationError:
        detail = "the answer is no problem of the service; is this its address?"
        return ServiceProblem("", response.status_code, detail)
    kind = told.type.rpartition("#")[2]
    return ServiceProblem(kind, response.status_code, told.detail, told.errors, told.request_id)
