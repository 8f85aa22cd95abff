"""Overlap of many masks: in memory beside stacked float masks, and from disk beside reading the bytes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numkong
import numpy as np

from benchmarks.table import Row
from lsn_core.analysis.intersections import intersections
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.stored import StoredMask, store

MASKS, LANGUAGES, THREADS, REPEATS = 33, 100, 2, 3


@dataclass(frozen=True)
class Counted:
    """What counting took: seconds (the least of several), bytes of memory, and the counts of the first two masks.

    ``above_rest`` is the peak above what the process held before there was a mask, ``resident`` the peak in all.
    """

    seconds: float
    above_rest: int
    resident: int
    first_pair: list[int]


def measure() -> list[Row]:
    """The two rows of issue 5, each part in a process of its own."""
    return [_in_memory(), _from_disk()]


def mbert_layout() -> Layout:
    """The prunable matrices of mBERT's twelve layers: 84,934,656 weights."""
    shapes = {
        **dict.fromkeys(("query", "key", "value", "attention output"), (768, 768)),
        "feed-forward in": (3072, 768),
        "feed-forward out": (768, 3072),
    }
    return Layout(
        tuple(
            Matrix(f"encoder.layer.{layer}.{component}", shape, "encoder", layer, component)
            for layer in range(12)
            for component, shape in shapes.items()
        )
    )


def _in_memory() -> Row:
    ours, theirs = _apart(_count_in_memory), _apart(_count_as_floats)
    if ours.first_pair != theirs.first_pair:
        raise AssertionError("the two ways do not count the same")
    pairs, packed = MASKS * (MASKS - 1) // 2, MASKS * 8 * int(mbert_layout().word_offsets[-1])
    ratio, memory = theirs.seconds * pairs / ours.seconds, ours.above_rest / packed
    least = _apart(_arithmetic)
    return Row(
        work=f"overlap of {MASKS} masks of 85 M weights (mBERT), {pairs} pairs, per matrix",
        against="stacked float masks, as the paper's code does, one pair",
        ours=f"{ours.seconds:.3f} s, {1000 * ours.seconds / pairs:.3f} ms a pair; {memory:.2f} × the packed bits",
        theirs=f"{theirs.seconds:.2f} s a pair",
        ratio=ratio,
        aim="5,000× a pair, under 1 s, under 1.3 × the packed bits",
        reached=ratio >= 5000 and ours.seconds < 1 and memory < 1.3,
        limit=f"arithmetic: the same ANDs and bit counts over a cached block take {least:.3f} s",
    )


def _from_disk() -> Row:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _apart(_store_all, folder)
        ours = _apart(_count_from_disk, folder)
        warm, hashed = _apart(_read_all, folder, False), _apart(_read_all, folder, True)
        first, second = (StoredMask.open(folder / str(number)).load() for number in (0, 1))
        if (first & second).counts.tolist() != ours.first_pair:
            raise AssertionError("the masks on disk do not count as those in memory")
        cold = _apart(_read_cold, folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
    return Row(
        work=f"overlap of {LANGUAGES} languages from disk, {LANGUAGES * (LANGUAGES - 1) // 2:,} pairs, per matrix",
        against=f"reading the {size / 1e9:.2f} GB",
        ours=f"{ours.seconds:.2f} s; {ours.resident / 1e6:.0f} MB resident",
        theirs=f"{warm:.2f} s from the system's cache, {cold:.2f} s from the disk",
        ratio=warm / ours.seconds,
        aim="under 10 s warm, under 400 MB",
        reached=ours.seconds < 10 and ours.resident < 400e6,
        limit=f"reading and checking (sha256) alone take {hashed:.2f} s; the rest is arithmetic",
    )


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of work in a new process, whose peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _mask(number: int, layout: Layout) -> Mask:
    words = np.random.default_rng(number).integers(
        0, 2**64, int(layout.word_offsets[-1]), dtype=np.uint64
    )  # every matrix of mBERT fills whole words
    words.setflags(write=False)
    return Mask(words, layout)


def _peak() -> int:
    """The most memory that this process has held, in bytes; unlike ``ru_maxrss``, without its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _count(masks: list[Mask] | list[StoredMask], rest: int) -> Counted:
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        counts = intersections(masks, THREADS)
        taken.append(time.perf_counter() - started)
    return Counted(min(taken), _peak() - rest, _peak(), counts[0, 1].tolist())


def _count_in_memory() -> Counted:
    layout, rest = mbert_layout(), _peak()
    return _count([_mask(number, layout) for number in range(MASKS)], rest)


def _count_as_floats() -> Counted:
    """One pair by float tensors: stack, add, and take out the weights that both or any keep."""
    import torch

    torch.set_num_threads(THREADS)
    layout, rest = mbert_layout(), _peak()
    masks = [
        {
            name: torch.from_numpy(kept.astype(np.float32))
            for name, kept in _mask(number, layout).arrays().items()
        }
        for number in (0, 1)
    ]
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        shared = []
        for name in layout.names:
            kept_by = torch.stack([mask[name] for mask in masks], dim=0).sum(dim=0)
            any_keeps, both_keep = len(kept_by[kept_by != 0]), len(kept_by[kept_by == 2])
            assert both_keep <= any_keeps
            shared.append(both_keep)
        taken.append(time.perf_counter() - started)
    return Counted(min(taken), _peak() - rest, _peak(), shared)


def _arithmetic() -> float:
    """Seconds for as many words and pairs as the masks in memory have, from blocks that stay in the cache."""
    width = 2**10  # 270 KB of all masks
    blocks = int(mbert_layout().word_offsets[-1]) // width
    octets = np.random.default_rng(0).integers(0, 256, (MASKS, 8 * width), dtype=np.uint8)

    def count(share: int) -> None:
        mine = octets.copy()
        for _ in range(share):
            numkong.dots_symmetric(mine, dtype="uint1")

    return _seconds(count, [blocks // THREADS] * THREADS)


def _store_all(folder: Path) -> None:
    layout = mbert_layout()
    for number in range(LANGUAGES):
        store(folder / str(number), _mask(number, layout))


def _count_from_disk(folder: Path) -> Counted:
    return _count([StoredMask.open(folder / str(number)) for number in range(LANGUAGES)], 0)


def _read_all(folder: Path, check: bool) -> float:
    """Seconds to read every file, 64 KB at a time, and where asked to take its sha256."""

    def read(files: list[Path]) -> None:
        buffer = bytearray(2**16)
        for file in files:
            with open(file, "rb", buffering=0) as stream:
                while length := stream.readinto(buffer):
                    if check:
                        hashlib.sha256(memoryview(buffer)[:length]).digest()

    files = sorted(folder.iterdir())
    return _seconds(read, [files[start::THREADS] for start in range(THREADS)])


def _read_cold(folder: Path) -> float:
    """Seconds to read every file after the system was asked to drop it from its cache."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return _read_all(folder, False)


def _seconds(work: Callable[[Any], None], shares: list[Any]) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(len(shares)) as pool:
        list(pool.map(work, shares))
    return time.perf_counter() - started
