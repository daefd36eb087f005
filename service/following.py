"""The model in use follows an alias: the command asks where it points, the workers are told by a file.

Only the command has MLflow. When the alias moves, it writes the pointer, a small file in the server's home; every
worker looks at that file once a second, loads what it names aside, and swaps.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from leadscore.batch import whole_or_nothing
from leadscore.errors import LeadScoreError
from leadscore.model.artifact import MANIFEST
from service import UNREGISTERED
from service.observing import Observer
from service.security import fault_of
from service.serving import ModelInUse, settle_garbage_collector

LOOK_SECONDS = 1.0
"""Between two looks of a worker at its pointer's time of change."""


N_DIGITS = 8
"""Of the digest that tells scorers without a registry apart."""


@dataclass(frozen=True)
class Pointer:
    """The scorer to use: its folder, and what the scores call it."""

    folder: Path
    version: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Pointer:
        """Return what ``LEADSCORE_SCORER`` and ``LEADSCORE_VERSION`` say.

        Raises
        ------
        LeadScoreError
            If no scorer is named.
        """
        folder = environment.get("LEADSCORE_SCORER")
        if not folder:
            raise LeadScoreError("LEADSCORE_SCORER is not set. Start with: leadscore serve")
        version = environment.get("LEADSCORE_VERSION")
        return cls(Path(folder), version) if version else cls.unregistered(Path(folder))

    @classmethod
    def unregistered(cls, folder: Path) -> Pointer:
        """Return the pointer to a scorer without a version in a registry: other scorers have other names.

        A folder that holds none has no digits; whoever loads it says what is wrong.
        """
        try:
            digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        except OSError:
            return cls(folder, UNREGISTERED)
        return cls(folder, f"{UNREGISTERED}-{digest[:N_DIGITS]}")

    @property
    def registered(self) -> bool:
        """Whether the version is one of a registry."""
        return not self.version.startswith(UNREGISTERED)

    @classmethod
    def read(cls, path: Path) -> Pointer:
        """Return what a file written by `write` says.

        Raises
        ------
        LeadScoreError
            If it can't be read as a pointer.
        """
        try:
            fields = json.loads(path.read_bytes())
            return cls(Path(fields["folder"]), str(fields["version"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LeadScoreError(f"{path} names no scorer ({type(error).__name__}). Start the service anew") from error

    def write(self, path: Path) -> None:
        """Write the file, seen whole or not at all."""
        with whole_or_nothing(path) as beside:
            beside.write_text(json.dumps({"folder": str(self.folder), "version": self.version}), encoding="utf-8")


class Signpost:
    """The command's side: turns the pointer when the alias moves.

    Parameters
    ----------
    find : callable
        Returns where the alias points now.
    shown : Pointer
        Where it pointed when the service started.
    path : Path
        The pointer's file.
    warn : callable
        Told why the alias can't be followed, once per reason: the model in use stays, and the next question may
        be answered.
    """

    def __init__(self, find: Callable[[], Pointer], shown: Pointer, path: Path, warn: Callable[[str], None]) -> None:
        self._find = find
        self._shown = shown
        self._path = path
        self._warn = warn
        self._reason = ""

    def look(self) -> None:
        """Ask once."""
        reason = ""
        try:
            found = self._find()
            if found != self._shown:
                found.write(self._path)
                self._shown = found
        except Exception as error:
            reason = str(error) if isinstance(error, LeadScoreError) else fault_of(error)
        if reason and reason != self._reason:
            self._warn(f"Version {self._shown.version} stays in use: {reason}")
        self._reason = reason

    def start(self, seconds: float) -> None:
        """Ask from now on, so often, beside the caller and no longer than it lives."""
        keep_looking(self.look, seconds)


class Follower:
    """A worker's side: puts to use what the pointer names, or refuses it and keeps the model it has.

    Parameters
    ----------
    model : ModelInUse
        Given every scorer that is found.
    observer : Observer
        Counts and logs what is refused.
    path : Path or None
        The pointer's file, which need not be there yet.
    """

    def __init__(self, model: ModelInUse, observer: Observer, path: Path | None) -> None:
        self._model = model
        self._observer = observer
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._taken: Pointer | None = None

    @classmethod
    def begin(cls, model: ModelInUse, observer: Observer, environment: Mapping[str, str]) -> Follower:
        """Put to use what ``LEADSCORE_POINTER`` names, or else ``LEADSCORE_SCORER``; `start` follows from there."""
        pointer = environment.get("LEADSCORE_POINTER")
        follower = cls(model, observer, Path(pointer) if pointer else None)
        follower.look()
        if not model.ready:
            follower.take(lambda: Pointer.of(environment))
        return follower

    def look(self) -> None:
        """Take what the pointer names if it was written since the last look; what was refused isn't tried again."""
        path = self._path
        if path is None or (stamp := stamp_of(path)) == self._seen:
            return
        self._seen = stamp
        self.take(lambda: Pointer.read(path))

    def take(self, find: Callable[[], Pointer]) -> None:
        """Load what a pointer names and put it to use, unless it is in use already."""
        try:
            pointer = find()
            if pointer != self._taken:
                self._model.load(pointer.folder, pointer.version)
                self._taken = pointer
                settle_garbage_collector()
        except Exception as error:
            self._observer.refused(error)

    def start(self, seconds: float = LOOK_SECONDS) -> None:
        """Look from now on."""
        if self._path is not None:
            keep_looking(self.look, seconds)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Return what changes whenever the file is replaced, None while there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def keep_looking(look: Callable[[], None], seconds: float) -> None:
    """Call a function that raises nothing again and again, beside the caller and no longer than it lives."""

    def run() -> None:
        while True:
            time.sleep(seconds)
            look()

    threading.Thread(target=run, name="leadscore-following", daemon=True).start()
