"""What a stopped ticket leaves behind: the masks and scores of its finished rounds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from lsn_core.discovery.lottery import Progress
from lsn_core.errors import CorruptFile
from lsn_core.masks.atlas import atomic_write_bytes
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import Score

_FILE = "rounds.safetensors"


def save_progress(folder: Path, config_hash: str, progress: Progress) -> None:
    """Write the progress of the ticket with this configuration, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    words = np.stack([m.words for m in progress.masks]) if progress.masks else np.empty((0, 0), np.uint64)
    header = {
        "config_hash": config_hash,
        "rounds_done": progress.rounds_done,
        "scores": [asdict(score) for score in progress.scores],
        "digest": hashlib.sha256(words.tobytes()).hexdigest(),
    }
    atomic_write_bytes(
        folder / _FILE, to_safetensors({"words": words}, metadata={"lsn": json.dumps(header, sort_keys=True)})
    )


def load_progress(folder: Path, config_hash: str, layout: Layout) -> Progress | None:
    """Return the progress that was saved for this configuration, or None.

    Raises CorruptFile when the file is damaged; deleting the folder then starts the ticket afresh.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads(file.metadata()["lsn"])
            words = file.get_tensor("words")
        if hashlib.sha256(words.tobytes()).hexdigest() != header["digest"]:
            raise ValueError("digest")
        if header["config_hash"] != config_hash:
            return None
        masks = tuple(Mask.from_words(row, layout) for row in words)
        scores = tuple(Score(**score) for score in header["scores"])
        return Progress(header["rounds_done"], masks, scores)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            f"The saved rounds in {str(path)!r} are damaged; delete that folder to start its ticket afresh."
        ) from error
