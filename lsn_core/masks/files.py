"""Writing a file so that it is either there whole or not at all, and opening one with care."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from lsn_core.errors import LsnError

_LEFTOVER_SECONDS = 3600.0


def atomic_write_bytes(path: str | os.PathLike[str], *data: Any) -> None:
    """Put ``data`` at ``path``: a reader, or a crash at any moment, finds the old file or the new one.

    The pieces, bytes or contiguous arrays, go one after the other to a temporary file in the same folder,
    which is made when missing, are forced to disk and renamed. Raises LsnError when the folder cannot be
    written to.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _drop_leftovers(target)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as stream:
                stream.writelines(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise LsnError(f"{target} cannot be written: {reason(error)}") from error


def check_new(path: Path) -> None:
    """LsnError when there is something at the path that writing would destroy, or no name to write to."""
    if not path.name:
        raise LsnError(f"{str(path)!r} is not the name of a file or folder that can be made")
    if os.path.lexists(path):
        raise LsnError(f"{path} is there already and is not overwritten; choose another name or remove it")


def write_new(path: Path, write: Callable[[Path], object]) -> None:
    """Make a file or a folder: ``write`` makes it under another name, and it gets its own once it is whole.

    Raises LsnError when something is at the path already, or it cannot be written to.
    """
    check_new(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        for file in (temporary, *temporary.rglob("*")):
            if file.is_file():
                with open(file, "rb+") as stream:
                    os.fsync(stream.fileno())
        check_new(path)
        os.rename(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise LsnError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


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
