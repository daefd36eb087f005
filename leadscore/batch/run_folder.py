"""The folder of a run beside its result: what is done stays done, whatever stops the run."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from leadscore.batch.budget import format_size
from leadscore.batch.writing import whole_or_nothing
from leadscore.errors import DataError, LeadScoreError

_MANIFEST = "manifest.json"
_WHAT = {
    "format": "it is of another version of leadscore",
    "project": "leadscore.toml has changed",
    "scorer": "it is another model",
    "inputs": "its input has changed",
    "asked": "other options were given",
    "cut": "--memory cuts the list in another way",
}


class RunFolder:
    """A hidden folder named after the result, with a manifest of what was asked.

    Attributes
    ----------
    told : what to say of an earlier run, None where there was none
    """

    def __init__(self, path: Path, lock: IO[str], told: str | None) -> None:
        self.path, self.told = path, told
        self._lock = lock

    @classmethod
    def open(cls, out: Path, manifest: dict[str, Any], *, fresh: bool) -> RunFolder:
        """Go on with an earlier run that was asked for the same; remove any other.

        Raises
        ------
        DataError
            If the same list is being written by another process.
        """
        path = folder_of(out)
        path.mkdir(exist_ok=True)
        busy = f"another process is writing {out.name}; wait for it, or choose another --out"
        lock = locked(path / _LOCK, busy)
        earlier = read_note(path / _MANIFEST)
        told = None
        if earlier is not None and not fresh:
            differs = next((key for key in _WHAT if earlier.get(key) != manifest[key]), None)
            told = "An earlier run goes on" if differs is None else f"An earlier run starts anew: {_WHAT[differs]}"
            if differs is None:
                return cls(path, lock, told)
        for file in path.iterdir():
            if file.name != _LOCK:
                file.unlink()
        run = cls(path, lock, told)
        write_note(path / _MANIFEST, manifest)
        return run

    def hold(self, parting: str) -> None:
        """Note by what leads are parted; where it was something else, as after a query, nothing is done yet."""
        note = self.path / "parting.json"
        earlier = read_note(note)
        if earlier == {"digest": parting}:
            return
        if earlier is not None:
            for file in self.path.iterdir():
                if file.name not in (_LOCK, _MANIFEST, note.name):
                    file.unlink()
        write_note(note, {"digest": parting})

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        self._lock.close()
        shutil.rmtree(self.path)

    @contextmanager
    def kept(self, needs: int, *beside: Path) -> Iterator[None]:
        """Keep the folder where the disk is full or the run is stopped, and say so; remove it for faulty input."""
        try:
            yield
        except LeadScoreError:
            self.remove()
            raise
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            places = " or ".join(str(place.absolute()) for place in (self.path.parent, *beside))
            raise DataError(
                f"there is no space left in {places}: the run needs about {format_size(needs)} "
                "there. Free some and run the same command again: it goes on where it stopped"
            ) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt("run the same command again and it goes on") from None
        finally:
            self._lock.close()


_LOCK = "lock"


def folder_of(out: Path) -> Path:
    """The folder of the run that writes a list."""
    return out.with_name(f".{out.name}.run")


def locked(path: Path, busy: str) -> IO[str]:
    """Lock a file until it is closed; raises DataError, which says `busy`, where another process has done so."""
    lock = path.open("w", encoding="utf-8")
    try:
        import fcntl
    except ImportError:  # where there are no locks, two runs at once are the user's affair
        return lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise DataError(busy) from None
    return lock


def write_note(path: Path, value: dict[str, Any]) -> None:
    """Write plain JSON values, whole or not at all."""
    with whole_or_nothing(path) as beside:
        beside.write_text(json.dumps(value), encoding="utf-8")


def read_note(path: Path) -> dict[str, Any] | None:
    """Read a note; None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
