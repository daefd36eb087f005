"""What the service tells about itself: Prometheus metrics and one JSON log line a request.

Labels come from fixed sets (route templates, known methods, grades, names of configured keys), so series are
bounded; log lines hold no path, no query, no body and no id of a lead.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from leadscore.errors import DocumentError, LeadScoreError
from service.exchange import Exchange
from service.problems import BUSY
from service.security import SYSTEM_ROUTES, fault_of

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
GRADES = frozenset({*"ABCDEF", "refused"})
LATENCY_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. One warm lead takes about a millisecond."""
LAG_BUCKETS = (1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0)
"""Seconds, up to a week."""
WEBHOOK_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, up to where an attempt is given up."""


class Observer:
    """Counts and logs requests, scores and the model in use.

    Parameters
    ----------
    registry : CollectorRegistry
        Where the metrics live: the process's own in the service, a new one in a test.
    write : callable
        Takes lines that are JSON already; they don't go through `logging`, which costs more than all other layers.
    """

    def __init__(self, registry: CollectorRegistry, write: Callable[[str], None]) -> None:
        self._write = write
        self._in_use: tuple[str, str, str, str] | None = None
        self._begin_requests(registry)
        self._begin_model(registry)
        self._begin_rows(registry)
        self._begin_webhooks(registry)

    def _begin_requests(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "leadscore_requests_total",
            "Requests answered, by route template",
            ["method", "route", "status"],
            registry=registry,
        )
        seconds = Histogram(
            "leadscore_request_seconds",
            "Seconds from a request's first byte to its answer, by route template",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        keys = Counter(
            "leadscore_key_requests_total",
            "Requests answered, by the name of the API key; those without a valid one aren't counted here",
            ["key", "status"],
            registry=registry,
        )
        scores = Counter(
            "leadscore_scores_total",
            "Lead documents by the grade of their score; refused ones had none",
            ["grade"],
            registry=registry,
        )
        # To find a series takes longer than to count; there are as many as labels, which come from fixed sets.
        self._requests: Callable[..., Counter] = functools.cache(requests.labels)
        self._seconds: Callable[..., Histogram] = functools.cache(seconds.labels)
        self._keys: Callable[..., Counter] = functools.cache(keys.labels)
        self._scores: Callable[..., Counter] = functools.cache(scores.labels)

    def _begin_model(self, registry: CollectorRegistry) -> None:
        self._refused = Counter(
            "leadscore_model_refused_total",
            "Models that were to be used and could not be: damaged, unreadable, or of another project",
            # A metric without labels would want its file at import, before BentoML has made the folder.
            ["error"],
            registry=registry,
        )
        self._model = Gauge(
            "leadscore_model_info",
            "1 for the model in use, 0 for one that was",
            ["name", "version", "plan", "horizon"],
            registry=registry,
            multiprocess_mode="livemax",
        )

    def _begin_rows(self, registry: CollectorRegistry) -> None:
        self._events = Counter("leadscore_rows_total", "Rows stored, by table", ["table"], registry=registry)
        self._lag = Histogram(
            "leadscore_lag_seconds",
            "Seconds from when an event happened to when it arrived, by table",
            ["table"],
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._open_leads, self._rescore_seconds, self._psi = (
            Gauge(name, told, ["version"], registry=registry, multiprocess_mode="mostrecent")
            for name, told in (
                ("leadscore_open_leads", "Leads that the last round scored"),
                ("leadscore_rescore_seconds", "Seconds that the last round over all open leads took"),
                ("leadscore_score_psi", "Population stability index of the list's scores against the model's own"),
            )
        )

    def _begin_webhooks(self, registry: CollectorRegistry) -> None:
        self._webhooks = Counter(
            "leadscore_webhooks_total",
            "Attempts to deliver a message, by webhook: done, failed (and tried again) or dead",
            ["hook", "outcome"],
            registry=registry,
        )
        self._webhook_seconds = Histogram(
            "leadscore_webhook_seconds",
            "Seconds that an attempt took, by webhook",
            ["hook"],
            buckets=WEBHOOK_BUCKETS,
            registry=registry,
        )
        self._pending, self._dead = (
            Gauge(name, told, ["hook"], registry=registry, multiprocess_mode="mostrecent")
            for name, told in (
                ("leadscore_webhooks_pending", "Messages on their way, by webhook"),
                ("leadscore_webhooks_dead", "Messages that are not tried again, by webhook"),
            )
        )

    def request(self, exchange: Exchange) -> None:
        """Count one request and write its log line; health checks that are well, and who is turned away, have none."""
        method = exchange.method if exchange.method in METHODS else "OTHER"
        seconds = exchange.seconds
        self._requests(method, exchange.route, str(exchange.status)).inc()
        if exchange.status == BUSY.status:
            return
        self._seconds(exchange.route).observe(seconds)
        if exchange.key is not None:
            self._keys(exchange.key, str(exchange.status)).inc()
        if exchange.route in SYSTEM_ROUTES and exchange.status < 400:
            return
        fields: dict[str, Any] = {
            "method": method,
            "route": exchange.route,
            "status": exchange.status,
            "ms": round(seconds * 1_000, 2),
            "request_id": exchange.request_id,
        }
        if exchange.key is not None:
            fields["key"] = exchange.key
        if exchange.fault is not None:
            fields["fault"] = exchange.fault
        self.log("request", fields)

    def scores(self, results: Iterable[Mapping[str, Any] | DocumentError]) -> None:
        """Count scores by grade, and the documents that had none."""
        for result in results:
            grade = "refused" if isinstance(result, DocumentError) else result["grade"]
            self._scores(grade if grade in GRADES else "other").inc()

    def model(self, name: str, version: str, plan: str, horizon: str | None) -> None:
        """Say which model is in use from now on, in the log too."""
        if self._in_use is not None:
            self._model.labels(*self._in_use).set(0)
        self._in_use = (name, version, plan, horizon or "")
        self._model.labels(*self._in_use).set(1)
        self.log("model", {"name": name, "version": version, "plan": plan, "horizon": horizon})

    def refused(self, error: Exception) -> None:
        """Count a model that could not be put to use, and log why."""
        self._refused.labels(type(error).__name__).inc()
        message = str(error) if isinstance(error, LeadScoreError) else ""
        self.log("model", {"fault": fault_of(error), "message": message})

    def stored(self, rows: Iterable[tuple[str, float]]) -> None:
        """Count rows that were stored: of which table, and how many seconds after they happened."""
        for table, seconds in rows:
            self._events.labels(table).inc()
            self._lag.labels(table).observe(max(seconds, 0.0))

    def rescored(self, version: str, n_leads: int, seconds: float, distribution: Mapping[int, int]) -> None:
        """Say how a round over all open leads went; `distribution` has how many of them have each score."""
        self._open_leads.labels(version).set(n_leads)
        self._rescore_seconds.labels(version).set(seconds)
        self._psi.labels(version).set(psi_of_scores(distribution))

    def attempted(self, hook: str, outcome: str, status: str, seconds: float, attempts: int) -> None:
        """Count one attempt to deliver a message to a webhook, and write its log line: not what it said, nor where."""
        self._webhooks.labels(hook, outcome).inc()
        self._webhook_seconds.labels(hook).observe(seconds)
        told = {"hook": hook, "outcome": outcome, "status": status, "ms": round(seconds * 1_000), "attempts": attempts}
        self.log("webhook", told)

    def outbox(self, hook: str, n_pending: int, n_dead: int) -> None:
        """Say how many messages a webhook still has to come, and how many it will not get."""
        self._pending.labels(hook).set(n_pending)
        self._dead.labels(hook).set(n_dead)

    def log(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write one JSON line; the fields must hold nothing of a lead."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(json.dumps({"at": at, "event": event, **fields}))


def psi_of_scores(distribution: Mapping[int, int]) -> float:
    """Return the PSI of scores, in tenths, against an even spread: a score is a percentile of the reference population.

    Shares are smoothed by half a lead a tenth, as in `leadscore.evaluate.drift`.
    """
    counts = [0.5] * 10
    for score, n_leads in distribution.items():
        counts[min(score // 10, 9)] += n_leads
    shares = [count / sum(counts) for count in counts]
    return sum((share - 0.1) * math.log(share / 0.1) for share in shares)


def to_standard_output(line: str) -> None:
    """Write a line at once and as it is, past BentoML's format; one that can't be written fails no request."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
