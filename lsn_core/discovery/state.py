"""What a stopped ticket leaves behind: the masks and scores of its finished rounds."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from lsn_core.discovery.lottery import Progress
from lsn_core.errors import CorruptFile
from lsn_core.masks.checks import is_real, is_whole
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import Score

ROUNDS_FILE = "rounds.safetensors"
"""The name of the file in the folder of a run."""
_DAMAGED = (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError)


def save_progress(folder: Path, run: str, progress: Progress) -> None:
    """Write the progress of one run, atomically. `run` names all that its bits depend on.

    The file is safetensors with one tensor, `words`, uint64 (masks, W). It is written mask by mask.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [mask.words.astype("<u8", copy=False) for mask in progress.masks]
    header = {
        "run": run,
        "rounds_done": progress.rounds_done,
        "scores": [asdict(score) for score in progress.scores],
        "seconds": progress.seconds,
    }
    metadata = {"lsn": canonical_json({**header, "digest": _digest(header, words)})}
    shape = [len(words), words[0].size if words else 0]
    tensor = {"dtype": "U64", "shape": shape, "data_offsets": [0, 8 * shape[0] * shape[1]]}
    head = canonical_json({"__metadata__": metadata, "words": tensor}).encode()
    head = head.ljust(-(-len(head) // 8) * 8)
    atomic_write_bytes(folder / ROUNDS_FILE, struct.pack("<Q", len(head)), head, *words)


def load_progress(folder: Path, run: str, layout: Layout) -> Progress | None:
    """Return the progress that was saved for this run, or None where there is none of it.

    Raises CorruptFile when the file is damaged; deleting the folder then starts the ticket afresh.
    """
    path = folder / ROUNDS_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            header = parse_json(file.metadata()["lsn"])
            stored = file.get_slice("words")
            words = [stored[number] for number in range(stored.get_shape()[0])]
        if header.pop("digest") != _digest(header, words):
            raise ValueError("the digest does not fit")
        if header["run"] != run:
            return None
        masks = tuple(Mask.from_words(words.pop(0), layout) for _ in range(len(words)))
        scores = tuple(Score(**score) for score in header["scores"])
        if not is_whole(header["rounds_done"]) or not is_real(header["seconds"]):
            raise ValueError("its numbers are none")
        return Progress(header["rounds_done"], masks, scores, header["seconds"])
    except _DAMAGED as error:
        raise CorruptFile(
            f"The saved rounds in {str(path)!r} are damaged; delete that folder to start its ticket afresh."
        ) from error


def saved_scores(folder: Path) -> tuple[Score, ...] | None:
    """Return the scores of the finished rounds that are saved in `folder`; None where there are none to read.

    Meant for looking on while the run that writes there goes on: what masks there are is not looked at.
    """
    try:
        with safe_open(folder / ROUNDS_FILE, framework="np") as file:
            return tuple(Score(**score) for score in parse_json(file.metadata()["lsn"])["scores"])
    except _DAMAGED:
        return None


def _digest(header: Mapping[str, Any], words: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256(canonical_json(header).encode())
    for row in words:
        digest.update(np.ascontiguousarray(row).data)
    return digest.hexdigest()
