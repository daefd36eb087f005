"""A scorer as a folder without pickles: whole or not at all, and checked before it is trusted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leadscore.errors import ArtifactError

FORMAT = 1
MANIFEST = "manifest.json"
FILES = ("plan.json", "model.txt", "calibration.json", "population.json", "golden.json")


def write(folder: str | Path, files: Mapping[str, str], manifest: Mapping[str, Any]) -> Path:
    """Write a scorer's files beside `folder`, the manifest last, then put them in its place in one rename.

    Raises
    ------
    ArtifactError
        If `folder` exists and holds anything but a scorer.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not (target / MANIFEST).exists():
        raise ArtifactError(f"{target} exists and is no scorer; choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, text in files.items():
            (beside / name).write_text(text, encoding="utf-8")
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        whole = {"format": FORMAT, **manifest, "files": digests}
        (beside / MANIFEST).write_text(to_json(whole), encoding="utf-8")
        os.chmod(beside, 0o755)
        if target.exists():
            shutil.rmtree(target)
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return target


def read(folder: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a scorer's manifest and files, and check them against their digests.

    Raises
    ------
    ArtifactError
        If the folder isn't a scorer, has another format, or a file is missing or was changed.
    """
    source = Path(folder)
    try:
        manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{source} has no {MANIFEST}: it is no scorer, or was never finished") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise ArtifactError(f"{source / MANIFEST} can't be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise ArtifactError(f"{source} has scorer format {found!r}; this version of leadscore reads {FORMAT}")
    files: dict[str, str] = {}
    for name in FILES:
        try:
            files[name] = (source / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ArtifactError(f"{source} lacks a readable {name}; write the scorer anew") from None
        digests = manifest.get("files")
        expected = digests.get(name) if isinstance(digests, dict) else None
        if hashlib.sha256(files[name].encode()).hexdigest() != expected:
            raise ArtifactError(f"{source / name} was changed after the scorer was saved; write the scorer anew")
    return manifest, files


def to_json(value: Any) -> str:
    """Return JSON that a person can read and any parser accepts: indented, no NaN."""
    return json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
