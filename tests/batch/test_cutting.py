"""How a list is cut into parts, and put together again."""

from __future__ import annotations

import gc
import json
import sqlite3
import weakref
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import leadscore as ls
from leadscore.batch import writing
from leadscore.batch.asked import Asked
from leadscore.batch.budget import LEAST, format_size, parse_size, plan_budget
from leadscore.batch.keys import Parting, Shared, pairs_of, parts_of
from leadscore.batch.lists import MERGED_BY
from leadscore.batch.merging import meanwhile, merged, write_sorted
from leadscore.batch.parting import tables_of
from leadscore.batch.run import score_data
from leadscore.batch.tally import Tallied
from leadscore.batch.writing import COLUMNS, ListWriter, json_texts, repeated_json_texts
from leadscore.cli import main
from leadscore.columns import encode
from leadscore.errors import DataError
from leadscore.hashing import TextIndex, hashed, may_repeat
from leadscore.tables import recoded
from leadscore.threads import ahead
from tests.batch.scoring import at_once, in_parts, same


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("2GiB", 2**31), ("2g", 2 * 10**9), ("500M", 500 * 10**6), ("1.5 GB", 1_500_000_000), ("64KiB", 2**16), ("7", 7)],
)
def test_sizes(text, n_bytes) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "much", "2XB", "-1G", "1e9", "iB"])
def test_what_is_no_size(text) -> None:
    with pytest.raises(ValueError, match="is not a size; write a number and K, M, G"):
        parse_size(text)


def test_sizes_for_people() -> None:
    assert [format_size(n) for n in (2**31, 600 * 2**20, 0)] == ["2.0 GiB", "600.0 MiB", "0.0 KiB"]


def test_what_fits_is_one_part_and_less_memory_is_more_parts(sample, tmp_path) -> None:
    asked = Asked(sample.project, tmp_path / "out.csv")
    tables = tables_of(asked)

    def cut(memory: int) -> tuple[int, int]:
        budget = plan_budget(tables, sample.project.folder, memory=memory, n_reasons=3)
        assert budget.rows["leads"] == pytest.approx(2_000, rel=0.1)
        return budget.n_parts, budget.n_rows

    assert cut(2**31)[0] == 1
    parts = [cut(memory)[0] for memory in (2**24, 2**23, 2**22)]
    assert parts == sorted(parts)
    assert parts[0] > 1
    assert cut(2**22)[1] <= cut(2**31)[1]


def test_more_leads_than_can_be_told_apart_name_the_memory_that_they_take(sample, tmp_path, monkeypatch) -> None:
    """Whatever the number of parts, a few bytes of each lead are held; parts take what these leave."""
    monkeypatch.setattr("leadscore.batch.budget._PROGRAM", 0)
    tables, folder = tables_of(Asked(sample.project, tmp_path / "out.csv")), sample.project.folder

    def cut(n_bytes: int) -> int:
        of_lead = n_bytes // 2, n_bytes
        return plan_budget(tables, folder, memory=2**22, n_reasons=0, of_lead=of_lead).n_parts

    assert cut(1_900) > cut(0)
    with pytest.raises(DataError, match=r"[\d,]+ leads don't fit .*Say --memory 4\.\d MiB, or --engine spark"):
        cut(2_200)


def test_leads_of_an_account_are_in_one_part() -> None:
    """Lead b was in accounts x and y, so all of x and y are; c has none; the order of versions is nothing."""
    leads = np.array(["a", "b", "b", "d", "e", "f", "c"])
    accounts = np.array(["x", "x", "y", "y", "z", "z", None], dtype=object)
    for order in (np.arange(7), np.arange(7)[::-1]):
        hashes = [hashed(pa.array(names[order], pa.string())) for names in (leads, accounts)]
        parting = Parting(997, Shared.of(pairs_of(*hashes), 997))
        found = dict(zip("abcdefg", parting.of(pa.array(list("abcdefg"))).tolist(), strict=True))
        assert found["a"] == found["b"] == found["d"]
        assert found["e"] == found["f"] != found["a"]
        alone = Parting(997).of(pa.array(["c", "g"])).tolist()
        assert [found["c"], found["g"]] == alone


def test_hashes_are_the_same_everywhere() -> None:
    texts = pa.array(["", "a", None, "lead 7", "é"])
    assert hashed(texts).tolist() == hashed(pa.concat_arrays([pa.array(["x"]), texts]).slice(1)).tolist()
    assert hashed(pa.array(["a"])).tolist() == [17766178518981532222]
    assert hashed(texts)[2] == 0


