"""Has a foreign file read by a process of its own, under limits, and takes in what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

import lsn_core
from lsn_core.masks.foreign.source import Refused

KINDS: Mapping[str, str] = {
    ".pt": "torch",
    ".pth": "torch",
    ".bin": "torch",
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".npy": "npy",
}
"""A file's ending to the reader that opens it."""

_SECONDS = 60
_BYTES_A_SECOND = 20_000_000
_GET_AGAIN = "get the file from its author again, or save its masks as safetensors"


@dataclass(frozen=True, eq=False)
class Entry:
    """One array of a file. ``odd`` values are neither 0 nor 1, ``example`` is the first of them.

    ``odd`` is None when the values were not read, as there are more than the model can have. ``bits`` are
    the values packed row by row, the first in the lowest bit of uint8 (ceil(size / 8),); None unless all
    are 0 or 1.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    odd: int | None
    example: str | None
    bits: np.ndarray | None

    def array(self) -> np.ndarray:
        """The values, bool in the array's shape."""
        if self.bits is None:
            raise ValueError(f"the values of {self.name} are not there")
        size = int(np.prod(self.shape, dtype=np.int64))
        return np.unpackbits(self.bits, count=size, bitorder="little").astype(bool).reshape(self.shape)


def read_foreign(path: Path, kind: str, limit: int) -> tuple[Entry, ...]:
    """The arrays of a file of this kind (a value of ``KINDS``), in the file's order.

    ``limit`` is the number of values up to which they are read. Raises Refused when the file is damaged,
    asks for something to be run, claims more than it holds, or takes too much memory or time.
    """
    with tempfile.TemporaryDirectory(prefix="lsn-import-") as folder:
        out = Path(folder) / "bits.safetensors"
        answer = _run_child(path, kind, limit, out, Path(folder))
        if "found" in answer:
            raise Refused(answer["found"], answer["mend"])
        try:
            bits = load_file(out) if out.exists() else {}
        except SafetensorError as error:
            raise Refused("its reading came to no end", _GET_AGAIN) from error
    return tuple(
        Entry(
            entry["name"],
            tuple(entry["shape"]),
            entry["dtype"],
            entry["odd"],
            entry["example"],
            bits.get(str(number)),
        )
        for number, entry in enumerate(answer["arrays"])
    )


def _run_child(path: Path, kind: str, limit: int, out: Path, folder: Path) -> dict:
    places = [str(Path(lsn_core.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    seconds = _SECONDS + path.stat().st_size // _BYTES_A_SECOND
    try:
        done = subprocess.run(
            # -P: nothing is imported from the folder that the process happens to run in.
            [
                *(sys.executable, "-P", "-m", "lsn_core.masks.foreign.child"),
                *(kind, path.resolve(), str(limit), str(seconds), out),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=folder,
            # Every thread of the matrix library would set aside address space, of which there is little.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, places)),
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"reading it takes more than the {seconds} s that are allowed", _GET_AGAIN) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Refused(f"its reading failed ({last})", _GET_AGAIN)
    return json.loads(done.stdout)
