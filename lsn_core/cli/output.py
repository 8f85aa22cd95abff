"""What the verbs say, and where they write it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lsn_core.errors import LsnError

if TYPE_CHECKING:
    from lsn_core.masks.cells import Gathered


def say(message: str) -> None:
    """Tell the person; standard output is for results."""
    print(message, file=sys.stderr, flush=True)


def say_left_out(found: Gathered, what: str) -> None:
    """Tell which measurements (`what`) a table could not take."""
    for problem in found.problems:
        say(f"left out: {problem.message}")
    if found.stale:
        say(f"left out: {found.stale} {what} of tickets that have changed or are gone")


def write(text: str, out: str | None) -> None:
    """Write a result to the file `out`, or to standard output where none is given."""
    if out is None:
        sys.stdout.write(text)
        return
    from lsn_core.masks.files import atomic_write_bytes

    if not Path(out).name or Path(out).is_dir():
        raise LsnError(f"The option --out is {out!r}; give the name of a file.")
    atomic_write_bytes(Path(out), text.encode())
