"""Everything that is checked of a foreign file before its masks are believed, one named check a question."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.files import open_regular
from lsn_core.masks.foreign.matching import Matching, expand_heads, head_layers, heads_fit, match
from lsn_core.masks.foreign.reading import KINDS, Entry, read_foreign
from lsn_core.masks.foreign.source import Refused, shown
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask

CHECKS = (
    "file",
    "format",
    "contents",
    "model",
    "names",
    "no unknown matrix",
    "no missing matrix",
    "shapes",
    "values",
    "sparsity",
)
"""The checks of a file of weight masks, in order; a head mask has no names to be checked."""
LEVEL_DIGITS = 3

_BYTES_A_WEIGHT = 16
_EMBEDDINGS_ROOM = 4 * 2**30
_SAVE_ALL = "save one mask a prunable matrix, named after the parameter"


@dataclass(frozen=True)
class Check:
    """One question to a file: what was expected, what was found and, if it failed, how to mend it."""

    name: str
    passed: bool
    expected: str
    found: str
    mend: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """What is known of a file after its checks.

    ``checks`` ends where one failed that makes those after it meaningless. ``mask`` is there when all
    passed. ``facts``: JSON-able; the file's name, bytes and sha256, its format, whether it masks ``weights``
    or ``heads``, and the names of what was left out.
    """

    path: Path
    checks: tuple[Check, ...]
    mask: Mask | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> Check | None:
        """The first check that failed, None when all passed."""
        return next((check for check in self.checks if not check.passed), None)

    @property
    def level(self) -> float:
        """The sparsity under which the masks can be compared: rounded, so that 45.01 % and 44.98 % meet."""
        return round(self.checked_mask().sparsity, LEVEL_DIGITS)

    def checked_mask(self) -> Mask:
        """The masks; LsnError with the first failed check's sentence when there are none."""
        failed = self.failed
        if failed is not None or self.mask is None:
            reason = f"{failed.found}; {failed.mend}" if failed else "it was not read"
            raise LsnError(f"{self.path} cannot be imported: {reason}")
        return self.mask


class _Stop(Exception):
    """No later check means anything."""


def inspect_foreign(path: str | Path, layout: Layout, model: Mapping[str, Any] | None = None) -> Report:
    """Check a file of masks against the matrices of a model.

    ``model`` is what an atlas says of its model; its ``family`` and ``heads`` are looked at, if there. Never
    raises for a bad file: the report says what is wrong. Takes a process of its own for the reading.
    """
    inspection = _Inspection(Path(path), layout, model or {})
    mask: Mask | None = None
    with suppress(_Stop):
        mask = inspection.run()
    return Report(inspection.path, tuple(inspection.checks), mask, inspection.facts)


