"""Masks in safetensors, npz and npy files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

from lsn_core.errors import brief
from lsn_core.masks.foreign.archive import DAMAGED, open_archive
from lsn_core.masks.foreign.source import Header, Refused, Source, check_names, shown

_WIDEST = 8
"""Bytes of the widest number that a 0 or a 1 is stored in."""
_HEADERS_ROOM = 16 * 2**20
_NUMBERS = "biuf"
_NAMES = {"npz": "numpy.savez", "npy": "numpy.save"}
_AGAIN = "save it again as plain arrays of 0 and 1"


@contextmanager
def open_safetensors(path: Path, limit: int) -> Iterator[Source]:
    """The arrays of a safetensors file; the library itself refuses a header that does not fit the file."""
    del limit
    try:
        with safe_open(path, framework="numpy") as tensors:
            names = list(tensors.keys())
            check_names(names)
            slices = {name: tensors.get_slice(name) for name in names}
            headers = tuple(
                Header(name, tuple(part.get_shape()), str(part.get_dtype())) for name, part in slices.items()
            )

            def load(header: Header) -> np.ndarray:
                try:
                    array = tensors.get_tensor(header.name)
                    if array.dtype.kind not in _NUMBERS:
                        raise TypeError("these are not numbers of one part")
                    return array
                except (TypeError, KeyError, AttributeError) as error:  # bfloat16 and float8 are not numpy's
                    raise Refused(
                        f"its array {shown(header.name)} is of type {header.dtype}", _AGAIN
                    ) from error

            yield Source(headers, load)
    except SafetensorError as error:
        raise Refused(
            f"it is no sound safetensors file ({brief(error)})", "copy or save the file again"
        ) from error


@contextmanager
def open_npz(path: Path, limit: int) -> Iterator[Source]:
    """The arrays of an npz file, which may unpack to no more than ``limit`` numbers."""
    with open_archive(path, _WIDEST * limit + _HEADERS_ROOM) as (archive, members):
        for name in members:
            if not name.endswith(".npy"):
                raise Refused(f"it holds {shown(name)}, which is no array", f"save it with {_NAMES['npz']}")
        infos = {name.removesuffix(".npy"): info for name, info in members.items()}
        check_names(infos)
        headers = []
        for name, info in infos.items():
            try:
                with archive.open(info) as stream:
                    headers.append(_header(stream, name, info.file_size, "npz"))
            except DAMAGED as error:
                raise _damaged(name, error) from error

        def load(header: Header) -> np.ndarray:
            try:
                with archive.open(infos[header.name]) as stream:
                    return npy.read_array(stream, allow_pickle=False)
            except DAMAGED as error:
                raise _damaged(header.name, error) from error

        yield Source(tuple(headers), load)


@contextmanager
def open_npy(path: Path, limit: int) -> Iterator[Source]:
    """The one array of an npy file, under the name ``heads``."""
    del limit
    with open(path, "rb") as stream:
        header = _header(stream, "heads", os.fstat(stream.fileno()).st_size, "npy")

        def load(_: Header) -> np.ndarray:
            stream.seek(0)
            return npy.read_array(stream, allow_pickle=False)

        yield Source((header,), load)


def _damaged(name: str, error: Exception) -> Refused:
    return Refused(f"its array {shown(name)} is damaged ({brief(error)})", _AGAIN)


def _header(stream: IO[bytes], name: str, length: int, kind: str) -> Header:
    """What an array in numpy's format declares; Refused unless its data are just as long as that."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    except MemoryError:
        raise
    except Exception as error:  # a header that is not sound fails in any way there is
        raise Refused(
            f"its array {shown(name)} is not in numpy's format ({brief(error)})",
            f"save it with {_NAMES[kind]}",
        ) from error
    header = Header(name, tuple(int(extent) for extent in shape), str(dtype))
    if dtype.kind not in _NUMBERS or dtype.itemsize > _WIDEST:
        raise Refused(f"its array {shown(name)} holds {shown(str(dtype))}, not numbers", _AGAIN)
    declared = header.size * dtype.itemsize
    if min(header.shape, default=0) < 0 or declared != length - stream.tell():
        raise Refused(
            f"its array {shown(name)} claims {declared} bytes where the file holds {length - stream.tell()}",
            _AGAIN,
        )
    return header
