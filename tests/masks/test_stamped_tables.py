from __future__ import annotations

import hashlib
import io
import json
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


@pytest.mark.parametrize("column", [[object(), 1], [1 + 2j, 2], [[0.5], ["a"]]])
def test_what_parquet_cannot_hold_is_refused(tmp_path: Path, column: list) -> None:
    with pytest.raises(LsnError, match="table t cannot be written") as caught:
        tables.write(tmp_path / "t.parquet", pd.DataFrame({"c": column}), {})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_any_parquet_library_reads_the_file(tmp_path: Path) -> None:
    tables.write(tmp_path / "t.parquet", FRAME, STAMPS)
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.column("whole").to_pylist() == FRAME["whole"].tolist()
    assert json.loads(table.schema.metadata[b"lsn"])["stamps"] == STAMPS


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    tables.write(path, FRAME, STAMPS)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CorruptFile, match="damaged") as caught:
            tables.read(path)
        assert "\n" not in str(caught.value)
    for length in (0, 4, 100, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(CorruptFile, match="damaged"):
            tables.read(path)
    path.write_bytes(good + b"x")
    with pytest.raises(CorruptFile, match="damaged"):
        tables.read(path)


def test_a_table_that_was_written_anew_by_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    tables.write(path, FRAME, STAMPS)
    pq.write_table(pq.read_table(path), path)
    with pytest.raises(CorruptFile, match="not a table of an atlas"):
        tables.read(path)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(CorruptFile, match="not a table of an atlas"):
        tables.read(path)


def forge(path: Path, table: pa.Table, about: object) -> None:
    """Write a table as someone would who knows the format: whatever it says, the seal is right."""
    text = json.dumps(about, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"lsn": text}), buffer, compression="zstd")
    data = buffer.getvalue()
    start = data.rfind(b'"seal":"') + len(b'"seal":"')
    path.write_bytes(data[:start] + hashlib.sha256(data).hexdigest().encode() + data[start + 64 :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "another format"),
        ({"stamps": None}, "what it was made from"),
        ({"stamps": ["base"]}, "what it was made from"),
        ({"stamps": {"base": 3}}, "what it was made from"),
    ],
)
def test_forged_metadata_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    about = {"format_version": 1, "seal": "0" * 64, "stamps": {}}
    forge(tmp_path / "t.parquet", pa.table({"x": [1]}), about)
    assert tables.read(tmp_path / "t.parquet")[1] == {}  # otherwise the rest would show nothing
    forge(tmp_path / "t.parquet", pa.table({"x": [1]}), about | change)
    with pytest.raises(CorruptFile, match=message):
        tables.read(tmp_path / "t.parquet")


def test_a_table_that_unpacks_to_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_UNPACKED_BYTES", 1_000_000)
    frame = pd.DataFrame({"x": np.random.default_rng(0).integers(0, 2**60, 300_000)})
    tables.write(tmp_path / "t.parquet", frame, {})
    with pytest.raises(CorruptFile, match="unpack to more than 1000000 bytes"):
        tables.read(tmp_path / "t.parquet")
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 1_000_000)
    with at_most(100_000), pytest.raises(LsnError, match="larger than the 1000000 bytes"):
        tables.read(tmp_path / "t.parquet")


def test_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(LsnError, match="not a plain file"):
        tables.read(tmp_path / "folder.parquet")
