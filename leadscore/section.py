"""One table of ``leadscore.toml``, or another file, that knows its keys, and says where it stands in every error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from leadscore.errors import ProjectError, nearest

FILE = "leadscore.toml"


class Section:
    """One TOML table that knows its own keys and says where it stands in every error."""

    def __init__(self, raw: Any, where: str, keys: str, file: str = FILE) -> None:
        self.where = where
        self.file = file
        if not isinstance(raw, Mapping):
            raise ProjectError(
                f"{self.file}: {self.title} must be a table, with its keys on the lines below it; found {raw!r}"
            )
        self.raw = raw
        known = keys.split()
        for key in raw:
            if keys and key not in known:
                raise ProjectError(
                    f"{file}: unknown key '{key}' in {self.title}.{nearest(key, known)} Known keys: {', '.join(known)}"
                )

    @property
    def title(self) -> str:
        """What to call the table in a message."""
        return f"[{self.where}]" if self.where else "the top level"

    def fail(self, message: str) -> ProjectError:
        """Return the error that says what is wrong here."""
        return ProjectError(f"{self.file}: {self.title} {message}" if self.where else f"{self.file}: {message}")

    def text(self, key: str) -> str | None:
        """A text, None if it isn't there."""
        value = self.raw.get(key)
        if isinstance(value, dt.date | dt.time):
            raise self.fail(f'{key} must be a string; put it in quotes: {key} = "{value.isoformat()}"')
        if value is not None and (not isinstance(value, str) or not value):
            raise self.fail(f'{key} must be text in quotes, as in {key} = "…"; found {value!r}')
        return value

    def required(self, key: str) -> str:
        """A text that must be there."""
        value = self.text(key)
        if value is None:
            raise self.fail(f'needs {key} = "…"; found {", ".join(self.raw) or "nothing"}')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of distinct texts, empty if it isn't there."""
        value = self.raw.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(f'{key} must be a list of texts, as in {key} = ["…", "…"]; found {value!r}')
        repeated = sorted({item for item in value if value.count(item) > 1})
        if repeated:
            raise self.fail(f"{key} names {repeated[0]!r} twice; remove one")
        return tuple(value)

    def every(self, keys: str, read: str = "text") -> dict[str, Any]:
        """Several keys of one kind, as keyword arguments."""
        return {key: getattr(self, read)(key) for key in keys.split()}

    def whole(self, key: str) -> int | None:
        """A whole number above 0, None if it isn't there."""
        value = self.raw.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise self.fail(f"{key} must be a whole number above 0, not {value!r}")
        return value

    def section(self, key: str, *, required: bool = True) -> Any:
        """The raw table below a key."""
        if key not in self.raw and required:
            raise ProjectError(
                f"{self.file} has no [{key}] section, and needs one; found {', '.join(self.raw) or 'nothing'}. "
                f'Add [{key}] with source = "{key}.csv" and the names of its columns'
            )
        return self.raw.get(key, {})

    def sections(self, key: str) -> Iterable[tuple[str, Any]]:
        """The tables below a key, by name."""
        return dict(Section(self.raw.get(key, {}), key, "", self.file).raw).items()


def checked(parse: Any, value: Any, where: str) -> Any:
    """Parse a value; what the parser refuses becomes a ProjectError that says where."""
    try:
        return parse(value)
    except ValueError as error:
        raise ProjectError(f"{FILE}: {where}: {error}") from None
