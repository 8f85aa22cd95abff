from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lsn_core.data.files import FolderSource
from lsn_core.data.opening import open_source
from lsn_core.data.source import SPLITS, Corpus, Source
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def sentence(action) -> str:
    """The message of the LsnError that ``action`` raises, which is one line."""
    with pytest.raises(LsnError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


CONLLU = """\
# sent_id = 1
# text = Vamos al mar.
1-2\tVámonos\t_
1\tVamos\tir
2\tnos\tnosotros
3.1\tfui\tir

1\tIl\til
2-3\tva\t_
2\tv\t_
3\ta\t_
4\tloin\tloin


1\tVoilà\tvoilà
"""


def test_both_layouts_and_every_format(tmp_path):
    write(
        tmp_path,
        {
            "en.train.txt": "one\ntwo  words\n",
            "sw.train.txt": "moja\r\nmaneno mawili\r\n\r\n",
            "fr/train.conllu": CONLLU,
            "ar/dev.jsonl": '{"text": "واحد"}\n{"text": "اثنان\\nثلاثة", "id": 2}\n',
            "de/test.txt": b"\xef\xbb\xbfeins\xe2\x80\xa8zwei\n",
            "README.md": "not text",
            "notes/train.md": "nor this",
        },
    )
    source = open_source(str(tmp_path))
    assert isinstance(source, FolderSource)
    assert isinstance(source, Source)
    assert source.languages() == ("ar", "de", "en", "fr", "sw")
    english = source.corpus("en", "train")
    assert isinstance(english, Corpus)
    assert list(english.lines) == ["one", "two  words"]
    assert list(source.corpus("sw", "train").lines) == ["moja", "maneno mawili"]
    assert list(source.corpus("fr", "train").lines) == ["Vamos al mar.", "Il va loin", "Voilà"]
    assert list(source.corpus("ar", "dev").lines) == ["واحد", "اثنان ثلاثة"]
    # A line separator of Unicode within a sentence does not end the line; a byte order mark is no text.
    assert list(source.corpus("de", "test").lines) == ["eins\u2028zwei"]
    assert (len(english), english[0], english[-1]) == (2, "one", "two  words")
    with pytest.raises(IndexError):
        english[2]


def test_a_fingerprint_is_of_the_bytes(tmp_path):
    files = {f"{code}.{split}.txt": f"{code} {split}\n" for code in ("en", "sw") for split in SPLITS}
    source = FolderSource(write(tmp_path, files))
    first = source.fingerprint("en")
    assert len(first) == 64
    assert int(first, 16) >= 0
    assert source.fingerprint("sw") != first
    assert FolderSource(write(tmp_path / "copy", files)).fingerprint("en") == first
    write(tmp_path, {"en.test.txt": "en test \n"})
    assert source.fingerprint("en") != first
    (tmp_path / "en.dev.txt").unlink()
    assert "dev" in sentence(lambda: FolderSource(tmp_path).fingerprint("en"))


def test_text_moved_from_one_split_to_another_has_another_fingerprint(tmp_path):
    one = {"en.train.txt": "a\nb\n", "en.dev.txt": "c\n", "en.test.txt": "d\n"}
    two = {"en.train.txt": "a\n", "en.dev.txt": "b\nc\n", "en.test.txt": "d\n"}
    prints = [FolderSource(write(tmp_path / n, f)).fingerprint("en") for n, f in (("1", one), ("2", two))]
    assert prints[0] != prints[1]


def test_folders_that_cannot_serve(tmp_path):
    missing = str(tmp_path / "nowhere")
    assert missing in sentence(lambda: open_source(missing))
    assert "cldr" in sentence(lambda: open_source("clrd"))
    file = write(tmp_path, {"en.train.txt": "x\n"}) / "en.train.txt"
    assert "is a file" in sentence(lambda: open_source(str(file)))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "en.train.txt" in sentence(lambda: open_source(str(empty)))
    assert "empty" in sentence(lambda: open_source("  "))


def test_languages_and_splits_that_are_not_there(tmp_path):
    source = FolderSource(write(tmp_path, {"en.train.txt": "x\n", "sw/train.txt": "y\n"}))
    message = sentence(lambda: source.corpus("fr", "train"))
    assert "'fr'" in message
    assert "en, sw" in message
    assert "sw.dev.txt" in sentence(lambda: source.corpus("sw", "dev"))
    assert "train, dev, test" in sentence(lambda: source.corpus("sw", "valid"))
    both = FolderSource(write(tmp_path, {"en/train.jsonl": '{"text": "z"}\n'}))
    message = sentence(lambda: both.corpus("en", "train"))
    assert "en.train.txt" in message
    assert "train.jsonl" in message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("en.train.txt", "", "is empty"),
        ("en.train.txt", "\n \n\n", "is empty"),
        ("en.train.txt", "one\n\nthree\n", "blank line 2"),
        ("en.train.txt", b"one\ntwo\n\xff\xfe\n", "not UTF-8 at line 3"),
        ("en/train.jsonl", '{"text": "a"}\n{"text": \n', "Line 2"),
        ("en/train.jsonl", '{"text": "a"}\n["a"]\n', 'field "text"'),
        ("en/train.jsonl", '{"text": " "}\n', 'field "text"'),
        ("en/train.jsonl", '{"words": "a"}\n', 'field "text"'),
        ("en/train.conllu", "# only = comments\n\n", "is empty"),
        ("en/train.conllu", "1\tok\n\nno tabs here\n", "Line 3"),
        ("en/train.conllu", "one\tword\n", "Line 1"),
        ("en/train.conllu", "# text = Words are missing.\n\n1\tok\n", "no words"),
    ],
)
def test_files_that_cannot_be_read_as_text(tmp_path, name, content, said):
    source = FolderSource(write(tmp_path, {name: content}))
    message = sentence(lambda: source.corpus("en", "train"))
    assert said in message
    assert str(tmp_path / name) in message


