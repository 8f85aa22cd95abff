"""Tables of an atlas: parquet files that say which tickets they were made from."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.files import atomic_write_bytes, read_bytes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT_VERSION = 1
MAX_FILE_BYTES = 2**30
MAX_UNPACKED_BYTES = 2**32

_METADATA_KEY = b"lsn"


def write(path: Path, frame: pd.DataFrame, stamps: Mapping[str, str]) -> None:
    """Write a table, whole or not at all, with the content hashes of what it was made from.

    Columns may hold text, whole numbers, floating-point numbers, truth values, or lists of whole numbers.
    Raises LsnError on anything else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        about = {"format_version": FORMAT_VERSION, "stamps": dict(stamps), "digest": _digest(table, stamps)}
    except (pa.ArrowException, TypeError) as error:
        raise LsnError(f"table {path.stem} cannot be written: {error}") from error
    table = table.replace_schema_metadata({_METADATA_KEY: canonical_json(about).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    atomic_write_bytes(path, buffer.getvalue())


def read(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table and its stamps.

    Raises LsnError when the file cannot be read, CorruptFile when its content is not what was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bytes(path, MAX_FILE_BYTES)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        table = file.read() if unpacked <= MAX_UNPACKED_BYTES else None
        about = None if table is None else _about(table)
    except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError) as error:
        raise CorruptFile(f"{path} is damaged or not a table; rebuild the tables") from error
    if table is None:
        raise CorruptFile(
            f"{path} claims to unpack to more than {MAX_UNPACKED_BYTES} bytes; rebuild the tables"
        )
    if about is None:
        raise CorruptFile(f"{path} is damaged: its content is not what was written; rebuild the tables")
    return table.replace_schema_metadata(None).to_pandas(), about["stamps"]


def _about(table: pa.Table) -> dict[str, Any] | None:
    """What the table says of itself, or None when that is not so; TypeError on other types than are written."""
    data = parse_json((table.schema.metadata or {}).get(_METADATA_KEY, b""))
    if not isinstance(data, dict) or set(data) != {"format_version", "stamps", "digest"}:
        return None
    stamps = data["stamps"]
    if data["format_version"] != FORMAT_VERSION or not isinstance(stamps, dict):
        return None
    return data if data["digest"] == _digest(table, stamps) else None


def _digest(table: pa.Table, stamps: Mapping[str, str]) -> str:
    """sha256 over stamps, names, types and values, however they are stored; TypeError on other types."""
    import pyarrow as pa

    digest = hashlib.sha256(f"table {table.num_rows} {canonical_json(dict(stamps))}".encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"\n{name!r}".encode())
        if not len(column):
            continue
        if pa.types.is_list(column.type) and column.null_count == 0:
            lengths = np.concatenate([[0], *(chunk.value_lengths().to_numpy() for chunk in column.chunks)])
            digest.update(b" lists" + lengths.astype("<i8").tobytes())
            flat = [chunk.flatten() for chunk in column.chunks]
            column = pa.chunked_array(flat, type=column.type.value_type)
        kind = column.type
        whole = column.null_count == 0
        if (pa.types.is_string(kind) or pa.types.is_large_string(kind)) and whole:
            digest.update(b" text" + json.dumps(column.to_pylist()).encode())
        elif pa.types.is_floating(kind) or (
            whole and (pa.types.is_integer(kind) or pa.types.is_boolean(kind))
        ):
            values = column.to_numpy()  # a missing floating-point number is NaN, as pandas has it
            digest.update(f" {kind}".encode())
            digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
        else:
            raise TypeError(f"column {name!r} holds {kind} or lacks values")
    return digest.hexdigest()
