"""One mask taken apart, and two side by side: by layer, component, matrix, head, row, column and block.

Everything is counted from the packed masks; where single weights are needed, one matrix at a time is unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from lsn_core.analysis import measures
from lsn_core.errors import LsnError
from lsn_core.masks.checks import is_whole
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask

MOST_BLOCKS = 96
"""Blocks that a picture of a matrix has at most along each side."""
NO_LAYER, EVERY = "none", "all"
PLACE_COUNTS = ("size", "left", "right", "both", "chance", "reference", "left_in_base", "right_in_base")


def place_table(left: Mask, right: Mask | None = None, base: Mask | None = None) -> pd.DataFrame:
    """Kept and shared weights of every layer and component, of all of either together, and of the model.

    Columns: ``layer`` (`encoder.3`, "none" outside the layers, "all"), ``component`` (or "all"), and
    float64 counts of weights: ``size``, ``left``, ``right``, ``both`` (kept by both), what ``both`` is
    expected to be by ``chance`` and by ``reference`` (see ``measures``), ``left_in_base`` and
    ``right_in_base``; then ``density_left``, ``density_right`` and ``jaccard``, ``jaccard_chance``,
    ``jaccard_reference`` of the sums. NaN where there is no second mask, no base mask, or nothing is kept.
    ``base`` has to be of the same sparsity as both. Raises LsnError when masks are over different matrices.
    """
    counts = _matrix_counts(left, right, base)
    layout = left.layout
    single = pd.DataFrame({"layer": layers_of(layout), "component": [m.component for m in layout.matrices]})
    table = pd.concat([single, pd.DataFrame(counts)], axis=1)
    whole = [
        table,
        table.assign(component=EVERY),
        table.assign(layer=EVERY),
        table.assign(layer=EVERY, component=EVERY),
    ]
    # An unknown count is unknown in every matrix, so that a sum is of known counts or of none.
    found = pd.concat(whole).groupby(["layer", "component"], sort=False).sum(min_count=1).reset_index()
    kept = found["left"], found["right"]
    return found.assign(
        density_left=found["left"] / found["size"],
        density_right=found["right"] / found["size"],
        jaccard=measures.jaccard(found["both"], *kept),
        jaccard_chance=measures.jaccard(found["chance"], *kept),
        jaccard_reference=measures.jaccard(found["reference"], *kept),
    )


def layers_of(layout: Layout) -> list[str]:
    """Each matrix's layer as its scope is called, "none" for a matrix outside the layers."""
    return [layer_of(matrix) for matrix in layout.matrices]


def layer_of(matrix: Matrix) -> str:
    """The matrix's layer as its scope is called, "none" outside the layers."""
    return NO_LAYER if matrix.layer is None else f"{matrix.stack}.{matrix.layer}"


def _matrix_counts(left: Mask, right: Mask | None, base: Mask | None) -> dict[str, np.ndarray]:
    """Matrix by matrix, the counts that ``place_table`` sums, float64 (M,) each."""
    size = left.layout.sizes.astype(np.float64)
    a = left.counts.astype(np.float64)
    found = {name: np.full(len(size), np.nan) for name in PLACE_COUNTS}
    found |= {"size": size, "left": a}
    if base is not None:
        found["left_in_base"] = (left & base).counts.astype(np.float64)
    if right is None:
        return found
    b = right.counts.astype(np.float64)
    found |= {"right": b, "both": (left & right).counts.astype(np.float64)}
    found["chance"] = measures.expected_by_chance(a, b, size)
    if base is not None:
        a1, b1 = found["left_in_base"], (right & base).counts.astype(np.float64)
        found["right_in_base"] = b1
        found["reference"] = measures.expected_by_reference(
            a1, b1, a - a1, b - b1, base.counts, size - base.counts
        )
    return found


@dataclass(frozen=True, eq=False)
class Blocks:
    """Means over blocks of a matrix of ``shape``.

    ``value`` is float32 (R, C); ``block`` says how many rows and columns a block has, those at the lower and
    the right edge fewer where the matrix does not divide.
    """

    value: np.ndarray
    block: tuple[int, int]
    shape: tuple[int, int]


def block_means(values: np.ndarray, most: int = MOST_BLOCKS) -> Blocks:
    """A matrix of bits or numbers averaged down to at most ``most`` blocks along each side.

    Blocks are as small as that allows and all of one size but the last, so that a picture has no pattern
    that is not in the matrix.
    """
    height, width = (-(-extent // most) for extent in values.shape)
    rows, columns = np.arange(0, values.shape[0], height), np.arange(0, values.shape[1], width)
    dtype = np.float64 if values.dtype.kind == "f" else np.int64
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0, dtype=dtype), columns, axis=1)
    heights = np.diff(np.append(rows, values.shape[0]))
    widths = np.diff(np.append(columns, values.shape[1]))
    means = sums / (heights[:, None] * widths[None, :])
    return Blocks(means.astype(np.float32), (height, width), (values.shape[0], values.shape[1]))


def known_heads(matrix: Matrix, heads: object) -> int | None:
    """Into how many heads the matrix falls; ``heads`` is what an atlas says of its model, if anything.

    None where the matrix is of no attention, or where the number is not known or does not divide it.
    """
    if matrix.head_axis is None or not is_whole(heads) or not isinstance(heads, int) or heads < 1:
        return None
    return heads if matrix.shape[matrix.head_axis] % heads == 0 else None


def line_density(bits: np.ndarray, axis: int, lines: int | None = None) -> np.ndarray:
    """Share of kept weights of each row (``axis`` 0) or column (1) of a matrix, float64.

    ``lines`` takes that many groups of neighbouring rows or columns instead: a head's rows of the query
    matrix, say. Raises LsnError when they do not divide.
    """
    extent = bits.shape[axis]
    groups = extent if lines is None else lines
    if groups < 1 or extent % groups:
        raise LsnError(f"{extent} rows or columns do not fall into {groups} equal groups")
    by_line = np.count_nonzero(bits, axis=1 - axis).reshape(groups, extent // groups)
    return by_line.sum(axis=1) / (bits.size / groups)


def head_densities(mask: Mask, component: str, heads: int) -> dict[str, np.ndarray]:
    """Layer to the share of weights kept in each of its ``heads``, (heads,), over a component of attention.

    Raises LsnError where the component is of no attention or does not fall into so many heads.
    """
    found = {}
    for matrix in mask.layout.matrices:
        if matrix.component == component:
            if matrix.head_axis is None:
                raise LsnError(f"a {component} matrix has no attention heads")
            found[layer_of(matrix)] = line_density(mask[matrix.name], matrix.head_axis, heads)
    return found


@dataclass(frozen=True)
class Lot:
    """Where the densities of 95 of 100 rows, columns or heads would lie, were a matrix's kept weights drawn
    by lot."""

    low: float
    high: float

    def outside(self, density: np.ndarray) -> float:
        """The share of these densities that lies outside."""
        return float(np.mean((density < self.low) | (density > self.high)))


def by_lot(kept: int, size: int, part: int) -> Lot:
    """The central 95 % of the density of ``part`` of a matrix's ``size`` weights, of which ``kept`` are kept.

    Drawn without replacement: hypergeometric, so exact.
    """
    low, high = hypergeom.interval(0.95, size, kept, part)
    return Lot(float(low) / part, float(high) / part)
