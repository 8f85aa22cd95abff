"""Tickets on disk beside the mask files of the paper: their size, the least they could have, and writing one."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.overlap import mbert_layout
from benchmarks.table import Row
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.codec import base_reference
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from lsn_core.masks.ticket_file import References, read_ticket, write_ticket

ATLAS = Path(__file__).resolve().parent.parent / "masks" / "e5-small"
REPEATS = 3
AIM = "1,000× smaller, written in under 1 s"


@dataclass(frozen=True)
class Written:
    """A ticket's file: its bytes, and the seconds to encode, write and force it to disk (the least of several)."""

    size: int
    seconds: float


def measure() -> list[Row]:
    """Real tickets of both tasks of the atlas of multilingual-e5-small, and one as large as mBERT's."""
    atlas = Atlas.open(ATLAS)
    base = atlas.ticket(BASE_KEY)
    rows = [_of_task(atlas, base, task) for task in ("mlm", "pos")]
    return [*rows, _of_mbert_shape(base, atlas.ticket(TicketKey("mlm", "en", "imp", 0)))]


def _of_task(atlas: Atlas, base: Ticket, task: str) -> Row:
    tickets = [header for header in atlas.headers() if header.key.task == task]
    others = [header for header in atlas.headers() if header.base_hash == base.content_hash]
    sizes = [header.path.stat().st_size for header in tickets]
    share = atlas.header(BASE_KEY).path.stat().st_size / len(others)
    ticket = atlas.ticket(tickets[0].key)
    written = _write(ticket, base)
    paper = _paper_size(ticket.layout) * len(ticket.levels)
    least = _least_size(ticket.survival, base_reference(base.survival, base.levels, ticket.levels).values())
    size = float(np.mean(sizes))
    return Row(
        work=f"ticket on disk, {task}, {len(ticket.levels)} levels, multilingual-e5-small ({_millions(ticket)}), "
        f"mean of {len(tickets)}",
        against=f"the paper's mask.pt, {len(ticket.levels)} of them",
        ours=f"{size / 1e6:.2f} MB, and {share / 1e6:.2f} MB as its share of the base ticket; "
        f"written in {written.seconds:.2f} s",
        theirs=f"{paper / 1e6:.0f} MB",
        ratio=paper / size,
        aim=AIM,
        reached=paper / size >= 1000 and written.seconds < 1,
        limit=f"entropy of {ticket.key.stem} given the base ticket: {least / 1e6:.2f} MB ({paper / least:.0f}×), "
        f"the file has {written.size / 1e6:.2f} MB",
    )


def _of_mbert_shape(base: Ticket, ticket: Ticket) -> Row:
    """A ticket of mBERT's shape: no real one is at hand, so the weights are those of the real ticket four times."""
    layout, levels = mbert_layout(), len(ticket.levels)
    times = layout.size // ticket.layout.size
    reference, survival = np.tile(base.survival, times), np.tile(ticket.survival, times)
    big_base = replace(base, layout=layout, survival=reference)
    big = replace(ticket, layout=layout, survival=survival)
    written, paper = _write(big, big_base), _paper_size(layout) * levels
    least = _least_size(survival, reference)
    return Row(
        work=f"ticket on disk, {levels} levels, mBERT's shape ({_millions(big)}): {ticket.key.stem} of "
        f"multilingual-e5-small {times} times over",
        against=f"the paper's mask.pt, {levels} of them",
        ours=f"{written.size / 1e6:.2f} MB; written in {written.seconds:.2f} s",
        theirs=f"{paper / 1e6:.0f} MB",
        ratio=paper / written.size,
        aim=AIM,
        reached=paper / written.size >= 1000 and written.seconds < 1,
        limit=f"entropy given the base ticket: {least / 1e6:.2f} MB ({paper / least:.0f}×)",
    )


def _write(ticket: Ticket, base: Ticket) -> Written:
    """Write a ticket as a run does that has written others before it, and read it again."""
    references = References()
    with tempfile.TemporaryDirectory() as folder:
        path, taken = Path(folder) / "ticket", []
        for _ in range(1 + REPEATS):
            again = replace(ticket)  # nothing is remembered of the last time
            started = time.perf_counter()
            write_ticket(path, again, base, references)
            taken.append(time.perf_counter() - started)
        if not np.array_equal(read_ticket(path, base).survival, ticket.survival):
            raise AssertionError("the ticket that was read is not the one that was written")
        return Written(path.stat().st_size, min(taken[1:]))


def _paper_size(layout: Layout) -> int:
    """Bytes of one file of float masks, as torch saves the buffers of torch.nn.utils.prune."""
    import torch

    masks = {f"{matrix.name}_mask": torch.ones(matrix.shape) for matrix in layout.matrices}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.pt"
        torch.save(masks, path)
        return path.stat().st_size


def _least_size(survival: np.ndarray, reference: np.ndarray) -> float:
    """Bytes that no code of the weights one by one, given the base ticket, can go below on average (Shannon)."""
    bits = 0.0
    for value in np.flatnonzero(np.bincount(reference)):
        counts = np.bincount(survival[reference == value]).astype(np.float64)
        counts = counts[counts > 0]
        bits -= float(np.sum(counts * np.log2(counts / counts.sum())))
    return bits / 8


def _millions(ticket: Ticket) -> str:
    return f"{ticket.layout.size / 1e6:.0f} M weights"
