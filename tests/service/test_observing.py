from __future__ import annotations

import json
import time

import pytest
from prometheus_client import CollectorRegistry

from leadscore.errors import DocumentError
from service.exchange import Exchange
from service.observing import LATENCY_BUCKETS, Observer


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def observer(registry: CollectorRegistry) -> Observer:
    return Observer(registry, print)


def exchange(method: str = "POST", route: str = "/v1/score", status: int = 200) -> Exchange:
    return Exchange("r1", method, time.perf_counter(), route, status)


def test_requests_are_counted_by_template_and_status(observer: Observer, registry: CollectorRegistry) -> None:
    for status in (200, 200, 422):
        observer.request(exchange(status=status))
    labels = {"method": "POST", "route": "/v1/score"}
    assert registry.get_sample_value("leadscore_requests_total", {**labels, "status": "200"}) == 2
    assert registry.get_sample_value("leadscore_requests_total", {**labels, "status": "422"}) == 1
    assert registry.get_sample_value("leadscore_request_seconds_count", {"route": "/v1/score"}) == 3


def test_latency_is_counted_from_a_millisecond(observer: Observer, registry: CollectorRegistry) -> None:
    assert LATENCY_BUCKETS[0] == 0.001
    observer.request(exchange())
    labels = {"route": "/v1/score", "le": "0.001"}
    assert registry.get_sample_value("leadscore_request_seconds_bucket", labels) is not None


def test_made_up_methods_share_one_label(observer: Observer, registry: CollectorRegistry) -> None:
    for method in ("BREW", "WHEN"):
        observer.request(exchange(method, status=405))
    labels = {"method": "OTHER", "route": "/v1/score", "status": "405"}
    assert registry.get_sample_value("leadscore_requests_total", labels) == 2


def test_scores_are_counted_by_grade(observer: Observer, registry: CollectorRegistry) -> None:
    observer.scores([{"grade": "A"}, {"grade": "A"}, {"grade": "made up"}, DocumentError("bad")])
    counts = {
        grade: registry.get_sample_value("leadscore_scores_total", {"grade": grade})
        for grade in ("A", "other", "refused")
    }
    assert counts == {"A": 2, "other": 1, "refused": 1}


def test_a_swap_moves_the_one_to_the_new_model(observer: Observer, registry: CollectorRegistry) -> None:
    observer.model("acme", "6", "aa", "30d")
    observer.model("acme", "7", "bb", None)
    old = {"name": "acme", "version": "6", "plan": "aa", "horizon": "30d"}
    new = {"name": "acme", "version": "7", "plan": "bb", "horizon": ""}
    assert registry.get_sample_value("leadscore_model_info", old) == 0
    assert registry.get_sample_value("leadscore_model_info", new) == 1


def test_a_log_line_is_json_with_exactly_these_fields(observer: Observer, capsys: pytest.CaptureFixture[str]) -> None:
    observer.request(exchange())
    fields = json.loads(capsys.readouterr().out)
    assert fields.keys() == {"at", "event", "method", "route", "status", "ms", "request_id"}
    assert (fields["event"], fields["route"], fields["request_id"]) == ("request", "/v1/score", "r1")


def test_health_checks_are_logged_only_when_they_fail(
    observer: Observer, registry: CollectorRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in (200, 503):
        observer.request(exchange("GET", "/readyz", status))
    assert json.loads(capsys.readouterr().out)["status"] == 503
    assert registry.get_sample_value("leadscore_request_seconds_count", {"route": "/readyz"}) == 2
