"""An atlas: a folder of tickets over one base model, with the tables made from them.

``atlas.json`` names the model and its prunable matrices, ``tickets/`` holds one file a ticket, and the
tables lie beside as parquet. Runs and locks live in ``runs/`` and ``.locks/`` and can be deleted at rest.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lsn_core.errors import Busy, CorruptFile, LsnError, brief
from lsn_core.masks import tables
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.files import atomic_write_bytes, read_bytes, reason
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from lsn_core.masks.ticket_file import References, TicketHeader, read_header, read_ticket, write_ticket

if TYPE_CHECKING:
    import pandas as pd

ATLAS_FILE = "atlas.json"
FORMAT_VERSION = 1

_MAX_ATLAS_BYTES = 16 * 2**20
_LONGEST_NAME = 500
_TICKETS = "tickets"
_SUFFIX = ".safetensors"
_TABLES_OF_ALL = frozenset({"overlap", "scores"})
"""Tables that are of every ticket; any other is stale only when a ticket it is stamped with has changed."""
TABLE_STAMP = "table:"
"""Before a table's name, among the stamps of a table that was made from it too; no ticket has such a name."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Problem:
    """A file of an atlas that cannot be used, and why, in one sentence."""

    path: Path
    message: str


class Atlas:
    """The tickets and tables of one base model. Make one with ``create``, ``open`` or ``open_or_create``.

    Reading never needs to write, so a shipped atlas may lie in a read-only folder. What was read of a file
    is remembered until the file changes.
    """

    def __init__(self, path: Path, model: Mapping[str, Any], layout: Layout) -> None:
        self._path = path
        self._model = dict(model)
        self._layout = layout
        self._read: dict[Path, tuple[tuple[int, ...], TicketHeader | Problem]] = {}
        self._base: Ticket | None = None
        self._references = References()

    @classmethod
    def create(cls, path: str | Path, model: Mapping[str, Any], layout: Layout) -> Atlas:
        """A new atlas; LsnError when one is there, or the model has no name and fingerprint."""
        with _locked(Path(path), "atlas", None):
            return cls._create(Path(path), model, layout)

    @classmethod
    def open(cls, path: str | Path) -> Atlas:
        """The atlas in a folder; LsnError when there is none, CorruptFile when its description is damaged."""
        path = Path(path)
        file = path / ATLAS_FILE
        if not os.path.exists(file):
            raise LsnError(f"{path} is not an atlas: it has no {ATLAS_FILE} that can be read")
        raw = read_bytes(file, _MAX_ATLAS_BYTES)
        data = parse_json(raw)
        if not isinstance(data, dict) or "format_version" not in data:
            raise CorruptFile(f"{file} is damaged: it is not the JSON of an atlas")
        if data["format_version"] != FORMAT_VERSION:
            raise LsnError(
                f"{file} has atlas format {brief(repr(data['format_version']))}; this version reads {FORMAT_VERSION}"
            )
        try:
            if raw != _description(data["model"], data["layout"]):
                raise ValueError("it is not what was written")
            _check_model(data["model"])
            return cls(path, data["model"], Layout.from_json(data["layout"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise CorruptFile(f"{file} is damaged: {brief(error)}") from error

    @classmethod
    def open_or_create(cls, path: str | Path, model: Mapping[str, Any], layout: Layout) -> Atlas:
        """The atlas in a folder, made when it is not there.

        Raises LsnError when the one that is there is of another model (by fingerprint) or layout.
        """
        path = Path(path)
        if not os.path.exists(path / ATLAS_FILE):
            with _locked(path, "atlas", None):
                if not os.path.exists(path / ATLAS_FILE):
                    return cls._create(path, model, layout)
        atlas = cls.open(path)
        _check_model(model)
        same = atlas.model["fingerprint"] == model["fingerprint"]
        # An encoder taken from an encoder-decoder model has its name, but neither all its weights nor its layout.
        if atlas.layout != layout and (same or atlas.model["name"] == model["name"]):
            raise LsnError(
                f"{path} is an atlas over other matrices of {atlas.model['name']}; choose another folder"
            )
        if not same:
            raise LsnError(
                f"{path} is an atlas of another model ({atlas.model['name']}, not {model['name']} "
                "with these weights); choose another folder"
            )
        return atlas

    @classmethod
    def _create(cls, path: Path, model: Mapping[str, Any], layout: Layout) -> Atlas:
        _check_model(model)
        if os.path.exists(path / ATLAS_FILE):
            raise LsnError(f"{path} is an atlas already")
        try:
            data = _description(dict(model), layout.to_json())
        except (TypeError, ValueError) as error:
            raise LsnError(f"the description of the model cannot be written as JSON: {error}") from error
        atomic_write_bytes(path / ATLAS_FILE, data)
        return cls(path, model, layout)

    @property
    def path(self) -> Path:
        """The atlas's folder."""
        return self._path

    @property
    def name(self) -> str:
        """The name of the atlas's folder."""
        return self._path.resolve().name

    @property
    def model(self) -> Mapping[str, Any]:
        """The base model: at least ``name`` and ``fingerprint``."""
        return self._model

    @property
    def model_everywhere(self) -> str | None:
        """The name that the model can be loaded by on any computer; None for one that lies in a folder."""
        name = str(self._model["name"])
        return name if name == "demo" or self._model.get("revision") not in (None, "local") else None

    @property
    def layout(self) -> Layout:
        """The model's prunable matrices."""
        return self._layout

    @property
    def has_bits(self) -> bool:
        """Whether there are ticket files; an atlas that ships tables alone has none."""
        return next(self._ticket_files(), None) is not None

    def headers(self) -> list[TicketHeader]:
        """The headers of the tickets whose bytes are intact, by key (the base ticket first)."""
        found = [
            entry for entry in map(self._inspect, self._ticket_files()) if isinstance(entry, TicketHeader)
        ]
        return sorted(found, key=lambda header: header.key)

    def problems(self) -> list[Problem]:
        """The ticket files that are damaged or do not belong here; they do not stop the others."""
        return [entry for entry in map(self._inspect, self._ticket_files()) if isinstance(entry, Problem)]

    def header(self, key: TicketKey) -> TicketHeader:
        """One ticket's header; LsnError when there is none, CorruptFile when it is damaged."""
        path = self._file(key)
        if not os.path.exists(path):
            raise LsnError(f"atlas {self.name} has no ticket {key.stem}")
        entry = self._inspect(path)
        if isinstance(entry, Problem):
            raise CorruptFile(entry.message)
        return entry

    def has(self, key: TicketKey) -> bool:
        """Whether the ticket is there and intact."""
        path = self._file(key)
        return os.path.exists(path) and isinstance(self._inspect(path), TicketHeader)

    def ticket(self, key: TicketKey) -> Ticket:
        """One ticket, with its masks; LsnError when it, or the base ticket it needs, is missing or bad."""
        header = self.header(key)
        if key == BASE_KEY:
            if self._base is None or self._base.content_hash != header.content_hash:
                self._base = read_ticket(header.path, layout=self._layout)
            return self._base
        needs_base = header.base_hash is not None
        return read_ticket(header.path, self.base() if needs_base else None, self._layout, self._references)

    def base(self) -> Ticket | None:
        """The base ticket, or None when there is no intact one."""
        return self.ticket(BASE_KEY) if self.has(BASE_KEY) else None

    def save(self, ticket: Ticket) -> Path:
        """Write a ticket; the file is there whole or not at all.

        Raises LsnError when the ticket is over other matrices, of another model (by fingerprint), or made by
        another recipe than the tickets here of the same task and method; or when it would replace the base
        ticket that others are stored against.
        """
        if ticket.layout != self._layout:
            raise LsnError(f"ticket {ticket.key.stem} is over other matrices than atlas {self.name}")
        message = _foreign(ticket.key, ticket.provenance, self._model)
        if message:
            raise LsnError(f"{message}; atlas {self.name} is of {self._model['name']}")
        self.check_recipe(ticket.key, ticket.provenance.get("recipe"))
        for other in self.headers():
            if ticket.key == BASE_KEY and other.base_hash not in (None, ticket.content_hash):
                raise LsnError(
                    f"ticket {other.key.stem} is stored against another base ticket; it cannot be replaced"
                )
        path = self._file(ticket.key)
        write_ticket(path, ticket, None if ticket.key == BASE_KEY else self.base(), self._references)
        return path

    def check_recipe(self, key: TicketKey, recipe: Any) -> None:
        """LsnError when tickets here of the same task and method, others than ``key``, had another recipe."""
        for other in self.headers():
            if (other.key.task, other.key.method) == (key.task, key.method) and other.key != key:
                _check_same_recipe(key, recipe, other)

    def stamps(self) -> dict[str, str]:
        """Stem to content hash, for every intact ticket."""
        return {header.key.stem: header.content_hash for header in self.headers()}

    def write_table(self, name: str, frame: pd.DataFrame, stamps: Mapping[str, str]) -> None:
        """Write a table with the content hashes of the tickets that it was made from."""
        tables.write(self._table_file(name), frame, stamps)

    def table_stamp(self, name: str) -> str:
        """The sha256 (hex) of a table's file; empty when there is none. Raises LsnError when it cannot be read."""
        path = self._table_file(name)
        if not os.path.exists(path):
            return ""
        return hashlib.sha256(read_bytes(path, tables.MAX_FILE_BYTES)).hexdigest()

    def read_table(self, name: str) -> tuple[pd.DataFrame, dict[str, str]] | None:
        """A table and its stamps, None when there is none; CorruptFile when it is damaged."""
        path = self._table_file(name)
        return tables.read(path) if os.path.exists(path) else None

    @contextmanager
    def lock(self, name: str, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock of this name, waiting ``timeout`` seconds for it (None: for ever).

        One process at a time holds it; the system lets go of it when the process dies. Raises Busy when
        the time is up, LsnError when the folder cannot be written to.
        """
        with _locked(self._path, name, timeout):
            yield

    def runs_dir(self, name: str) -> Path:
        """The folder of a run, made when missing."""
        folder = self._path / "runs" / _plain(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LsnError(f"{folder} cannot be made: {reason(error)}") from error
        return folder

    def verify(self, progress: Callable[[int, int, Path], None] | None = None) -> list[Problem]:
        """Check every byte of tickets and ``atlas.json``, and that tables are intact and fresh.

        ``progress(done, total, file)`` is called before each file. Returns what is wrong, none when all is
        sound.
        """
        tickets, found_tables = sorted(self._ticket_files()), sorted(self._path.glob("*.parquet"))
        files = [self._path / ATLAS_FILE, *tickets, *found_tables]
        self._read.clear()
        self._base = None
        problems = []
        for done, file in enumerate(files):
            if progress is not None:
                progress(done, len(files), file)
            try:
                if file in tickets:
                    self._verify_ticket(file)
                elif file in found_tables:
                    self._verify_table(file)
                else:
                    self._verify_description()
            except LsnError as error:
                problems.append(Problem(file, str(error)))
        return problems

    def _verify_description(self) -> None:
        again = Atlas.open(self._path)
        if again.model != self._model or again.layout != self._layout:
            raise LsnError(f"{self._path / ATLAS_FILE} has changed since it was opened")

    def _verify_ticket(self, file: Path) -> None:
        entry = self._inspect(file)
        if isinstance(entry, Problem):
            raise CorruptFile(entry.message)
        self.ticket(entry.key)

    def _verify_table(self, file: Path) -> None:
        _, stamps = tables.read(file)
        current = self.stamps()
        # Stamps with a colon are not of tickets; one of those, of other tables.
        for name in stamps:
            if name.startswith(TABLE_STAMP):
                current[name] = self.table_stamp(name.removeprefix(TABLE_STAMP))
            elif ":" in name:
                current[name] = stamps[name]
        concerned = stamps.keys() | (self.stamps().keys() if file.stem in _TABLES_OF_ALL else set())
        stale = sorted(stem for stem in concerned if stamps.get(stem) != current.get(stem))
        if self.has_bits and stale:
            raise LsnError(
                f"{file} was not made from the tickets that are here now ({stale[0]} differs); rebuild it"
            )

    def _inspect(self, path: Path) -> TicketHeader | Problem:
        """The ticket's header when its bytes are intact and it belongs here, otherwise the problem."""
        try:
            status = path.stat()
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError as error:
            return Problem(path, f"{path} cannot be read: {reason(error)}")
        known = self._read.get(path)
        if known is None or known[0] != signature:
            known = self._read[path] = (signature, self._inspect_now(path))
        return known[1]

    def _inspect_now(self, path: Path) -> TicketHeader | Problem:
        try:
            header = read_header(path, check_parts=True)
        except LsnError as error:
            return Problem(path, str(error))
        if header.key.stem != path.stem:
            return Problem(path, f"{path} holds ticket {header.key.stem}; give it back that name")
        if header.layout != self._layout:
            return Problem(path, f"{path} holds a ticket over the matrices of another model")
        message = _foreign(header.key, header.provenance, self._model)
        return Problem(path, f"{path} does not belong here: {message}") if message else header

    def _ticket_files(self) -> Iterator[Path]:
        """Every file that bears a ticket's ending; a temporary file does not."""
        return (path for path in (self._path / _TICKETS).glob(f"*{_SUFFIX}") if not path.name.startswith("."))

    def _file(self, key: TicketKey) -> Path:
        return self._path / _TICKETS / f"{key.stem}{_SUFFIX}"

    def _table_file(self, name: str) -> Path:
        return self._path / f"{_plain(name)}.parquet"


def find_atlases(root: str | Path) -> list[Path]:
    """The folders directly in ``root``, and ``root`` itself, that hold an ``atlas.json``, by name."""
    root = Path(root)
    return sorted(file.parent for pattern in (ATLAS_FILE, f"*/{ATLAS_FILE}") for file in root.glob(pattern))


@contextmanager
def _locked(folder: Path, name: str, timeout: float | None) -> Iterator[None]:
    file = folder / ".locks" / f"{_plain(name)}.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=-1 if timeout is None else timeout)
        lock.acquire()
    except Timeout as error:
        raise Busy(f"another process holds {file}; wait for it to end and try again") from error
    except OSError as error:
        raise LsnError(f"{folder} cannot be written to: {reason(error)}") from error
    try:
        yield
    finally:
        lock.release()


def _description(model: Any, layout: Any) -> bytes:
    """The bytes of ``atlas.json``."""
    content = {"format_version": FORMAT_VERSION, "model": model, "layout": layout}
    seal = hashlib.sha256(f"atlas\n{canonical_json(content)}".encode()).hexdigest()
    return canonical_json({**content, "seal": seal}).encode()


def _check_model(model: Mapping[str, Any]) -> None:
    if not isinstance(model, Mapping) or not all(
        isinstance(text := model.get(name), str) and text.isprintable() and 0 < len(text) <= _LONGEST_NAME
        for name in ("name", "fingerprint")
    ):
        raise LsnError("an atlas needs its model's name and fingerprint")


def _foreign(key: TicketKey, provenance: Mapping[str, Any], model: Mapping[str, Any]) -> str | None:
    """Why a ticket is not of this model, or None when it is."""
    source = provenance.get("model")
    if not isinstance(source, Mapping) or "fingerprint" not in source:
        return f"ticket {key.stem} does not say which model it is of"
    if source["fingerprint"] != model["fingerprint"]:
        return f"ticket {key.stem} is of another model, {brief(repr(source.get('name')))} with other weights"
    return None


def _check_same_recipe(key: TicketKey, mine: Any, other: TicketHeader) -> None:
    theirs = other.provenance.get("recipe")
    if mine == theirs:
        return
    differing = "recipe"
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        names = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
        differing = brief(", ".join(f"{name} {mine.get(name)!r}, not {theirs.get(name)!r}" for name in names))
    raise LsnError(
        f"ticket {key.stem} was made otherwise than {other.key.stem} ({differing}), "
        "so the two cannot be compared; use the same settings or another atlas"
    )


def _plain(name: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        raise LsnError(f"{name!r} cannot be used as a file name: letters, digits, '_', '.' and '-' only")
    return name
