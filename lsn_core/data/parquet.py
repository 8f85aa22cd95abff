"""Data sets as the hub lays them out: parquet files by configuration and split, and what their columns mean.

A configuration is a folder named after a language (``en``) or after a dump and a language (``20231101.en``); of
several dumps the newest is read. Its files are ``train-00000-of-00041.parquet`` and so on, ``train.parquet``, or
``train/0000.parquet`` as on the hub's branch ``refs/convert/parquet``; the split dev is called ``validation``.

The columns say of which kind the items are (:data:`LAYOUTS`). Tags and labels are numbers; their names stand in the
files' metadata as the library ``datasets`` writes it, and are compared with those that are expected.

Text is articles rather than sentences, and there may be gigabytes of it:

* at most :data:`MAX_DOCUMENTS` articles are read, the first ones, row group by row group; later files of a
  language are never opened, nor fetched;
* an article is cut at its line ends; pieces of less than :data:`MIN_BYTES` bytes (headings, list entries) are left
  out, and no more than :data:`MAX_PASSAGES` of one article are kept;
* where there is only a train split, a twentieth of the articles each is held out as dev and as test, chosen by the
  sha256 of the article's id; articles come in the order of that sha256, so that the first lines are of all kinds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lsn_core.data.source import (
    NLI_LABELS,
    SPLITS,
    Item,
    Pair,
    Tagged,
    check_kind,
    check_split,
    line_number,
)
from lsn_core.errors import LsnError, brief

MAX_DOCUMENTS = 10_000
MAX_PASSAGES = 20
MIN_BYTES = 60
HELD_OUT = 20
"""One article in so many is dev, and another one is test."""

ENTITY_TAGS: tuple[str, ...] = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
"""WikiANN's classes in the order of their numbers."""

ANY_CONFIGURATION = r"(?:\d{8}\.)?(?P<language>[a-z]{2,3}(?:-[A-Za-z0-9]+)*|simple)"
"""Configurations of a data set of which nothing else is known."""


@dataclass(frozen=True)
class Layout:
    """Which columns hold the items of a kind, and the names of its classes where the files do not give them."""

    kind: str
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()


LAYOUTS: tuple[Layout, ...] = (
    Layout("text", ("text",)),
    Layout("ner", ("tokens", "ner_tags"), ENTITY_TAGS),
    Layout("pos", ("tokens", "upos")),
    Layout("pos", ("tokens", "pos_tags")),
    Layout("nli", ("premise", "hypothesis", "label"), NLI_LABELS),
)

_SPLIT_NAMES: Mapping[str, str] = MappingProxyType(
    {"train": "train", "validation": "dev", "valid": "dev", "val": "dev", "dev": "dev", "test": "test"}
)
_FILE = re.compile(
    r"(?P<configuration>[^/]+)/(?P<split>[a-z]+)"
    r"(?:-(?P<number>\d+)-of-(?P<total>\d+)(?:-[0-9a-f]+)?|/(?P<part>\d+))?\.parquet"
)
_BROKEN = (pa.ArrowException, OSError, ValueError, KeyError)
"""What pyarrow raises for a file that is not sound."""
_RULES = f"{MAX_DOCUMENTS} {MAX_PASSAGES} {MIN_BYTES} {HELD_OUT}"


@dataclass(frozen=True, order=True)
class Shard:
    """One of the files of a configuration's split: its place, and how many there are (None: not said)."""

    number: int
    total: int | None
    file: str


class Store(Protocol):
    """Where parquet files are: a local folder or a repository of the hub."""

    @property
    def title(self) -> str:
        """What messages call it, such as "The folder data"."""

    def files(self) -> Iterable[str]:
        """The paths of the parquet files, relative and with slashes."""

    def path(self, file: str) -> Path:
        """The file on this machine, fetched if it was not there; LsnError when that fails."""

    def stamp(self, configuration: str, files: Iterable[str]) -> Iterator[bytes]:
        """What tells the contents of these files of a configuration from others."""


@dataclass(frozen=True)
class ParquetCorpus(Generic[Item]):
    """The rows of one split as they lie in memory, made into items when they are asked for."""

    language: str
    split: str
    columns: tuple[pa.Array, ...]
    make: Callable[..., Item]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: int, /) -> Item:
        """Item ``index``. Raises IndexError outside the corpus."""
        number = line_number(index, len(self))
        return self.make(*(column[number].as_py() for column in self.columns))


