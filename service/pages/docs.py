"""The page at ``/docs``: rendered from the OpenAPI document here; one HTML file, no script, no fetches."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.problems import Kind

NEEDS_KEY = "Needs an API key"
"""How the document says of a route that it does."""
_KEYLESS = "Needs no API key here; where keys are on, one"
_KEY_HEADER = ' -H "Authorization: Bearer $LEADSCORE_KEY"'

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem; border-top: 1px solid #d5dae1; padding-top: 1.5rem }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f3f5f8; border-radius: 4px }
code { padding: .1em .3em } pre { padding: .8rem 1rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top }
th { border-bottom: 1px solid #d5dae1 } .method { color: #0b6b3a; font-weight: 600 }
""".strip()

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"


def render(openapi: Mapping[str, Any], kinds: Sequence[Kind], *, keyless: bool = False) -> str:
    """Return the page for an OpenAPI document and the problems that its routes answer.

    `keyless` : whether the service asks for no keys
    """
    schemas = openapi["components"]["schemas"]
    info = openapi["info"]
    routes = [
        _route(path, method, operation, schemas, keyless=keyless)
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    ]
    models = [_model(name, schema) for name, schema in schemas.items()]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{_text(info["title"])}</title>',
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{_text(info['title'])}</h1><p>{_text(info['summary'])}.",
            'The same as a machine reads it: <a href="/openapi.json">/openapi.json</a></p>',
            "<p>This service asks for no API keys and answers this machine alone.</p>"
            if keyless
            else "<p>The API key that a route needs is sent as <code>Authorization: Bearer KEY</code> "
            "or <code>X-API-Key: KEY</code>.</p>",
            *routes,
            "<h2>Problems</h2><p>Errors are <code>application/problem+json</code> (RFC 9457).",
            "Every answer carries <code>X-Request-ID</code>.</p>",
            _table(("problem", "status", "when"), [_problem(kind) for kind in kinds]),
            "<h2>Models</h2>",
            *models,
            "</body></html>",
        ]
    )


def _route(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], *, keyless: bool) -> str:
    description, call = operation.get("description", ""), _curl(path, method, operation, schemas)
    if keyless:
        description, call = description.replace(NEEDS_KEY, _KEYLESS), call.replace(_KEY_HEADER, "")
    parts = [
        f'<h2><span class="method">{method.upper()}</span> <code>{_text(path)}</code></h2>',
        f"<p>{_text(description)}</p>",
        f"<pre>{_text(call)}</pre>",
    ]
    rows = []
    for status, response in operation["responses"].items():
        model = _model_of(response)
        link = f'<a href="#{model}">{model}</a>' if model else ""
        rows.append((_text(status), _text(response["description"]), link))
    return "\n".join([*parts, _table(("status", "", "body"), rows)])


def _curl(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    call = f"curl http://127.0.0.1:3000{path}{_KEY_HEADER}"
    model = _model_of(operation.get("requestBody", {}))
    if not model:
        return call
    example = json.dumps(schemas[model]["examples"][0], indent=1, ensure_ascii=False)
    return f"{call} -H 'Content-Type: application/json' -d '{example}'"


def _model(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{_text(field)}</code>",
            _text(_type_of(about)) + ("" if field in required else ", optional"),
            _text(about.get("description", "")),
        )
        for field, about in schema.get("properties", {}).items()
    ]
    parts = [f'<h3 id="{_text(name)}">{_text(name)}</h3><p>{_text(schema.get("description", ""))}</p>']
    return "\n".join([*parts, _table(("field", "type", ""), rows)])


def _problem(kind: Kind) -> tuple[str, str, str]:
    return f'<code id="{kind.name}">{kind.name}</code>', str(kind.status), _text(kind.meaning)


def _type_of(about: Mapping[str, Any]) -> str:
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if "anyOf" in about:
        return " or ".join(_type_of(option) for option in about["anyOf"])
    if about.get("type") == "array":
        return f"list of {_type_of(about.get('items', {}))}"
    return str(about.get("format") or about.get("type", "any"))


def _model_of(described: Mapping[str, Any]) -> str:
    for content in described.get("content", {}).values():
        return str(content["schema"].get("$ref", "")).rpartition("/")[2]
    return ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{title}</th>" for title in head)
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([f"<table><tr>{cells}</tr>", *lines, "</table>"])


def _text(value: Any) -> str:
    return html.escape(str(value))
