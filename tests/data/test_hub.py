"""Data sets in the hub's layout: as a local folder, and over HTTP through the hub's own client."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.utils import close_session

from lsn_core.data import hub, parquet
from lsn_core.data.files import FolderSource
from lsn_core.data.hub import HUB_DATASETS, open_hub
from lsn_core.data.opening import open_source
from lsn_core.data.parquet import ENTITY_TAGS, ParquetFolder, held_out, passages
from lsn_core.data.source import NLI_LABELS, SPLITS, Corpus, Pair, Source, Tagged
from lsn_core.errors import LsnError

COMMIT = "b04c8d1ceb2f5cd4588862100d08de323dccfbaa"
HUB_SPLITS = ("train", "validation", "test")


def sentence(action) -> str:
    """The message of the LsnError that ``action`` raises, which is one line."""
    with pytest.raises(LsnError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


# ---------------------------------------------------------------------- files as the library datasets writes them


def write(path: Path, columns: dict[str, pa.Array], classes: dict | None = None, group: int = 1000) -> Path:
    """One file; ``classes`` are the features that its metadata describes, none without metadata."""
    table = pa.table(columns)
    if classes is not None:
        note = json.dumps({"info": {"features": classes}})
        table = table.replace_schema_metadata({"huggingface": note})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def class_list(names, form: str = "Sequence") -> dict | list:
    label = {"names": list(names), "_type": "ClassLabel"}
    return [label] if form == "list" else {"feature": label, "_type": form}


ROWS = (
    (["R.H.", "Saunders", "sang"], [1, 2, 0]),
    ([], []),
    (["in", "Wellington", "Zoo"], [0, 5, 6]),
    (["UNESCO"], [3]),
)


def wikiann(root: Path, language: str, form: str = "Sequence", names=ENTITY_TAGS, rows=ROWS) -> None:
    for split in HUB_SPLITS:
        words = [[f"{split}-{language}", *words] if words else [] for words, _ in rows]
        write(
            root / language / f"{split}-00000-of-00001.parquet",
            {
                "tokens": pa.array(words, pa.list_(pa.string())),
                "ner_tags": pa.array([[0, *t] if t else [] for _, t in rows], pa.list_(pa.int64())),
                "langs": pa.array([[language] * len(w) for w in words], pa.list_(pa.string())),
                "spans": pa.array([["PER: x"] for _ in rows], pa.list_(pa.string())),
            },
            {
                "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": form},
                "ner_tags": class_list(names, form),
            }
            if names
            else None,
        )


PAIRS = (
    ("It rains.", "The street is wet.", 0),
    ("It rains.", "It is Monday.", 1),
    ("Nobody agreed.", "On this one.", -1),
    ("It rains.", "It is dry.", 2),
)


def xnli(root: Path, language: str, names=NLI_LABELS, pairs=PAIRS) -> None:
    for split in HUB_SPLITS:
        write(
            root / language / f"{split}-00000-of-00001.parquet",
            {
                "premise": pa.array(
                    [premise and f"{language} {split}: {premise}" for premise, _, _ in pairs]
                ),
                "hypothesis": pa.array([hypothesis for _, hypothesis, _ in pairs]),
                "label": pa.array([label for _, _, label in pairs], pa.int64()),
            },
            {"label": {"names": list(names), "_type": "ClassLabel"}} if names else None,
        )


def article(number: int, size: int = 3) -> str:
    pieces = (
        f"Article {number} says in its part {part} something of " + "some length " * 5 for part in range(size)
    )
    return "History\n\n" + "\n\n".join(pieces) + "\n\nSee also"


def wikipedia(
    root: Path, configuration: str, articles: int, shards: int = 1, group: int = 1000, size: int = 3
):
    each = -(-articles // shards)
    for shard in range(shards):
        numbers = range(shard * each, min(articles, (shard + 1) * each))
        write(
            root / configuration / f"train-{shard:05}-of-{shards:05}.parquet",
            {
                "id": pa.array([str(number) for number in numbers]),
                "url": pa.array([f"https://x.wikipedia.org/wiki/{number}" for number in numbers]),
                "title": pa.array([f"Article {number}" for number in numbers]),
                "text": pa.array([article(number, size) for number in numbers]),
            },
            {"id": {"dtype": "string", "_type": "Value"}},
            group,
        )


# ---------------------------------------------------------------------- a local folder


@pytest.mark.parametrize("form", ["Sequence", "List", "list"])
def test_wikiann_from_a_folder(tmp_path, form):
    for language in ("en", "fa", "zh-classical", "simple"):
        wikiann(tmp_path, language, form)
    source = open_source(str(tmp_path))
    assert isinstance(source, ParquetFolder)
    assert isinstance(source, Source)
    assert source.name == f"folder:{tmp_path.name}"
    assert source.languages("ner") == ("en", "fa", "simple", "zh-classical")
    assert source.labels("ner") == ENTITY_TAGS
    corpus = source.corpus("fa", "dev", "ner")
    assert isinstance(corpus, Corpus)
    assert (corpus.language, corpus.split, len(corpus)) == (
        "fa",
        "dev",
        3,
    )  # the row without words is no item
    assert corpus[0] == Tagged(("validation-fa", "R.H.", "Saunders", "sang"), ("O", "B-PER", "I-PER", "O"))
    assert corpus[1].tags == ("O", "O", "B-LOC", "I-LOC")
    assert corpus[-1] == Tagged(("validation-fa", "UNESCO"), ("O", "B-ORG"))
    with pytest.raises(IndexError):
        corpus[3]


def test_classes_of_another_order_are_decoded_by_their_names(tmp_path):
    other = ("B-MISC", "I-MISC", *ENTITY_TAGS)
    wikiann(tmp_path, "en", names=other, rows=[(["Go"], [0]), (["Rome"], [7])])
    source = ParquetFolder(tmp_path)
    assert source.labels("ner") == other
    assert [item.tags[-1] for item in source.corpus("en", "test", "ner")] == ["B-MISC", "B-LOC"]
    wikiann(tmp_path, "sw", names=tuple(reversed(other)), rows=[(["Roma"], [3])])
    mixed = ParquetFolder(tmp_path)
    assert mixed.corpus("sw", "test", "ner")[0].tags == ("I-LOC", "B-ORG")
    assert mixed.labels("ner") == other
    wikiann(tmp_path, "de", rows=[(["Rom"], [3])])
    message = sentence(lambda: ParquetFolder(tmp_path).corpus("sw", "train", "ner"))
    assert "classes that 'de' has not (B-MISC, I-MISC)" in message


def test_xnli_from_a_folder_leaves_out_rows_without_a_label(tmp_path):
    for language in ("en", "sw"):
        xnli(tmp_path, language)
    xnli(tmp_path, "de", names=("neutral", "contradiction", "entailment"))
    source = open_source(str(tmp_path))
    assert source.labels("nli") == NLI_LABELS
    corpus = source.corpus("sw", "train", "nli")
    assert list(corpus) == [
        Pair("sw train: It rains.", "The street is wet.", "entailment"),
        Pair("sw train: It rains.", "It is Monday.", "neutral"),
        Pair("sw train: It rains.", "It is dry.", "contradiction"),
    ]
    assert [item.label for item in ParquetFolder(tmp_path).corpus("de", "dev", "nli")] == [
        "neutral",
        "contradiction",
        "entailment",
    ]


def test_files_without_metadata_have_the_classes_of_the_layout(tmp_path):
    wikiann(tmp_path, "en", names=None)
    assert ParquetFolder(tmp_path).corpus("en", "test", "ner")[1].tags[-2:] == ("B-LOC", "I-LOC")
    xnli(tmp_path / "pairs", "en", names=None)
    assert ParquetFolder(tmp_path / "pairs").corpus("en", "test", "nli")[0].label == "entailment"


def test_parts_of_speech_are_named_by_the_file(tmp_path):
    for split in HUB_SPLITS:
        columns = {"tokens": pa.array([["Go", "home"]]), "upos": pa.array([[1, 0]])}
        write(tmp_path / "en" / f"{split}.parquet", columns, {"upos": class_list(("NOUN", "VERB"))})
    source = open_source(str(tmp_path))
    assert source.labels("pos") == ("NOUN", "VERB")
    assert source.corpus("en", "train", "pos")[0] == Tagged(("Go", "home"), ("VERB", "NOUN"))
    assert "has no data for 'nli'; it has pos" in sentence(lambda: source.corpus("en", "train", "nli"))
    nameless = {"tokens": pa.array([["Go"]]), "upos": pa.array([[1]])}
    write(tmp_path / "b" / "fr" / "train.parquet", nameless)
    assert "does not name the classes" in sentence(lambda: ParquetFolder(tmp_path / "b").labels("pos"))


def test_the_hub_s_converted_branch_and_the_newest_dump(tmp_path):
    wikipedia(tmp_path, "20220301.en", 40)
    wikipedia(tmp_path, "20231101.en", 80)
    wikipedia(tmp_path, "20231101.zh-min-nan", 60)
    source = ParquetFolder(tmp_path)
    assert source.languages() == ("en", "zh-min-nan")
    total = sum(len(source.corpus("en", split)) for split in SPLITS)
    assert total == 80 * 3
    for split in HUB_SPLITS:
        columns = {"tokens": pa.array([["a"]]), "ner_tags": pa.array([[0]])}
        for part in range(2):
            write(tmp_path / "converted" / "sw" / split / f"000{part}.parquet", columns)
    assert len(open_source(str(tmp_path / "converted")).corpus("sw", "dev", "ner")) == 2


# ---------------------------------------------------------------------- articles


def test_articles_are_cut_into_passages_and_dealt_to_the_splits_by_their_ids(tmp_path):
    wikipedia(tmp_path, "20231101.sw", 200, shards=3)
    source = open_source(str(tmp_path))
    lines = {split: list(source.corpus("sw", split)) for split in SPLITS}
    articles = {split: {int(line.split()[1]) for line in lines[split]} for split in SPLITS}
    for split in SPLITS:
        expected = {n for n in range(200) if held_out(hashlib.sha256(str(n).encode()).digest()) == split}
        assert articles[split] == expected
        assert len(lines[split]) == 3 * len(expected)
    assert set.union(*articles.values()) == set(range(200))
    assert len(articles["dev"]) < 30
    # Neither their order nor their split hangs on the files they lie in.
    wikipedia(tmp_path / "one", "20231101.sw", 200)
    other = ParquetFolder(tmp_path / "one")
    assert {split: list(other.corpus("sw", split)) for split in SPLITS} == lines
    order = list(dict.fromkeys(int(line.split()[1]) for line in lines["train"]))
    assert order == sorted(order, key=lambda number: hashlib.sha256(str(number).encode()).digest())


def test_passages_leave_out_what_is_too_short_or_too_much():
    long = "word " * 20
    assert passages(f"Title\n\n {long}\nSee also\n{long}x\r\n") == (long.strip(), f"{long}x")
    assert len(passages("\n".join([long] * 99))) == parquet.MAX_PASSAGES
    assert passages("") == ()
    # Twenty characters of Chinese are a sentence.
    assert passages("语" * 20) == ("语" * 20,)


def test_no_more_than_the_first_articles_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_DOCUMENTS", 150)
    wikipedia(tmp_path, "20231101.en", 400, shards=4)
    source = ParquetFolder(tmp_path)
    first = [len(source.corpus("en", split)) for split in SPLITS]
    assert sum(first) == 150 * 3
    print_ = source.fingerprint("en")
    # The files after those are neither opened nor hashed: they need not even be there.
    (tmp_path / "20231101.en" / "train-00003-of-00004.parquet").unlink()
    (tmp_path / "20231101.en" / "train-00002-of-00004.parquet").write_bytes(b"rubbish")
    again = ParquetFolder(tmp_path)
    assert [len(again.corpus("en", split)) for split in SPLITS] == first
    assert again.fingerprint("en") == print_
    (tmp_path / "20231101.en" / "train-00001-of-00004.parquet").unlink()
    message = sentence(lambda: ParquetFolder(tmp_path).corpus("en", "train"))
    assert "lacks file 1 of 4" in message


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_DOCUMENTS", 100)
    wikipedia(tmp_path, "20231101.en", 4000, group=100, size=60)
    size = 4000 * len(article(1, 60))
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        assert len(ParquetFolder(tmp_path).corpus("en", "train")) > 80 * parquet.MAX_PASSAGES
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < size / 8


def test_a_split_that_got_no_article(tmp_path):
    wikipedia(tmp_path, "20231101.en", 2)
    message = sentence(lambda: [ParquetFolder(tmp_path).corpus("en", split) for split in SPLITS])
    assert "nothing to read in language 'en'" in message


# ---------------------------------------------------------------------- fingerprints


def test_a_folder_s_fingerprint_is_of_the_bytes(tmp_path):
    wikiann(tmp_path, "en")
    wikiann(tmp_path, "sw")
    source = ParquetFolder(tmp_path)
    first = source.fingerprint("en", "ner")
    assert len(first) == 64
    assert source.fingerprint("sw", "ner") != first
    wikiann(tmp_path / "copy", "en")
    assert ParquetFolder(tmp_path / "copy").fingerprint("en", "ner") == first
    wikiann(tmp_path, "en", rows=ROWS[:2])
    assert source.fingerprint("en", "ner") != first


# ---------------------------------------------------------------------- what cannot be read


def test_a_truncated_file(tmp_path):
    xnli(tmp_path, "en")
    path = tmp_path / "en" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    source = ParquetFolder(tmp_path)
    assert len(source.corpus("en", "test", "nli")) == 3
    message = sentence(lambda: source.corpus("en", "train", "nli"))
    assert "en/train-00000-of-00001.parquet" in message
    assert "not a whole parquet file" in message


def test_damage_inside_a_file(tmp_path):
    wikipedia(tmp_path, "20231101.en", 400)
    path = tmp_path / "20231101.en" / "train-00000-of-00001.parquet"
    data = bytearray(path.read_bytes())
    data[20 : len(data) // 2] = bytes(len(data) // 2 - 20)
    path.write_bytes(data)
    assert "not a whole parquet file" in sentence(lambda: ParquetFolder(tmp_path).corpus("en", "train"))


NAMED = {"ner_tags": class_list(ENTITY_TAGS)}
LABEL = {"label": {"names": list(NLI_LABELS), "_type": "ClassLabel"}}


@pytest.mark.parametrize(
    ("kind", "columns", "classes", "said"),
    [
        ("ner", {"tokens": [["a"]], "tags": [[0]]}, None, "other columns"),
        ("ner", {"tokens": [["a", "b"]], "ner_tags": [[0]]}, NAMED, "not as many tags as words in row 0"),
        ("ner", {"tokens": [["a"], ["b"]], "ner_tags": [[0], [9]]}, NAMED, "class number 9"),
        ("ner", {"tokens": [["a"]], "ner_tags": [[-1]]}, NAMED, "class number -1"),
        ("ner", {"tokens": [["a"]], "ner_tags": [["B-PER"]]}, None, "class numbers are expected"),
        ("ner", {"tokens": [[None]], "ner_tags": [[0]]}, NAMED, "words that are missing"),
        (
            "ner",
            {"tokens": [["a"]], "ner_tags": pa.array([[None]], pa.list_(pa.int64()))},
            NAMED,
            "class missing",
        ),
        ("ner", {"tokens": [["a"]], "ner_tags": [[0]]}, ["?"], "cannot be read"),
        ("nli", {"premise": ["a"], "hypothesis": ["b"], "label": [3]}, LABEL, "class number 3"),
        (
            "nli",
            {"premise": ["a"], "hypothesis": ["b"], "label": ["neutral"]},
            None,
            "class numbers are expected",
        ),
        (
            "nli",
            {"premise": ["a", None], "hypothesis": ["b", "c"], "label": [-1, 0]},
            LABEL,
            "missing in row 1",
        ),
        (
            "nli",
            {"premise": ["a"], "hypothesis": ["b"], "label": [0]},
            {"label": {"names": ["yes", "no"]}},
            "has the labels yes, no",
        ),
        (
            "nli",
            {"premise": ["a"], "hypothesis": ["b"], "label": pa.array([None], pa.int64())},
            LABEL,
            "nothing to read",
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, kind, columns, classes, said):
    path = tmp_path / "en" / "train-00000-of-00001.parquet"
    write(path, {name: pa.array(values) for name, values in columns.items()}, classes)
    assert said in sentence(lambda: ParquetFolder(tmp_path).corpus("en", "train", kind))


def test_languages_splits_and_files_that_are_not_there(tmp_path):
    xnli(tmp_path, "en")
    source = ParquetFolder(tmp_path)
    assert "no language 'fa'" in sentence(lambda: source.corpus("fa", "train", "nli"))
    assert "train, dev, test" in sentence(lambda: source.corpus("en", "validation", "nli"))
    (tmp_path / "en" / "validation-00000-of-00001.parquet").unlink()
    assert "no dev split" in sentence(lambda: ParquetFolder(tmp_path).corpus("en", "dev", "nli"))
    write(tmp_path / "flat" / "train.parquet", {"text": pa.array(["a"])})
    assert "en/train-00000-of-00001.parquet" in sentence(lambda: open_source(str(tmp_path / "flat")))


def test_a_folder_with_text_files_is_read_as_text(tmp_path):
    xnli(tmp_path, "en")
    (tmp_path / "README.txt").write_text("not data")
    assert isinstance(open_source(str(tmp_path)), ParquetFolder)
    for split in SPLITS:
        (tmp_path / f"en.{split}.txt").write_text("a line\n")
    assert isinstance(open_source(str(tmp_path)), FolderSource)


# ---------------------------------------------------------------------- the hub


@dataclass
class FakeHub:
    """What the hub's client asks for, answered from folders: the list of files of a commit, and the files."""

    url: str = ""
    repositories: dict[str, Path] = field(default_factory=dict)
    commit: str = COMMIT
    asked: list[str] = field(default_factory=list)
    broken: bool = False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        self.asked.append(f"{handler.command} {path}")
        api = path.startswith("/api")
        name = "/".join(path.removeprefix("/api").split("/")[2:4])
        rest = path.partition(f"{name}/")[2].split("/", 1)
        revision = rest[1] if api and len(rest) > 1 else rest[1].split("/")[0] if len(rest) > 1 else "main"
        if self.broken:
            return self.send(handler, 503)
        if name == "gated/set":
            return self.send(handler, 403, {"X-Error-Code": "GatedRepo"})
        if name not in self.repositories:
            return self.send(handler, 404, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", self.commit, self.commit[:7], COMMIT):
            return self.send(handler, 404, {"X-Error-Code": "RevisionNotFound"})
        root = self.repositories[name]
        if api:
            files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
            body = {"id": name, "sha": self.commit, "siblings": [{"rfilename": file} for file in files]}
            return self.send(handler, 200, {"Content-Type": "application/json"}, json.dumps(body).encode())
        data = (root / path.partition(f"/{revision}/")[2]).read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        self.send(
            handler,
            200,
            {"ETag": f'"{etag}"', "X-Repo-Commit": self.commit if revision == "main" else revision},
            data,
        )

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, headers=None, body: bytes = b"") -> None:
        handler.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            handler.send_header(key, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)


