"""A local folder of files as a source.

The folder holds ``{lang}.{train,dev,test}.txt`` or ``{lang}/{train,dev,test}.{txt,conllu,jsonl,tsv}``. What is
asked for decides how a file is read: a ``.txt`` is sentences as text, and words with tags as parts of speech or
entities. Each kind looks only at the suffixes it can be read from (``SUFFIXES``).

Files are UTF-8, with or without a byte order mark. Where one language, split and kind has several files, that is
refused: it would be unclear which one is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic

from lsn_core.data.files.pairs import read_pairs
from lsn_core.data.files.reading import decode, read_bytes
from lsn_core.data.files.tagged import read_ner, read_pos
from lsn_core.data.files.text import read_text
from lsn_core.data.source import (
    KINDS,
    NLI_LABELS,
    SPLITS,
    UPOS_TAGS,
    Item,
    check_kind,
    check_split,
    line_number,
)
from lsn_core.errors import LsnError

SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "text": (".txt", ".conllu", ".jsonl"),
        "pos": (".txt", ".conllu", ".jsonl"),
        "ner": (".txt", ".jsonl"),
        "nli": (".tsv", ".jsonl"),
    }
)
"""The files that each kind is read from."""

_READERS: Mapping[str, Callable[[str, Path], Iterator[Any]]] = MappingProxyType(
    {"text": read_text, "pos": read_pos, "ner": read_ner, "nli": read_pairs}
)
_WANTED = {"text": "text", "pos": "tagged words", "ner": "words with entity tags", "nli": "sentence pairs"}

_FLAT = re.compile(rf"(?P<language>[A-Za-z][\w-]*)\.({'|'.join(SPLITS)})\.txt")
_LANGUAGE = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True)
class FileCorpus(Generic[Item]):
    """The items of one file, in its order: sentences, tagged sentences or pairs."""

    language: str
    split: str
    path: Path
    lines: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int, /) -> Item:
        """Item ``index``. Raises IndexError outside the corpus."""
        return self.lines[line_number(index, len(self.lines))]


class FolderSource:
    """Files of a local folder, looked up when made and read when a corpus is asked for."""

    def __init__(self, folder: str | Path) -> None:
        """Raises LsnError when ``folder`` is missing, is no folder, cannot be read or holds no data files."""
        self.folder = Path(folder)
        # The folder's own name only: where it lies on this machine says nothing to others.
        self.name = f"folder:{self.folder.resolve().name}"
        self._files = _data_files(self.folder)
        if not self._files:
            raise LsnError(
                f"The folder {self.folder} holds no text; it needs files like en.train.txt or en/train.txt."
            )

    def languages(self, kind: str = "text") -> tuple[str, ...]:
        """Languages with at least one file that can hold this kind, sorted by code."""
        check_kind(kind, KINDS, self.name)
        return tuple(
            sorted(
                {
                    language
                    for (language, _), paths in self._files.items()
                    if any(path.suffix in SUFFIXES[kind] for path in paths)
                }
            )
        )

    def path(self, language: str, split: str, kind: str = "text") -> Path:
        """The file that items of this kind are read from, for ``language`` and ``split``.

        Raises LsnError when the language or the split is missing, or when there are several such files.
        """
        check_split(split)
        languages = self.languages(kind)
        if language not in languages:
            has = f"it has {', '.join(languages)}" if languages else f"add {_example(language, split, kind)}"
            raise LsnError(
                f"The folder {self.folder} has no {_WANTED[kind]} in language {language!r}; {has}."
            )
        paths = [p for p in self._files.get((language, split), []) if p.suffix in SUFFIXES[kind]]
        if not paths:
            raise LsnError(
                f"The folder {self.folder} has no {split} split for language {language!r}; "
                f"add {_example(language, split, kind)}."
            )
        if len(paths) > 1:
            raise LsnError(
                f"The {split} split of language {language!r} is given more than once "
                f"({' and '.join(str(path) for path in paths)}); keep one of them."
            )
        return paths[0]

    def corpus(self, language: str, split: str, kind: str = "text") -> FileCorpus:
        """The items of a language, split and kind: ``str``, ``Tagged`` or ``Pair``.

        Raises LsnError that names the file (and the line where one is at fault) when it is missing, empty,
        a folder, not to be read, not UTF-8, or holds a blank line or a broken entry.
        """
        path = self.path(language, split, kind)
        text = decode(read_bytes(path), path)
        items = tuple(_READERS[kind](text, path))
        if not items:
            needed = "one pair" if kind == "nli" else "one sentence"
            raise LsnError(f"The file {path} is empty; it needs at least {needed}.")
        return FileCorpus(language, split, path, items)

    def labels(self, kind: str) -> tuple[str, ...]:
        """The labels of this kind, the same for every language; LsnError when there are none.

        Entity tags are ``O``, then for every entity type of the training files of all languages its ``B-`` and
        its ``I-``, sorted: with both, a continuation that training lacks can still be told in another split.
        """
        check_kind(kind, ("pos", "ner", "nli"), self.name)
        return {"pos": lambda: UPOS_TAGS, "nli": lambda: NLI_LABELS, "ner": self._entity_labels}[kind]()

    def fingerprint(self, language: str, kind: str = "text") -> str:
        """sha256 (hex) of the kind and the bytes of the three split files of ``language`` with their formats.

        Raises LsnError when one of the three is missing or cannot be read.
        """
        digest = hashlib.sha256()
        if kind != "text":  # text came first, and its fingerprints name what has been made from it
            digest.update(f"kind {kind}\n".encode())
        for split in SPLITS:
            path = self.path(language, split, kind)
            data = read_bytes(path)
            digest.update(f"{split}{path.suffix} {len(data)}\n".encode())
            digest.update(data)
        return digest.hexdigest()

    def _entity_labels(self) -> tuple[str, ...]:
        types = {
            tag[2:]
            for language in self.languages("ner")
            if any(path.suffix in SUFFIXES["ner"] for path in self._files.get((language, "train"), []))
            for sentence in self.corpus(language, "train", "ner").lines
            for tag in sentence.tags
            if tag != "O"
        }
        if not types:
            raise LsnError(
                f"The training files of {self.folder} name no entity; the task 'ner' needs tags such as B-PER."
            )
        return ("O", *sorted(f"{prefix}-{kind}" for kind in types for prefix in "BI"))


def _example(language: str, split: str, kind: str) -> str:
    """The name of a file that would hold this."""
    return f"{language}/{split}.tsv" if kind == "nli" else f"{language}.{split}.txt"


def _data_files(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Files by language and split; a directory with a data file's name is among them, to be refused."""
    suffixes = tuple(dict.fromkeys(suffix for kind in SUFFIXES.values() for suffix in kind))
    try:
        if not folder.exists():
            raise LsnError(f"The data folder {folder} does not exist; give cldr or a folder that is there.")
        if not folder.is_dir():
            raise LsnError(f"The data source {folder} is a file; give the folder that holds the text files.")
        entries = sorted(folder.iterdir())
        files: dict[tuple[str, str], list[Path]] = {}
        for entry in entries:
            match = _FLAT.fullmatch(entry.name)
            if match:
                files.setdefault((match["language"], match[2]), []).append(entry)
            elif entry.is_dir() and _LANGUAGE.fullmatch(entry.name):
                for split in SPLITS:
                    for suffix in suffixes:
                        path = entry / f"{split}{suffix}"
                        if path.exists():
                            files.setdefault((entry.name, split), []).append(path)
    except OSError as error:
        raise LsnError(f"The data folder {folder} cannot be read: {error.strerror or error}.") from error
    return files
