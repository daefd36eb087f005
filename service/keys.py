"""API keys: read from a file or the environment, looked up in constant time, minted by ``leadscore key``.

Only the SHA-256 of a key is kept. A slow hash defends secrets that can be guessed; a key's 256 random bits
can't be, and a slow hash would cost every request its milliseconds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadscore.errors import LeadScoreError

SCOPES = ("score", "write", "admin")
"""What a key may be for; none implies another."""
FILE_VARIABLE = "LEADSCORE_API_KEYS_FILE"
VARIABLE = "LEADSCORE_API_KEYS"
MINT = "leadscore key NAME --scope score"

_PREFIX = "ls_"
_N_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "scopes", "sha256", "expires"}


@dataclass(frozen=True)
class Key:
    """One key: its name, what it may be used for, the digest of its secret, and the first day it is refused (UTC).

    The name goes to logs and metrics.
    """

    name: str
    scopes: frozenset[str]
    sha256: str
    expires: dt.date | None = None

    @classmethod
    def mint(cls, name: str, scopes: Iterable[str], expires: dt.date | None = None) -> tuple[Key, str]:
        """Return a new key and its secret, which is kept nowhere."""
        secret = _PREFIX + secrets.token_urlsafe(_N_BYTES)
        fields = {"name": name, "scopes": [*scopes], "sha256": _digest(secret.encode()), "expires": expires}
        return _key(fields, "the new key"), secret

    @property
    def as_toml(self) -> str:
        """The entry for a file."""
        expires = f"expires = {self.expires}\n" if self.expires else ""
        scopes = ", ".join(f'"{scope}"' for scope in self._ordered)
        return f'[[key]]\nname = "{self.name}"\nscopes = [{scopes}]\nsha256 = "{self.sha256}"\n{expires}'

    @property
    def as_variable(self) -> str:
        """The entry for the environment: ``name:scope+scope:sha256``, and ``:date`` if it expires."""
        entry = f"{self.name}:{'+'.join(self._ordered)}:{self.sha256}"
        return f"{entry}:{self.expires}" if self.expires else entry

    @property
    def _ordered(self) -> list[str]:
        return [scope for scope in SCOPES if scope in self.scopes]


class ApiKeys:
    """The keys that a service knows.

    Parameters
    ----------
    keys : iterable of Key
        At least one; names and secrets differ.
    source : str
        Where they came from, for errors.
    today : callable
        The day, UTC.

    Raises
    ------
    LeadScoreError
        If there is no key, or two have one name or one secret.
    """

    def __init__(self, keys: Iterable[Key], source: str, today: Callable[[], dt.date] | None = None) -> None:
        self._keys = tuple(keys)
        self._today = today or (lambda: dt.datetime.now(dt.UTC).date())
        if not self._keys:
            raise LeadScoreError(f"{source} holds no key. Add one with: {MINT}")
        for place, key in enumerate(self._keys):
            for other in self._keys[:place]:
                if key.name == other.name:
                    raise LeadScoreError(f"{source}: there are two keys named {key.name}. Rename or remove one")
                if key.sha256 == other.sha256:
                    raise LeadScoreError(f"{source}: {key.name} has the secret of {other.name}. Mint it one of its own")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ApiKeys | None:
        """Read the file that ``LEADSCORE_API_KEYS_FILE`` names, or ``LEADSCORE_API_KEYS``; None if neither is set.

        Raises
        ------
        LeadScoreError
            If both are set, the file can't be read, or an entry is wrong: it names the source, the key and the
            remedy, and quotes no digest.
        """
        path, entries = environment.get(FILE_VARIABLE), environment.get(VARIABLE)
        if path and entries:
            raise LeadScoreError(f"{FILE_VARIABLE} and {VARIABLE} are both set. Unset one of them")
        if path:
            return cls(_in_file(path), path)
        if entries:
            return cls(_in_variable(entries), VARIABLE)
        return None

    def find(self, secret: bytes) -> Key | None:
        """Return the key with this secret, if it is known and has not expired.

        Every key is compared in constant time, whichever matches: the time taken tells nothing.
        """
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.sha256):
                found = key
        if found is None or (found.expires is not None and self._today() >= found.expires):
            return None
        return found


def append(key: Key, path: Path) -> None:
    """Add a key to a file, made if need be: whole or not at all, readable by its owner alone.

    Raises
    ------
    LeadScoreError
        If the file is there and wrong, holds the name already, or its folder does not exist.
    """
    from leadscore.batch import whole_or_nothing

    target = path.resolve()
    if not target.parent.is_dir():
        raise LeadScoreError(f"the folder {target.parent} does not exist; create it first")
    before = _text_of(target) if target.exists() else ""
    after = f"{before.rstrip()}\n\n{key.as_toml}".lstrip()
    ApiKeys(_in_toml(after, str(path)), str(path))
    with whole_or_nothing(target) as beside:
        beside.touch(mode=0o600)
        beside.write_text(after, encoding="utf-8")


def _in_file(path: str) -> list[Key]:
    return _in_toml(_text_of(Path(path)), path)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise LeadScoreError(f"{path} is not UTF-8 text. Write it with: {MINT} --file {path}") from None
    except OSError as error:
        raise LeadScoreError(f"can't read the API keys in {path}: {error.strerror}. Mend {FILE_VARIABLE}") from None


def _in_toml(text: str, source: str) -> list[Key]:
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LeadScoreError(f"{source} is not TOML: {error}") from None
    tables = parsed.pop("key", [])
    if parsed or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise LeadScoreError(f"{source} holds more than [[key]] tables. Write them with: {MINT} --file {source}")
    return [_key(table, f"{source}: key {place}") for place, table in enumerate(tables, 1)]


def _in_variable(text: str) -> list[Key]:
    keys = []
    for place, entry in enumerate(filter(None, re.split(r"[,\s]+", text)), 1):
        where = f"{VARIABLE}: key {place}"
        parts = entry.split(":")
        if len(parts) not in (3, 4):
            raise LeadScoreError(f"{where} is not name:scope+scope:sha256, with :2027-01-01 if it expires")
        fields: dict[str, Any] = {"name": parts[0], "scopes": parts[1].split("+"), "sha256": parts[2]}
        if len(parts) == 4:
            fields["expires"] = _date(parts[3], where)
        keys.append(_key(fields, where))
    return keys


def _date(text: str, where: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise LeadScoreError(f"{where} expires on no day that there is. Write it as 2027-01-01") from None


def _key(fields: Mapping[str, Any], where: str) -> Key:
    """Check one entry. What is wrong is not quoted: it may be a secret at the wrong place."""
    name, scopes, sha256, expires = (fields.get(field) for field in ("name", "scopes", "sha256", "expires"))
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise LeadScoreError(f"{where} needs a name of 1 to 64 letters, digits, dots, dashes and underscores")
    where = f"{where} ({name})"
    if unknown := len(fields.keys() - _FIELDS):
        raise LeadScoreError(f"{where} has {unknown} fields too many. It takes name, scopes, sha256 and expires")
    if not (isinstance(scopes, list) and scopes and all(scope in SCOPES for scope in scopes)):
        raise LeadScoreError(f"{where} has a scope that there isn't. Its scopes are one or more of {', '.join(SCOPES)}")
    if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise LeadScoreError(f"{where} needs the SHA-256 of its secret as 64 hexadecimal digits. Mint it with: {MINT}")
    if expires is not None and type(expires) is not dt.date:
        raise LeadScoreError(f"{where} needs a day without time in expires, as 2027-01-01")
    return Key(name, frozenset(scopes), sha256, expires)


def _digest(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
