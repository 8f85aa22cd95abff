"""Files that come without a path, from a browser: kept under a name of our own for as long as they are read."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from lsn_core.errors import LsnError
from lsn_core.languages import language
from lsn_core.masks.files import reason
from lsn_core.masks.foreign.inspection import Report, inspect_foreign
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import METHODS, TicketKey

T = TypeVar("T")

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,16}")
_WORD = re.compile(r"[A-Za-z0-9]+")
_SEED_DIGITS = 9
_SEED = re.compile(rf"(?:s|seed)([0-9]{{1,{_SEED_DIGITS}}})", re.IGNORECASE)


def inspect_received(
    data: bytes | memoryview, name: str, layout: Layout, model: Mapping[str, Any] | None = None
) -> Report:
    """``inspect_foreign`` for the content of a file.

    ``name`` is what the sender calls it: only its ending is used, and only if that is letters and digits. The
    content lies under its SHA-256 in a folder of its own, which nobody else can look into and which is gone
    when the report is there. Raises LsnError when there is no place for it.
    """
    ending = PurePosixPath(name).suffix
    digest = hashlib.sha256(data).hexdigest()
    file = f"{digest}{ending.lower() if _ENDING.fullmatch(ending) else ''}"
    try:
        with tempfile.TemporaryDirectory(prefix="lsn-received-") as folder:
            path = Path(folder) / file
            path.write_bytes(data)
            report = inspect_foreign(path, layout, model)
    except OSError as error:
        raise LsnError(
            f"the file cannot be read here, as there is no room for a copy of it ({reason(error)})"
        ) from error
    return dataclasses.replace(report, path=Path(file))


@dataclass(frozen=True)
class Suggestion:
    """What a file's name says of the masks in it; None where it says nothing plain."""

    task: str | None = None
    language: str | None = None
    method: str | None = None
    seed: int | None = None


def suggestion(name: str, tasks: Collection[str], languages: Collection[str]) -> Suggestion:
    """What a file's name says: that of a ticket (``mlm-sw-imp-s1.pt``) all, others (``mask_fr.npz``) by their words.

    ``tasks`` and ``languages`` are the words that are understood; of two different languages none is taken.
    """
    stem = PurePosixPath(name.replace("\\", "/")).name.partition(".")[0]
    try:
        key = TicketKey.from_stem(stem)
    except LsnError:
        words = [word.lower() for word in _WORD.findall(stem)]
        names = {
            spelled: code for code in languages for spelled in (code.lower(), language(code).name.lower())
        }
        seeds = [int(found[1]) for word in words if (found := _SEED.fullmatch(word))]
        seeds += [
            int(after)
            for word, after in pairwise(words)
            if word == "seed" and after.isdigit() and len(after) <= _SEED_DIGITS
        ]
        return Suggestion(
            _only([word for word in words if word in tasks]),
            _only([names[word] for word in words if word in names]),
            _only([word for word in words if word in METHODS and word != "base"]),
            _only(seeds),
        )
    if key.method == "base" or key.task not in tasks or key.language not in languages:
        return Suggestion()
    return Suggestion(key.task, key.language, key.method, key.seed)


def _only(found: list[T]) -> T | None:
    """The one thing that was found, None when there is none or there are several."""
    return found[0] if len(set(found)) == 1 else None
