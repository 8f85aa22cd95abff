"""Which array of a foreign file is the mask of which matrix of a layout; and head masks as masks of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.masks.foreign.source import MASK_ENDING
from lsn_core.masks.layout import Layout, Matrix

POOLER = "pooler.dense.weight"
"""The one matrix outside the layers. A model without a task head that needs it does not have it."""

_FAMILIES: Mapping[str, frozenset[str]] = {
    "bert": frozenset({"bert"}),
    "roberta": frozenset({"roberta", "xlm-roberta"}),
    "distilbert": frozenset({"distilbert"}),
}
"""What a task model calls its encoder, and the families that do so."""


@dataclass(frozen=True)
class Matching:
    """``found``: matrix name to the names of its arrays (one, if all is well). ``unknown``: arrays of no matrix.

    ``left_out``: arrays of a pooler that the layout does not have. ``prefixes``: what stood before the
    matrices' names.
    """

    found: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    left_out: tuple[str, ...]
    prefixes: frozenset[str]

    def foreign_family(self, family: str) -> str | None:
        """The prefix that says that the masks are of another family than ``family``, if one does."""
        for prefix in sorted(self.prefixes):
            families = _FAMILIES.get(prefix.rsplit(".", 1)[-1])
            if families is not None and family not in families:
                return prefix
        return None


def match(names: Sequence[str], layout: Layout) -> Matching:
    """Match arrays to matrices by the end of their names.

    ``_mask`` at the end and any prefix (``module.``, ``bert.``, ``model.`` …) are taken off, so that the same
    masks are recognised under a data-parallel wrapper, a task model or a bare encoder.
    """
    known = set(layout.names)
    found: dict[str, list[str]] = {}
    unknown, left_out, prefixes = [], [], set()
    for name in names:
        prefix, matrix = _split(name.removesuffix(MASK_ENDING), known | {POOLER})
        if matrix is None:
            unknown.append(name)
        elif matrix not in known:
            left_out.append(name)
        else:
            found.setdefault(matrix, []).append(name)
            prefixes.add(prefix)
    return Matching(
        {matrix: tuple(arrays) for matrix, arrays in found.items()},
        tuple(unknown),
        tuple(left_out),
        frozenset(prefixes),
    )


def _split(name: str, known: set[str]) -> tuple[str, str | None]:
    """The longest end of a dotted name that is known, and what stands before it."""
    parts = name.split(".")
    for start in range(len(parts)):
        if (end := ".".join(parts[start:])) in known:
            return ".".join(parts[:start]), end
    return name, None


def head_layers(layout: Layout) -> int:
    """Number of layers that a head mask has to have a row for; 0 when there is a decoder."""
    if any(matrix.stack != "encoder" for matrix in layout.matrices):
        return 0
    return len({matrix.layer for matrix in layout.matrices if matrix.layer is not None})


def heads_fit(layout: Layout, heads: int) -> bool:
    """Whether every attention matrix falls into that many heads of equal size."""
    return heads > 0 and all(
        matrix.shape[matrix.head_axis] % heads == 0
        for matrix in layout.matrices
        if matrix.head_axis is not None
    )


def expand_heads(kept: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
    """The masks of weights, bool, that a head mask stands for; ``kept`` is bool (layers, heads).

    Of a removed head, the rows of query, key and value and the columns of the attention output are removed
    (Michel et al. 2019, section 2.2: the head's output is multiplied by its mask); all else is kept.
    """
    return {matrix.name: _expanded(kept, matrix) for matrix in layout.matrices}


def _expanded(kept: np.ndarray, matrix: Matrix) -> np.ndarray:
    axis = matrix.head_axis
    if axis is None or matrix.layer is None:
        return np.broadcast_to(True, matrix.shape)
    units = np.repeat(kept[matrix.layer], matrix.shape[axis] // kept.shape[1])
    return np.broadcast_to(np.expand_dims(units, 1 - axis), matrix.shape)
