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

import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout

_ESCAPE = 255
_NIBBLE_LEVELS = 15
_PIECE = 2**20  # weights looked at together: what is worked out for them is small beside the ticket


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


def encode_sparse(
    survival: np.ndarray, reference: np.ndarray, table: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Where two uint8 (n,) arrays differ, and by how much; of the second, ``table[reference]`` where that is given.

    The weights are gone through group by group, those of reference 0 first: how often, and by how much, a
    weight differs from the base ticket's hangs on where it stands there, so that the streams of a group are
    shorter than those of all weights in their order (by 6 to 15 % on a real model).

    Returns ``gaps``, uint8: the number of equal weights before each difference, 255 standing for "255
    equal ones and no difference yet"; and ``changes``, uint8: survival minus reference, modulo 256, a
    difference.
    """
    places, changes, start = [], [], 0
    for value, members in _groups(reference, table):
        found = survival[members] - np.uint8(value)
        differs = np.flatnonzero(found)
        places.append(start + differs)
        changes.append(found[differs])
        start += members.size
    where = np.concatenate([np.empty(0, np.int64), *places])
    escapes, rest = np.divmod(np.diff(where, prepend=-1) - 1, _ESCAPE)
    ends = np.cumsum(escapes + 1)
    gaps = np.full(int(ends[-1]) if ends.size else 0, _ESCAPE, dtype=np.uint8)
    gaps[ends - 1] = rest
    return gaps, np.concatenate([np.empty(0, np.uint8), *changes])


def decode_sparse(
    gaps: np.ndarray, changes: np.ndarray, reference: np.ndarray, grouped: bool = True
) -> np.ndarray:
    """The survival that ``encode_sparse`` was given; ValueError when the parts do not fit together.

    Not ``grouped``, the weights are gone through in their own order, as earlier versions wrote them.
    """
    is_change = gaps != _ESCAPE
    where = np.cumsum(gaps, dtype=np.int64)[is_change] + np.arange(np.count_nonzero(is_change))
    if where.size != changes.size or (where.size and where[-1] >= reference.size):
        raise ValueError("its list of differences does not fit the base ticket")
    survival = reference.copy()
    if not grouped:
        survival[where] += changes
        return survival
    start = first = 0
    for _, members in _groups(reference):
        last = int(np.searchsorted(where, start + members.size))
        survival[members[where[first:last] - start]] += changes[first:last]
        start, first = start + members.size, last
    return survival


def _groups(reference: np.ndarray, table: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Each reference value, lowest first, with the places of its weights, piece by piece; int64."""
    highest = reference.max(initial=0)
    for value in range(int(highest if table is None else table[highest]) + 1):
        for first in range(0, reference.size, _PIECE):
            piece = reference[first : first + _PIECE]
            yield value, first + np.flatnonzero((piece if table is None else table[piece]) == value)


def base_reference(
    base_survival: np.ndarray, base_levels: Sequence[float], levels: Sequence[float]
) -> np.ndarray:
    """The survival a ticket of these levels would have if it were the base ticket, uint8 (n,).

    Every level is matched with the base level of the nearest sparsity (the lower one on a tie), so that
    tickets with fewer or other levels than the base ticket are still close to it.
    """
    table = base_table(base_levels, levels)
    return base_survival if table is None else table[base_survival]


def base_table(base_levels: Sequence[float], levels: Sequence[float]) -> np.ndarray | None:
    """What ``base_reference`` makes of each base survival, uint8 (base levels + 1,), ascending; None: the same."""
    if tuple(levels) == tuple(base_levels):
        return None
    distance = np.abs(np.subtract.outer(np.asarray(levels), np.asarray(base_levels)))
    nearest = distance.argmin(axis=1)
    return np.array(
        [np.count_nonzero(nearest < value) for value in range(len(base_levels) + 1)], dtype=np.uint8
    )


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
