"""The file of a ticket.

It is safetensors (``container.py``) with coded survival (``codec.py``) and one JSON text. The JSON carries a
sha256 of each coded part, a content hash of what the ticket says, and a seal over all the JSON, so that
every byte of the file is covered and no ticket is read that is not the one that was written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lsn_core.errors import CorruptFile, LsnError, brief
from lsn_core.masks import codec, container
from lsn_core.masks.checks import is_whole
from lsn_core.masks.files import atomic_write_bytes, open_regular
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import Score, Ticket, TicketKey, check_levels, check_provenance

FORMAT_VERSION = 1

_CODECS: Mapping[str, tuple[set[str], set[str]]] = {
    "plain": ({"survival"}, set()),
    "grouped": ({"gaps", "changes"}, {"base"}),
    "sparse": ({"gaps", "changes"}, {"base"}),
    "philox": (set(), {"key"}),
}
"""Name of a code: the parts it has, and what else the header has to say about it."""
_CLEARLY_SPARSE = 10  # where fewer than one weight in so many differs, the plain code is not even tried
_PACKING_ROOM = 64  # what a packed part may have beside its data; more than the data where those are few
_HEADER_FIELDS = {
    *("format_version", "key", "layout", "levels", "scores", "config_hash", "provenance"),
    *("kept", "codec", "parts", "content_hash", "seal"),
}


@dataclass(frozen=True, eq=False)
class TicketHeader:
    """All that a ticket's file says except the masks themselves; cheap to read.

    ``kept`` is int64 (L, M); ``codec`` names how the masks are stored and ``base_hash``, where they are
    stored as differences, the content hash of the base ticket that is needed to read them.
    """

    path: Path
    key: TicketKey
    layout: Layout
    levels: tuple[float, ...]
    scores: tuple[Score, ...]
    provenance: Mapping[str, Any]
    config_hash: str
    kept: np.ndarray
    codec: str
    base_hash: str | None
    philox_key: int | None
    content_hash: str
    parts: Mapping[str, tuple[int, str]]
    """Name of each coded part: its length once unpacked, and the sha256 of its packed bytes."""


class References:
    """The base ticket as the tickets that are stored against it see it, kept for the next one of the same levels.

    Where several tickets of one atlas are read or written, it is prepared once.
    """

    def __init__(self) -> None:
        self._last: tuple[str, tuple[float, ...], codec.Reference] | None = None

    def of(self, base: Ticket, levels: tuple[float, ...]) -> codec.Reference:
        """The reference for tickets of these levels."""
        last = self._last
        if last is None or last[:2] != (base.content_hash, levels):
            reference = codec.base_reference(base.survival, base.levels, levels)
            last = self._last = (base.content_hash, levels, reference)
        return last[2]


def write_ticket(
    path: Path, ticket: Ticket, base: Ticket | None, references: References | None = None
) -> None:
    """Write a ticket, whole or not at all, in the smallest of the codes that fit.

    ``base`` is the base ticket that a reader will have too, or None; ``references`` spare work where several
    tickets are written. Raises LsnError when the base ticket is of another layout, or the masks are not those
    that ``ticket.philox_key`` draws.
    """
    if base is not None and base.layout != ticket.layout:
        raise LsnError(f"ticket {ticket.key.stem} and the base ticket are over different matrices")
    coding, parts = _encode(ticket, base, references or References())
    header = {
        "format_version": FORMAT_VERSION,
        "key": asdict(ticket.key),
        "layout": ticket.layout.to_json(),
        "levels": list(ticket.levels),
        "scores": [asdict(score) for score in ticket.scores],
        "config_hash": ticket.config_hash,
        "provenance": ticket.provenance,
        "kept": ticket.kept.tolist(),
        "codec": coding,
        "parts": {name: [part.length, hashlib.sha256(part.data).hexdigest()] for name, part in parts.items()},
        "content_hash": ticket.content_hash,
    }
    header["seal"] = _seal(header)
    data = {name: part.data for name, part in parts.items()}
    atomic_write_bytes(path, container.build(container.canonical_json(header), data))


def read_header(path: Path, check_parts: bool = False) -> TicketHeader:
    """What the file says about its ticket; with ``check_parts`` also that the coded masks are intact.

    Raises LsnError when the file cannot be read or was written by a newer version, CorruptFile when its
    bytes are not those that were written.
    """
    with open_regular(path) as stream:
        header, shell = _read_header(stream, Path(path))
        if check_parts:
            _checked_parts(stream, shell, header)
    return header


def read_ticket(
    path: Path,
    base: Ticket | None = None,
    layout: Layout | None = None,
    references: References | None = None,
) -> Ticket:
    """The ticket in a file, proven to be the one that was written.

    ``base`` is needed where the masks are stored as differences from it; ``layout``, when given, is the one
    that the ticket must be over, looked at before anything is unpacked; ``references`` spare work where several
    tickets are read. Raises LsnError when the file cannot be read, the base ticket is missing or another, or the layout differs; CorruptFile when the bytes
    are not those that were written.
    """
    with open_regular(path) as stream:
        header, shell = _read_header(stream, Path(path))
        if layout is not None and header.layout != layout:
            raise LsnError(f"{path} holds a ticket over the matrices of another model")
        reference = _base_for(header, base)
        parts = _checked_parts(stream, shell, header)
    try:
        survival = _decode(header, parts, reference, references or References())
        survival.setflags(write=False)
        ticket = Ticket(
            header.key,
            header.layout,
            header.levels,
            survival,
            header.scores,
            header.provenance,
            header.config_hash,
            header.philox_key,
        )
    except ValueError as error:  # LsnError is one
        raise CorruptFile(f"{path} is damaged: {brief(error)}") from error
    if ticket.content_hash != header.content_hash or not np.array_equal(ticket.kept, header.kept):
        raise CorruptFile(f"{path} is damaged: its masks are not those that its content hash names")
    return ticket


def _encode(
    ticket: Ticket, base: Ticket | None, references: References
) -> tuple[dict[str, Any], dict[str, codec.Packed]]:
    """The smallest coding: what the header says of it, and its parts."""
    if ticket.philox_key is not None:
        drawn = codec.make_random_survival(ticket.layout, ticket.kept, ticket.philox_key)
        if not np.array_equal(drawn, ticket.survival):
            raise LsnError(f"the masks of ticket {ticket.key.stem} are not those that its random key draws")
        return {"name": "philox", "key": ticket.philox_key}, {}
    sparse: dict[str, codec.Packed] = {}
    if base is not None:
        gaps, changes = codec.encode_sparse(ticket.survival, references.of(base, ticket.levels))
        sparse = {"gaps": codec.pack(gaps), "changes": codec.pack(changes)}
        if changes.size < ticket.layout.size // _CLEARLY_SPARSE:
            return {"name": "grouped", "base": base.content_hash}, sparse
    plain = {"survival": codec.pack(codec.encode_plain(ticket.survival, len(ticket.levels)))}
    if base is not None and _data_size(sparse) < _data_size(plain):
        return {"name": "grouped", "base": base.content_hash}, sparse
    return {"name": "plain"}, plain


def _data_size(parts: Mapping[str, codec.Packed]) -> int:
    return sum(len(part.data) for part in parts.values())


def _decode(
    header: TicketHeader, parts: Mapping[str, codec.Packed], base: Ticket | None, references: References
) -> np.ndarray:
    """The survival; ValueError when the parts are not what the header says."""
    size, levels = header.layout.size, header.levels
    if header.codec == "philox" and header.philox_key is not None:
        return codec.make_random_survival(header.layout, header.kept, header.philox_key)
    if header.codec == "plain":
        if parts["survival"].length != codec.plain_length(size, len(levels)):
            raise ValueError(f"its masks do not have the {size} weights that its header says")
        return codec.decode_plain(codec.unpack(parts["survival"]), size, len(levels))
    if base is None:
        raise ValueError("its masks are stored as differences from nothing")
    if parts["gaps"].length > size + size // 255 or parts["changes"].length > size:
        raise ValueError(f"its masks have more differences than the {size} weights that its header says")
    gaps, changes = codec.unpack(parts["gaps"]), codec.unpack(parts["changes"])
    return codec.decode_sparse(gaps, changes, references.of(base, levels), header.codec == "grouped")


def _base_for(header: TicketHeader, base: Ticket | None) -> Ticket | None:
    """The base ticket to decode with, if one is needed; LsnError when it is missing or another."""
    if header.base_hash is None:
        return None
    if base is None:
        raise LsnError(
            f"{header.path} is stored as differences from base ticket {header.base_hash[:12]}, "
            "which is missing or damaged; put it back, or discover the tickets again"
        )
    if base.content_hash != header.base_hash or base.layout != header.layout:
        raise LsnError(
            f"{header.path} is stored as differences from base ticket {header.base_hash[:12]}, "
            f"but the base ticket here is {base.content_hash[:12]}; put the right one back"
        )
    return base


def _read_header(stream: BinaryIO, path: Path) -> tuple[TicketHeader, container.Shell]:
    shell = container.read_shell(stream, path)
    data = container.parse_json(shell.metadata)
    if not isinstance(data, dict) or not is_whole(data.get("format_version")):
        raise CorruptFile(f"{path} is damaged or not a ticket: its header holds no ticket's description")
    if data["format_version"] != FORMAT_VERSION:
        raise LsnError(
            f"{path} has ticket format {brief(data['format_version'])}, and this version reads {FORMAT_VERSION}; "
            "use the version of the software that wrote it"
        )
    try:
        return _header_from_json(path, data, shell), shell
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise CorruptFile(f"{path} is damaged: its header is wrong ({brief(error)})") from error


def _header_from_json(path: Path, data: dict[str, Any], shell: container.Shell) -> TicketHeader:
    """Check and convert the header; any of the errors caught above when it is not what was written."""
    if set(data) != _HEADER_FIELDS or container.canonical_json(data) != shell.metadata:
        raise ValueError("it does not have the fields of a ticket")
    if data["seal"] != _seal({name: value for name, value in data.items() if name != "seal"}):
        raise ValueError("its seal does not fit")
    layout = Layout.from_json(data["layout"])
    levels = tuple(data["levels"])
    check_levels(levels)
    kept = np.array(data["kept"], dtype=np.int64)
    if kept.shape != (len(levels), len(layout.matrices)):
        raise ValueError("its counts of kept weights do not fit its levels and matrices")
    coding = data["codec"]
    names, extra = _CODECS[coding["name"]]
    parts = {name: (length, digest) for name, (length, digest) in data["parts"].items()}
    if set(coding) != {"name"} | extra or set(parts) != names or set(shell.lengths) != names:
        raise ValueError("its parts are not those of its code")
    if not all(is_whole(length) and isinstance(digest, str) for length, digest in parts.values()):
        raise ValueError("its parts have no proper lengths")
    if any(length > 2 * layout.size + _PACKING_ROOM for length in shell.lengths.values()):
        raise ValueError("it has more packed data than its weights can need")
    check_provenance(data["provenance"])
    for text in (data["config_hash"], data["content_hash"], coding.get("base", "")):
        if not isinstance(text, str):
            raise ValueError("its hashes are not text")
    return TicketHeader(
        path=path,
        key=TicketKey(**data["key"]),
        layout=layout,
        levels=levels,
        scores=tuple(Score(**score) for score in data["scores"]),
        provenance=data["provenance"],
        config_hash=data["config_hash"],
        kept=kept,
        codec=coding["name"],
        base_hash=coding.get("base"),
        philox_key=coding.get("key"),
        content_hash=data["content_hash"],
        parts=parts,
    )


def _checked_parts(stream: BinaryIO, shell: container.Shell, header: TicketHeader) -> dict[str, codec.Packed]:
    packed = {}
    for name, data in container.read_parts(stream, shell).items():
        length, digest = header.parts[name]
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptFile(f"{header.path} is damaged: its packed masks are not those that were written")
        packed[name] = codec.Packed(length, data)
    return packed


def _seal(header: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"seal\n{container.canonical_json(header)}".encode()).hexdigest()
