from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks import tables
from tests.memory import at_most

FRAME = pd.DataFrame(
    {
        "name": ["a", "b", "ç", ""],
        "whole": np.array([1, -2, 3, 2**60], dtype=np.int64),
        "real": [0.5, np.nan, -0.0, 1e300],
        "truth": [True, False, True, True],
        "list": [np.array([1, 2]), np.array([], dtype=np.int64), np.array([3]), np.array([4, 5, 6])],
    }
)
STAMPS = {"base": "00ff", "mlm-en-imp-s0": "11aa"}


def test_round_trip(tmp_path: Path) -> None:
    tables.write(tmp_path / "t.parquet", FRAME, STAMPS)
    frame, stamps = tables.read(tmp_path / "t.parquet")
    assert stamps == STAMPS
    assert list(frame.columns) == list(FRAME.columns)
    for name in ("name", "whole", "real", "truth"):
        pd.testing.assert_series_equal(frame[name], FRAME[name], check_dtype=False)
    assert [row.tolist() for row in frame["list"]] == [[1, 2], [], [3], [4, 5, 6]]


def test_empty_and_long_tables(tmp_path: Path) -> None:
    for frame in (FRAME.iloc[:0], pd.concat([FRAME] * 50_000, ignore_index=True)):
        tables.write(tmp_path / "t.parquet", frame, {})
        assert len(tables.read(tmp_path / "t.parquet")[0]) == len(frame)


@pytest.mark.parametrize(
    "column", [[None, "a"], [object(), 1], [1 + 2j, 2], [[0.5], [["a"]]], pd.to_datetime(["2020", "2021"])]
)
def test_other_content_is_refused(tmp_path: Path, column: list) -> None:
    with pytest.raises(LsnError, match="table t cannot be written"):
        tables.write(tmp_path / "t.parquet", pd.DataFrame({"c": column}), {})
    assert list(tmp_path.iterdir()) == []


def test_changed_values_and_stamps_are_found(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    tables.write(path, FRAME, STAMPS)
    table = pq.read_table(path)
    changes = {
        "whole": [1, -2, 3, 5],
        "name": ["a", "b", "c", ""],
        "real": [0.5, 0.5, -0.0, 1e300],
        "truth": [True] * 4,
        "list": [[1], [2], [3], [4, 5, 6]],
    }
    for name, column in changes.items():
        place = table.column_names.index(name)
        pq.write_table(table.set_column(place, name, pa.array(column)), path)
        with pytest.raises(CorruptFile, match="not what was written"):
            tables.read(path)
    pq.write_table(table.slice(0, 3), path)
    with pytest.raises(CorruptFile, match="not what was written"):
        tables.read(path)
    pq.write_table(table.replace_schema_metadata({b"lsn": b'{"stamps":{}}'}), path)
    with pytest.raises(CorruptFile, match="not what was written"):
        tables.read(path)
    pq.write_table(table.rename_columns(["n", *table.column_names[1:]]), path)
    with pytest.raises(CorruptFile, match="not what was written"):
        tables.read(path)
    pq.write_table(table, path, compression="gzip", row_group_size=1)  # stored otherwise, says the same
    assert tables.read(path)[1] == STAMPS


def test_damaged_files_are_refused_or_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    tables.write(path, FRAME, STAMPS)
    good = path.read_bytes()
    refused = 0
    for place in range(0, len(good), 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 16]) + good[place + 1 :])
        refused += not says_the_same(path)
    assert refused > len(good) / 5 / 3
    for length in (0, 4, 100, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(CorruptFile):
            tables.read(path)


def says_the_same(path: Path) -> bool:
    """Whether the file gives what was written; False when it is refused; anything else fails the test."""
    try:
        frame, stamps = tables.read(path)
    except CorruptFile:
        return False
    assert stamps == STAMPS
    pd.testing.assert_frame_equal(frame.drop(columns="list"), FRAME.drop(columns="list"), check_dtype=False)
    assert [row.tolist() for row in frame["list"]] == [row.tolist() for row in FRAME["list"]]
    return True


def test_a_table_that_unpacks_to_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_UNPACKED_BYTES", 1_000_000)
    path = tmp_path / "t.parquet"
    table = pa.table({"x": np.random.default_rng(0).integers(0, 2**60, 300_000)})
    pq.write_table(table, path, compression="zstd")
    with at_most(5_000_000), pytest.raises(CorruptFile, match="unpack to more than"):
        tables.read(path)


def test_folders_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(LsnError, match="not a plain file"):
        tables.read(tmp_path / "folder.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "foreign.parquet")
    with pytest.raises(CorruptFile, match="not what was written"):
        tables.read(tmp_path / "foreign.parquet")
