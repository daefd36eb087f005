"""Cases for every operation of the OpenAPI document: what its schemas allow, what they forbid, and what nearly fits.

The first two are schemathesis's. The third starts from the document's own examples, so that it gets past the first
checks: a few of its values, names and ids are replaced, left out or doubled.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks as openapi

from service.store.scores import write_cursor

KINDS = ("positive", "negative", "near")
CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
]
CONFIG = {"generation": {"with-security-parameters": False}}
INSTANTS = [
    *("2026-04-28T14:05:00Z", "2026-05-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1777626000"),
    *(
        "2026-05-01T09:00:00+23:59",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2026-02-30",
        "03/04/2026",
    ),
    *("1969-12-31T23:59:59Z", "292278-01-01T00:00:00Z", "2026-05-01T24:00:00Z", "2026-05-01T09:00:60Z", "9" * 400),
]
NUMBERS = [0, -1, 10**17, -(10**17), 10**18, 10**400, 1e308, -1e308, 5e-324, -0.0, 0.1, 1777626000, True, False]
TEXTS = [
    *("", " ", "\0", "a\0b", "é", "e\u0301", "漢字", "🙂", "\u202e", "\n", "a\nb", "a/b", "..", "%00"),
    *("nan", "inf", "1e309", "1,5", "null", "true", "L42", "L000001", "x" * 201, "x" * 5_000, "';--", "{{7*7}}", "won"),
]
IDS = ["L42", "L000001", "L000777", "L001999", "a/b", "a\nb", "é", "\0", "..", "x" * 200, "%2F", ""]
ANYTHING = st.one_of(
    st.sampled_from([*NUMBERS, *TEXTS, *INSTANTS, *IDS, None, [], {}, [[]], {"": None}, [None], {"a": {"b": []}}]),
    st.text(max_size=20),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
QUERIES = {
    "as_of": st.sampled_from(INSTANTS + TEXTS),
    "limit": st.sampled_from(["1", "2", "200", "500", "501", "0", "-1", "1e2", "", "9" * 5_000]),
    "receipts": st.sampled_from(["true", "false", "True", ""]),
    "grade": st.lists(st.sampled_from([*"ABCDE", "", "Z"]), max_size=3),
    "source": st.sampled_from(["webinar", *TEXTS]),
    "owner": st.sampled_from(["rep-10", *TEXTS]),
    "search": st.sampled_from(["0012", "%", "_", *TEXTS]),
    "verdict": st.sampled_from(["none", "accept", "reject", "any", "open", "withdraw", *TEXTS]),
    "order": st.sampled_from(["score", "waiting", "", "WAITING", "x" * 300]),
    "min_age": st.sampled_from(["1d", "0d", "999999w", "9999999w", "1", "-1d", "١d"]),
    "max_age": st.sampled_from(["1d", "400d", "0d", "999999w", "", "d"]),
    "cursor": st.one_of(
        st.builds(write_cursor, st.floats() | st.integers(), st.sampled_from([*IDS, "\ud800"])),
        st.sampled_from(["", "W10", "é", "=" * 99]),
    ),
}


@dataclass
class Tally:
    """How many cases were sent, by operation and kind, and what came of them."""

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def n(self) -> int:
        return self.cases.total()

    def lines(self) -> Iterator[str]:
        for operation in sorted({name for name, _ in self.cases}):
            sent = ", ".join(f"{self.cases[operation, kind]:,} {kind}" for kind in KINDS)
            got = ", ".join(
                f"{n:,} × {status}" for (name, status), n in sorted(self.statuses.items()) if name == operation
            )
            yield f"{operation}: {sent}; {got}"


def fuzz(url: str, document: dict[str, Any], keys: list[str], *, n_cases: int, seed_: int = 0) -> Tally:
    """Send `n_cases` of every kind to every operation; raises at the first answer that the document doesn't promise.

    `keys` are the secrets to choose from: one that opens everything comes first, and is taken most of the time.
    """
    tally = Tally()
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(CONFIG))
    with requests.Session() as session:
        session.trust_env = False
        for found in schema.get_all_operations():
            operation = found.ok()
            described = document["paths"][operation.path][operation.method]
            takes_something = "requestBody" in described or described.get("parameters")
            for kind in KINDS if takes_something else ("positive",):
                _fuzz_operation(operation, kind, document, url, keys, session, tally, n_cases, seed_)
    return tally


def _fuzz_operation(
    operation: Any,
    kind: str,
    document: dict[str, Any],
    url: str,
    keys: list[str],
    session: requests.Session,
    tally: Tally,
    n_cases: int,
    seed_: int,
) -> None:
    mode = schemathesis.GenerationMode.NEGATIVE if kind == "negative" else schemathesis.GenerationMode.POSITIVE
    if kind == "near":
        parts = near_parts(operation, document)
        cheap = {"body": None} if operation.body else {}
        cases = st.builds(_brought_near, operation.as_strategy(**cheap), parts)
    else:
        cases = operation.as_strategy(generation_mode=mode)
    secrets = st.sampled_from([keys[0]] * 9 + keys)

    @seed(seed_)
    @settings(max_examples=n_cases, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases, secrets)
    def send(case: Any, secret: str) -> None:
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        response = case.call(base_url=url, session=session, headers=headers, timeout=60)
        tally.cases[operation.label, kind] += 1
        tally.statuses[operation.label, response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    send()


def near_parts(operation: Any, document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw what replaces parts of a case: a body near an example, ids that exist, parameters that nearly read."""
    described = document["paths"][operation.path][operation.method]
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for content in described.get("requestBody", {}).get("content", {}).values():
        model = content["schema"]["$ref"].rpartition("/")[2]
        [example] = document["components"]["schemas"][model]["examples"]
        parts["body"] = mutated(example)
    names = [parameter["name"] for parameter in described.get("parameters", []) if parameter["in"] == "query"]
    if names:
        parts["query"] = st.fixed_dictionaries({}, optional={name: QUERIES[name] for name in names})
    if "{lead_id}" in operation.path:
        ids = st.sampled_from(IDS).map(lambda lead_id: {"lead_id": quote(lead_id, safe="").replace(".", "%2E")})
        parts["path_parameters"] = ids
    return st.fixed_dictionaries(parts)


def _brought_near(case: Any, parts: dict[str, Any]) -> Any:
    for name, value in parts.items():
        setattr(case, name, value)
    return case


@st.composite
def mutated(draw: st.DrawFn, example: Any) -> Any:
    """An example with up to five of its parts replaced, left out, doubled or renamed."""
    value = copy.deepcopy(example)
    for _ in range(draw(st.integers(0, 5))):
        places = [*_places(value)]
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "double", "rename"])):
            case "replace":
                holder[key] = draw(ANYTHING)
            case "remove":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.extend(copy.deepcopy([holder[key]] * draw(st.integers(1, 3))))
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from([*TEXTS, "context", "as_of", "events"]))] = holder.pop(key)
            case _:
                holder[key] = [holder[key]]
    return json.loads(json.dumps(value))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield value, key
        yield from _places(child)
