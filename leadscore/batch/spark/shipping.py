"""What the driver sends to every worker: plain bytes of JSON, arrays and the files of the scorer; no pickle of ours."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from leadscore.batch.keys import Parting, Shared
from leadscore.batch.spark.units import Input, Unit
from leadscore.batch.tally import Tallied
from leadscore.company import Counts, Totals
from leadscore.model.scorer import LeadScorer
from leadscore.project import Project
from leadscore.reading import Typing

Parcel = dict[str, bytes]
Made = TypeVar("Made")


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write named arrays; `arrays_of` is the inverse."""
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def arrays_of(content: bytes) -> dict[str, NDArray[Any]]:
    """Read named arrays."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)


def tally_to_bytes(tallied: Tallied) -> bytes:
    """Write running totals; `tally_of` is the inverse."""
    names = json.dumps({role: list(tallied.names.get(role, {})) for role in tallied.roles}).encode()
    arrays: dict[str, NDArray[Any]] = {"cutoffs": tallied.cutoffs, "names": np.frombuffer(names, dtype=np.uint8)}
    for (role, tally), (places, steps) in tallied.steps.items():
        arrays |= {f"{role} {tally} places": places, f"{role} {tally} steps": steps}
    return arrays_to_bytes(arrays)


def tally_of(content: bytes) -> Tallied:
    """Read running totals."""
    arrays = arrays_of(content)
    names = json.loads(arrays.pop("names").tobytes())
    tallied = Tallied(arrays.pop("cutoffs"), tuple(names))
    tallied.names = {role: {name: code for code, name in enumerate(words)} for role, words in names.items()}
    for key in [key.removesuffix(" places") for key in arrays if key.endswith(" places")]:
        role, tally = key.split()
        tallied.steps[role, tally] = arrays[f"{key} places"], arrays[f"{key} steps"]  # type: ignore[index]
    return tallied


def counts_to_bytes(counts: Counts) -> bytes:
    """Write what a whole base counted; `counts_of` is the inverse."""
    names = json.dumps({role: list(codes) for role, codes in counts.groups.items()}).encode()
    arrays: dict[str, NDArray[Any]] = {"names": np.frombuffer(names, dtype=np.uint8)}
    for (role, tally), totals in counts.totals.items():
        arrays |= {f"{role} {tally} {name}": values for name, values in vars(totals).items()}
    return arrays_to_bytes(arrays)


def counts_of(content: bytes) -> Counts:
    """Read what a whole base counted."""
    arrays = arrays_of(content)
    names = json.loads(arrays.pop("names").tobytes())
    keys = dict.fromkeys(tuple(key.split()[:2]) for key in arrays)
    fields = ("first", "end", "at", "total")
    totals = {key: Totals(*(arrays[" ".join([*key, name])] for name in fields)) for key in keys}
    groups = {role: {name: code for code, name in enumerate(words)} for role, words in names.items()}
    return Counts(groups, totals)  # type: ignore[arg-type]  # pairs of role and tally


@dataclass(frozen=True)
class Job:
    """How tables are read and parted.

    Attributes
    ----------
    listed : whether the leads are another list than the project's own
    inputs, units : the tables that are there, and the pieces that tasks read
    n_rows : rows of a stretch
    lost : as in `leadscore.batch.parting.Spill`
    """

    project: Project
    listed: bool
    inputs: Mapping[str, Input]
    units: tuple[Unit, ...]
    parting: Parting
    n_rows: int
    lost: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def pack(self) -> Parcel:
        """Everything as bytes; `unpack` is the inverse."""
        facts = {
            "raw": {**self.project.raw, "name": self.project.name},
            "folder": str(self.project.folder.resolve()),
            "listed": self.listed,
            "inputs": [found.to_dict() for found in self.inputs.values()],
            "units": [asdict(unit) for unit in self.units],
            "n_parts": self.parting.n_parts,
            "n_rows": self.n_rows,
        }
        parcel = {"facts": json.dumps(facts).encode(), "lost": arrays_to_bytes(self.lost)}
        if self.parting.shared is not None:
            arrays = {name: np.asarray(value) for name, value in vars(self.parting.shared).items()}
            parcel["shared"] = arrays_to_bytes(arrays)
        return parcel

    @classmethod
    def unpack(cls, parcel: Parcel) -> Job:
        """Read what `pack` gave."""
        facts = json.loads(parcel["facts"])
        shared = None
        if "shared" in parcel:
            arrays = arrays_of(parcel["shared"])
            shared = Shared(arrays["leads"], arrays["parts"], arrays["starts"], int(arrays["shift"]))
        inputs = [Input.of(values) for values in facts["inputs"]]
        units = [{**unit, "groups": unit["groups"] and tuple(unit["groups"])} for unit in facts["units"]]
        return cls(
            Project.from_dict(facts["raw"], folder=facts["folder"]),
            facts["listed"],
            {found.table.key: found for found in inputs},
            tuple(Unit(**unit) for unit in units),
            Parting(facts["n_parts"], shared),
            facts["n_rows"],
            arrays_of(parcel["lost"]),
        )

    @cached_property
    def typing(self) -> Typing:
        """How rows are typed."""
        return Typing(self.project, whole=False)


@dataclass(frozen=True)
class Question:
    """What is asked of every part: scores of its leads, with what the whole base counted."""

    scorer: LeadScorer
    as_of: int | None
    n_reasons: int
    counts: Counts | None

    @staticmethod
    def pack(scorer: LeadScorer, as_of: int | None, n_reasons: int, tallied: Tallied | None) -> Parcel:
        """Everything as bytes; the scorer as the files of its folder."""
        facts = {"as_of": as_of, "n_reasons": n_reasons, "version": scorer.version}
        parcel = {"facts": json.dumps(facts).encode()}
        if tallied is not None:
            parcel["tally"] = tally_to_bytes(tallied)
        with tempfile.TemporaryDirectory() as folder:
            saved = scorer.save(Path(folder) / "scorer")
            return parcel | {f"scorer/{path.name}": path.read_bytes() for path in sorted(saved.iterdir())}

    @classmethod
    def unpack(cls, parcel: Parcel) -> Question:
        """Read what `pack` gave; the scorer checks its golden leads on every worker. Raises ArtifactError."""
        facts = json.loads(parcel["facts"])
        with tempfile.TemporaryDirectory() as folder:
            for name, content in parcel.items():
                if name.startswith("scorer/"):
                    (Path(folder) / name.removeprefix("scorer/")).write_bytes(content)
            scorer = LeadScorer.load(folder, version=facts["version"])
        counts = tally_of(parcel["tally"]).counts() if "tally" in parcel else None
        return cls(scorer, facts["as_of"], facts["n_reasons"], counts)


_KEPT: dict[str, tuple[str, Any]] = {}


def unpacked(parcel: Parcel, unpack: Callable[[Parcel], Made]) -> Made:
    """Unpack a parcel once in the life of a worker's process, or until another of its kind comes."""
    digest = hashlib.sha256(b"".join(parcel[name] for name in sorted(parcel))).hexdigest()
    kind = unpack.__qualname__
    if _KEPT.get(kind, ("", None))[0] != digest:
        _KEPT[kind] = digest, unpack(parcel)
    made: Made = _KEPT[kind][1]
    return made
