"""θ0, the weights that every round starts from, kept outside of the model."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

import torch

from lsn_core.errors import LsnError
from lsn_core.masks.files import reason

IN_MEMORY = 2**28
"""Bytes up to which θ0 is kept in memory; more goes to a file."""

_SLAB = 2**24
_LARGE_FILES = "/var/tmp"  # on a disk, where /tmp may be memory (Filesystem Hierarchy Standard, 5.15)


class StartWeights:
    """A true copy of named weights and buffers, put back slab by slab, so that putting back takes no memory.

    A large copy lies in a file without a name, which goes when the process does, in the folder that TMPDIR
    names or else in one for large temporary files. Raises LsnError when there is no room for it.
    """

    def __init__(self, values: Mapping[str, torch.Tensor], in_memory: int = IN_MEMORY) -> None:
        self._places: dict[str, int] = {}
        self.size = sum(value.numel() * value.element_size() for value in values.values())
        """Bytes that are kept."""
        try:
            self._store = cast(BinaryIO, io.BytesIO() if self.size <= in_memory else _unnamed_file())
            for name, value in values.items():
                self._places[name] = self._store.tell()
                for slab in _slabs(value):
                    self._store.write(_octets(slab.contiguous().cpu()))
            self._store.flush()
        except OSError as error:
            raise LsnError(
                f"The starting weights, {self.size / 1e9:.1f} GB, cannot be kept in {_folder()!r} "
                f"({reason(error)}); let the variable TMPDIR name a folder with room for them."
            ) from error

    def put_back(self, name: str, value: torch.Tensor) -> None:
        """Give `value`, of the shape and type of the one that was kept, its starting numbers."""
        self._store.seek(self._places[name])
        for slab in _slabs(value):
            read = torch.empty(slab.shape, dtype=slab.dtype)
            octets = _octets(read)
            if cast(io.BytesIO, self._store).readinto(octets) != len(octets):
                raise LsnError(f"The starting weights of {name} cannot be read back; run the command again.")
            slab.copy_(read)

    def read(self, name: str, like: torch.Tensor) -> torch.Tensor:
        """The starting numbers of the weight `like` as a tensor of its own."""
        value = torch.empty_like(like)
        self.put_back(name, value)
        return value


def _unnamed_file() -> io.IOBase:
    return cast(io.IOBase, tempfile.TemporaryFile(dir=_folder()))


def _folder() -> str:
    named = os.environ.get("TMPDIR")
    if named is None and os.access(_LARGE_FILES, os.W_OK):
        return _LARGE_FILES
    return named or tempfile.gettempdir()


def _slabs(value: torch.Tensor) -> Iterator[torch.Tensor]:
    """A few rows of a tensor at a time, as views of it."""
    rows = value.detach().reshape(1) if value.dim() == 0 else value.detach()
    if rows.numel():
        yield from rows.split(max(1, _SLAB // (rows[0].numel() * rows.element_size())))


def _octets(slab: torch.Tensor) -> memoryview:
    """The memory of a contiguous tensor on the CPU."""
    return slab.view(-1).view(torch.uint8).numpy().data
