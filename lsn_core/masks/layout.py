"""Which matrices of a model can lose weights, in which order, and where their bits lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from lsn_core.errors import LsnError, brief
from lsn_core.masks.checks import is_whole

STACKS = ("encoder", "decoder")
COMPONENTS = (
    "query",
    "key",
    "value",
    "attention output",
    "feed-forward in",
    "feed-forward gate",
    "feed-forward out",
    "cross query",
    "cross key",
    "cross value",
    "cross output",
    "pooler",
)
SCOPES = ("total", "stack", "layer", "component", "matrix")

_HEADS_IN_ROWS = frozenset({"query", "key", "value", "cross query", "cross key", "cross value"})
_HEADS_IN_COLUMNS = frozenset({"attention output", "cross output"})

MAX_WEIGHTS = 2**31
"""A layout may not claim more weights: a header of a few bytes must not ask for all the memory there is."""

CHUNK_WORDS = 2**13
"""Packed masks are read from disk and counted in pieces of so many words: 64 KB a mask."""

_LONGEST_NAME = 500
_WORD_BITS = 64


@dataclass(frozen=True)
class Matrix:
    """One prunable matrix: its parameter name, its shape and its place in the model.

    ``layer`` counts from 0 within the stack and is None for a matrix outside the layers (a pooler).
    Raises LsnError on an empty shape, an unknown stack or an unknown component.
    """

    name: str
    shape: tuple[int, int]
    stack: str
    layer: int | None
    component: str

    def __post_init__(self) -> None:
        plain = isinstance(self.name, str) and 0 < len(self.name) <= _LONGEST_NAME and self.name.isprintable()
        if not plain:
            raise LsnError(f"a matrix needs a name in one line, not {brief(repr(self.name))}")
        if len(self.shape) != 2 or not all(is_whole(extent) and extent > 0 for extent in self.shape):
            raise LsnError(
                f"matrix {self.name} has shape {brief(repr(self.shape))}; two positive whole numbers are needed"
            )
        if self.stack not in STACKS:
            raise LsnError(
                f"matrix {self.name} is in stack {brief(repr(self.stack))}; it must be one of {', '.join(STACKS)}"
            )
        if self.layer is not None and not is_whole(self.layer):
            raise LsnError(f"matrix {self.name} is in layer {brief(repr(self.layer))}; layers count from 0")
        if self.component not in COMPONENTS:
            raise LsnError(
                f"matrix {self.name} is component {brief(repr(self.component))}; "
                f"it must be one of {', '.join(COMPONENTS)}"
            )

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.shape[0] * self.shape[1]

    @property
    def head_axis(self) -> int | None:
        """The axis that falls into attention heads, one after another: 0 (rows) of query, key and value, 1
        (columns) of the attention output; None outside attention."""
        if self.component in _HEADS_IN_ROWS:
            return 0
        return 1 if self.component in _HEADS_IN_COLUMNS else None


class Chunk(NamedTuple):
    """A piece of a packed mask that lies within one matrix: the matrix, its first word and its end."""

    matrix: int
    start: int
    stop: int


@dataclass(frozen=True)
class Scope:
    """A part of the model over which counts are summed: its label and the indices of its matrices."""

    label: str
    matrices: np.ndarray


@dataclass(frozen=True)
class Layout:
    """The prunable matrices of a model, in a fixed order. Equal layouts can be compared bit by bit.

    Raises LsnError when there is no matrix, a name comes twice, or the sizes add up to more than
    ``MAX_WEIGHTS``.
    """

    matrices: tuple[Matrix, ...]

    def __post_init__(self) -> None:
        if not self.matrices:
            raise LsnError("a layout needs at least one matrix")
        seen: set[str] = set()
        for matrix in self.matrices:
            if matrix.name in seen:
                raise LsnError(f"matrix {matrix.name} is listed twice")
            seen.add(matrix.name)
        if self.size > MAX_WEIGHTS:
            raise LsnError(
                f"a layout of {self.size} weights is more than the {MAX_WEIGHTS} that can be handled"
            )

    @cached_property
    def size(self) -> int:
        """Number of prunable weights in the model."""
        return sum(matrix.size for matrix in self.matrices)

    @cached_property
    def sizes(self) -> np.ndarray:
        """Weights a matrix, int64 (M,)."""
        return _frozen(np.array([matrix.size for matrix in self.matrices], dtype=np.int64))

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64 (M+1,): matrix m's weights are [offsets[m]:offsets[m+1]] of an array in layout order."""
        return _frozen(np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64))

    @cached_property
    def word_offsets(self) -> np.ndarray:
        """int64 (M+1,): matrix m's bits are in the uint64 words [word_offsets[m]:word_offsets[m+1]].

        Weights are taken row by row, the first in the lowest bit; each matrix starts a new word and the
        bits left over in its last word are zero.
        """
        words = -(-self.sizes // _WORD_BITS)
        return _frozen(np.concatenate([[0], np.cumsum(words)]).astype(np.int64))

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The pieces, of at most ``CHUNK_WORDS`` words, that make up a packed mask, in order."""
        return tuple(
            Chunk(matrix, start, min(start + CHUNK_WORDS, end))
            for matrix, (first, end) in enumerate(pairwise(self.word_offsets.tolist()))
            for start in range(first, end, CHUNK_WORDS)
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The matrices' names."""
        return tuple(matrix.name for matrix in self.matrices)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of the layout's JSON."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """The position of the matrix called ``name``; LsnError when there is none."""
        try:
            return self._index[name]
        except KeyError:
            raise LsnError(
                f"there is no prunable matrix called {name!r}; the first is {self.names[0]}"
            ) from None

    def slice(self, index: int) -> slice:
        """Where matrix ``index`` lies in a flat array in layout order."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def scopes(self, by: str) -> list[Scope]:
        """The parts the model falls into, in model order.

        ``by`` is ``total``, ``stack``, ``layer``, ``component`` or ``matrix``; labels are ``total``,
        ``encoder``, ``encoder.3``, ``query`` or the matrix's name. A matrix outside the layers belongs to
        no ``layer`` scope. Raises LsnError on any other ``by``.
        """
        if by not in SCOPES:
            raise LsnError(f"overlap cannot be taken by {by!r}; choose one of {', '.join(SCOPES)}")
        groups: dict[str, list[int]] = {}
        for index in sorted(range(len(self.matrices)), key=lambda index: _rank(self.matrices[index], by)):
            label = _label(self.matrices[index], by)
            if label is not None:
                groups.setdefault(label, []).append(index)
        return [Scope(label, _frozen(np.array(found, dtype=np.int64))) for label, found in groups.items()]

    def to_json(self) -> list[dict[str, Any]]:
        """A JSON-able list with one object a matrix."""
        return [
            {
                "name": matrix.name,
                "shape": list(matrix.shape),
                "stack": matrix.stack,
                "layer": matrix.layer,
                "component": matrix.component,
            }
            for matrix in self.matrices
        ]

    @classmethod
    def from_json(cls, data: Any) -> Layout:
        """The layout that ``to_json`` wrote; LsnError when the data is anything else."""
        if not isinstance(data, Sequence) or isinstance(data, str):
            raise LsnError("a layout is a list of matrices")
        return cls(tuple(_matrix_from_json(entry) for entry in data))


def _matrix_from_json(entry: Any) -> Matrix:
    fields = {"name", "shape", "stack", "layer", "component"}
    if not isinstance(entry, Mapping) or set(entry) != fields or not isinstance(entry["shape"], list):
        raise LsnError(f"a matrix of a layout is described by exactly {', '.join(sorted(fields))}")
    return Matrix(entry["name"], tuple(entry["shape"]), entry["stack"], entry["layer"], entry["component"])


def _label(matrix: Matrix, by: str) -> str | None:
    if by == "total":
        return "total"
    if by == "stack":
        return matrix.stack
    if by == "layer":
        return None if matrix.layer is None else f"{matrix.stack}.{matrix.layer}"
    return matrix.component if by == "component" else matrix.name


def _rank(matrix: Matrix, by: str) -> tuple[int, int]:
    if by in ("stack", "layer"):
        return STACKS.index(matrix.stack), -1 if matrix.layer is None else matrix.layer
    return (COMPONENTS.index(matrix.component), 0) if by == "component" else (0, 0)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
