"""What the benchmark compares is the same, and it would notice if it weren't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadscore.features.names import FeatureName
from tests.bench.features import by_duckdb, by_leadscore
from tests.bench.features.columns import CHANNELS, SETS, WINDOWS, Column
from tests.bench.features.log import generate
from tests.bench.features.run import compare
from tests.bench.features.worker import matrix_path


@pytest.mark.parametrize("name", SETS["wide"]())
def test_the_benchmark_reads_a_name_as_the_library_does(name):
    ours, theirs = FeatureName.parse(name), Column.of(name)
    assert theirs.op == ours.op
    assert theirs.days == (WINDOWS[ours.window] if ours.window else None)
    assert theirs.channel == (CHANNELS.index(ours.category) if ours.category else None)


@pytest.fixture
def matrices(tmp_path: Path) -> tuple[Path, list[str]]:
    """The same columns from leadscore and from SQL, of a small log, where a worker would leave them."""
    names, log = SETS["wide"](), generate(3_000, 5)
    for engine, module in (("leadscore", by_leadscore), ("duckdb", by_duckdb)):
        at_work = module.Engine(log, names)
        np.save(matrix_path(tmp_path, engine), at_work.matrix(at_work.work()))
    return tmp_path, names


def test_sql_says_the_same(matrices):
    folder, names = matrices
    assert compare(folder, "duckdb", {"names": names}, names) == []


def test_one_changed_value_is_found(matrices):
    folder, names = matrices
    theirs = np.load(matrix_path(folder, "duckdb"))
    theirs[7, 3] += 1
    np.save(matrix_path(folder, "duckdb"), theirs)
    (found,) = compare(folder, "duckdb", {"names": names}, names)
    assert found.startswith(f"{names[3]}: row 7")
