"""Files of ``torch.save``, read without torch and without running what a pickle may ask for.

Such a file is a zip: ``NAME/data.pkl`` is a pickle of the dictionary in which every tensor stands as a call of
``torch._utils._rebuild_tensor_v2`` on a storage's key, and ``NAME/data/KEY`` are the storage's plain bytes
(https://docs.pytorch.org/docs/stable/notes/serialization.html). The pickle is run by an unpickler that knows
three names, each replaced by a record of ours; whatever else it asks for ends the reading.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lsn_core.masks.checks import is_whole
from lsn_core.masks.foreign.archive import open_archive, read_member
from lsn_core.masks.foreign.source import MASK_ENDING, Header, Refused, Source, check_names, shown

MAX_PICKLE = 64 * 2**20

_DTYPES: Mapping[str, np.dtype] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype("<u2"),  # numpy has no such type; see _numbers
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_SAVE_AGAIN = "save it again as a plain dictionary of tensors: torch.save({name: mask, ...}, path)"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


class _Storage(NamedTuple):
    kind: str
    key: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Kind(NamedTuple):
    """A storage's type. A tuple: a pickle can neither call it nor set anything on it."""

    name: str


class _Rebuild:
    """Stands for ``torch._utils._rebuild_tensor_v2``."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
        return _Tensor(storage, offset, size, stride)


_REBUILD = _Rebuild()


class _Forbidden(Exception):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _REBUILD
        if module == "torch" and name in _DTYPES:
            return _Kind(name)
        raise _Forbidden(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        word, kind, key, _, length = pid
        if (
            word != "storage"
            or not isinstance(kind, _Kind)
            or not isinstance(key, str)
            or not is_whole(length)
        ):
            raise ValueError("a storage is not described as torch describes one")
        return _Storage(kind.name, key, length)


@contextmanager
def open_torch(path: Path, limit: int) -> Iterator[Source]:
    """The named tensors of a ``torch.save`` file; Refused when it is not a sound one. ``limit`` is unused.

    What is compressed is refused (torch never does), so nothing unpacks to more than the file's own size.
    """
    del limit
    with open(path, "rb") as stream:
        start = stream.read(4)
    if start != _ZIP:
        if start[:1] == _PICKLE:
            raise Refused(
                "it is in the form of torch before 1.6, a bare pickle, which is not opened",
                "load it with torch where you trust it, and torch.save it again",
            )
        raise Refused("it is not a file of torch.save", "give a file that torch.save wrote")
    with open_archive(path, path.stat().st_size) as (archive, members):
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise Refused("its parts are compressed, as torch.save never leaves them", _SAVE_AGAIN)
        root = _root(members)
        order = members.get(f"{root}/byteorder")
        swapped = order is not None and read_member(archive, order) == b"big"
        tensors = _tensors(_unpickled(archive, members[f"{root}/data.pkl"]))
        check_names(tensors)
        for name, tensor in tensors.items():
            _check_tensor(name, tensor, members.get(f"{root}/data/{tensor.storage.key}"))
        # Tensors that are views of one storage come one after the other, as a rule.
        last: dict[str, bytes] = {}

        def load(header: Header) -> np.ndarray:
            tensor = tensors[header.name]
            member = f"{root}/data/{tensor.storage.key}"
            if member not in last:
                last.clear()
                last[member] = read_member(archive, members[member])
            dtype = _DTYPES[tensor.storage.kind]
            return _view(np.frombuffer(last[member], dtype.newbyteorder(">") if swapped else dtype), tensor)

        headers = (
            Header(name, t.shape, t.storage.kind.removesuffix("Storage")) for name, t in tensors.items()
        )
        yield Source(tuple(headers), load)


def _root(members: Mapping[str, zipfile.ZipInfo]) -> str:
    roots = [name.split("/")[0] for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise Refused("it is a zip archive, but not one of torch.save", "give a file that torch.save wrote")
    return roots[0]


def _unpickled(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    if info.file_size > MAX_PICKLE:
        raise Refused(f"its list of tensors has {info.file_size} bytes", _SAVE_AGAIN)
    data = read_member(archive, info)
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except _Forbidden as error:
        raise Refused(f"it asks for {shown(str(error))}, which no mask needs", _SAVE_AGAIN) from error
    except MemoryError:
        raise
    except Exception as error:  # a pickle that is not sound fails in any way there is
        raise Refused(f"its list of tensors is damaged ({type(error).__name__})", _SAVE_AGAIN) from error


def _tensors(data: Any) -> dict[str, _Tensor]:
    """The tensors of the dictionary by name; what else it holds is left out, unless it is called a mask."""
    if not isinstance(data, dict):
        raise Refused(f"it holds a {type(data).__name__}, not a dictionary of tensors", _SAVE_AGAIN)
    tensors = {name: value for name, value in data.items() if isinstance(value, _Tensor)}
    if not tensors:
        raise Refused("it holds a dictionary without a tensor in it", _SAVE_AGAIN)
    for name, value in data.items():
        if not isinstance(name, str) or (name.endswith(MASK_ENDING) and name not in tensors):
            raise Refused(
                f"its entry {shown(str(name))} is a {type(value).__name__}, not a tensor", _SAVE_AGAIN
            )
    return tensors


def _check_tensor(name: str, tensor: _Tensor, member: zipfile.ZipInfo | None) -> None:
    """Refuse a tensor that does not lie within its storage, or a storage that is not as long as it says."""
    storage, offset, shape, strides = tensor
    dims = (shape, strides)
    if not isinstance(storage, _Storage) or not all(
        isinstance(d, tuple) and all(map(is_whole, d)) for d in dims
    ):
        raise Refused(f"its tensor {shown(name)} is not described as torch describes one", _SAVE_AGAIN)
    if not is_whole(offset) or len(shape) != len(strides) or len(shape) > 8:
        raise Refused(f"its tensor {shown(name)} is not described as torch describes one", _SAVE_AGAIN)
    claimed = storage.length * _DTYPES[storage.kind].itemsize
    if member is None or member.file_size != claimed:
        there = "none" if member is None else str(member.file_size)
        raise Refused(
            f"its tensor {shown(name)} claims {claimed} bytes where the file holds {there}", _SAVE_AGAIN
        )
    size = Header(name, shape, storage.kind).size
    last = offset + sum((extent - 1) * stride for extent, stride in zip(shape, strides, strict=True))
    if size and (size > storage.length or last >= storage.length):
        raise Refused(
            f"its tensor {shown(name)} claims {size} values, more than the {storage.length} that are there",
            _SAVE_AGAIN,
        )


def _view(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor's values; ``_check_tensor`` has shown that it lies within its storage."""
    if Header("", tensor.shape, "").size == 0:
        return np.empty(tensor.shape, storage.dtype)
    steps = tuple(stride * storage.itemsize for stride in tensor.strides)
    array = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps, writeable=False)
    return _numbers(array) if tensor.storage.kind == "BFloat16Storage" else array


def _numbers(bits: np.ndarray) -> np.ndarray:
    """bfloat16 as float32: a bfloat16 is the upper half of one."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
