"""How the nested masks of a ticket become few bytes, and back.

A ticket is one small number a weight, its *survival*: how many of the ticket's levels keep the weight.
Three codes exist. ``plain`` stores the numbers. ``grouped`` stores where and by how much they differ from
the base ticket's, as trained sub-networks differ from the untouched model's in a few percent of the
weights (``sparse``, its forerunner, is still read). ``philox`` stores the key of a random generator, as a random ticket can be drawn again.

Symbols of these streams do not repeat in patterns; zlib is therefore told to look for runs only
(``Z_RLE``), which is ten times as fast as a search for matches, and no larger.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout

_ESCAPE = 255
_NIBBLE_LEVELS = 15
_BLOCK = 64  # weights, a packed word of them
_PIECE = 2**13  # blocks looked at together


@dataclass(frozen=True)
class Packed:
    """A compressed part of a ticket and its length once unpacked."""

    length: int
    data: bytes


def pack(raw: np.ndarray) -> Packed:
    """uint8 (n,) as a zlib stream."""
    packer = zlib.compressobj(level=6, method=zlib.DEFLATED, wbits=15, memLevel=9, strategy=zlib.Z_RLE)
    return Packed(raw.size, packer.compress(raw.data) + packer.flush())


def unpack(packed: Packed) -> np.ndarray:
    """The uint8 (length,) that was packed; ValueError when the stream holds anything else.

    Never unpacks more than ``length`` bytes and one.
    """
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed.data, max_length=packed.length + 1)
    except zlib.error as error:
        raise ValueError(f"its packed data cannot be unpacked ({error})") from error
    if len(raw) != packed.length or not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"its packed data is not the {packed.length} bytes that its header says")
    return np.frombuffer(raw, dtype=np.uint8)


def plain_length(size: int, levels: int) -> int:
    """Bytes of the plain code before compression: half a byte a weight for up to 15 levels."""
    return -(-size // 2) if levels <= _NIBBLE_LEVELS else size


def encode_plain(survival: np.ndarray, levels: int) -> np.ndarray:
    """Survival uint8 (n,) as uint8 (plain_length,); two weights a byte, the first in the low half."""
    if levels > _NIBBLE_LEVELS:
        return survival
    packed = survival[0::2].copy()
    packed[: survival.size // 2] |= survival[1::2] << 4
    return packed


def decode_plain(packed: np.ndarray, size: int, levels: int) -> np.ndarray:
    """The survival, uint8 (size,), that ``encode_plain`` packed."""
    if levels > _NIBBLE_LEVELS:
        return packed
    survival = np.empty(size, dtype=np.uint8)
    np.bitwise_and(packed, 15, out=survival[0::2])
    np.right_shift(packed[: size // 2], 4, out=survival[1::2])
    return survival


class Reference:
    """What a ticket is stored as differences from, and where the weights of each of its values lie.

    The values are ``table[base]``, or ``base`` itself, uint8 (n,), where no table is given; they are looked up when
    they are needed, as an array of them would be as large as the base ticket. Their *group order* takes the weights
    of value 0 first, then those of 1, and so on, each group in the order of the weights. Where in it a weight stands
    is found from the number of weights of each value before every block of 64, so that the order itself, several
    bytes a weight, is never held.
    """

    def __init__(self, base: np.ndarray, table: np.ndarray | None = None) -> None:
        self._base = base
        self._table = table

    @property
    def size(self) -> int:
        """The number of weights."""
        return self._base.size

    def values(self, where: slice | np.ndarray) -> np.ndarray:
        """The values of these weights, uint8; not to be written to."""
        return self._seen(self._base[where])

    def copy(self) -> np.ndarray:
        """All values, uint8 (n,), in an array of their own; no second one of that size is made on the way."""
        found = np.empty(self.size, dtype=np.uint8)
        for piece in _pieces(0, self.size, _BLOCK * _PIECE):
            found[piece] = self.values(piece)
        return found

    def places(self, ranks: np.ndarray) -> np.ndarray:
        """The weights, int64 (k,), that stand at these ascending places, int64 (k,), of the group order."""
        found = np.empty(ranks.size, dtype=np.int64)
        first = 0
        for value, start, before in zip(
            self._present.tolist(), self._starts.tolist(), self._before, strict=True
        ):
            last = int(np.searchsorted(ranks, start + int(before[-1])))
            for piece in _pieces(first, last):
                member = (ranks[piece] - start).astype(np.uint32)
                block = np.searchsorted(before, member, side="right") - 1
                column = _nth_bit(self._words(block, value), member - before[block])
                found[piece] = _BLOCK * block + column
            first = last
        return found

    def ranks(self, places: np.ndarray) -> np.ndarray:
        """Where these weights, int64 (k,), stand in the group order; the inverse of ``places``."""
        groups = np.searchsorted(self._present, np.arange(256))  # of each value
        found = np.empty(places.size, dtype=np.int64)
        for piece in _pieces(0, places.size):
            value, block = self.values(places[piece]), places[piece] // _BLOCK
            earlier = (np.uint64(1) << (places[piece] % _BLOCK).astype(np.uint64)) - np.uint64(1)
            same = np.bitwise_count(self._words(block, value[:, None]) & earlier)
            group = groups[value]
            found[piece] = self._starts[group] + self._before[group, block] + same
        return found

    def _words(self, block: np.ndarray, value: int | np.ndarray) -> np.ndarray:
        """For each block, uint64: the bits of the weights that have the value, the first weight's the lowest."""
        octets = np.packbits(self._seen(self._rows[block]) == value, axis=1, bitorder="little")
        return octets.view("<u8").astype(np.uint64, copy=False).ravel()

    def _seen(self, base: np.ndarray) -> np.ndarray:
        return base if self._table is None else self._table[base]

    @cached_property
    def _rows(self) -> np.ndarray:
        """The base in blocks, uint8 (blocks, 64); what fills the last block is never looked at."""
        missing = -self.size % _BLOCK
        return (np.pad(self._base, (0, missing)) if missing else self._base).reshape(-1, _BLOCK)

    @cached_property
    def _counted(self) -> tuple[np.ndarray, np.ndarray]:
        """The values there are, (G,), and how many weights of each come before each block and in all, (G, blocks + 1)."""
        present, counted = [], []
        highest = int(self._base.max(initial=0)) if self._table is None else int(self._table.max())
        words = np.zeros(-(-self.size // _BLOCK), dtype=np.uint64)
        octets = words.view(np.uint8)
        for value in range(highest + 1):
            for piece in _pieces(0, words.size):
                values = self.values(slice(_BLOCK * piece.start, _BLOCK * piece.stop))
                there = np.packbits(values == value)
                octets[8 * piece.start : 8 * piece.start + there.size] = there
            before = np.zeros(words.size + 1, dtype=np.uint32)
            np.cumsum(np.bitwise_count(words), dtype=np.uint32, out=before[1:])
            if before[-1]:
                present.append(value)
                counted.append(before)
        return np.array(present, dtype=np.uint8), np.array(counted).reshape(len(present), -1)

    @property
    def _present(self) -> np.ndarray:
        return self._counted[0]

    @property
    def _before(self) -> np.ndarray:
        return self._counted[1]

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where in the group order each group starts, int64 (G,)."""
        totals = self._before[:, -1].astype(np.int64)
        return np.cumsum(totals) - totals


def _differences(survival: np.ndarray, reference: Reference) -> np.ndarray:
    """The weights, int64 (k,), where a survival differs from the reference; takes memory for these only."""
    found = [np.empty(0, dtype=np.int64)]
    for piece in _pieces(0, survival.size, _BLOCK * _PIECE):
        found.append(piece.start + np.flatnonzero(survival[piece] != reference.values(piece)))
    return np.concatenate(found)


def _pieces(start: int, stop: int, length: int = _PIECE) -> Iterator[slice]:
    """Slices from ``start`` to ``stop``, so short that a block for each of their things fits a cache."""
    return (slice(first, min(first + length, stop)) for first in range(start, stop, length))


def _nth_bit(words: np.ndarray, nth: np.ndarray) -> np.ndarray:
    """Where the ``nth`` set bit, from 0, of each word, uint64 (k,), is: a bisection by counts of bits; uint8 (k,)."""
    left = nth.astype(np.uint8)
    column = np.zeros(left.size, dtype=np.uint8)
    for width in (32, 16, 8, 4, 2, 1):
        in_low = np.bitwise_count(words & np.uint64(2**width - 1))
        beyond = left >= in_low
        left -= in_low * beyond
        step = beyond * np.uint8(width)
        words = words >> step
        column += step
    return column


def encode_sparse(survival: np.ndarray, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Where a survival, uint8 (n,), differs from the reference, and by how much.

    The weights are gone through group by group, those of reference 0 first: how often, and by how much, a
    weight differs from the base ticket's hangs on where it stands there, so that the streams of a group are
    shorter than those of all weights in their order (by 6 to 15 % on a real model).

    Returns ``gaps``, uint8: the number of equal weights before each difference, 255 standing for "255
    equal ones and no difference yet"; and ``changes``, uint8: survival minus reference, modulo 256, a
    difference.
    """
    places = _differences(survival, reference)
    places = places[np.argsort(reference.values(places), kind="stable")]
    where = reference.ranks(places)
    equal = np.diff(where, prepend=-1) - 1
    escapes = equal // _ESCAPE
    ends = np.cumsum(escapes + 1)
    gaps = np.full(int(ends[-1]) if ends.size else 0, _ESCAPE, dtype=np.uint8)
    gaps[ends - 1] = equal - _ESCAPE * escapes
    return gaps, survival[places] - reference.values(places)


def decode_sparse(
    gaps: np.ndarray, changes: np.ndarray, reference: Reference, grouped: bool = True
) -> np.ndarray:
    """The survival that ``encode_sparse`` was given; ValueError when the parts do not fit together.

    Not ``grouped``, the weights are gone through in their own order, as earlier versions wrote them.
    """
    is_change = gaps != _ESCAPE
    where = np.cumsum(gaps, dtype=np.int64)[is_change] + np.arange(np.count_nonzero(is_change))
    if where.size != changes.size or (where.size and where[-1] >= reference.size):
        raise ValueError("its list of differences does not fit the base ticket")
    survival = reference.copy()
    survival[reference.places(where) if grouped else where] += changes
    return survival


def base_reference(
    base_survival: np.ndarray, base_levels: Sequence[float], levels: Sequence[float]
) -> Reference:
    """The survival, over n weights, that a ticket of these levels would have if it were the base ticket.

    Every level is matched with the base level of the nearest sparsity (the lower one on a tie), so that
    tickets with fewer or other levels than the base ticket are still close to it.
    """
    if tuple(levels) == tuple(base_levels):
        return Reference(base_survival)
    distance = np.abs(np.subtract.outer(np.asarray(levels), np.asarray(base_levels)))
    nearest = distance.argmin(axis=1)
    table = np.array(
        [np.count_nonzero(nearest < value) for value in range(len(base_levels) + 1)], dtype=np.uint8
    )
    return Reference(base_survival, table)


def make_random_survival(layout: Layout, counts: np.ndarray, philox_key: int) -> np.ndarray:
    """Nested random masks that keep ``counts[k, m]`` weights of matrix m at level k.

    ``counts`` is (L, M), integer, and may not grow from one level to the next; ``philox_key`` is in
    [0, 2**128). Returns survival, uint8 (layout.size,). Each weight of matrix m gets a 32-bit rank from
    the raw stream of ``numpy.random.Philox(key=philox_key, counter=[0, 0, 0, m])``, two ranks a word, the
    low half first; each level keeps the highest ranks, the weight that comes first where ranks tie. numpy
    promises the raw stream of a bit generator to stay as it is (NEP 19), and promises that of no
    distribution drawn from it. Raises LsnError on other counts or keys.
    """
    counts = np.asarray(counts)
    wanted = (counts.ndim == 2) and counts.shape[1] == len(layout.matrices) and 1 <= counts.shape[0] <= 255
    if not wanted or counts.dtype.kind not in "iu":
        raise LsnError(
            f"a random ticket needs whole numbers (levels, {len(layout.matrices)}) of weights to keep"
        )
    if np.any(counts < 0) or np.any(counts > layout.sizes) or np.any(counts[1:] > counts[:-1]):
        raise LsnError(
            "the weights to keep must lie between 0 and the matrix's size and not grow with the level"
        )
    if isinstance(philox_key, bool) or not isinstance(philox_key, int) or not 0 <= philox_key < 2**128:
        raise LsnError(f"the key of a random ticket is a whole number below 2**128, not {philox_key!r}")
    survival = np.empty(layout.size, dtype=np.uint8)
    for index, size in enumerate(layout.sizes.tolist()):
        generator = np.random.Philox(key=philox_key, counter=[0, 0, 0, index])
        ranks = generator.random_raw(-(-size // 2)).astype("<u8", copy=False).view("<u4")[:size]
        survival[layout.slice(index)] = _levels_survived(ranks, counts[:, index].tolist())
    return survival


def _levels_survived(ranks: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """For each rank, uint32 (n,), how many of the counts it makes; counts do not grow.

    A look-up by the upper 16 bits settles all but the few weights that share them with a threshold, which
    are sorted: several times as fast as sorting all.
    """
    upper = (ranks >> np.uint32(16)).astype(np.uint16)
    at_least = np.cumsum(np.bincount(upper, minlength=2**16)[::-1])[
        ::-1
    ]  # weights with these upper bits or higher
    # The highest bucket with which at least `count` weights are kept; 2**16, beyond all buckets, for none.
    buckets = [
        int(np.searchsorted(-at_least, -count, side="right")) - 1 if count else 2**16 for count in counts
    ]
    table = np.searchsorted(buckets, np.arange(2**16), side="left").astype(np.uint8)
    survived = table[upper]
    for count, bucket in zip(counts, buckets, strict=True):
        if count:
            members = np.flatnonzero(upper == bucket)
            best = np.argsort(~ranks[members], kind="stable")
            higher = int(at_least[bucket + 1]) if bucket + 1 < 2**16 else 0
            survived[members[best[: count - higher]]] += 1
    return survived
