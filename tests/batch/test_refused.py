"""What is wrong with a table is said in the same words, in whichever stretch it stands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.batch.run_folder import folder_of
from leadscore.errors import DataError
from tests.batch.scoring import at_once, in_parts

N_ROWS = 4_000


def both(scorer, folder, tmp_path, **asked) -> tuple[str, str]:
    """The messages of a list at once and of one in parts, which leave nothing behind."""
    said = []
    for score, cut in ((at_once, ()), (in_parts, (5, N_ROWS))):
        with pytest.raises(DataError) as raised:
            score(scorer, ls.Project.load(folder), tmp_path / "out.csv", *cut, **asked)
        said.append(str(raised.value))
    assert not (tmp_path / "out.csv").exists()
    assert not folder_of(tmp_path / "out.csv").exists()
    return said[0], said[1]


@pytest.fixture
def folder(fresh_sample):
    return fresh_sample()


def events(folder, change=None) -> pd.DataFrame:
    frame = pd.read_csv(folder / "touchpoints.csv", dtype=object)
    if change is not None:
        change(frame)
        frame.to_csv(folder / "touchpoints.csv", index=False)
    return frame


def test_five_percent_are_of_the_whole_table(folder, sample_scorer, tmp_path) -> None:
    """A stretch that is bad through and through is none of many; many of them are too much."""

    def spoil(share: float):
        def change(frame: pd.DataFrame) -> None:
            frame.loc[: int(share * len(frame)), "occurred_at"] = "99/99/9999"

        return change

    events(folder, spoil(0.04))
    project = ls.Project.load(folder)
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv")
    found, in_pieces = in_parts(sample_scorer, project, tmp_path / "many.csv", 5, 500)
    assert found == expected
    assert set(listed.notes) == set(in_pieces.notes)
    events(folder, spoil(0.07))
    at_first, later = both(sample_scorer, folder, tmp_path)
    assert at_first == later
    assert "touchpoints.csv row 1 looks like '99/99/9999'" in later


def test_a_repeated_id_is_found_across_stretches(folder, sample_scorer, tmp_path) -> None:
    leads = pd.read_csv(folder / "leads.csv", dtype=object)
    leads.loc[1_999, "lead_id"] = leads.loc[3, "lead_id"]
    leads.to_csv(folder / "leads.csv", index=False)
    with pytest.raises(DataError, match=r"repeats an id \(1 ids; first at leads.csv row 4, leads.csv row 2000\)"):
        in_parts(sample_scorer, ls.Project.load(folder), tmp_path / "out.csv", 3, 300)


def test_ragged_rows_are_counted_to_the_end(folder, sample_scorer, tmp_path) -> None:
    with (folder / "touchpoints.csv").open("a", encoding="utf-8") as file:
        file.write("a,b\nc,d\n")
    at_first, later = both(sample_scorer, folder, tmp_path)
    assert at_first == later
    assert "(2 such rows)" in later


def test_a_damaged_page_is_named(folder, sample_scorer, tmp_path) -> None:
    frame = events(folder)
    frame.to_parquet(folder / "touchpoints.parquet", row_group_size=2_000)
    content = bytearray((folder / "touchpoints.parquet").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = np.random.default_rng(0).bytes(400)
    (folder / "touchpoints.parquet").write_bytes(content)
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    (folder / "leadscore.toml").write_text(text.replace("touchpoints.csv", "touchpoints.parquet"), encoding="utf-8")
    for said in both(sample_scorer, folder, tmp_path):
        assert said.startswith("touchpoints.parquet can't be read")
        assert "[events.touchpoints]" in said


def test_files_that_do_not_agree(folder, sample_scorer, tmp_path) -> None:
    frame = events(folder)
    frame.iloc[:500].to_parquet(folder / "t1.parquet")
    frame.iloc[500:].assign(cost=pd.Timestamp("2026-01-01")).to_parquet(folder / "t2.parquet")
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    (folder / "leadscore.toml").write_text(text.replace("touchpoints.csv", "t?.parquet"), encoding="utf-8")
    at_first, later = both(sample_scorer, folder, tmp_path)
    assert at_first == later
    assert "don't agree on a column's type" in later


def test_types_that_grow_from_file_to_file_are_one(folder, sample_scorer, tmp_path) -> None:
    frame = events(folder)
    frame["cost"] = pd.to_numeric(frame["cost"])
    frame.iloc[:5_000].assign(cost=frame["cost"].round().astype("Int64")).to_parquet(folder / "t1.parquet")
    frame.iloc[5_000:].to_parquet(folder / "t2.parquet")
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    (folder / "leadscore.toml").write_text(text.replace("touchpoints.csv", "t?.parquet"), encoding="utf-8")
    project = ls.Project.load(folder)
    expected, _ = at_once(sample_scorer, project, tmp_path / "one.csv")
    assert in_parts(sample_scorer, project, tmp_path / "many.csv", 5, 1_500)[0] == expected


def test_a_local_format_must_be_said(folder, sample_scorer, tmp_path) -> None:
    def localise(frame: pd.DataFrame) -> None:
        for name in ("occurred_at", "ingested_at"):
            frame[name] = pd.to_datetime(frame[name]).dt.strftime("%d/%m/%Y %H:%M:%S")

    events(folder, localise)
    project = ls.Project.load(folder)
    expected, _ = at_once(sample_scorer, project, tmp_path / "one.csv")
    with pytest.raises(DataError, match=r'say it, as in time_format = "%d/%m/%Y" in \[events.touchpoints\]'):
        in_parts(sample_scorer, project, tmp_path / "many.csv", 5, N_ROWS)
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    said = text.replace('source = "touchpoints.csv"', 'source = "touchpoints.csv"\ntime_format = "%d/%m/%Y %H:%M:%S"')
    (folder / "leadscore.toml").write_text(said, encoding="utf-8")
    assert in_parts(sample_scorer, ls.Project.load(folder), tmp_path / "many.csv", 5, N_ROWS)[0] == expected


def test_a_lead_with_very_many_events(folder, sample_scorer, tmp_path) -> None:
    frame = events(folder)
    many = frame.sample(150_000, replace=True, random_state=0).assign(lead_id="L000040")
    many["event_id"] = [f"many{n}" for n in range(len(many))]
    pd.concat([frame, many]).to_csv(folder / "touchpoints.csv", index=False)
    project = ls.Project.load(folder)
    expected, _ = at_once(sample_scorer, project, tmp_path / "one.csv", n_reasons=1)
    assert in_parts(sample_scorer, project, tmp_path / "many.csv", 4, 40_000, n_reasons=1)[0] == expected