def test_a_folder_with_a_file_s_name(tmp_path):
    (tmp_path / "en.train.txt").mkdir()
    (tmp_path / "sw" / "train.conllu").mkdir(parents=True)
    source = FolderSource(tmp_path)
    for code, name in (("en", "en.train.txt"), ("sw", "train.conllu")):
        message = sentence(lambda code=code: source.corpus(code, "train"))
        assert name in message
        assert "is a folder" in message


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    source = FolderSource(write(tmp_path, {"en.train.txt": "x\n"}))

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    # Permissions alone would not stop a test that is run by root.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    message = sentence(lambda: source.corpus("en", "train"))
    assert "en.train.txt" in message
    assert "Permission denied" in message


def test_a_link_to_nowhere(tmp_path):
    (tmp_path / "en.train.txt").symlink_to(tmp_path / "gone.txt")
    assert "en.train.txt" in sentence(lambda: FolderSource(tmp_path).corpus("en", "train"))


def test_real_parallel_text(shared):
    source = open_source(str(shared / "data" / "parallel"))
    assert set(PAPER_LANGUAGES) <= set(source.languages())
    for split, count in (("train", 4135), ("dev", 200), ("test", 300)):
        assert {len(source.corpus(code, split)) for code in PAPER_LANGUAGES} == {count}
    digest = hashlib.sha256()
    for split in SPLITS:
        data = (shared / "data" / "parallel" / f"en.{split}.txt").read_bytes()
        digest.update(f"{split}.txt {len(data)}\n".encode() + data)
    assert source.fingerprint("en") == digest.hexdigest()


def test_real_tagged_text(shared):
    source = open_source(str(shared / "data" / "upos"))
    corpus = source.corpus("fr", "test")
    assert 100 <= len(corpus) <= 250
    assert all(line == line.strip() and "\t" not in line for line in corpus.lines)


def test_a_round_trip_through_json_lines(tmp_path):
    texts = ["a «b»", 'with "quotes"', "ہم", "tab\there"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    source = FolderSource(write(tmp_path, {"ur/test.jsonl": lines}))
    assert list(source.corpus("ur", "test").lines) == texts
