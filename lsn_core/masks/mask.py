"""The mask of one sub-network: one bit a weight, packed; and nested masks as one byte a weight."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout


class Mask:
    """Which weights of every prunable matrix are kept. Immutable; checked when it is made.

    ``words`` is read-only uint64 (W,), laid out as ``Layout.word_offsets`` says. Set operations give new
    masks and raise LsnError when the layouts differ.
    """

    def __init__(self, words: np.ndarray, layout: Layout) -> None:
        total = int(layout.word_offsets[-1])
        if not isinstance(words, np.ndarray) or words.dtype != np.uint64 or words.shape != (total,):
            found = f"{getattr(words, 'dtype', type(words).__name__)} {getattr(words, 'shape', '')}"
            raise LsnError(f"the packed mask is {found}; this layout needs uint64 ({total},)")
        stray = np.flatnonzero(words[layout.word_offsets[1:] - 1] & ~last_words(layout))
        if stray.size:
            raise LsnError(f"the packed mask has bits beyond the end of {layout.names[int(stray[0])]}")
        if words.flags.writeable or words.base is not None:
            words = words.copy()
            words.setflags(write=False)
        self._words = words
        self._layout = layout

    @classmethod
    def from_words(cls, words: np.ndarray, layout: Layout) -> Mask:
        """From packed bits, uint64 (W,); LsnError on another type, length or set padding bits."""
        return cls(words, layout)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], layout: Layout) -> Mask:
        """From one array a matrix, bool or numbers that are all 0 or 1.

        Raises LsnError naming the matrix that is missing, unknown, of another shape, or that holds
        anything but 0 and 1.
        """
        unknown = sorted(set(arrays) - set(layout.names))
        if unknown:
            raise LsnError(f"the mask holds {unknown[0]!r}, which is no prunable matrix of this model")

        def bits_of(index: int) -> np.ndarray:
            matrix = layout.matrices[index]
            if matrix.name not in arrays:
                raise LsnError(f"the mask lacks the matrix {matrix.name}")
            array = np.asarray(arrays[matrix.name])
            if array.shape != matrix.shape:
                raise LsnError(f"the mask of {matrix.name} has shape {array.shape}, not {matrix.shape}")
            if array.dtype == np.bool_:
                return array
            if array.dtype.kind not in "iuf":
                raise LsnError(f"the mask of {matrix.name} holds {array.dtype}, not 0 and 1")
            kept = array == 1
            if not np.all(kept | (array == 0)):
                raise LsnError(f"the mask of {matrix.name} holds values other than 0 and 1")
            return kept

        return cls(_pack(layout, bits_of), layout)

    @classmethod
    def from_sequence(cls, matrices: Iterable[np.ndarray], layout: Layout) -> Mask:
        """From the matrices' bool arrays in layout order, of which one is held at a time.

        Raises LsnError naming the matrix that is missing or of another shape or type.
        """
        following = iter(matrices)

        def bits_of(index: int) -> np.ndarray:
            matrix = layout.matrices[index]
            array = next(following, None)
            if array is None:
                raise LsnError(f"the mask lacks the matrix {matrix.name}")
            if array.shape != matrix.shape or array.dtype != np.bool_:
                raise LsnError(
                    f"the mask of {matrix.name} is {array.dtype} {array.shape}, not bool {matrix.shape}"
                )
            return array

        return cls(_pack(layout, bits_of), layout)

    @classmethod
    def full(cls, layout: Layout) -> Mask:
        """Every weight kept."""
        words = np.full(int(layout.word_offsets[-1]), np.iinfo(np.uint64).max, dtype=np.uint64)
        words[layout.word_offsets[1:] - 1] = last_words(layout)
        return cls(words, layout)

    @classmethod
    def empty(cls, layout: Layout) -> Mask:
        """No weight kept."""
        return cls(np.zeros(int(layout.word_offsets[-1]), dtype=np.uint64), layout)

    @property
    def words(self) -> np.ndarray:
        """The packed bits, read-only uint64 (W,)."""
        return self._words

    @property
    def layout(self) -> Layout:
        """The matrices the mask is over."""
        return self._layout

    def __getitem__(self, name: str) -> np.ndarray:
        """The mask of one matrix, bool in the matrix's shape; LsnError when there is no such matrix."""
        index = self._layout.index(name)
        matrix = self._layout.matrices[index]
        start, stop = self._layout.word_offsets[index : index + 2]
        octets = self._words[start:stop].astype("<u8", copy=False).view(np.uint8)
        return np.unpackbits(octets, count=matrix.size, bitorder="little").view(bool).reshape(matrix.shape)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name to bool array, for every matrix."""
        return {name: self[name] for name in self._layout.names}

    def read_chunk(self, number: int, out: np.ndarray) -> None:
        """Copy the words of one of the layout's chunks into ``out``, uint64 of the chunk's length."""
        _, start, stop = self._layout.chunks[number]
        out[:] = self._words[start:stop]

    @cached_property
    def counts(self) -> np.ndarray:
        """Kept weights a matrix, read-only int64 (M,)."""
        ones = np.bitwise_count(self._words)
        counts = np.add.reduceat(ones, self._layout.word_offsets[:-1], dtype=np.int64)
        counts.setflags(write=False)
        return counts

    @property
    def kept(self) -> int:
        """Number of kept weights."""
        return int(self.counts.sum())

    @property
    def density(self) -> float:
        """Share of the weights that is kept."""
        return self.kept / self._layout.size

    @property
    def sparsity(self) -> float:
        """Share of the weights that is removed."""
        return (self._layout.size - self.kept) / self._layout.size

    @cached_property
    def content_hash(self) -> str:
        """sha256 (hex) over the layout's fingerprint and the bits."""
        digest = hashlib.sha256(f"mask\n{self._layout.fingerprint}\n".encode())
        digest.update(self._words.astype("<u8", copy=False).tobytes())
        return digest.hexdigest()

    def __and__(self, other: Mask) -> Mask:
        return self._combined(other, np.bitwise_and)

    def __or__(self, other: Mask) -> Mask:
        return self._combined(other, np.bitwise_or)

    def __xor__(self, other: Mask) -> Mask:
        return self._combined(other, np.bitwise_xor)

    def __sub__(self, other: Mask) -> Mask:
        return self._combined(other, lambda mine, theirs: mine & ~theirs)

    def __invert__(self) -> Mask:
        return Mask.full(self._layout) - self

    def __le__(self, other: Mask) -> bool:
        """Whether every weight kept here is kept there too."""
        if not isinstance(other, Mask):
            return NotImplemented
        return not np.any(self._words & ~self._checked(other))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self._layout == other._layout and bool(np.array_equal(self._words, other._words))

    def __hash__(self) -> int:
        return hash(self.content_hash)

    def __repr__(self) -> str:
        return f"Mask({len(self._layout.matrices)} matrices, {self.kept} of {self._layout.size} weights kept)"

    def _combined(self, other: Mask, operation: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Mask:
        if not isinstance(other, Mask):
            return NotImplemented
        return Mask(operation(self._words, self._checked(other)), self._layout)

    def _checked(self, other: Mask) -> np.ndarray:
        if self._layout != other._layout:
            raise LsnError(
                "the two masks are over different matrices; only masks of one model can be compared"
            )
        return other._words


def survival_from_masks(masks: Sequence[Mask]) -> np.ndarray:
    """Nested masks, from the least to the most sparse, as one count a weight.

    Returns uint8 (layout.size,) in layout order: the number of levels that a weight survives. Raises
    LsnError when there is no mask, more than 255, or one keeps a weight that the one before removed.
    """
    if not 1 <= len(masks) <= 255:
        raise LsnError(f"a ticket has between 1 and 255 levels, not {len(masks)}")
    layout = masks[0].layout
    for level, (before, after) in enumerate(pairwise(masks), start=1):
        if not after <= before:
            raise LsnError(f"the mask of level {level} keeps weights that level {level - 1} removed")
    survival = np.zeros(layout.size, dtype=np.uint8)
    for mask in masks:
        for index, name in enumerate(layout.names):
            survival[layout.slice(index)] += mask[name].ravel()
    survival.setflags(write=False)
    return survival


def mask_from_survival(survival: np.ndarray, level_index: int, layout: Layout) -> Mask:
    """The mask of one level: the weights whose survival, uint8 (layout.size,), is above ``level_index``."""
    if survival.shape != (layout.size,) or survival.dtype != np.uint8:
        raise LsnError(
            f"survival is {survival.dtype} {survival.shape}; this layout needs uint8 ({layout.size},)"
        )
    return Mask(_pack(layout, lambda index: survival[layout.slice(index)] > level_index), layout)


def _pack(layout: Layout, bits_of: Callable[[int], np.ndarray]) -> np.ndarray:
    """Packed words of the matrices' bits; ``bits_of(m)`` gives matrix m's bits in any shape, row by row."""
    words = np.zeros(int(layout.word_offsets[-1]), dtype="<u8")
    octets = words.view(np.uint8)
    for index, start in enumerate(8 * layout.word_offsets[:-1]):
        packed = np.packbits(bits_of(index).ravel(), bitorder="little")
        octets[start : start + packed.size] = packed
    words = words.astype(np.uint64, copy=False)
    words.setflags(write=False)  # a mask takes it as it is, without a copy
    return words


def last_words(layout: Layout) -> np.ndarray:
    """The bits in use in each matrix's last word, uint64 (M,)."""
    unused = (-layout.sizes % 64).astype(np.uint64)
    return np.uint64(np.iinfo(np.uint64).max) >> unused
