"""Reads one foreign file in a process of its own: ``python -m lsn_core.masks.foreign.child KIND FILE VALUES SECONDS OUT``.

The process limits its own memory and time before it opens the file. It prints one line of JSON: what it found,
or why the file is not read; the packed bits go to OUT as safetensors, named by the arrays' numbers. Nothing
heavier than numpy is imported.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lsn_core.masks.files import reason
from lsn_core.masks.foreign.numpy_files import open_npy, open_npz, open_safetensors
from lsn_core.masks.foreign.source import Header, Refused, Source, masks_among, odd_values, packed
from lsn_core.masks.foreign.torch_zip import open_torch

MAX_MEMORY = 2 * 2**30
_LEAST_ROOM = 128 * 2**20
_ROOM_A_BYTE = 4
_ROOM_A_VALUE = 32

_OPENERS: Mapping[str, Callable[[Path, int], AbstractContextManager[Source]]] = {
    "torch": open_torch,
    "safetensors": open_safetensors,
    "npz": open_npz,
    "npy": open_npy,
}


def main(arguments: Sequence[str]) -> int:
    """Read the file that the arguments name and print the answer."""
    kind, path, values, seconds, out = arguments
    allowed = MAX_MEMORY
    try:
        allowed = _limit_itself(int(seconds), _room(Path(path), int(values)))
        answer = _read(kind, Path(path), int(values), Path(out))
    except Refused as refusal:
        answer = {"found": refusal.found, "mend": refusal.mend}
    except MemoryError:
        answer = {
            "found": f"reading it takes more than the {allowed // 2**20} MiB that are allowed",
            "mend": "save the masks alone, one array a matrix",
        }
    except OSError as error:  # it was there a moment ago; its path is the server's business
        answer = {"found": f"it cannot be read ({reason(error)})", "mend": "give it again"}
    print(json.dumps(answer))
    return 0


def _read(kind: str, path: Path, limit: int, out: Path) -> dict[str, Any]:
    """What the file declares; and its values, where they are no more than ``limit``."""
    with _OPENERS[kind](path, limit) as source:
        headers = masks_among(source.headers)
        if sum(header.size for header in headers) > limit:
            return {"arrays": [_entry(header, None, None) for header in headers]}
        entries, bits = [], {}
        for number, header in enumerate(headers):
            array = source.load(header)
            odd = odd_values(array)
            entries.append(_entry(header, odd, _example(array) if odd else None))
            if not odd and header.size:
                bits[str(number)] = packed(array)
        save_file(bits, out)
        return {"arrays": entries}


def _entry(header: Header, odd: int | None, example: str | None) -> dict[str, Any]:
    return {
        "name": header.name,
        "shape": list(header.shape),
        "dtype": header.dtype,
        "odd": odd,
        "example": example,
    }


def _example(array: np.ndarray) -> str:
    """The first value that is neither 0 nor 1."""
    flat = array.ravel()
    value = float(flat[np.argmax((flat != 0) & (flat != 1))])
    return f"{value:g}" if math.isfinite(value) else str(value)


def _room(path: Path, values: int) -> int:
    """Bytes of memory that a sound file may take: its own a few times over, and those of so many values."""
    return _LEAST_ROOM + _ROOM_A_BYTE * path.stat().st_size + _ROOM_A_VALUE * values


def _limit_itself(seconds: int, room: int) -> int:
    """Where the system can: a file that takes more memory ends in MemoryError, not in a full machine.

    ``room`` comes on top of what this process has now. The processor's time is limited too, for the case that
    nobody is left who waits for this process. Returns the limit in bytes.
    """
    limit = MAX_MEMORY
    if sys.platform == "linux":
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = min(MAX_MEMORY, now + room)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return limit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
