"""Tables that grow cell by cell: what was measured with tickets, kept as it comes.

A *cell* is one measurement, a small file in the atlas's folder ``transfer/``, ``core/`` or ``retrieval/``,
named by the hash of everything that it depends on. The table beside is made from the cells, and says of each row which
tickets, which settings and which cell it came from. So a stopped run loses no finished cell, and the table
alone is enough to read, and to go on from: an atlas may be shipped without the cells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_core.errors import CorruptFile, LsnError, brief
from lsn_core.masks.atlas import Atlas, Problem
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.files import atomic_write_bytes, read_bytes
from lsn_core.masks.tables import conformed, conforms

if TYPE_CHECKING:
    import pandas as pd

MAX_CELL_BYTES = 2**24
_MEASURED_AGAIN = "remove it, and it is measured again"


@dataclass(frozen=True)
class CellTable:
    """A table of cells.

    ``dtypes``: column to dtype, in order. ``place``: the columns that the rows are ordered by; rows that are
    equal in them are of one cell, and stay as they are in it. ``group``: the columns whose rows, where all of
    them are equal, are compared with each other and so share their settings.
    """

    name: str
    dtypes: Mapping[str, str]
    place: tuple[str, ...]
    group: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns; the last three name a row's tickets (with spaces between), settings and cell."""
        return (*self.dtypes, "tickets", "settings", "cell")


TRANSFER = CellTable(
    "transfer",
    {
        **dict.fromkeys(("kind", "task", "source_task", "source", "control", "target"), "str"),
        **{"seed": "int64", "sparsity": "float64", "metric": "str"},
        **{"value": "float64", "count": "int64", "split": "str"},
    },
    ("kind", "task", "source_task", "source", "control", "target", "seed", "sparsity"),
    ("kind", "task"),
)
"""How sub-networks serve other languages and tasks. ``source`` is the language whose mask it is, and that the
network learned from in a zero-shot transfer; it is empty for a control of a mask transfer. ``control`` is
empty for a sub-network, otherwise ``dense``, ``random`` or ``base``. ``target`` is the language scored. Of the
metrics of one cell, the task's own score comes first."""


CORE = CellTable(
    "core",
    {
        **{"task": "str", "members": "str", "at_least": "int64", "control": "str", "target": "str"},
        **{"seed": "int64", "sparsity": "float64", "kept": "int64", "metric": "str"},
        **{"value": "float64", "count": "int64", "split": "str"},
    },
    ("task", "sparsity", "members", "at_least", "control", "target", "seed"),
    ("task",),
)
"""What cores score after training. ``members`` are the languages (with spaces between) that the core is of, in
the tickets of one ``seed`` and ``sparsity``; at least ``at_least`` of them keep its weights, ``kept`` in number.
``target`` is the language that the network learned from and is scored on. ``control`` is empty for the core
itself, ``random`` or ``base`` for as many weights drawn by lot or the largest pretrained ones; it is ``own`` for
the target's own sub-network of that sparsity and ``dense`` for the whole model, which are of no core: no
``members``, ``at_least`` 0."""


RETRIEVAL = CellTable(
    "retrieval",
    {
        **{"method": "str", "task": "str", "seed": "int64", "sparsity": "float64", "layer": "int64"},
        **{"source": "str", "target": "str", "accuracy": "float64", "count": "int64"},
    },
    ("method", "task", "seed", "sparsity", "layer", "source", "target"),
    (),
)
"""How often a sentence's translation is its nearest neighbour. Each language is encoded with its own mask;
``method`` is ``dense`` (sparsity 0), ``imp``, ``base`` or ``random``, and ``layer`` 0 is the embeddings. The
rows of ``dense`` and ``base`` are of no task (empty) and seed 0."""


