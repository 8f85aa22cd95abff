"""Zip archives, which files of torch and of numpy are: opened only when they are what they claim to be."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lsn_core.errors import brief
from lsn_core.masks.foreign.source import MAX_ARRAYS, Refused

_AGAIN = "copy or save the file again"
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError),
    *(ValueError, EOFError, OverflowError, NotImplementedError, RuntimeError),
)
"""What Python raises for an archive, or a part of one, that is not sound."""


@contextmanager
def open_archive(
    path: Path, unpacked_limit: int
) -> Iterator[tuple[zipfile.ZipFile, Mapping[str, zipfile.ZipInfo]]]:
    """The archive and its members by name.

    Raises Refused when it is damaged, or its members are too many, have names that are paths, come twice,
    lie over one another, or would unpack to more than ``unpacked_limit`` bytes.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise Refused(f"it is cut short or damaged ({brief(error)})", _AGAIN) from error
    with archive:
        infos = archive.infolist()
        if len(infos) > 2 * MAX_ARRAYS:
            raise Refused(
                f"it is an archive of {len(infos)} files", "save the masks alone, one array a matrix"
            )
        members = {info.filename: info for info in infos}
        if len(members) < len(infos):
            raise Refused("it is an archive that holds one name twice", _AGAIN)
        for info in infos:
            _check_name(info)
        # Members that share their bytes are how an archive unpacks to more than its compression allows.
        if sum(info.compress_size for info in infos) > path.stat().st_size:
            raise Refused("it is an archive whose parts lie over one another", _AGAIN)
        unpacked = sum(info.file_size for info in infos)
        if unpacked > unpacked_limit:
            raise Refused(
                f"it would unpack to {unpacked} bytes, and the masks of this model need {unpacked_limit} at most",
                "save the masks of this model alone, one array a matrix",
            )
        yield archive, members


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's bytes, exactly as many as it declares; Refused when they are others."""
    try:
        data = archive.read(info)
    except DAMAGED as error:
        raise Refused(f"it is cut short or damaged ({brief(error)})", _AGAIN) from error
    if len(data) != info.file_size:
        raise Refused("it is cut short or damaged", _AGAIN)
    return data


def _check_name(info: zipfile.ZipInfo) -> None:
    parts = info.orig_filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0] or "\0" in info.orig_filename:
        raise Refused(
            f"it is an archive with a part called {info.orig_filename[:80]!a}, which is a path",
            "get the file from its author again",
        )
    if info.flag_bits & _ENCRYPTED:
        raise Refused("it is an encrypted archive", "save it without a password")
    if info.compress_type not in _METHODS:
        raise Refused("it is compressed in a way that is not read", "save it without compression")
