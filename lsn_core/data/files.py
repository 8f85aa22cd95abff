"""Text from a local folder.

The folder holds ``{lang}.{train,dev,test}.txt`` or ``{lang}/{train,dev,test}.{txt,conllu,jsonl}``.

Every entry of a file counts, in order, so that entry ``i`` of every language can say the same thing:

* ``.txt``: one sentence a line. A blank line within the text is refused rather than dropped, because
  dropping it in one language would shift every later line against the others. Blank lines at the end of
  the file are left out: they shift nothing.
* ``.conllu``: one entry a sentence, its ``# text =`` if there is one, otherwise its words joined by spaces.
* ``.jsonl``: one object a line, the text in its field ``text``. Blank lines as in ``.txt``.

Files are UTF-8, with or without a byte order mark. Where one language and split has several files, that is
refused: it would be unclear which one is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsn_core.data.source import SPLITS, check_kind, check_split, line_number
from lsn_core.errors import LsnError

SUFFIXES = (".txt", ".conllu", ".jsonl")

_FLAT = re.compile(rf"(?P<language>[A-Za-z][\w-]*)\.({'|'.join(SPLITS)})\.txt")
_LANGUAGE = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True)
class FileCorpus:
    """The sentences of one file, in its order."""

    language: str
    split: str
    path: Path
    lines: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int, /) -> str:
        """Sentence ``index``. Raises IndexError outside the corpus."""
        return self.lines[line_number(index, len(self.lines))]


class FolderSource:
    """Text files of a local folder, looked up when made and read when a corpus is asked for."""

    def __init__(self, folder: str | Path) -> None:
        """Raises LsnError when ``folder`` is missing, is no folder, cannot be read or holds no text files."""
        self.folder = Path(folder)
        # The folder's own name only: where it lies on this machine says nothing to others.
        self.name = f"folder:{self.folder.resolve().name}"
        self._files = _text_files(self.folder)
        if not self._files:
            raise LsnError(
                f"The folder {self.folder} holds no text; it needs files like en.train.txt or en/train.txt."
            )

    def languages(self, kind: str = "text") -> tuple[str, ...]:
        """Languages with at least one split, sorted by code."""
        return tuple(sorted({language for language, _ in self._files}))

    def path(self, language: str, split: str) -> Path:
        """The file that ``language`` and ``split`` are read from.

        Raises LsnError when the language or the split is missing, or when there are several such files.
        """
        check_split(split)
        if language not in self.languages():
            raise LsnError(
                f"The folder {self.folder} has no text in language {language!r}; "
                f"it has {', '.join(self.languages())}."
            )
        paths = self._files.get((language, split), [])
        if not paths:
            raise LsnError(
                f"The folder {self.folder} has no {split} split for language {language!r}; "
                f"add {language}.{split}.txt."
            )
        if len(paths) > 1:
            raise LsnError(
                f"The {split} split of language {language!r} is given more than once "
                f"({' and '.join(str(path) for path in paths)}); keep one of them."
            )
        return paths[0]

    def corpus(self, language: str, split: str, kind: str = "text") -> FileCorpus:
        """The sentences of a language and split.

        Raises LsnError that names the file (and the line where one is at fault) when it is missing, empty,
        a folder, not to be read, not UTF-8, or holds a blank line or a broken entry.
        """
        check_kind(kind, ("text",), self.name)
        path = self.path(language, split)
        text = _decode(_read(path), path)
        lines = tuple({".txt": _plain, ".conllu": _conllu, ".jsonl": _jsonl}[path.suffix](text, path))
        if not lines:
            raise LsnError(f"The file {path} is empty; it needs at least one sentence.")
        return FileCorpus(language, split, path, lines)

    def labels(self, kind: str) -> tuple[str, ...]:
        """The labels of this kind; LsnError when there are none."""
        check_kind(kind, (), self.name)
        return ()

    def fingerprint(self, language: str, kind: str = "text") -> str:
        """sha256 (hex) of the bytes of the three split files of ``language`` with their formats.

        Raises LsnError when one of the three is missing or cannot be read.
        """
        digest = hashlib.sha256()
        for split in SPLITS:
            path = self.path(language, split)
            data = _read(path)
            digest.update(f"{split}{path.suffix} {len(data)}\n".encode())
            digest.update(data)
        return digest.hexdigest()


def _text_files(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Files by language and split; a directory with a text file's name is among them, to be refused."""
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
                    for suffix in SUFFIXES:
                        path = entry / f"{split}{suffix}"
                        if path.exists():
                            files.setdefault((entry.name, split), []).append(path)
    except OSError as error:
        raise LsnError(f"The data folder {folder} cannot be read: {error.strerror or error}.") from error
    return files


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise LsnError(f"{path} is a folder, but a text file is expected there.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise LsnError(f"The file {path} cannot be read: {error.strerror or error}.") from error


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LsnError(f"The file {path} is not UTF-8 at line {line}; save it as UTF-8.") from error


def _numbered(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, blank ones refused except at the end of the file."""
    # Only line feeds end a line: Unicode's other separators may stand within a sentence.
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not line:
            raise LsnError(
                f"The file {path} has a blank line {number}; "
                "remove it in every language, because lines with the same number belong together."
            )
        yield number, line


def _plain(text: str, path: Path) -> Iterator[str]:
    return (line for _, line in _numbered(text, path))


def _jsonl(text: str, path: Path) -> Iterator[str]:
    for number, line in _numbered(text, path):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise LsnError(f"Line {number} of {path} is not JSON; each line is one object.") from error
        sentence = entry.get("text") if isinstance(entry, dict) else None
        if not isinstance(sentence, str) or not sentence.strip():
            raise LsnError(f'Line {number} of {path} has no text; it needs a field "text" with a sentence.')
        yield " ".join(sentence.split("\n")).strip()


def _conllu(text: str, path: Path) -> Iterator[str]:
    """Sentences of CoNLL-U: comments, then a word a line with tabs between its fields, then a blank line."""
    given: str | None = None
    words: list[str] = []
    covered = 0
    for number, raw in enumerate([*text.split("\n"), ""], 1):
        line = raw.rstrip("\r")
        if line.startswith("#"):
            key, equals, value = line[1:].partition("=")
            if equals and key.strip() == "text" and value.strip():
                given = value.strip()
            continue
        if line.strip():
            fields = line.split("\t")
            if len(fields) < 2 or not re.fullmatch(r"\d+([-.]\d+)?", fields[0]) or not fields[1].strip():
                raise LsnError(
                    f"Line {number} of {path} is not CoNLL-U: it needs a number, a tab and a word."
                )
            if "." in fields[0]:
                continue  # an empty node: not a word of the text
            first, _, last = fields[0].partition("-")
            if last:
                # A word of several parts ("3-4 zum"): the word is text, its parts are not.
                covered = int(last)
            elif int(first) <= covered:
                continue
            words.append(fields[1].strip())
            continue
        if words:
            yield given or " ".join(words)
        elif given:
            raise LsnError(f"The sentence before line {number} of {path} has a text but no words.")
        given, words, covered = None, [], 0
