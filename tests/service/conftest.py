"""The public routes over a real scorer, called in process."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest

import leadscore as ls
from leadscore import LeadScorer
from service import counting
from service.access import Access
from service.answers import Answers
from service.api import create_api
from service.client import Client
from service.keeper import Keeper
from service.lead_routes import LeadAnswers
from service.limits import Limits
from service.observing import Observer
from service.security import Gate
from service.serving import ModelInUse
from service.store import Rule, Store, open_store
from service.store.importing import import_project
from service.stored import StoredLeads
from service.turns import Turns
from tests.builders import project
from tests.service.conformance import Conformance
from tests.service.keeping import MINUTE, NOW, Kept

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
AS_OF = "2026-05-01T09:00:00Z"
LIMITS = Limits(body_bytes=200_000, documents=20)
KEYLESS = Access(None, keyless=True)
DIALECTS = ("sqlite", "postgresql")


class InProcess(httpx.BaseTransport):
    """Takes a synchronous client's requests to a service of this process, and holds every answer to its document."""

    def __init__(self, service: Service) -> None:
        self._asgi = httpx.ASGITransport(service.app)
        self._conformance = service.conformance

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def handle() -> httpx.Response:
            answer = await self._asgi.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        answer = asyncio.run(handle())
        self._conformance.check(request.method, request.url.path, answer)
        return answer


@dataclasses.dataclass
class Service:
    """An application, its model, its metrics and its log."""

    app: Gate
    model: ModelInUse
    observer: Observer
    registry: CollectorRegistry
    log: list[str]
    limits: Limits
    conformance: Conformance
    store: Store | None = None

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        with httpx.Client(transport=InProcess(self), base_url="http://localhost") as client:
            return client.request(method, path, **request)

    def client(self, api_key: str | None = None, **options: Any) -> Client:
        """Our own client of it."""
        return Client("http://localhost", api_key, transport=InProcess(self), **options)

    def guarded_by(self, access: Access) -> Service:
        """The same service with other rules of access."""
        gate = Gate(self.app.app, self.limits, self.app.observe, (), access)
        return dataclasses.replace(self, app=gate)

    def get(self, path: str, **request: Any) -> httpx.Response:
        return self.call("GET", path, **request)

    def post(self, path: str, **request: Any) -> httpx.Response:
        return self.call("POST", path, **request)

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log]


@contextmanager
def serving(store: Store | None = None, access: Access = KEYLESS, rooms: Path | None = None) -> Iterator[Service]:
    """A service without a model; without keys, as on a loopback address, if none are given."""
    log: list[str] = []
    registry = CollectorRegistry()
    observer = Observer(registry, log.append)
    model, turns = ModelInUse(observer), Turns()
    leads = None
    if store is not None:
        leads = LeadAnswers(
            StoredLeads(store, counting.count(store, store.journal.project)),
            model,
            observer,
            LIMITS,
            rescore_seconds=900,
            rooms=rooms,
            turns=turns,
        )
    api = create_api(Answers(model, LIMITS, turns), leads, access)
    gate = Gate(api, LIMITS, observer.request, api.fixed_paths, access, turns, api.find_short_way)
    yield Service(gate, model, observer, registry, log, LIMITS, Conformance(api.openapi()), store)


@pytest.fixture
def bare_service() -> Iterator[Service]:
    """A service without a model and without a store."""
    with serving() as service:
        yield service


@pytest.fixture(scope="session")
def scorer(sample_scorer_folder: Path) -> LeadScorer:
    return LeadScorer.load(sample_scorer_folder, version="7")


@pytest.fixture
def service(bare_service: Service, scorer: LeadScorer) -> Service:
    """A service that answers with the sample's scorer."""
    bare_service.model.use(scorer)
    return bare_service


@pytest.fixture
def documents(scorer: LeadScorer) -> list[dict[str, Any]]:
    """The golden leads, each with a cutoff of its own."""
    golden: list[Mapping[str, Any]] = [entry["document"] for entry in scorer.golden]
    return [{"as_of": AS_OF} | copy.deepcopy(dict(document)) for document in golden]


@pytest.fixture(scope="session")
def filled_store(sample: ls.Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds the files of data/sample; to be copied."""
    path = tmp_path_factory.mktemp("filled") / "store.db"
    store = open_store(str(path), sample.project)
    import_project(store.journal)
    store.close()
    return path


@pytest.fixture
def new_keeper(
    filled_store: Path, sample: ls.Data, scorer: ls.LeadScorer, tmp_path: Path
) -> Iterator[Callable[[str], Kept]]:
    """Make keepers of one store, each with a name, a clock and counts of its own."""
    path = Path(shutil.copy(filled_store, tmp_path / "store.db"))
    opened: list[Store] = []

    def keeper(holder: str) -> Kept:
        store = open_store(str(path), sample.project)
        opened.append(store)
        registry, now = CollectorRegistry(), [NOW]
        observer = Observer(registry, print)
        model = ModelInUse(observer)
        model.use(scorer)
        counts = tmp_path / f"{holder}.npz"
        kept = Keeper(store, model, observer, counts, holder, 15 * MINUTE, lambda: now[0])
        return Kept(kept, store, registry, now)

    yield keeper
    for store in opened:
        store.close()


@pytest.fixture(scope="session")
def new_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Make an address at which there is no store yet."""
    schemas: list[str] = []
    numbers = itertools.count()
    server = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})

    def new(dialect: str) -> str:
        if dialect == "sqlite":
            return str(tmp_path_factory.mktemp("store") / "store.db")
        schema = f"leadscore_test_{os.getpid()}_{next(numbers)}"
        try:
            with server.connect() as connection:
                connection.execute(sa.text(f"create schema {schema}"))
        except sa.exc.OperationalError:
            pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
        schemas.append(schema)
        return f"postgresql://postgres@127.0.0.1:5432/test?options=-csearch_path%3D{schema}"

    yield new
    for schema in schemas:
        with server.connect() as connection:
            connection.execute(sa.text(f"drop schema {schema} cascade"))
    server.dispose()


@pytest.fixture(scope="session", params=DIALECTS)
def sample_store(request: pytest.FixtureRequest, new_url: Callable[[str], str], sample: ls.Data) -> Iterator[Store]:
    """The files of data/sample, imported; only to be read."""
    opened = open_store(new_url(request.param), sample.project)
    import_project(opened.journal)
    yield opened
    opened.close()


@pytest.fixture(scope="session", params=DIALECTS)
def kept_store(
    request: pytest.FixtureRequest,
    new_url: Callable[[str], str],
    sample: ls.Data,
    scorer: LeadScorer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    """The same with a call list as of `NOW`; tests may add leads of their own to it."""
    opened = open_store(new_url(request.param), sample.project)
    import_project(opened.journal)
    observer = Observer(CollectorRegistry(), print)
    model = ModelInUse(observer)
    model.use(scorer)
    counts = tmp_path_factory.mktemp("counts") / counting.FILE
    keeper = Keeper(opened, model, observer, counts, "test", 15 * MINUTE, lambda: NOW)
    while keeper.step():
        pass
    yield opened
    opened.close()


@pytest.fixture
def stored_service(kept_store: Store, scorer: LeadScorer) -> Iterator[Service]:
    """A service over the sample's store."""
    with serving(kept_store) as service:
        service.model.use(scorer)
        yield service


@pytest.fixture
def telling_store(new_url: Callable[[str], str]) -> Iterator[Store]:
    """An empty store that a webhook is told of: who enters or leaves A."""
    opened = open_store(new_url("sqlite"), project(), [Rule("crm", ("A",))])
    yield opened
    opened.close()
