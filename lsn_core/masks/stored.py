"""Packed masks that stay on disk and are read piece by piece, so that many can be counted in little memory.

The file is safetensors (``container.py``): the packed words as one tensor, and JSON with the layout, a sha256
of every chunk and a seal over all of it. A chunk is checked whenever it is read, so a file that was cut short or
changed is refused, never counted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks import container
from lsn_core.masks.files import open_regular, reason
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask, last_words

FORMAT_VERSION = 1

_KIND = "packed mask"
_WORD_BYTES = 8


class StoredMask:
    """A mask in a file of packed bits. Make the file with ``store``; ``open`` reads its header alone."""

    def __init__(self, path: Path, layout: Layout, digests: Sequence[str], start: int) -> None:
        self._path = path
        self._layout = layout
        self._digests = tuple(digests)
        self._start = start  # the byte at which the words begin

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> StoredMask:
        """The mask in a file; LsnError when it cannot be read, CorruptFile when it is not what was written."""
        path = Path(path)
        with open_regular(path) as stream:
            shell = container.read_shell(stream, path, _KIND)
            start = stream.tell()
        data = container.parse_json(shell.metadata)
        try:
            if not isinstance(data, dict) or set(data) != {"format_version", "layout", "digests", "seal"}:
                raise ValueError("it does not have the fields of a packed mask")
            if data["format_version"] != FORMAT_VERSION:
                raise ValueError(f"it has format {data['format_version']!r}, not {FORMAT_VERSION}")
            if data.pop("seal") != _seal(data):
                raise ValueError("its seal does not fit")
            layout, digests = Layout.from_json(data["layout"]), data["digests"]
            if len(digests) != len(layout.chunks) or dict(shell.lengths) != {"words": _bytes_of(layout)}:
                raise ValueError("its packed bits do not have the length of its matrices")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CorruptFile(f"{path} is damaged or not a {_KIND}: {error}") from error
        return cls(path, layout, digests, start)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def layout(self) -> Layout:
        """The matrices the mask is over."""
        return self._layout

    def read_chunk(self, number: int, out: np.ndarray) -> None:
        """Read one of the layout's chunks into ``out``, uint64 of the chunk's length.

        Raises LsnError when the file cannot be read, CorruptFile when the chunk is not the one that was written.
        """
        matrix, first, stop = self._layout.chunks[number]
        words = np.empty(stop - first, dtype="<u8")
        try:
            with open(self._path, "rb", buffering=0) as stream:
                stream.seek(self._start + _WORD_BYTES * first)
                length = stream.readinto(words.data)
        except OSError as error:
            raise LsnError(f"{self._path} cannot be read: {reason(error)}") from error
        if length != words.nbytes or hashlib.sha256(words.data).hexdigest() != self._digests[number]:
            raise CorruptFile(f"{self._path} is damaged: its packed bits are not those that were written")
        out[:] = words
        if stop == self._layout.word_offsets[matrix + 1] and out[-1] & ~last_words(self._layout)[matrix]:
            raise CorruptFile(
                f"{self._path} is damaged: it has bits beyond the end of {self._layout.names[matrix]}"
            )

    def load(self) -> Mask:
        """The whole mask, in memory; raises what ``read_chunk`` does."""
        words = np.empty(int(self._layout.word_offsets[-1]), dtype=np.uint64)
        for number, (_, start, stop) in enumerate(self._layout.chunks):
            self.read_chunk(number, words[start:stop])
        return Mask(words, self._layout)


def store(path: str | os.PathLike[str], mask: Mask) -> StoredMask:
    """Write a file of packed bits, which must not be there yet; LsnError when it cannot be written.

    The bytes are not forced to disk: a file that a crash cuts short is refused by ``open`` or ``read_chunk``.
    """
    words = mask.words.astype("<u8", copy=False)
    digests = [hashlib.sha256(words[start:stop].data).hexdigest() for _, start, stop in mask.layout.chunks]
    header = {"format_version": FORMAT_VERSION, "layout": mask.layout.to_json(), "digests": digests}
    metadata = container.canonical_json({**header, "seal": _seal(header)})
    content = container.build(metadata, {"words": words.tobytes()})
    try:
        with open(path, "xb") as stream:
            stream.write(content)
    except OSError as error:
        raise LsnError(f"{path} cannot be written: {reason(error)}") from error
    return StoredMask(Path(path), mask.layout, digests, len(content) - words.nbytes)


class Shelf:
    """Holds masks for as long as it is open: up to ``memory`` bytes in memory, the others in temporary files.

    The files lie where the system keeps temporary ones (the environment variable TMPDIR chooses another
    folder) and are gone when the shelf is closed. ``with Shelf() as shelf: shelf.put(mask)``.
    """

    def __init__(self, memory: int = 2**28) -> None:
        self._left = memory
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def __enter__(self) -> Shelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, mask: Mask) -> Mask | StoredMask:
        """The mask itself, or the same mask on disk; LsnError, naming the folder, when there is no room."""
        if mask.words.nbytes <= self._left:
            self._left -= mask.words.nbytes
            return mask
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="lsn-masks-")
        except OSError as error:
            raise LsnError(
                f"{tempfile.gettempdir()} cannot be written to: {reason(error)}; set TMPDIR to another folder"
            ) from error
        self._files += 1
        try:
            return store(Path(self._folder.name) / str(self._files), mask)
        except LsnError as error:
            raise LsnError(f"{error}; make room, or set TMPDIR to a folder that has it") from error


def _bytes_of(layout: Layout) -> int:
    return _WORD_BYTES * int(layout.word_offsets[-1])


def _seal(header: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{_KIND}\n{container.canonical_json(header)}".encode()).hexdigest()
