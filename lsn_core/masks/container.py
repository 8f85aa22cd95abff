"""The outer shell of the files of tickets and packed masks: safetensors, in the one form that has no spare byte.

safetensors is an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes
(https://github.com/huggingface/safetensors, "Format"). Many headers describe the same tensors; here only
one is written and only that one is read, so a byte that is changed anywhere is noticed. Any safetensors
library reads these files.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lsn_core.errors import CorruptFile

METADATA_KEY = "lsn"
MAX_HEADER_BYTES = 16 * 2**20

_LENGTH = struct.Struct("<Q")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Shell:
    """What the header of an open file says: its metadata text and the length of each tensor in bytes."""

    metadata: str
    lengths: Mapping[str, int]


def build(metadata: str, parts: Mapping[str, bytes]) -> bytes:
    """The file's bytes: ``metadata`` under the key ``lsn``, each part as a one-dimensional uint8 tensor."""
    header = _header(metadata, {name: len(data) for name, data in parts.items()})
    return b"".join([_LENGTH.pack(len(header)), header, *(parts[name] for name in sorted(parts))])


def read_shell(stream: BinaryIO, path: Path, kind: str = "ticket") -> Shell:
    """Read the header of a file of this kind and leave the stream at the first tensor.

    Raises CorruptFile when the header is not the one that ``build`` writes or does not fit the length of
    the file. Nothing of a declared size is allocated.
    """
    file_size = stream.seek(0, 2)
    stream.seek(0)
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise CorruptFile(f"{path} is damaged: it is too short to be a {kind}")
    (length,) = _LENGTH.unpack(start)
    if length > min(MAX_HEADER_BYTES, file_size - _LENGTH.size):
        raise CorruptFile(f"{path} is damaged or not a {kind}: its header claims {length} bytes")
    raw = stream.read(length)
    shell = _parse(raw)
    if shell is None or _header(shell.metadata, shell.lengths) != raw:
        raise CorruptFile(
            f"{path} is damaged or not a {kind}: its header is not one that this software writes"
        )
    expected = _LENGTH.size + length + sum(shell.lengths.values())
    if file_size != expected:
        raise CorruptFile(f"{path} is damaged: it has {file_size} bytes where its header says {expected}")
    return shell


def read_parts(stream: BinaryIO, shell: Shell) -> dict[str, bytes]:
    """The tensors' bytes, from a stream where ``read_shell`` left it."""
    return {name: stream.read(shell.lengths[name]) for name in sorted(shell.lengths)}


def parse_json(text: str | bytes) -> Any:
    """Parsed JSON, or None when it is none, or none that can be meant.

    That is what is nested too deeply, and text with half a surrogate pair, which can be neither shown nor
    written.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        data = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(data, ensure_ascii=False).encode()
        return data
    except (ValueError, RecursionError):
        return None


def canonical_json(data: Any) -> str:
    """The one JSON text that is written for this data; ValueError or TypeError when there is none."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _header(metadata: str, lengths: Mapping[str, int]) -> bytes:
    tensors: dict[str, Any] = {"__metadata__": {METADATA_KEY: metadata}}
    start = 0
    for name in sorted(lengths):
        stop = start + lengths[name]
        tensors[name] = {"dtype": "U8", "shape": [lengths[name]], "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(tensors, separators=(",", ":"))
    return text.encode().ljust(-(-len(text) // 8) * 8)


def _parse(raw: bytes) -> Shell | None:
    header = parse_json(raw)
    try:
        metadata = header["__metadata__"][METADATA_KEY]
        lengths = {name: tensor["shape"][0] for name, tensor in header.items() if name != "__metadata__"}
    except (TypeError, KeyError, IndexError, AttributeError):
        return None
    sound = isinstance(metadata, str) and all(type(n) is int and n >= 0 for n in lengths.values())
    return Shell(metadata, lengths) if sound else None
