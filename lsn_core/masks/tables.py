"""Tables of an atlas: parquet files that say which tickets they were made from.

The file's metadata holds, under ``lsn``, the content hashes of those tickets (the stamps) and a seal: the
sha256 of the whole file with the seal's own place filled with zeros. So every byte is covered, and any
parquet library reads the table.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_core.errors import CorruptFile, LsnError, brief
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.files import atomic_write_bytes, read_bytes

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1
MAX_FILE_BYTES = 2**30
MAX_UNPACKED_BYTES = 2**32

_LARGEST = 2**62
RANGES: Mapping[str, tuple[float, float]] = {
    "sparsity": (0.0, 1.0),
    **dict.fromkeys(("seed", "count", "kept", "layer", "at_least", "pairs"), (0, _LARGEST)),
}
"""The lowest and the highest number that can stand in a column of this name, in any table."""
MAX_TEXT = 2**14
"""Characters of a text in a table."""

_ANY = (-sys.float_info.max, sys.float_info.max)
_METADATA_KEY = b"lsn"
_NO_SEAL = "0" * 64
_BEFORE_SEAL = b'"seal":"'


def write(path: Path, frame: pd.DataFrame, stamps: Mapping[str, str]) -> None:
    """Write a table, whole or not at all, with the content hashes of what it was made from.

    Raises LsnError when a column holds what parquet cannot.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = {"format_version": FORMAT_VERSION, "seal": _NO_SEAL, "stamps": dict(stamps)}
    buffer = io.BytesIO()
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        table = table.replace_schema_metadata({_METADATA_KEY: canonical_json(about).encode()})
        pq.write_table(table, buffer, compression="zstd", compression_level=15)
    except (pa.ArrowException, TypeError) as error:
        raise LsnError(f"table {path.stem} cannot be written: {brief(error)}") from error
    data = buffer.getvalue()
    start = _seal_start(data)
    seal = hashlib.sha256(data).hexdigest().encode()
    atomic_write_bytes(path, data[:start] + seal + data[start + len(seal) :])


def read(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table and its stamps.

    Raises LsnError when the file cannot be read, CorruptFile when it is not the one that was written or
    claims to unpack to more than ``MAX_UNPACKED_BYTES``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bytes(path, MAX_FILE_BYTES)
    if not _is_sealed(data):
        raise CorruptFile(f"{path} is damaged or not a table of an atlas; rebuild the tables")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
        if sum(group.total_byte_size for group in groups) > MAX_UNPACKED_BYTES:
            raise ValueError(f"it claims to unpack to more than {MAX_UNPACKED_BYTES} bytes")
        table = file.read()
        frame = table.replace_schema_metadata(None).to_pandas()
        stamps = _stamps(parse_json((table.schema.metadata or {}).get(_METADATA_KEY, b"")))
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, MemoryError) as error:
        raise CorruptFile(f"{path} is damaged ({brief(error)}); rebuild the tables") from error
    return frame, stamps


def conformed(frame: pd.DataFrame, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """The table in these columns and dtypes (``str``, ``int64``, ``float64``).

    Raises ValueError when its columns are others, or one holds anything else: nothing where there has to be
    something, infinity, or a number beyond what its name can mean (``RANGES``). Of numbers, NaN alone may stand
    for nothing.
    """
    if tuple(frame.columns) != tuple(dtypes):
        raise ValueError("it has other columns")
    for name, dtype in dtypes.items():
        column = frame[name]
        if not len(column):
            continue
        low, high = RANGES.get(name, _ANY)
        if dtype == "str":
            fits = all(isinstance(text, str) and len(text) <= MAX_TEXT for text in column)
        else:
            fits = column.dtype.kind in ("iu" if dtype == "int64" else "iuf") and not bool(
                ((column < low) | (column > high)).any()
            )
        if not fits:
            raise ValueError(f"its column {name!r} holds what cannot stand there")
    return frame.astype(dict(dtypes))


def conforms(row: Mapping[str, Any], dtypes: Mapping[str, str]) -> bool:
    """``conformed`` for one row: whether it has just these columns, and in each what can stand there."""
    if row.keys() != dtypes.keys():
        return False
    for name, dtype in dtypes.items():
        value = row[name]
        if dtype == "str":
            fits = isinstance(value, str) and len(value) <= MAX_TEXT
        else:
            low, high = RANGES.get(name, _ANY)
            kind = int if dtype == "int64" else (int, float)
            fits = isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high
        if not fits:
            return False
    return True


def _seal_start(data: bytes) -> int:
    """Where the seal lies: its last mention, as the metadata stands at the end of the file."""
    return data.rfind(_BEFORE_SEAL) + len(_BEFORE_SEAL)


def _is_sealed(data: bytes) -> bool:
    start = _seal_start(data)
    stop = start + len(_NO_SEAL)
    digest = hashlib.sha256(data[:start] + _NO_SEAL.encode() + data[stop:]).hexdigest()
    return data[start:stop] == digest.encode()


def _stamps(about: Any) -> dict[str, str]:
    """The stamps in the metadata; ValueError when it does not say what ``write`` says."""
    if not isinstance(about, dict) or about.get("format_version") != FORMAT_VERSION:
        raise ValueError("it has another format")
    stamps = about.get("stamps")
    if not isinstance(stamps, dict) or not all(isinstance(value, str) for value in stamps.values()):
        raise ValueError("it does not say what it was made from")
    return stamps
