"""The store as the processes of a service have it: the command fills it, the keeper counts it, the workers read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leadscore.errors import LeadScoreError, NoSourceError, StoreError
from leadscore.model import artifact
from leadscore.model.booster import Progress
from leadscore.project import Project
from leadscore.tables import Data
from service import counting
from service.auditing import SHARE
from service.following import LOOK_SECONDS, keep_looking, stamp_of
from service.observing import Observer
from service.security import fault_of
from service.store import Store, open_store
from service.store.arrivals import require_timed
from service.store.importing import import_project
from service.store.tables import whole
from service.stored import StoredLeads

FILE = "store.db"
"""The store of a project that names no other, in its folder."""


@dataclass(frozen=True)
class Memory:
    """Where a service remembers, and how often it scores everybody anew.

    Attributes
    ----------
    url : a path or database URL; may hold a password, so it travels in the environment alone
    project : the project's folder
    counts : the file that the keeper hands to the workers
    audit_share : of the answers, that are kept to be audited
    webhooks : the file that says who is told of changes; None for nobody
    """

    url: str
    project: Path
    counts: Path
    rescore_seconds: int
    audit_share: float = SHARE
    webhooks: Path | None = None

    @property
    def rooms(self) -> Path:
        """The folder of what marketing and sales measure together: see `measuring`."""
        return self.counts.with_name("rooms")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Memory | None:
        """Return what the command has set, None for a service that remembers nothing."""
        url = environment.get("LEADSCORE_STORE")
        if not url:
            return None
        return cls(
            url,
            Path(environment["LEADSCORE_PROJECT"]),
            Path(environment["LEADSCORE_COUNTS"]),
            int(environment["LEADSCORE_RESCORE_SECONDS"]),
            float(environment["LEADSCORE_AUDIT_SHARE"]),
            Path(hooks) if (hooks := environment.get("LEADSCORE_WEBHOOKS")) else None,
        )

    def to_environment(self) -> dict[str, str]:
        """Return what `of` reads."""
        return {
            "LEADSCORE_STORE": self.url,
            "LEADSCORE_PROJECT": str(self.project),
            "LEADSCORE_COUNTS": str(self.counts),
            "LEADSCORE_RESCORE_SECONDS": str(self.rescore_seconds),
            "LEADSCORE_AUDIT_SHARE": str(self.audit_share),
            "LEADSCORE_WEBHOOKS": "" if self.webhooks is None else str(self.webhooks.resolve()),
        }

    def open(self, *, tells: bool = False) -> Store:
        """Open the store; raises StoreError or ProjectError.

        `tells` says whether webhooks are to be told of the scores that are kept.
        """
        project = Project.load(self.project)
        require_timed(project)
        if not tells or self.webhooks is None:
            return open_store(self.url, project)
        from service.hooks import read_rules  # with what speaks HTTP, which no worker needs

        return open_store(self.url, project, read_rules(self.webhooks))

    def prepare(self, progress: Progress, scorer: Path) -> str | None:
        """Fill an empty store from the project's files, and count what it holds for a scorer's folder.

        Returns what was done, if anything.
        """
        store, done = self.open(), None
        try:
            if store.journal.empty:
                try:
                    n_rows = import_project(store.journal, progress)
                    done = f"The store was empty: it has {n_rows:,} rows of the project's files now"
                except NoSourceError as error:
                    done = f"The store is empty, and fills with what arrives: {error}"
            manifest, _ = artifact.read(scorer)
            counting.write(counting.count(store, Project.from_dict(manifest["project"])), self.counts)
        finally:
            store.close()
        return done


def store_url(given: str | None, folder: Path) -> str:
    """Return what names a store: ``env:NAME``, a path relative to `folder`, a URL without password; None is a default.

    Raises
    ------
    StoreError
        If the variable isn't set, or a password was given where everyone on the machine can read it.
    """
    if given is None:
        return str((folder / FILE).resolve())
    if "://" not in given and not given.startswith("env:"):
        return str((folder / given).resolve())
    if given.startswith("env:"):
        url = os.environ.get(given.removeprefix("env:"))
        if not url:
            raise StoreError(f"--store {given}: that variable is not set. Set it to a path or a database URL")
        return url
    if ":" in given.partition("://")[2].rpartition("@")[0]:
        raise StoreError("--store holds a password, which others could read. Set a variable and write --store env:NAME")
    return given


def read_store(project: Project) -> Data:
    """Read the tables of a project from the store that it names.

    Raises
    ------
    StoreError
        If it can't be opened, or nothing is in it yet.
    """
    if (
        project.store is not None
        and not project.store.startswith("env:")
        and not (project.folder / project.store).exists()
    ):
        raise StoreError(f"store = {project.store!r} is not there yet. Start it with: leadscore serve {project.folder}")
    store = open_store(store_url(project.store, project.folder), project)
    try:
        if store.journal.empty:
            raise StoreError(f"the store is empty. Fill it with: leadscore serve {project.folder}")
        return whole(store.journal)
    finally:
        store.close()


def watch_counts(leads: StoredLeads, path: Path, observer: Observer) -> None:
    """Take the keeper's counts now, and whenever it has written new ones."""
    seen: tuple[int, int] | None = None

    def look() -> None:
        nonlocal seen
        try:
            stamp = stamp_of(path)
            if stamp not in (None, seen):
                leads.counted, seen = counting.read(path), stamp
        except Exception as error:
            observer.log("counts", {"fault": fault_of(error), "message": _told(error)})

    look()
    keep_looking(look, LOOK_SECONDS)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, LeadScoreError) else ""
