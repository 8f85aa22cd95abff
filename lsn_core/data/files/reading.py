"""The bytes of a file, its text, and its lines by number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsn_core.errors import LsnError
from lsn_core.masks.container import parse_json


def read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise LsnError(f"{path} is a folder, but a text file is expected there.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise LsnError(f"The file {path} cannot be read: {error.strerror or error}.") from error


def decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LsnError(f"The file {path} is not UTF-8 at line {line}; save it as UTF-8.") from error


def numbered(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, blank ones refused except at the end of the file."""
    # Only line feeds end a line: Unicode's other separators may stand within a sentence.
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not line:
            raise LsnError(
                f"The file {path} has a blank line {number}; "
                "remove it in every language, because lines with the same number belong together."
            )
        yield number, line


def json_objects(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of every line with the line's number from 1; an empty one for JSON that is no object."""
    for number, line in numbered(text, path):
        entry = parse_json(line)
        if entry is None:
            raise LsnError(f"Line {number} of {path} is not JSON; each line is one object.")
        yield number, entry if isinstance(entry, dict) else {}
