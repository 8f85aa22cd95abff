"""Masks in the files of others, sound and hostile."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from lsn_core.masks.mask import Mask

Arrays = Mapping[str, np.ndarray]


def named(mask: Mask, before: str = "", after: str = "") -> dict[str, np.ndarray]:
    """The mask's arrays under names as a program of others would give them."""
    return {f"{before}{name}{after}": array for name, array in mask.arrays().items()}


def save_torch(path: Path, arrays: Arrays, dtype: torch.dtype = torch.float32, **options: Any) -> Path:
    """A dictionary of tensors, as the paper's code saves its masks."""
    torch.save({name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()}, path, **options)
    return path


def save_npz(path: Path, arrays: Arrays) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def save_safetensors(path: Path, arrays: Arrays) -> Path:
    save_file({name: np.ascontiguousarray(array.astype(np.uint8)) for name, array in arrays.items()}, path)
    return path


class Call:
    """An object whose pickle asks for a call."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> tuple:
        return self._reduced


def torch_zip(
    path: Path,
    data: bytes,
    storages: Mapping[str, bytes],
    compression: int = zipfile.ZIP_STORED,
    root: str = "archive",
) -> Path:
    """A zip of torch.save's shape around any pickle and storages."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", data)
        archive.writestr(f"{root}/byteorder", "little")
        for key, content in storages.items():
            archive.writestr(f"{root}/data/{key}", content)
        archive.writestr(f"{root}/version", "3\n")
    return path


class _Pid:
    def __init__(self, kind: str, key: str, length: int) -> None:
        self.pid = ("storage", _Global("torch", kind), key, "cpu", length)


class _Global:
    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Writer(pickle._Pickler):  # the one in Python, whose parts can be replaced
    def persistent_id(self, value: object) -> Any:
        return value.pid if isinstance(value, _Pid) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
            return
        super().save(value, save_persistent_id)


class Tensor:
    """A tensor as torch's pickle describes one, whatever it claims."""

    def __init__(
        self,
        shape: tuple,
        strides: tuple,
        length: int,
        key: str = "0",
        offset: int = 0,
        kind: str = "FloatStorage",
    ) -> None:
        self._parts = (_Pid(kind, key, length), offset, shape, strides, False, {})

    def __reduce__(self) -> tuple:
        return torch._utils._rebuild_tensor_v2, self._parts


def pickled(value: object) -> bytes:
    """The pickle of a dictionary that may hold ``Tensor`` and ``Call``."""
    stream = io.BytesIO()
    _Writer(stream, protocol=2).dump(value)
    return stream.getvalue()


def system_call(marker: Path) -> Call:
    """Makes the file ``marker`` when it is run."""
    return Call(os.system, f"touch {marker}")
