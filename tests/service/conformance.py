"""Whether an answer is one that the OpenAPI document promises: its status, its type, its schema."""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema_rs


class Conformance:
    """Checks answers against one OpenAPI document; `seen` are the (method, template, status) that were."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.seen: set[tuple[str, str, int]] = set()
        # Routes with a fixed path are asked first.
        templates = sorted(document["paths"], key=lambda template: ("{" in template, template))
        self._patterns = {
            template: re.compile(re.sub(r"\\{\w+\\}", ".*", re.escape(template)), re.DOTALL) for template in templates
        }
        self._validators: dict[str, Any] = {}

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        """Check one answer; those of routes that the document leaves out are none of its business."""
        template = next((name for name, pattern in self._patterns.items() if pattern.fullmatch(path)), None)
        operation = self.document["paths"].get(template, {}).get(method.lower())
        if template is None or operation is None:
            return
        place = f"{method} {template} → {answer.status_code}"
        response = operation["responses"].get(str(answer.status_code))
        assert response is not None, f"{place} is not in the document"
        content = response.get("content", {})
        if content:
            media_type = answer.headers["content-type"]
            assert media_type in content, f"{place} has the type {media_type}"
            self._validator(content[media_type]["schema"]["$ref"]).validate(answer.json())
        else:
            assert answer.content == b"", place
        self.seen.add((method, template, answer.status_code))

    def _validator(self, reference: str) -> Any:
        if reference not in self._validators:
            schema = {"$ref": reference, "components": self.document["components"]}
            self._validators[reference] = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        return self._validators[reference]
