"""Writing a file so that it is either there whole or not at all, and opening one with care."""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lsn_core.errors import LsnError

_LEFTOVER_SECONDS = 3600.0


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put ``data`` at ``path``: a reader, or a crash at any moment, finds the old file or the new one.

    The bytes go to a temporary file in the same folder, which is made when missing, are forced to disk
    and renamed. Raises LsnError when the folder cannot be written to.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _drop_leftovers(target)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise LsnError(f"{target} cannot be written: {reason(error)}") from error


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The file at ``path``, open for reading; LsnError when it is missing, unreadable or no plain file."""
    try:
        # Looked at before it is opened: opening a pipe would wait for a writer for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise LsnError(f"{path} cannot be read: it is not a plain file")
        stream = open(path, "rb")  # noqa: SIM115 (closed below; the yield must be outside this try)
    except OSError as error:
        raise LsnError(f"{path} cannot be read: {reason(error)}") from error
    with stream:
        yield stream


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The whole file; LsnError when it cannot be read or is larger than ``limit`` bytes."""
    with open_regular(path) as stream:
        # Not read(limit): it would set aside that many bytes for a small file too.
        if os.fstat(stream.fileno()).st_size > limit:
            raise LsnError(f"{path} is larger than the {limit} bytes that such a file may have")
        return stream.read()


def reason(error: OSError) -> str:
    """What the system says went wrong, in a word or two."""
    return (error.strerror or str(error)).lower()


def _drop_leftovers(target: Path) -> None:
    """Remove what a process that was killed in the middle of writing this file has left."""
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                leftover.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