class ParquetSource:
    """Items of parquet files in the hub's layout."""

    def __init__(
        self,
        name: str,
        store: Store,
        layouts: Sequence[Layout] = (),
        configurations: str = ANY_CONFIGURATION,
        languages: Sequence[str] = (),
    ) -> None:
        """``layouts`` and ``languages`` are what the data set is known to hold; found out if left empty."""
        self.name = name
        self.store = store
        self._known = tuple(layouts)
        self._languages = tuple(languages)
        self._pattern = re.compile(configurations)
        self._found: Mapping[str, Mapping[str, Sequence[Shard]]] | None = None
        self._classes: dict[str, tuple[str, ...]] = {}

    def languages(self, kind: str = "text") -> tuple[str, ...]:
        """Languages with at least one split, sorted by code; LsnError when the kind is not offered."""
        self._check(kind)
        return tuple(sorted(self._languages or self._shards()))

    def labels(self, kind: str) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers; LsnError when the kind has none."""
        if kind == "text":
            raise LsnError(f"The source {self.name!r} has no labels for 'text'; give a task that has labels.")
        self._check(kind)
        if kind == "nli":
            return NLI_LABELS
        if self._known:
            return self._known[0].classes
        if kind not in self._classes:
            # The first language's, so that they are the same whichever languages are asked for.
            splits = self._shards()[self.languages(kind)[0]]
            self._classes[kind] = self._columns(splits[min(splits)][0].file, kind)[1]
        return self._classes[kind]

    def corpus(self, language: str, split: str, kind: str = "text") -> ParquetCorpus:
        """The items of a language and split.

        Raises LsnError that names the file when one is missing, cut short, or lacks a column, and that names
        the row when one cannot be an item.
        """
        check_split(split)
        self._check(kind)
        corpus = (self._text if kind == "text" else self._labelled)(language, split, kind)
        if not len(corpus):
            raise LsnError(
                f"{self.store.title} has nothing to read in language {language!r} and split {split!r}; leave the "
                "language out or give more data."
            )
        return corpus

    def fingerprint(self, language: str, kind: str = "text") -> str:
        """sha256 (hex) of what is read: of the files' bytes in a folder, of the commit on the hub.

        For text the rules by which it is cut count as well.
        """
        self._check(kind)
        digest = hashlib.sha256(f"parquet {kind} {_RULES if kind == 'text' else ''}\n".encode())
        splits = ("train",) if kind == "text" and self._is_cut(language) else SPLITS
        configuration = self._split(language, "train")[0].file.split("/")[0]
        files = (
            file
            for split in splits
            for file in (
                self._document_files(language, split)
                if kind == "text"
                else (shard.file for shard in self._whole(language, split))
            )
        )
        for part in self.store.stamp(configuration, files):
            digest.update(part)
        return digest.hexdigest()

    # ------------------------------------------------------------------ what there is

    def _check(self, kind: str) -> None:
        if self._known:
            check_kind(kind, tuple(layout.kind for layout in self._known), self.name)

    def _shards(self) -> Mapping[str, Mapping[str, Sequence[Shard]]]:
        """Files by language and split; LsnError when there are none in this layout."""
        if self._found is None:
            self._found = find_shards(self.store.files(), self._pattern)
            if not self._found:
                raise LsnError(
                    f"{self.store.title} has no parquet files in the hub's layout; they are called "
                    "en/train-00000-of-00001.parquet or 20231101.en/train-00000-of-00001.parquet."
                )
        return self._found

    def _split(self, language: str, split: str) -> Sequence[Shard]:
        if self._languages and language not in self._languages:
            self._refuse(language, self._languages)
        shards = self._shards()
        if language not in shards:
            self._refuse(language, shards)
        if split not in shards[language]:
            raise LsnError(
                f"{self.store.title} has no {split} split for language {language!r}; it has "
                f"{', '.join(sorted(shards[language]))}."
            )
        return shards[language][split]

    def _refuse(self, language: str, offered: Iterable[str]) -> None:
        raise LsnError(
            f"{self.store.title} has no language {language!r}, so leave that out; it has "
            f"{', '.join(sorted(offered))}."
        )

    def _whole(self, language: str, split: str) -> Iterator[Shard]:
        """The shards in order; LsnError at the first one that is not there."""
        shards = self._split(language, split)
        for place, shard in enumerate(shards):
            if shard.number != place:
                self._gap(shards[0], place)
            yield shard
        if shards[0].total is not None and len(shards) < shards[0].total:
            self._gap(shards[0], len(shards))

    def _gap(self, shard: Shard, place: int) -> None:
        total = "" if shard.total is None else f" of {shard.total}"
        raise LsnError(
            f"{self.store.title} lacks file {place}{total} beside {shard.file} (they count from 0); "
            "fetch the rest of them."
        )

    def _is_cut(self, language: str) -> bool:
        """Whether dev and test are taken from the train split, as there is no other."""
        self._split(language, "train")
        return set(self._shards()[language]) == {"train"}

    # ------------------------------------------------------------------ reading

    def _columns(self, file: str, kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns of ``kind`` in a file and the names of its classes; LsnError when they do not fit."""
        schema = self._open(file).schema_arrow
        layouts = [layout for layout in self._known or LAYOUTS if layout.kind == kind]
        fitting = [layout for layout in layouts if set(layout.columns) <= set(schema.names)]
        if not fitting:
            wanted = " or ".join(" and ".join(layout.columns) for layout in layouts)
            raise LsnError(
                f"{self._where(file)} lacks columns for {kind!r}: it needs {wanted}, and has "
                f"{', '.join(schema.names)}."
            )
        layout = fitting[0]
        if kind == "text":
            return layout.columns, ()
        given = self._class_names(file, schema, layout.columns[-1])
        expected = self._known[0].classes if self._known else ()
        if given and expected and given != expected:
            raise LsnError(
                f"{self._where(file)} numbers the classes of {layout.columns[-1]!r} as {', '.join(given)}, where "
                f"{', '.join(expected)} is expected; give a revision in which they are so."
            )
        names = given or layout.classes
        if not names:
            raise LsnError(
                f"{self._where(file)} does not name the classes of {layout.columns[-1]!r}; write it with the "
                "library datasets, which puts the names into the file."
            )
        if kind == "nli" and set(names) != set(NLI_LABELS):
            raise LsnError(
                f"{self._where(file)} has the labels {', '.join(names)}; they must be {', '.join(NLI_LABELS)}."
            )
        return layout.columns, names

    def _class_names(self, file: str, schema: pa.Schema, column: str) -> tuple[str, ...]:
        """The classes' names from the metadata that the library datasets writes; none if there is none."""
        try:
            note = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
            feature = note.get("info", {}).get("features", {}).get(column)
            # A list of classes has been written in three ways: [x], {"feature": x} as Sequence and as List.
            while isinstance(feature, list) or (isinstance(feature, dict) and "feature" in feature):
                feature = feature[0] if isinstance(feature, list) else feature["feature"]
            return tuple(str(name) for name in (feature or {}).get("names") or ())
        except (ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
            raise LsnError(
                f"{self._where(file)} has metadata of the library datasets that cannot be read; fetch it again."
            ) from error

    def _labelled(self, language: str, split: str, kind: str) -> ParquetCorpus:
        make: Callable[..., Any] = _pair if kind == "nli" else _tagged
        usable = _usable_pairs if kind == "nli" else _usable_words
        tables: list[pa.Table] = []
        columns: tuple[str, ...] = ()
        names: tuple[str, ...] = ()
        for shard in self._whole(language, split):
            columns, names = self._columns(shard.file, kind)
            unknown = set(names) - set(self.labels(kind))
            if unknown:
                raise LsnError(
                    f"{self._where(shard.file)} has classes that {self.languages(kind)[0]!r} has not "
                    f"({', '.join(sorted(unknown))}); give data in which all languages have the same."
                )
            try:
                # Readers give columns in the order of the file.
                table = self._open(shard.file).read(columns=list(columns)).select(columns)
                table.validate(full=True)
            except _BROKEN as error:
                raise self._broken(shard.file) from error
            tables.append(usable(table, len(names), self._where(shard.file)))
        rows = pa.concat_tables(tables)
        arrays = tuple(rows[name].combine_chunks() for name in columns)
        return ParquetCorpus(language, split, arrays, partial(make, names))

    def _text(self, language: str, split: str, kind: str) -> ParquetCorpus:
        cut = self._is_cut(language)
        chosen = []
        for identity, text in self._documents(language, "train" if cut else split):
            digest = hashlib.sha256(identity.encode()).digest()
            if not cut or held_out(digest) == split:
                chosen.append((digest, passages(text)))
        chosen.sort()
        lines = pa.array([line for _, pieces in chosen for line in pieces], pa.large_string())
        return ParquetCorpus(language, split, (lines,), str)

    def _documents(self, language: str, split: str) -> Iterator[tuple[str, str]]:
        """Id and text of the split's first articles, read a few at a time; the text is the id if there is none."""

        def rows() -> Iterator[tuple[str, str]]:
            for shard in self._whole(language, split):
                (text,), _ = self._columns(shard.file, "text")
                file = self._open(shard.file)
                if not _is_text(file.schema_arrow.field(text).type):
                    raise _no_text(self._where(shard.file), text, file.schema_arrow.field(text).type)
                columns = ["id", text] if "id" in file.schema_arrow.names else [text]
                try:
                    for batch in file.iter_batches(batch_size=64, columns=columns):
                        batch.validate(full=True)
                        bodies = batch.column(text).to_pylist()
                        for identity, body in zip(batch.column(columns[0]).to_pylist(), bodies, strict=True):
                            yield str(identity), str(body or "")
                except _BROKEN as error:
                    raise self._broken(shard.file) from error

        return islice(rows(), MAX_DOCUMENTS)

    def _document_files(self, language: str, split: str) -> Iterator[str]:
        """The files that :meth:`_documents` reads."""
        rows = 0
        for shard in self._whole(language, split):
            yield shard.file
            rows += self._open(shard.file).metadata.num_rows
            if rows >= MAX_DOCUMENTS:
                return

    def _open(self, file: str) -> pq.ParquetFile:
        path = self.store.path(file)
        try:
            opened = pq.ParquetFile(path)
            if len(set(opened.schema_arrow.names)) < len(opened.schema_arrow.names):
                raise ValueError("a column comes twice")
            return opened
        except _BROKEN as error:
            raise self._broken(file) from error

    def _broken(self, file: str) -> LsnError:
        return LsnError(f"{self._where(file)} is not a whole parquet file; fetch it again.")

    def _where(self, file: str) -> str:
        title = self.store.title
        return f"The file {file} of {title[0].lower()}{title[1:]}"


class FolderStore:
    """Parquet files of a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.title = f"The folder {folder}"

    def files(self) -> Iterator[str]:
        try:
            for pattern in ("*/*.parquet", "*/*/*.parquet"):
                for path in sorted(self.folder.glob(pattern)):
                    yield path.relative_to(self.folder).as_posix()
        except OSError as error:
            raise LsnError(f"{self.title} cannot be read: {error.strerror or error}.") from error

    def path(self, file: str) -> Path:
        return self.folder / file

    def stamp(self, configuration: str, files: Iterable[str]) -> Iterator[bytes]:
        """The files' names without their configuration, which may be called otherwise elsewhere, and bytes."""
        for file in files:
            path = self.path(file)
            try:
                yield f"{file.partition('/')[2]} {path.stat().st_size}\n".encode()
                with path.open("rb") as data:
                    while chunk := data.read(1 << 20):
                        yield chunk
            except OSError as error:
                raise LsnError(f"The file {path} cannot be read: {error.strerror or error}.") from error


class ParquetFolder(ParquetSource):
    """Parquet files of a local folder in the hub's layout; what they hold is seen from their columns."""

    def __init__(self, folder: str | Path) -> None:
        """Raises LsnError when no file lies as on the hub."""
        folder = Path(folder)
        # The folder's own name only: where it lies on this machine says nothing to others.
        super().__init__(f"folder:{folder.resolve().name}", FolderStore(folder))
        self._kinds: dict[str, frozenset[str]] = {}
        self._shards()

    def languages(self, kind: str = "text") -> tuple[str, ...]:
        self._check(kind)
        return tuple(sorted(code for code, kinds in self._held().items() if kind in kinds))

    def _check(self, kind: str) -> None:
        held = frozenset().union(*self._held().values())
        check_kind(kind, tuple(dict.fromkeys(x.kind for x in LAYOUTS if x.kind in held)), self.name)

    def _held(self) -> Mapping[str, frozenset[str]]:
        """The kinds of items of each language, from the columns of one of its files."""
        if not self._kinds:
            for language, splits in self._shards().items():
                columns = set(self._open(next(iter(splits.values()))[0].file).schema_arrow.names)
                self._kinds[language] = frozenset(x.kind for x in LAYOUTS if set(x.columns) <= columns)
            if not any(self._kinds.values()):
                wanted = "; ".join(", ".join(layout.columns) for layout in LAYOUTS)
                self._kinds = {}
                raise LsnError(
                    f"{self.store.title} holds parquet files with other columns than are read; they are {wanted}."
                )
        return self._kinds


def find_shards(
    files: Iterable[str], configurations: re.Pattern[str]
) -> Mapping[str, Mapping[str, Sequence[Shard]]]:
    """Group files by language and split, in the order of their numbers; of several dumps the newest."""
    found: dict[str, dict[str, dict[str, list[Shard]]]] = {}
    for file in files:
        match = _FILE.fullmatch(file)
        split = _SPLIT_NAMES.get(match["split"]) if match else None
        language = configurations.fullmatch(match["configuration"]) if match else None
        if match is None or split is None or language is None:
            continue
        shard = Shard(
            int(match["number"] or match["part"] or 0), int(match["total"]) if match["total"] else None, file
        )
        by_split = found.setdefault(language["language"], {}).setdefault(match["configuration"], {})
        by_split.setdefault(split, []).append(shard)
    return {
        language: {split: sorted(shards) for split, shards in dumps[max(dumps)].items()}
        for language, dumps in found.items()
    }


def held_out(digest: bytes) -> str:
    """The split of the article whose id has this sha256, where the data set has but one."""
    return {0: "dev", 1: "test"}.get(int.from_bytes(digest[:8], "big") % HELD_OUT, "train")


def passages(text: str) -> tuple[str, ...]:
    """The first pieces of an article that are long enough to be read as text."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return tuple(islice((line for line in lines if len(line.encode()) >= MIN_BYTES), MAX_PASSAGES))


def _usable_pairs(table: pa.Table, classes: int, where: str) -> pa.Table:
    """The rows with a label: -1 and nothing both say that none was agreed on."""
    premise, hypothesis, label = table.column_names
    for name in (premise, hypothesis):
        if not _is_text(table[name].type):
            raise _no_text(where, name, table[name].type)
    if not pa.types.is_integer(table[label].type):
        raise _not_numbers(where, label, table[label].type)
    labelled = pc.fill_null(pc.greater_equal(table[label], 0), False)
    whole = pc.and_(pc.is_valid(table[premise]), pc.is_valid(table[hypothesis]))
    _check_rows(pc.or_(whole, pc.invert(labelled)), "a sentence missing", where)
    table = table.filter(labelled)
    _check_numbers(table[label], label, classes, where)
    return table


def _usable_words(table: pa.Table, classes: int, where: str) -> pa.Table:
    """The rows with words."""
    words, tags = (table[name] for name in table.column_names)
    if not _is_integer_list(tags.type):
        raise _not_numbers(where, table.column_names[1], tags.type)
    kind = words.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not _is_text(kind.value_type):
        raise _no_text(where, table.column_names[0], kind)
    lengths, others = (pc.fill_null(pc.list_value_length(column), 0) for column in (words, tags))
    _check_rows(pc.equal(lengths, others), "not as many tags as words", where)
    if pc.list_flatten(words).null_count:
        raise LsnError(f"{where} holds words that are missing; mend it.")
    _check_numbers(pc.list_flatten(tags), table.column_names[1], classes, where)
    return table.filter(pc.greater(lengths, 0))


def _check_rows(fits: pa.ChunkedArray, what: str, where: str) -> None:
    broken = pc.index(fits, False).as_py()
    if broken >= 0:
        raise LsnError(f"{where} has {what} in row {broken} (rows count from 0); mend it.")


def _check_numbers(numbers: pa.ChunkedArray, column: str, classes: int, where: str) -> None:
    if numbers.null_count:
        raise LsnError(f"{where} has a class missing in its column {column!r}; mend it.")
    bounds = pc.min_max(numbers).as_py()
    for number in bounds.values():
        if number is not None and not 0 <= number < classes:
            raise LsnError(
                f"{where} holds class number {number} in its column {column!r}, but there are {classes} classes; "
                "give a revision or files with known classes."
            )


def _not_numbers(where: str, column: str, kind: pa.DataType) -> LsnError:
    return LsnError(
        f"{where} holds {brief(kind)} in its column {column!r}; class numbers are expected there."
    )


def _no_text(where: str, column: str, kind: pa.DataType) -> LsnError:
    return LsnError(f"{where} holds {brief(kind)} in its column {column!r}; text is expected there.")


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, or nothing at all."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return True
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_integer_list(kind: pa.DataType) -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_integer(kind.value_type)


def _tagged(names: tuple[str, ...], words: list[Any], tags: list[int]) -> Tagged:
    return Tagged(tuple(str(word) for word in words), tuple(names[tag] for tag in tags))


def _pair(names: tuple[str, ...], premise: str, hypothesis: str, label: int) -> Pair:
    return Pair(premise, hypothesis, names[label])