def _use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    served = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.answer(self)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    _use(monkeypatch, served.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    close_session()
    wikiann(tmp_path / "wikiann", "en")
    wikiann(tmp_path / "wikiann", "fa")
    xnli(tmp_path / "xnli", "en")
    write(
        tmp_path / "xnli" / "all_languages" / "train-00000-of-00004.parquet",
        {"premise": pa.array([{"en": "x"}])},
    )
    wikipedia(tmp_path / "wikipedia", "20231101.sw", 200, shards=4)
    served.repositories = {d.repository: tmp_path / name for name, d in HUB_DATASETS.items()}
    yield served
    server.shutdown()
    server.server_close()
    thread.join()
    close_session()


def test_a_data_set_of_the_hub_reads_as_its_copy_in_a_folder(fake, tmp_path):
    for spec, language, kind in (
        ("hub:wikiann", "fa", "ner"),
        ("hub:xnli", "en", "nli"),
        ("hub:wikipedia", "sw", "text"),
    ):
        source = open_source(spec)
        assert source.name == spec
        assert isinstance(source, Source)
        copy = ParquetFolder(tmp_path / spec.removeprefix("hub:"))
        for split in SPLITS:
            assert list(source.corpus(language, split, kind)) == list(copy.corpus(language, split, kind))
        assert language in source.languages(kind)
    assert open_source("hub:wikiann").languages("ner") == ("en", "fa")
    assert open_source("hub:facebook/xnli").name == "hub:xnli"
    assert open_source("hub:wikiann").labels("ner") == ENTITY_TAGS


def test_files_are_fetched_when_they_are_read_and_once(fake, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_DOCUMENTS", 70)
    source = open_source("hub:wikipedia")
    assert fake.asked == []
    print_ = source.fingerprint("sw")
    assert set(fake.asked) == {"GET /api/datasets/wikimedia/wikipedia"}
    for split in SPLITS:
        source.corpus("sw", split)
    fetched = [
        call.rsplit("/", 1)[1] for call in fake.asked if "/resolve/" in call and call.startswith("GET")
    ]
    # 50 articles a file: of four files, two hold the first 70.
    assert fetched == ["train-00000-of-00004.parquet", "train-00001-of-00004.parquet"]
    assert source.fingerprint("sw") == print_
    fake.asked.clear()
    again = open_source("hub:wikipedia")
    again.corpus("sw", "dev")
    assert set(fake.asked) == {"GET /api/datasets/wikimedia/wikipedia"}


def test_the_cache_serves_where_the_hub_does_not(fake, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_DOCUMENTS", 70)
    online = open_source("hub:wikipedia")
    lines, print_ = list(online.corpus("sw", "train")), online.fingerprint("sw")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    _use(monkeypatch, dead)
    unreachable = open_source("hub:wikipedia")
    assert list(unreachable.corpus("sw", "train")) == lines
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    offline = open_source("hub:wikipedia")
    assert list(offline.corpus("sw", "train")) == lines
    # Though the cache holds two of the four files.
    assert offline.fingerprint("sw") == print_
    assert "no language 'en'" in sentence(lambda: offline.corpus("en", "train"))
    message = sentence(lambda: open_source("hub:wikiann").corpus("en", "train", "ner"))
    assert "unimelb-nlp/wikiann" in message
    assert "could not be fetched, and the cache does not hold it" in message


def test_a_pinned_revision(fake, monkeypatch):
    for revision in (COMMIT, COMMIT[:7]):
        source = open_source(f"hub:wikiann@{revision}")
        assert source.name == f"hub:wikiann@{revision}"
        assert len(source.corpus("en", "test", "ner")) == 3
        assert source.fingerprint("en", "ner") == open_source("hub:wikiann").fingerprint("en", "ner")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for revision in (COMMIT, COMMIT[:7]):
        assert len(open_source(f"hub:wikiann@{revision}").corpus("en", "test", "ner")) == 3
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    message = sentence(lambda: open_source("hub:wikiann@nosuch").corpus("en", "test", "ner"))
    assert "no revision 'nosuch'" in message
    assert "empty" in sentence(lambda: open_source("hub:wikiann@"))


def test_another_commit_has_another_fingerprint_and_is_not_mixed_in(fake):
    """A source keeps to the commit that it saw first."""
    source = open_source("hub:wikiann")
    first = source.fingerprint("en", "ner")
    assert source.fingerprint("fa", "ner") != first
    fake.commit = "0" * 40
    assert open_source("hub:wikiann").fingerprint("en", "ner") != first
    fake.asked.clear()
    source.corpus("en", "train", "ner")
    assert {call.split("/")[5] for call in fake.asked} == {COMMIT}
    assert source.fingerprint("en", "ner") == first


def test_what_the_hub_refuses(fake):
    message = sentence(lambda: open_source("hub:no/such").corpus("en", "train"))
    assert "no/such" in message
    assert "hub:wikiann, hub:wikipedia, hub:xnli" in message
    assert "hf auth login" in sentence(lambda: open_source("hub:gated/set").corpus("en", "train"))
    assert "no language 'xx'" in sentence(lambda: open_source("hub:wikiann").corpus("xx", "train", "ner"))
    assert "has no data for 'pos'; it has ner" in sentence(
        lambda: open_source("hub:wikiann").languages("pos")
    )
    assert "is not the name" in sentence(lambda: open_source("hub:bad/na--me").corpus("en", "train"))
    fake.broken = True
    assert "could not be fetched" in sentence(lambda: open_source("hub:wikiann").corpus("en", "train", "ner"))


def test_names_that_cannot_be_a_data_set():
    for spec in ("hub:", "hub:wikian", "hub:a/b/c", "hub:../x"):
        message = sentence(lambda spec=spec: open_source(spec))
        assert "hub:wikiann, hub:wikipedia, hub:xnli" in message


def test_an_unknown_data_set_in_a_known_layout(fake, tmp_path):
    other = ("NOUN", "VERB")
    for split in HUB_SPLITS:
        columns = {"tokens": pa.array([["Go", "home"]]), "pos_tags": pa.array([[1, 0]])}
        write(tmp_path / "o" / "sw" / f"{split}.parquet", columns, {"pos_tags": class_list(other)})
    fake.repositories["owner/name"] = tmp_path / "o"
    source = open_source("hub:owner/name")
    assert source.name == "hub:owner/name"
    assert source.languages("pos") == ("sw",)
    assert source.labels("pos") == other
    assert source.corpus("sw", "dev", "pos")[0] == Tagged(("Go", "home"), ("VERB", "NOUN"))
    message = sentence(lambda: source.corpus("sw", "dev", "nli"))
    assert "it needs premise and hypothesis and label, and has tokens, pos_tags" in message


def test_classes_are_compared_with_the_table(fake, tmp_path):
    wikiann(tmp_path / "wikiann", "en", names=("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"))
    message = sentence(lambda: open_source("hub:wikiann").corpus("en", "train", "ner"))
    assert "numbers the classes of 'ner_tags' as O, B-LOC" in message


def test_xnli_has_no_farsi_and_says_so_without_asking(fake):
    source = open_hub("xnli")
    assert "fa" not in source.languages("nli")
    assert len(source.languages("nli")) == 15
    message = sentence(lambda: source.corpus("fa", "train", "nli"))
    assert "has no language 'fa'" in message
    assert "ar, bg, de, el, en, es, fr, hi, ru, sw, th, tr, ur, vi, zh" in message
    assert fake.asked == []


def test_a_hub_that_does_not_answer_is_given_up(fake, monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _use(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        message = sentence(lambda: open_source("hub:wikiann").corpus("en", "train", "ner"))
    assert "check the network" in message


# ---------------------------------------------------------------------- through the command line


@pytest.mark.slow
def test_discover_reads_articles(tmp_path, capsys):
    from lsn_core.cli import main
    from lsn_core.masks.atlas import Atlas
    from tests.tiny_models import save_tiny_model

    data, atlas = tmp_path / "wiki", tmp_path / "atlas"
    for language in ("en", "fr"):
        wikipedia(data, f"20231101.{language}", 150)
    model = save_tiny_model(tmp_path / "model")
    command = [
        *("discover", "--model", str(model), "--task", "mlm", "--languages", "en", "fr", "--data", str(data)),
        *("--rounds", "2", "--steps", "2", "--batch-size", "4", "--train-lines", "40", "--score-lines", "8"),
        *("--atlas", str(atlas), "--jobs", "1"),
    ]
    assert main(command) == 0
    opened = Atlas.open(atlas)
    headers = [header for header in opened.headers() if header.key.language]
    assert {header.key.language for header in headers} == {"en", "fr"}
    assert headers[0].provenance["data"] == {
        "name": "folder:wiki",
        "fingerprint": ParquetFolder(data).fingerprint(headers[0].key.language),
    }
    capsys.readouterr()
    assert main([*command, "--languages", "en", "xx"]) == 2
    assert "no language 'xx'" in capsys.readouterr().err


@pytest.mark.slow
def test_discover_refuses_a_language_before_anything_is_fetched(fake, tmp_path, capsys):
    from lsn_core.cli import main

    command = ["discover", "--model", "no-such", "--data", "hub:wikipedia", "--languages", "sw", "xx"]
    assert main([*command, "--atlas", str(tmp_path / "atlas")]) == 2
    assert "no language 'xx'" in capsys.readouterr().err
    assert not any("/resolve/" in call for call in fake.asked)