class _Inspection:
    """The checks that were made so far and what they brought to light."""

    def __init__(self, path: Path, layout: Layout, model: Mapping[str, Any]) -> None:
        self.path, self._layout, self._model = path, layout, model
        self.checks: list[Check] = []
        self.facts: dict[str, Any] = {}

    def run(self) -> Mask:
        """The masks; _Stop when a check failed."""
        self._look_at_file()
        kind = self._kind()
        entries = self._read(kind)
        self.facts |= {"format": _format_of(kind, entries), "masks": "heads" if kind == "npy" else "weights"}
        arrays = self._head_arrays(entries[0]) if kind == "npy" else self._weight_arrays(entries)
        mask = Mask.from_arrays(arrays, self._layout)
        problem = None
        if not 0 < round(mask.sparsity, LEVEL_DIGITS) < 1:
            problem = f"its masks remove {mask.layout.size - mask.kept} of {mask.layout.size} weights"
        self._note(
            "sparsity",
            problem,
            "between 0.1 % and 99.9 % of the weights removed",
            "give masks that remove a part of the weights",
        )
        self._stop_if_failed()
        return mask

    def _look_at_file(self) -> None:
        limit = _BYTES_A_WEIGHT * self._layout.size + _EMBEDDINGS_ROOM
        problem = None
        try:
            with open_regular(self.path) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size > limit:
                    problem = f"it has {size:,} bytes"
                else:
                    self.facts |= {"file": self.path.name, "bytes": size, "sha256": _sha256(stream)}
        except LsnError as error:
            problem = str(error)
        self._note(
            "file",
            problem,
            f"a plain file of at most {limit / 1e6:,.0f} MB, embeddings included",
            "give the path of a file of masks alone",
        )
        self._stop_if_failed()

    def _kind(self) -> str:
        suffix, endings = self.path.suffix.lower(), ", ".join(KINDS)
        problem = None if suffix in KINDS else f"its name ends in {self.path.suffix!r}"
        expected = f"a file with one of the endings {endings}"
        self._note("format", problem, expected, f"give {expected}")
        self._stop_if_failed()
        return KINDS[suffix]

    def _read(self, kind: str) -> tuple[Entry, ...]:
        problem, mend = None, _SAVE_ALL
        entries: tuple[Entry, ...] = ()
        try:
            # Twice as many values as the model has: a file with too many masks is told which are too many.
            entries = read_foreign(self.path, kind, 2 * self._layout.size)
            problem = None if entries else "it holds no array"
        except Refused as refusal:
            problem, mend = refusal.found, refusal.mend
        self._note("contents", problem, "arrays as long as they claim, and nothing that has to be run", mend)
        self._stop_if_failed()
        return entries

    def _weight_arrays(self, entries: Sequence[Entry]) -> Mapping[str, np.ndarray]:
        by_name = {entry.name: entry for entry in entries}
        matching = match(tuple(by_name), self._layout)
        self.facts["left_out"] = list(matching.left_out)
        self._check_family(matching)
        self._check_names(matching)
        self._stop_if_failed()
        mine = {matrix: by_name[names[0]] for matrix, names in matching.found.items()}
        self._check_shapes(mine)
        self._check_values(list(mine.values()))
        return _Unpacking(mine)

    def _check_family(self, matching: Matching) -> None:
        family = self._model.get("family")
        prefix = matching.foreign_family(family) if isinstance(family, str) else None
        problem = None
        if prefix is not None:
            problem = f"it has masks of a model that calls its encoder {shown(prefix)}, and the atlas's is a {family}"
        self._note(
            "model", problem, "masks of the atlas's model", "import it into an atlas of the model it is of"
        )

    def _check_names(self, matching: Matching) -> None:
        twice = [names for names in matching.found.values() if len(names) > 1]
        problem = None
        if twice:
            pair = " and ".join(map(shown, twice[0][:2]))
            problem = f"{_count(twice, 'matrix is', 'matrices are')} in it twice, first {pair}"
        self._note("names", problem, "one mask a matrix", "keep one of each")

        unknown = matching.unknown
        problem = None
        if unknown:
            problem = (
                f"{_count(unknown, 'array is', 'arrays are')} of no prunable matrix of this model, "
                f"first {shown(unknown[0])}"
            )
        self._note(
            "no unknown matrix",
            problem,
            "only prunable matrices of the model",
            "give the masks of the atlas's model without other arrays",
        )

        total = len(self._layout.names)
        missing = [name for name in self._layout.names if name not in matching.found]
        problem = (
            f"it lacks {len(missing)} of {total} prunable matrices, first {missing[0]}" if missing else None
        )
        self._note("no missing matrix", problem, f"all {total} prunable matrices", _SAVE_ALL)

    def _check_shapes(self, mine: Mapping[str, Entry]) -> None:
        wrong = [matrix for matrix in self._layout.matrices if mine[matrix.name].shape != matrix.shape]
        problem = None
        if wrong:
            first, shape = wrong[0], mine[wrong[0].name].shape
            problem = (
                f"{_count(wrong, 'mask has', 'masks have')} another shape than the matrix, first {first.name} "
                f"with {shape} for {first.shape}"
            )
        self._note(
            "shapes", problem, "each mask of its matrix's shape", "give the masks of the atlas's model"
        )
        self._stop_if_failed()

    def _check_values(self, entries: Sequence[Entry]) -> None:
        odd = [entry for entry in entries if entry.bits is None]
        problem = None
        if odd:
            problem = (
                f"{_count(odd, 'mask holds', 'masks hold')} values other than 0 and 1, first {shown(odd[0].name)} "
                f"with {odd[0].odd} of them such as {odd[0].example}"
            )
        self._note(
            "values", problem, "0 or 1 alone", "save 1 where a weight is kept and 0 where it is removed"
        )
        self._stop_if_failed()

    def _head_arrays(self, entry: Entry) -> Mapping[str, np.ndarray]:
        layers, known = head_layers(self._layout), self._model.get("heads")
        self._note(
            "model",
            None if layers else "it is a head mask, and the atlas's model has a decoder too",
            "a model with an encoder alone",
            "give masks of the weights",
        )
        self._stop_if_failed()
        heads = entry.shape[1] if len(entry.shape) == 2 else 0
        fits = entry.shape[:1] == (layers,) and heads_fit(self._layout, heads) and known in (None, heads)
        expected = f"one row for each of {layers} layers, one column for each of {known or 'the'} heads"
        problem = (
            None if fits else f"it is a head mask of shape {entry.shape}, and the model needs {expected}"
        )
        self._note("shapes", problem, expected, "save it in that shape")
        self._stop_if_failed()
        self._check_values([entry])
        return expand_heads(entry.array(), self._layout)

    def _note(self, name: str, problem: str | None, expected: str, mend: str) -> None:
        self.checks.append(
            Check(name, problem is None, expected, problem or expected, "" if problem is None else mend)
        )

    def _stop_if_failed(self) -> None:
        if not all(check.passed for check in self.checks):
            raise _Stop


class _Unpacking(Mapping[str, np.ndarray]):
    """The arrays by matrix name, each unpacked when it is asked for: eight times as large as packed."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> np.ndarray:
        return self._entries[name].array()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := stream.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _format_of(kind: str, entries: Sequence[Entry]) -> str:
    if kind == "npy":
        return "head mask"
    pruned = any(entry.name.endswith("_mask") for entry in entries)
    return f"{kind} dictionary of masks" if kind == "torch" and pruned else f"{kind} arrays"


def _count(found: Sequence[Any], one: str, many: str) -> str:
    return f"{len(found)} {one if len(found) == 1 else many}"
