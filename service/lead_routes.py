"""The routes over the store: events in, scores of stored leads, the call list, the history of a score."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time as clock
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from leadscore import time
from leadscore.errors import DocumentError, StoreError, nearest
from leadscore.model.population import WORST
from leadscore.time import NEVER
from service import payload
from service.auditing import Sampler
from service.limits import Limits
from service.observing import Observer
from service.problems import STORE_DOWN, UNKNOWN_LEAD, Problem
from service.remembering import Memory, watch_counts
from service.serving import N_WARM_ROUNDS, ModelInUse
from service.store.arrivals import parse
from service.store.database import reason
from service.store.scores import BEST, ORDERS, ListQuery, read_cursor, verdict_asked
from service.stored import StoredLeads, Wanted
from service.together import Together, found
from service.turns import Turns

N_READERS = 4
"""Reads at once that wait for a database elsewhere; one in a file needs no thread."""
PATIENCE_SECONDS = 2.0
"""What a health check waits for the store."""
ASK_SECONDS = 1.0
"""Between two times that the store is asked for a health check."""
MOST_LEADS = 500
MOST_POINTS = 200
MOST_SOUGHT = 200
"""Characters of a text that is searched for."""
_T = TypeVar("_T")


@dataclass
class _Reached:
    """When the store was last asked whether it answers (seconds, monotonic), and whether it did."""

    at: float = -math.inf
    said: bool = False


@dataclass(frozen=True)
class LeadAnswers:
    """Answers from what is stored, within limits."""

    leads: StoredLeads
    model: ModelInUse
    observer: Observer
    limits: Limits
    rescore_seconds: int
    rooms: Path | None = None
    turns: Turns = field(default_factory=Turns)
    _reached: _Reached = field(default_factory=lambda: _Reached())
    _writer: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    _readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(N_READERS))
    _threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(N_READERS))

    @classmethod
    def of(cls, memory: Memory, model: ModelInUse, observer: Observer, limits: Limits, turns: Turns) -> LeadAnswers:
        """Open the store of a service, and follow its keeper's counts from now on."""
        store = memory.open()
        leads = StoredLeads(store, sampler=Sampler(store, observer, memory.audit_share))
        watch_counts(leads, memory.counts, observer)
        return cls(leads, model, observer, limits, memory.rescore_seconds, memory.rooms, turns)

    def warm(self) -> None:
        """Score a stored lead a few times, so that no request waits for what is compiled or loaded the first time."""
        lead_id = self.leads.store.journal.any_lead() or ""  # of nobody, rows are read at least
        if not self.model.ready:
            return
        with suppress(Problem):  # what the model asks of other leads may have to be counted first
            for _ in range(N_WARM_ROUNDS):
                self.leads.score(self.model.current, lead_id, as_of=_now(), now=_now())

    async def reachable(self) -> bool:
        """Whether the store answers, as asked at most once a second: health checks need no key."""
        if clock.monotonic() - self._reached.at >= ASK_SECONDS:
            self._reached.at, self._reached.said = clock.monotonic(), await self._reaches()
        return self._reached.said

    async def _reaches(self) -> bool:
        try:
            with fail_after(PATIENCE_SECONDS):
                await to_thread.run_sync(self.leads.store.journal.until, abandon_on_cancel=True)
            self.leads.store.database.require_file()
        except (SQLAlchemyError, StoreError, TimeoutError):
            return False
        return True

    @property
    def local(self) -> bool:
        """Whether the store is a file, which answers at once."""
        return self.leads.store.database.local

    async def read(self, answer: Callable[[], _T]) -> _T:
        """Run what reads the store: at once if it is a file, in a thread if it is elsewhere."""
        if self.local:
            with self._store_answers():
                return answer()
        return await self._in_thread(answer, self._readers)

    async def events(self, body: bytes) -> Response:
        """Store a body of leads, events, outcomes and verdicts; answered when it is durable."""
        return _json(await self._in_thread(lambda: self._append(body), self._writer))

    async def score(self, lead_id: str, query: QueryParams) -> Response:
        """Score one stored lead, now or as of an instant."""
        return self._scored(await self._together.ask(self._wanted(lead_id, query)))

    def score_alone(self, lead_id: str, query: QueryParams) -> Awaitable[Response]:
        """Do the same for who asked alone, in a thread; for a store that is elsewhere."""
        return asyncio.get_running_loop().run_in_executor(self._threads, self.score_at_once, lead_id, query)

    def score_at_once(self, lead_id: str, query: QueryParams) -> Response:
        """Do the same without waiting for others or for a thread; for a store that is a file."""
        wanted = self._wanted(lead_id, query)
        with self._store_answers():
            [said] = self.leads.score_many(self.model.current, [wanted], now=_now())
        return self._scored(found(said))

    def _wanted(self, lead_id: str, query: QueryParams) -> Wanted:
        asked = _Asked(query, ("as_of",), self.leads.store.journal.project.timezone)
        _refuse_nul(lead_id)
        return Wanted(lead_id, asked.instant("as_of"))

    def _scored(self, record: dict[str, Any]) -> Response:
        self.observer.scores([record])
        return _json(payload.dump(record))

    @cached_property
    def _together(self) -> Together[Wanted, dict[str, Any]]:
        return Together(self._score, self.turns)

    async def _score(self, wanted: list[Wanted]) -> list[dict[str, Any] | Problem]:
        current = self.model.current
        return await self.read(lambda: self.leads.score_many(current, wanted, now=_now()))

    async def call_list(self, request: Request) -> Response:
        """Answer a page of the call list, or that nothing of it has changed."""
        store = self.leads.store
        asked = _Asked(request.query_params, _FILTERS, store.journal.project.timezone)
        now = _now()
        query = asked.list_query(now, grades=(*store.journal.project.grades, WORST))
        # Who is of an age changes by itself.
        minute = 0 if query.created_from is query.created_before is None else now // 60_000_000
        etag = f'W/"{await self.read(lambda: store.scores.changes)}-{_digest(f"{request.query_params} {minute}")}"'
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if _names(",".join(request.headers.getlist("if-none-match")), etag):
            return Response(status_code=304, headers=headers)
        page = await self.read(lambda: store.scores.page(query))
        # The records are JSON already: to parse and write them again would be most of the work.
        listed = ",".join(
            f'{record[:-1]},"age_seconds":{_seconds(now, as_of)},"waiting_seconds":{_seconds(now, waits)}}}'
            for record, as_of, waits in page.records
        )
        rest = payload.dump({"next": page.cursor, "rescored_every_seconds": self.rescore_seconds})
        content = b'{"leads":[' + listed.encode() + b"]," + rest[1:]
        return Response(content, headers=headers, media_type="application/json")

    async def history(self, lead_id: str, query: QueryParams) -> Response:
        """Answer how the score of a lead moved, and why."""
        asked = _Asked(query, ("limit", "receipts"), "UTC")
        _refuse_nul(lead_id)
        limit, receipts = asked.whole("limit", default=20, most=MOST_POINTS), asked.flag("receipts", default=True)
        current = self.model.current
        points = await self._in_thread(
            lambda: self.leads.history(current, lead_id, limit=limit, receipts=receipts), self._readers
        )
        return _json(payload.dump({"lead_id": lead_id, "scores": points}))

    async def in_thread(self, answer: Callable[[], _T]) -> _T:
        """Run what takes longer than a request may hold up the others."""
        return await self._in_thread(answer, self._readers)

    def list_query(self, given: Mapping[str, str], now: int) -> ListQuery:
        """Read the filters of the call list; raises Problem."""
        project = self.leads.store.journal.project
        return _Asked(QueryParams(given), _FILTERS, project.timezone).list_query(now, (*project.grades, WORST))

    async def _in_thread(self, answer: Callable[[], _T], limiter: CapacityLimiter) -> _T:
        with self._store_answers():
            return await to_thread.run_sync(answer, limiter=limiter)

    @contextmanager
    def _store_answers(self) -> Iterator[None]:
        """Tell a store that can't be reached or written to, or is busy for too long, from a fault of ours."""
        try:
            yield
        except (OperationalError, StoreError) as error:
            self.observer.log("store", {"fault": reason(error)})
            detail = "The store does not answer, or can't be written to"
            raise Problem(STORE_DOWN, detail, headers={"retry-after": "5"}) from None

    def _append(self, body: bytes) -> bytes:
        journal = self.leads.store.journal
        try:
            arrived = parse(journal.project, payload.parse(body), most_rows=self.limits.rows)
            appended = journal.append(arrived.rows, _now)
        except DocumentError as error:
            raise Problem.of_document(error) from None
        self.observer.stored(
            (row.kind, (appended.known - row.time) / 1e6) for row in appended.stored if row.time != NEVER
        )
        warnings = [*arrived.warnings]
        if appended.n_contradicted:
            warnings.append(f"{appended.n_contradicted} row(s) have the id of another, stored row: left out")
        return payload.dump(
            {
                "stored": len(appended.stored),
                "repeated": appended.n_repeated,
                "outdated": appended.n_outdated,
                "unknown_leads": appended.n_unknown,
                "warnings": warnings,
            }
        )