@dataclass(frozen=True)
class Cell:
    """One measurement.

    ``about``: JSON-able, all that the result depends on beside the tickets; ``about["settings"]`` is what
    has to be equal for cells to be compared. ``tickets``: stem to content hash of those whose masks or
    scores were used. ``rows``: rows of the table, one value for each of ``CellTable.dtypes``.
    """

    about: Mapping[str, Any]
    tickets: Mapping[str, str]
    rows: tuple[Mapping[str, Any], ...]

    @cached_property
    def name(self) -> str:
        return cell_name(self.about, self.tickets)

    @cached_property
    def settings(self) -> str:
        """The hash (12 hex digits) of the settings."""
        return hashlib.sha256(canonical_json(self.about["settings"]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Gathered:
    """What is there of a table: ``frame`` with the table's columns, ``stamps`` of the tickets in it.

    ``stale`` counts the cells left out because their tickets have changed or are gone; ``problems``
    names damaged files.
    """

    frame: pd.DataFrame
    stamps: Mapping[str, str]
    stale: int
    problems: tuple[Problem, ...]


def cell_name(about: Mapping[str, Any], tickets: Mapping[str, str]) -> str:
    """The hash (32 hex digits) that names the cell about these things with these tickets."""
    content = canonical_json({"about": dict(about), "tickets": dict(tickets)})
    return hashlib.sha256(f"cell\n{content}".encode()).hexdigest()[:32]


def save_cell(atlas: Atlas, table: CellTable, cell: Cell) -> None:
    """Write a cell, whole or not at all; LsnError when the folder cannot be written to."""
    for row in cell.rows:
        if set(row) != set(table.dtypes):
            raise LsnError(f"a cell of table {table.name} has the columns {', '.join(row)}")
    content = {"about": cell.about, "tickets": cell.tickets, "rows": list(cell.rows)}
    text = canonical_json({**content, "seal": _seal(content)})
    atomic_write_bytes(_file(atlas, table, cell.name), text.encode())


def has_cell(atlas: Atlas, table: CellTable, name: str) -> bool:
    """Whether the file of this cell is there and intact."""
    try:
        return _file(atlas, table, name).exists() and read_cell(_file(atlas, table, name)).name == name
    except LsnError:
        return False


def gather(atlas: Atlas, table: CellTable) -> Gathered:
    """The rows of all cells and of the table, of those tickets that are here now.

    An atlas that ships no tickets has its table as it is. Raises LsnError when a folder cannot be read.
    """
    import pandas as pd

    if not atlas.has_bits:
        return Gathered(*_stored(atlas, table), 0, ())
    current = atlas.stamps()
    rows: list[Mapping[str, Any]] = []
    stamps: dict[str, str] = {}
    stale: set[str] = set()
    names: set[str] = set()
    problems = []
    for file in sorted((atlas.path / table.name).glob("*.json")):
        try:
            cell = read_cell(file)
            if not all(conforms(row, table.dtypes) for row in cell.rows):
                raise CorruptFile(f"{file} is damaged (its rows are not of this table); {_MEASURED_AGAIN}")
        except LsnError as error:
            problems.append(Problem(file, str(error)))
            continue
        if not cell.tickets.items() <= current.items():
            stale.add(cell.name)
            continue
        marks = {"tickets": " ".join(sorted(cell.tickets)), "settings": cell.settings, "cell": cell.name}
        rows += [{**row, **marks} for row in cell.rows]
        stamps |= cell.tickets
        names.add(cell.name)
    frame = pd.DataFrame(rows, columns=list(table.columns))
    try:
        older, their_stamps = _stored(atlas, table)
    except LsnError as error:
        problems.append(Problem(atlas.path / f"{table.name}.parquet", str(error)))
        older, their_stamps = frame.iloc[:0], {}
    fresh = _fresh(older, their_stamps, current)
    stale |= set(older.loc[~fresh, "cell"])
    kept = older[fresh & ~older["cell"].isin(names)]
    stamps |= {stem: their_stamps[stem] for stems in set(kept["tickets"]) for stem in stems.split()}
    frame = pd.concat([part for part in (frame, kept) if len(part)] or [frame]).astype(dict(table.dtypes))
    return Gathered(_in_order(frame, table), stamps, len(stale), tuple(problems))


def rebuild(atlas: Atlas, table: CellTable) -> Gathered:
    """Write the table with everything that ``gather`` finds; nothing is written where it has that already."""
    with atlas.lock("tables"):
        found = gather(atlas, table)
        try:
            older, stamps = _stored(atlas, table)
            same = stamps == found.stamps and _in_order(older, table).equals(found.frame)
        except LsnError:
            same = False
        if not same:
            atlas.write_table(table.name, found.frame, found.stamps)
        return found


def check_settings(found: Gathered, table: CellTable, cell: Cell) -> None:
    """LsnError when the rows that ``cell``'s would be compared with had other settings."""
    frame = found.frame
    other = frame["settings"] != cell.settings
    for column in table.group:
        other &= frame[column] == cell.about[column]
    if other.any():
        raise LsnError(
            f"The {table.name} table of this atlas was made with other settings, text or model head; give "
            f"the same ones, or remove {table.name}.parquet and the folder {table.name} to begin again."
        )


def read_rows(atlas: Atlas, table: CellTable) -> pd.DataFrame:
    """The rows of the table (not of cells) whose tickets are those that are here; empty without a table.

    Raises CorruptFile when the table is damaged.
    """
    frame, stamps = _stored(atlas, table)
    if not atlas.has_bits:
        return frame
    return frame[_fresh(frame, stamps, atlas.stamps())].reset_index(drop=True)


def intact_rows(atlas: Atlas, table: CellTable) -> pd.DataFrame:
    """As ``read_rows``, but none where the table is damaged, which ``Atlas.verify`` tells."""
    import pandas as pd

    try:
        return read_rows(atlas, table)
    except LsnError:
        return pd.DataFrame(columns=list(table.columns))


def _fresh(frame: pd.DataFrame, stamps: Mapping[str, str], current: Mapping[str, str]) -> pd.Series:
    """For each row, whether its tickets are those that are here."""
    sound = {stem for stem, stamp in stamps.items() if current.get(stem) == stamp}
    return frame["tickets"].map(lambda stems: sound.issuperset(stems.split())).astype(bool)


def _stored(atlas: Atlas, table: CellTable) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table in its file and its stamps, with no row when there is none."""
    import pandas as pd

    found = atlas.read_table(table.name)
    if found is None:
        return pd.DataFrame(columns=list(table.columns)).astype(dict(table.dtypes)), {}
    marks = dict.fromkeys(("tickets", "settings", "cell"), "str")
    try:
        return conformed(found[0], {**table.dtypes, **marks}), found[1]
    except ValueError as error:
        raise CorruptFile(
            f"table {table.name} of atlas {atlas.name} is none ({brief(error)}); remove and rebuild it"
        ) from error


def _in_order(frame: pd.DataFrame, table: CellTable) -> pd.DataFrame:
    return frame.sort_values(list(table.place), kind="stable").reset_index(drop=True)


def _file(atlas: Atlas, table: CellTable, name: str) -> Path:
    return atlas.path / table.name / f"{name}.json"


def read_cell(file: Path) -> Cell:
    """The cell in a file; CorruptFile when it is not the one that was written."""
    data = parse_json(read_bytes(file, MAX_CELL_BYTES))
    try:
        content = {name: data[name] for name in ("about", "tickets", "rows")}
        if data["seal"] != _seal(content):
            raise ValueError("its seal does not fit")
        cell = Cell(content["about"], content["tickets"], tuple(content["rows"]))
        if not isinstance(cell.tickets, dict) or not all(isinstance(row, dict) for row in cell.rows):
            raise ValueError("it is not what was written")
        if cell.name != file.stem or not cell.settings:
            raise ValueError("it has another name")
        return cell
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(f"{file} is damaged ({brief(error)}); {_MEASURED_AGAIN}") from error


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"cell\n{canonical_json(dict(content))}".encode()).hexdigest()