@pytest.mark.parametrize("form", ["{}", "L-{:06}", "000-T{:07}", "00Q5g000{:08}EAB", "{:032x}", "{0:x}-{0:08x}-{0}"])
def test_ids_that_hardly_differ_have_other_hashes(form: str) -> None:
    """Of counted ids, too: what differs may be a digit or two, anywhere."""
    hashes = hashed(pa.array([form.format(number) for number in range(50_000)]))
    assert len(np.unique(hashes)) == 50_000
    assert (np.bincount(parts_of(hashes, 40)) > 1_000).all()
    assert (np.bincount((hashes >> np.uint64(58)).astype(np.int64)) > 600).all()


Row = tuple[float, str]


def sorted_part(path: Path, rows: list[Row]) -> Path:
    """Write rows, by what they are merged by and their lead, as a scored part."""
    columns = {name: pa.nulls(len(rows), COLUMNS.field(name).type) for name in COLUMNS.names}
    columns["lead_id"] = pa.array([lead for _, lead in sorted(rows)], pa.string())
    by = pa.array([by for by, _ in sorted(rows)], pa.float64())
    write_sorted(path, pa.table(columns).append_column(MERGED_BY, by), b"")
    return path


@settings(max_examples=25, deadline=None)
@given(
    margins=st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), max_size=60),
    n_parts=st.integers(1, 9),
    at_once=st.integers(2, 5),
    data=st.data(),
)
def test_merging_is_sorting(tmp_path_factory, margins, n_parts, at_once, data) -> None:
    """Ties, empty parts, blocks of a few rows, and parts merged before others: in the order of margin, then id."""
    folder = tmp_path_factory.mktemp("parts")
    part = [data.draw(st.integers(0, n_parts - 1)) for _ in margins]
    rows = [(-margin, f"L{n:02}") for n, margin in enumerate(margins)]
    told: list[tuple[int, int]] = [(0, 0)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("leadscore.batch.merging.BLOCK", 3)
        paths = [
            sorted_part(folder / f"{number}", [row for row, of in zip(rows, part, strict=True) if of == number])
            for number in range(n_parts)
        ]
        pieces = merged(paths, at_once, lambda done, total, best=None: told.append((done, total)))
        leads = [lead for piece in meanwhile(pieces) for lead in piece["lead_id"].to_pylist()]
    assert leads == [lead for _, lead in sorted(rows)]
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize(
    ("n_parts", "at_once", "n_moved"), [(10, 10, 50), (12, 10, 60 + 15), (19, 10, 95 + 50), (4, 2, 2 * 20)]
)
def test_only_as_many_parts_are_merged_first_as_must_be(
    n_parts: int, at_once: int, n_moved: int, tmp_path: Path
) -> None:
    paths = [
        sorted_part(tmp_path / f"{part}", [(float(by), f"L{part}-{by}") for by in range(5)]) for part in range(n_parts)
    ]
    told: list[int] = []
    n_rows = sum(piece.num_rows for piece in merged(paths, at_once, lambda done, total, best=None: told.append(done)))
    assert (n_rows, told[-1]) == (5 * n_parts, n_moved)


@pytest.mark.parametrize("sizes", [[200] * 30, [3_000, *[100] * 30]])
def test_a_step_of_a_merge_takes_about_as_large_a_share_of_every_part(sizes, tmp_path, monkeypatch) -> None:
    """A step that took a block of one part and a row or two of the others made the time grow with their square."""
    monkeypatch.setattr("leadscore.batch.merging.BLOCK", 10)
    monkeypatch.setattr("leadscore.batch.merging._LEAST", 10)
    rng = np.random.default_rng(0)
    parts = [
        [(float(by), f"L{part:02}-{n:04}") for n, by in enumerate(rng.random(size))] for part, size in enumerate(sizes)
    ]
    paths = [sorted_part(tmp_path / f"{number}", rows) for number, rows in enumerate(parts)]
    pieces = [piece["lead_id"].to_pylist() for piece in merged(paths, len(paths), lambda *told: None)]
    assert [lead for piece in pieces for lead in piece] == [lead for _, lead in sorted(chain(*parts))]
    n_blocks = sum(sizes) // 10
    assert len(pieces) < n_blocks / 5


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_bytes_do_not_depend_on_the_pieces(ending, sample, sample_scorer, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "ROW_GROUP", 100)
    in_parts(sample_scorer, sample.project, tmp_path / "list.parquet", 3, 9_000)
    table = pa.parquet.read_table(tmp_path / "list.parquet").cast(COLUMNS)
    found = set()
    for size in (1, 99, 100, 101, 546):
        with ListWriter(tmp_path / "file", ending) as writer:
            for start in range(0, table.num_rows, size):
                writer.write(table.slice(start, size))
        found.add((tmp_path / "file").read_bytes())
    assert len(found) == 1


def test_json_is_that_of_the_standard_library() -> None:
    rows = [[], ["a", 'q"é\n\u2028'], [{"feature": "x", "value": None, "effect": -0.1, "text": "2 \\ %"}], [{"n": 3}]]
    rows += [[{"value": 1e-7, "other": True}], [{"value": 1e22}]]
    assert json_texts(rows) == [json.dumps(row, ensure_ascii=False) for row in rows]
    texts = [[], ["a"], ["a", 'q"'], ["a"], [], ["a, b"]]
    assert repeated_json_texts(texts) == json_texts(texts)


def test_a_query_is_streamed(sample, sample_scorer, fresh_sample, tmp_path, monkeypatch) -> None:
    folder = fresh_sample()
    with sqlite3.connect(tmp_path / "crm.db") as database:
        pd.read_csv(folder / "touchpoints.csv", dtype=object).to_sql("touchpoints", database, index=False)
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    query = '{ sql = "select * from touchpoints;", url = "env:CRM_URL" }'
    (folder / "leadscore.toml").write_text(text.replace('"touchpoints.csv"', query), encoding="utf-8")
    monkeypatch.setenv("CRM_URL", f"sqlite:///{tmp_path / 'crm.db'}")
    project = ls.Project.load(folder)
    out = tmp_path / "lists"
    out.mkdir()
    expected, listed = at_once(sample_scorer, project, out / "one.csv")
    found, in_pieces = in_parts(sample_scorer, project, out / "many.csv", 3, 4_000)
    assert found == expected
    assert same(listed, in_pieces)
    budget = plan_budget(tables_of(Asked(project, out / "x.csv")), folder, memory=2**31, n_reasons=0)
    assert budget.rows["touchpoints"] == len(pd.read_csv(folder / "touchpoints.csv"))


def test_the_command_says_the_same_within_less_memory(sample_scorer_folder, tmp_path, monkeypatch) -> None:
    said = []
    for program in (0, LEAST - 2**20):  # bytes that the program is taken to need by itself
        monkeypatch.setattr("leadscore.batch.budget._PROGRAM", program)
        monkeypatch.setattr("leadscore.batch.budget._ROW", 60 if program == 0 else 6_000)
        out = tmp_path / "scored.csv"
        sample = Path(__file__).parents[2] / "data" / "sample"
        options = ["--model", sample_scorer_folder, "--out", out, "--memory", "768MiB", "--capacity", 20, "--json"]
        result = CliRunner().invoke(main, [str(word) for word in ("score", sample, *options)])
        assert result.exit_code == 0, result.stderr
        said.append((json.loads(result.stdout), out.read_bytes()))
        assert ("Merging parts" in result.stderr) == (program > 0)
    assert said[0] == said[1]


@pytest.mark.parametrize(("size", "message"), [("lots", "is not a size"), ("64M", "the program itself takes most")])
def test_too_little_memory_is_wrong_usage(size, message, tmp_path) -> None:
    result = CliRunner().invoke(main, ["score", "x", "--out", str(tmp_path / "o.csv"), "--memory", size])
    assert result.exit_code == 2
    assert message in result.stderr


def test_parts_of_accounts_are_those_of_a_search() -> None:
    """Leads that an account, or a chain of accounts, joins are in the part of the least hash of all of these."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        leads = rng.integers(1, 60, 90).astype(np.uint64) << np.uint64(32)  # half of a hash tells them
        accounts = rng.integers(0, 40, 90).astype(np.uint64) << np.uint64(26)  # 0 is none
        known_by = {int(name): int(name) for name in accounts}
        pairs = [(lead, name) for lead, name in zip(leads.tolist(), accounts.tolist(), strict=True) if name]
        for _ in pairs:
            for lead, name in pairs:
                least = min(known_by[other] for each, other in pairs if each == lead)
                for account, least_of in known_by.items():
                    if least_of == known_by[name]:
                        known_by[account] = least
        found = Shared.of(pairs_of(leads, accounts), 1_000)
        assert dict(zip(found.leads.tolist(), found.parts.tolist(), strict=True)) == {
            lead >> 32: known_by[name] * 1_000 >> 32 for lead, name in pairs
        }


def test_leads_that_half_a_hash_mistakes_bring_their_accounts_together() -> None:
    """Of ten million leads some ten thousand pairs: each is found where the other is, with all of its account."""
    leads = np.array([7 << 32 | 1, 7 << 32 | 2, 8 << 32, 9 << 32], dtype=np.uint64)
    accounts = np.array([5 << 24, 3 << 30, 3 << 30, 3 << 31], dtype=np.uint64)
    found = Shared.of(pairs_of(leads, accounts), 1_000)
    assert found.leads.tolist() == [7, 8, 9]
    assert found.parts[0] == found.parts[1] == (5 << 24) * 1_000 >> 32
    assert found.parts[2] == (3 << 31 & 0xFFFFFFFF) * 1_000 >> 32


def test_no_more_parts_are_ahead_than_the_next_two() -> None:
    loaded: list[int] = []

    def load(part: int) -> int:
        loaded.append(part)
        return part

    for part in ahead(load, range(9), n=2):
        assert len(loaded) <= part + 3
    assert sorted(loaded) == list(range(9))


def test_nobody_holds_a_part_that_was_counted(fresh_sample) -> None:
    """Not even a cycle, which would stay until a collection: ten million leads then took twice the memory of one."""
    data = ls.Project.load(fresh_sample()).read()
    tallied, held = Tallied(np.array([data.observed_until]), ("origin", "owner")), weakref.ref(data)
    gc.disable()
    try:
        tallied.add(data)
        del data
        assert held() is None
    finally:
        gc.enable()


def test_nobody_holds_a_part_that_was_scored(fresh_sample, sample_scorer) -> None:
    """Here, too, there is nothing to collect: a list has many parts, and each is large."""
    data = ls.Project.load(fresh_sample()).read()
    tallied, held = Tallied(np.array([data.observed_until]), ("origin", "owner")), weakref.ref(data.leads)
    tallied.add(data)
    gc.disable()
    try:
        score_data(sample_scorer, data, data.observed_until, tallied.counts(), 3, None)
        del data
        assert held() is None
    finally:
        gc.enable()


def test_repeated_hashes_are_found_among_many() -> None:
    rng = np.random.default_rng(3)
    for n in (0, 1, 999, 1_001, 50_000):
        hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
        hashes[: n // 3] = rng.choice(hashes[n // 3 :], n // 3)
        hashes = rng.permutation(hashes)
        _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        assert np.array_equal(may_repeat(hashes), counts[inverse] > 1)


def test_many_words_are_coded_as_few_are() -> None:
    rng = np.random.default_rng(5)
    words = [f"{'äzA9'[n % 4]}{n}" for n in range(3_000)]
    texts = [None if n % 50 == 0 else words[n] for n in rng.integers(0, 3_000, 9_000)]
    codes, vocabulary = encode(pa.array(texts, pa.string()), {"A2", "z1"})
    expected = sorted(set(texts) - {None, "A2", "z1"})
    assert vocabulary == tuple(expected)
    assert [None if code < 0 else vocabulary[code] for code in codes] == [t if t in expected else None for t in texts]
    together, joined = recoded((codes, vocabulary), (np.array([1, -1, 0], dtype=np.int32), ("A2", "A1000000")))
    assert joined == tuple(sorted({*expected, "A2", "A1000000"}))
    assert [joined[code] if code >= 0 else None for code in together[-3:]] == ["A1000000", None, "A2"]
    assert together.dtype == codes.dtype == np.int32


@settings(max_examples=100, deadline=None)
@given(st.sets(st.text(max_size=12), min_size=1), st.lists(st.none() | st.text(max_size=12)))
def test_texts_are_found_as_arrow_finds_them(known: set[str], asked: list[str | None]) -> None:
    texts = pa.array([None, *sorted(known), "x"], pa.string()).slice(1, len(known))
    wanted = pa.array([*asked, *sorted(known)[:3]], pa.string())
    expected = pc.index_in(wanted, value_set=texts, skip_nulls=True).fill_null(-1)
    assert TextIndex(texts).find(wanted).tolist() == expected.to_pylist()