_FILTERS = ("grade", "source", "owner", "search", "verdict", "min_age", "max_age", "order", "limit", "cursor")


class _Asked:
    """Parameters of one request, each read strictly."""

    def __init__(self, query: QueryParams, known: tuple[str, ...], timezone: str) -> None:
        self._query = query
        self._timezone = timezone
        for name in query:
            if name not in known:
                raise _refused("", f"unknown parameter.{nearest(name, known)} There are: {', '.join(known)}")
            if name != "grade" and len(query.getlist(name)) > 1:
                raise _refused(name, "is given twice")
            if any("\0" in value for value in query.getlist(name)):
                raise _refused(name, "holds the character NUL, which is no text")

    def instant(self, name: str) -> int | None:
        text = self._query.get(name)
        if text is None:
            return None
        try:
            found = time.parse_instant(text, self._timezone)
        except (ValueError, TypeError):
            raise _refused(name, "is not a readable time; write ISO 8601, as in 2026-05-01T09:00:00Z") from None
        if not time.EARLIEST <= found <= time.LATEST:
            raise _refused(name, "lies outside the years 1 to 9999")
        return found

    def whole(self, name: str, *, default: int, most: int) -> int:
        text = self._query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
            raise _refused(name, f"must be a whole number from 1 to {most}")
        return int(text)

    def flag(self, name: str, *, default: bool) -> bool:
        text = self._query.get(name)
        if text is not None and text not in ("true", "false"):
            raise _refused(name, "must be true or false")
        return default if text is None else text == "true"

    def list_query(self, now: int, grades: Sequence[str]) -> ListQuery:
        wanted = tuple(self._query.getlist("grade"))
        if not {*wanted} <= {*grades}:
            raise _refused("grade", f"must be one of {', '.join(grades)}")
        oldest, youngest = self._span("max_age"), self._span("min_age")
        return ListQuery(
            grades=wanted,
            origin=self._query.get("source"),
            owner=self._query.get("owner"),
            search=self._search(),
            verdict=self._verdict(),
            created_from=None if oldest is None else max(now - oldest, time.EARLIEST),
            created_before=None if youngest is None else max(now - youngest, time.EARLIEST),
            order=self._order(),
            limit=self.whole("limit", default=50, most=MOST_LEADS),
            after=self._cursor(),
        )

    def _search(self) -> str | None:
        text = self._query.get("search")
        if text is not None and len(text) > MOST_SOUGHT:
            raise _refused("search", f"is longer than {MOST_SOUGHT} characters")
        return text

    def _verdict(self) -> str | None:
        try:
            return verdict_asked(self._query.get("verdict"))
        except ValueError as error:
            raise _refused("verdict", str(error)) from None

    def _order(self) -> str:
        order = self._query.get("order", BEST)
        if order not in ORDERS:
            raise _refused("order", f"must be one of {', '.join(ORDERS)}")
        return order

    def _span(self, name: str) -> int | None:
        text = self._query.get(name)
        if text is None:
            return None
        try:
            return time.parse_duration(text)
        except ValueError:
            raise _refused(name, "must be a duration, as in 36h or 14d") from None

    def _cursor(self) -> tuple[float, str] | None:
        text = self._query.get("cursor")
        try:
            return None if text is None else read_cursor(text, self._order())
        except ValueError as error:
            raise _refused("cursor", str(error)) from None


def _refused(name: str, message: str) -> Problem:
    return Problem.of_document(DocumentError(message, where=f"query.{name}" if name else "query"))


def _refuse_nul(lead_id: str) -> None:
    """PostgreSQL takes no NUL in a text, not even to look for it."""
    if "\0" in lead_id:
        raise Problem(UNKNOWN_LEAD, "No lead's id holds the character NUL")


def _seconds(now: int, since: int | None) -> str:
    """Whole seconds since an instant, as JSON."""
    return "null" if since is None else str(max(0, now - since) // 1_000_000)


def _names(if_none_match: str, etag: str) -> bool:
    """Whether a list of tags names one, compared weakly as RFC 9110 has it, or any."""
    named = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in named or etag.removeprefix("W/") in named


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _now() -> int:
    return clock.time_ns() // 1_000
