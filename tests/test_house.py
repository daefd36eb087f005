"""The order of the house: who may import whom, what an import loads, and which names are public."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import leadscore as ls

ROOT = Path(__file__).parents[1]
ORDER = """errors threads time silence section answered direction options sla phrases project sources stretches
hashing columns plain eventlog contacts company tables reading fields events documents snapshots features
explain model evaluate alignment batch tracking simulate init console reports syncing cli""".split()
"""A module of leadscore imports only what stands before it, or beside it in its own package."""
EXCEPTION = ("project", "reading")
"""`Project.read`, inside the function."""
PUBLIC = [
    *(
        "Cutoffs",
        "Data",
        "FeaturePlan",
        "LeadScoreError",
        "LeadScoreWarning",
        "LeadScorer",
        "Project",
        "Snapshots",
        "TreeShap",
    ),
    *("read", "snapshots"),
]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def called(path: Path) -> list[tuple[str, int]]:
    """What a file calls, as it is written there, and in which line."""
    return [(ast.unparse(node.func), node.lineno) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]


@functools.cache
def imported(path: Path) -> list[tuple[str, bool]]:
    """Every dotted name that a file imports, and whether it does so when it is loaded itself."""
    tree = parsed(path)
    late = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            names += [(f"{node.module}.{alias.name}", id(node) not in late) for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [(alias.name, id(node) not in late) for alias in node.names]
    return names


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "leadscore").parts[0].removesuffix(".py")


def test_modules_import_only_what_stands_before_them():
    wrong = []
    for path in files("leadscore"):
        here = room(path)
        if here == "__init__":
            continue
        assert here in ORDER, f"{here} has no place in the order of the house"
        for name, _ in imported(path):
            package, _, rest = name.partition(".")
            there = rest.split(".")[0]
            if package != "leadscore" or there == here or (here, there) == EXCEPTION:
                continue
            if there not in ORDER or ORDER.index(there) >= ORDER.index(here):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_one_look_forward_is_inside_its_function():
    late = [name for name, early in imported(ROOT / "leadscore" / "project.py") if "reading" in name and not early]
    early = [name for name, early in imported(ROOT / "leadscore" / "project.py") if "reading" in name and early]
    assert late == ["leadscore.reading.read"]
    assert early == []


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("leadscore", {"training", "service"}), ("training", {"service"}), ("service", {"training"})],
)
def test_packages_keep_their_distance(package, forbidden):
    found = {name.split(".")[0] for path in files(package) for name, _ in imported(path)}
    assert not found & forbidden


def test_heavy_packages_load_on_use():
    """bentoml, mlflow and their kind never with the library; lightgbm and scikit-learn only where they are used."""
    heavy = {"mlflow", "bentoml", "matplotlib", "pyspark", "lightgbm", "sklearn", "sqlalchemy", "fastapi"}
    early = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files("leadscore")
        if room(path) not in ("tracking", "evaluate")
        for name, at_load in imported(path)
        if at_load and name.split(".")[0] in heavy
    }
    assert early == set()
    code = f"import leadscore, sys; print(sorted(set({sorted(heavy)}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_and_planning_load_neither_trees_nor_scikit_learn():
    code = (
        "import leadscore as ls, sys; data = ls.Project.load('data/sample').read(); "
        "shots = ls.snapshots(data).take([0]);"
        "ls.FeaturePlan.default(data.project).fit(data, shots.cutoffs).transform(data, shots.cutoffs);"
        "print(sorted({'lightgbm', 'sklearn', 'mlflow', 'bentoml', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names():
    assert ls.__all__ == PUBLIC == sorted(PUBLIC)
    assert all(getattr(ls, name).__doc__ for name in PUBLIC)


def test_errors_are_drawn_on_top_and_descend_from_one_root():
    from leadscore import errors

    children = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    for error in children:
        assert error.__name__ in str(errors.__doc__)
        assert issubclass(error, errors.LeadScoreError | UserWarning)
    assert issubclass(errors.DataError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)


@pytest.mark.parametrize("word", ["pickle", "eval", "exec", "time.time", "datetime.now", "utcnow", "random.seed"])
def test_the_library_has_no_clock_no_pickle_no_eval(word):
    found = []
    for path in files("leadscore"):
        for name, line in called(path):
            if name.endswith(word) and not (word in ("eval", "exec") and "." in name):
                found.append(f"{path.relative_to(ROOT)}:{line}")
    if word in ("time.time", "datetime.now"):  # the outermost edge: a command that was given no cutoff
        found = [place for place in found if not place.startswith("leadscore/cli")]
    assert found == []
