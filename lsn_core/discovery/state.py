"""What a stopped ticket leaves behind: the masks and scores of its finished rounds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from lsn_core.discovery.lottery import Progress
from lsn_core.errors import CorruptFile
from lsn_core.masks.checks import is_real, is_whole
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import Score

_FILE = "rounds.safetensors"
_DAMAGED = (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError)


def save_progress(folder: Path, run: str, progress: Progress) -> None:
    """Write the progress of one run, atomically. `run` names all that its bits depend on."""
    folder.mkdir(parents=True, exist_ok=True)
    words = np.stack([m.words for m in progress.masks]) if progress.masks else np.empty((0, 0), np.uint64)
    header = {
        "run": run,
        "rounds_done": progress.rounds_done,
        "scores": [asdict(score) for score in progress.scores],
        "seconds": progress.seconds,
    }
    metadata = {"lsn": canonical_json({**header, "digest": _digest(header, words)})}
    atomic_write_bytes(folder / _FILE, to_safetensors({"words": words}, metadata=metadata))


def load_progress(folder: Path, run: str, layout: Layout) -> Progress | None:
    """Return the progress that was saved for this run, or None where there is none of it.

    Raises CorruptFile when the file is damaged; deleting the folder then starts the ticket afresh.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            header = parse_json(file.metadata()["lsn"])
            words = file.get_tensor("words")
        if header.pop("digest") != _digest(header, words):
            raise ValueError("the digest does not fit")
        if header["run"] != run:
            return None
        masks = tuple(Mask.from_words(row, layout) for row in words)
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
        with safe_open(folder / _FILE, framework="np") as file:
            return tuple(Score(**score) for score in parse_json(file.metadata()["lsn"])["scores"])
    except _DAMAGED:
        return None


def _digest(header: Mapping[str, Any], words: np.ndarray) -> str:
    return hashlib.sha256(canonical_json(header).encode() + words.tobytes()).hexdigest()
