from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from lsn_core.data.files import FolderSource
from lsn_core.data.files.tagged import bio
from lsn_core.data.opening import open_source
from lsn_core.data.source import NLI_LABELS, SPLITS, UPOS_TAGS, Pair, Source, Tagged
from tests.data.test_folder_source import sentence, write

CONLLU = """\
# newdoc
# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_
1\tVamos\tir\tVERB\t_
2\tnos\tnosotros\tPRON\t_
3-4\tal\t_\t_\t_
3\ta\ta\tADP\t_
4\tel\tel\tDET\t_
4.1\tfui\tir\tVERB\t_
5\tmar\tmar\tNOUN\t_

1\t100 000\t_\tNUM\t_
"""

CONLL_2003 = """\
-DOCSTART- -X- -X- O

EU NNP B-NP I-ORG
rejects VBZ B-VP O
German JJ B-NP I-MISC
British JJ B-NP B-MISC
lamb NN I-NP I-MISC

-DOCSTART- -X- -X- O

Peter NNP B-NP I-PER
Blackburn NNP I-NP I-PER
"""


def read(tmp_path, name: str, content: str | bytes, kind: str) -> list:
    source = FolderSource(write(tmp_path, {f"en/{name}": content}))
    return list(source.corpus("en", "train", kind).lines)


def test_parts_of_speech_of_conllu_belong_to_the_syntactic_words(tmp_path):
    assert read(tmp_path, "train.conllu", CONLLU, "pos") == [
        Tagged(("Vamos", "nos", "a", "el", "mar"), ("VERB", "PRON", "ADP", "DET", "NOUN")),
        Tagged(("100 000",), ("NUM",)),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.txt", "\nUna DET\ncasa \t NOUN\r\n\n\n# SYM\n\u2028x NOUN"),
        ("train.txt", b"\xef\xbb\xbfUna\tDET\ncasa\tNOUN\n \t\n#\tSYM\n\xe2\x80\xa8x\tNOUN\n\n"),
        (
            "train.jsonl",
            '{"words": ["Una", "casa"], "tags": ["DET", "NOUN"]}\n{"tokens": ["#", "x"], "upos": ["SYM", "NOUN"]}\n\n',
        ),
    ],
)
def test_the_same_parts_of_speech_in_columns_and_json(tmp_path, name, content):
    assert read(tmp_path, name, content, "pos") == [
        Tagged(("Una", "casa"), ("DET", "NOUN")),
        Tagged(("#", "x"), ("SYM", "NOUN")),
    ]


def test_a_word_between_tabs_may_hold_spaces(tmp_path):
    assert read(tmp_path, "train.txt", "6 20 30\tNUM\n", "pos") == [Tagged(("6 20 30",), ("NUM",))]


def test_entities_of_conll_2003_come_out_in_bio(tmp_path):
    expected = [
        Tagged(("EU", "rejects", "German", "British", "lamb"), ("B-ORG", "O", "B-MISC", "B-MISC", "I-MISC")),
        Tagged(("Peter", "Blackburn"), ("B-PER", "I-PER")),
    ]
    assert read(tmp_path, "train.txt", CONLL_2003, "ner") == expected
    lines = "".join(
        json.dumps({"tokens": list(item.words), "ner_tags": list(item.tags)}) + "\n" for item in expected
    )
    assert read(tmp_path / "json", "train.jsonl", lines, "ner") == expected


ENTITIES = st.lists(st.tuples(st.sampled_from(["", "PER", "LOC"]), st.integers(1, 4)), min_size=1, max_size=8)


def _spell(runs: list[tuple[str, int]], scheme: str) -> list[str]:
    """Tags of runs of words: of an entity each, or outside when the type is empty."""
    tags: list[str] = []
    before = ""
    for kind, length in runs:
        if not kind:
            tags += ["O"] * length
        elif scheme == "IOB1":
            tags += [f"{'B' if before == kind else 'I'}-{kind}", *[f"I-{kind}"] * (length - 1)]
        elif scheme == "BIO":
            tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
        else:
            first, last, single = {"IOBES": "BES", "BILOU": "BLU"}[scheme]
            middle = [f"I-{kind}"] * (length - 2)
            tags += [f"{single}-{kind}"] if length == 1 else [f"{first}-{kind}", *middle, f"{last}-{kind}"]
        before = kind
    return tags


@given(ENTITIES, st.sampled_from(["BIO", "IOB1", "IOBES", "BILOU"]))
def test_every_scheme_comes_out_as_the_same_bio(runs, scheme):
    assert list(bio(_spell(runs, scheme))) == _spell(runs, "BIO")


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=1, max_size=12))
def test_broken_bio_keeps_the_entities_that_the_conll_scorer_sees(tags):
    result = list(bio(tags))
    assert get_entities(result) == get_entities(tags)
    for previous, tag in zip(["O", *result], result, strict=False):
        assert not tag.startswith("I-") or previous[2:] == tag[2:]


PAIRS = [
    Pair("A man sleeps.", "He rests.", "entailment"),
    Pair("A man sleeps.", 'He "dreams".', "neutral"),
    Pair("A man sleeps.", "He runs.", "contradiction"),
]


def test_pairs_in_every_spelling(tmp_path):
    rows = [(pair.premise, pair.hypothesis) for pair in PAIRS]
    words, old, numbers = NLI_LABELS, ("Entailment", "neutral", "contradictory"), (0, 1, 2)
    for labels in (words, old, numbers):
        tsv = "".join(f"{p}\t{h}\t{label}\n" for (p, h), label in zip(rows, labels, strict=True))
        for number, text in enumerate((tsv, "premise\thypo\tlabel\n" + tsv)):
            assert read(tmp_path / f"{labels[0]}{number}", "train.tsv", text, "nli") == PAIRS
    for labels in (words, numbers):
        objects = [
            {"premise": p, "hypothesis": h, "label": label}
            for (p, h), label in zip(rows, labels, strict=True)
        ]
        lines = "".join(json.dumps(entry) + "\n" for entry in objects)
        assert read(tmp_path / f"json{labels[0]}", "train.jsonl", lines, "nli") == PAIRS


@pytest.mark.parametrize(
    ("kind", "name", "content", "said"),
    [
        ("pos", "train.conllu", "1\tA\t_\tDET\n2\tb\t_\tSUBST\n", ("Line 2", "'SUBST'", "ADJ, ADP")),
        ("pos", "train.conllu", "1\tA\t_\tDET\n\n1\tb\t_\t_\n", ("Line 3", "'_'")),
        ("pos", "train.conllu", "1\tA\t_\tDET\n2 b _ NOUN\n", ("Line 2", "not CoNLL-U with tags")),
        ("pos", "train.conllu", "1\tA\tDET\n", ("Line 1", "not CoNLL-U with tags")),
        ("pos", "train.conllu", "# nothing\n\n", ("is empty",)),
        ("pos", "train.txt", "A DET\nword\n", ("Line 2", "1 columns")),
        ("pos", "train.txt", "A DET\n\nb NOUN O\n", ("Line 3", "3 columns")),
        ("pos", "train.txt", "A DET\nb noun\n", ("Line 2", "'noun'")),
        ("pos", "train.txt", b"A DET\n\xff NOUN\n", ("not UTF-8 at line 2",)),
        ("pos", "train.txt", "\n\n", ("is empty",)),
        ("pos", "train.jsonl", '{"words": ["a"], "tags": ["X"]}\n{"words": ["a"]}\n', ("Line 2", '"tags"')),
        ("pos", "train.jsonl", '{"words": ["a"], "tags": ["X", "X"]}\n', ("Line 1", "as many")),
        ("pos", "train.jsonl", '{"words": ["a", " "], "tags": ["X", "X"]}\n', ("Line 1", "not empty")),
        ("pos", "train.jsonl", '{"words": ["a"], "tags": [3]}\n', ("Line 1", "strings")),
        ("pos", "train.jsonl", '{"words": "a", "tags": "X"}\n', ("Line 1", "lists")),
        ("pos", "train.jsonl", '{"words": ["a"], "tags": ["X"]\n', ("Line 1", "not JSON")),
        ("pos", "train.jsonl", '{"words": ["a"], "tags": ["VB"]}\n', ("Line 1", "'VB'")),
        ("ner", "train.txt", "A O\nb\n", ("Line 2", "1 columns")),
        ("ner", "train.txt", "A O\nb B-\n", ("Line 2", "'B-'")),
        ("ner", "train.txt", "A O\n\nb PER\n", ("Line 3", "'PER'", "B-PER")),
        ("ner", "train.txt", "-DOCSTART- -X- O\n\n", ("is empty",)),
        ("ner", "train.jsonl", '{"tokens": ["a"], "ner_tags": [0]}\n', ("Line 1", "strings")),
        ("nli", "train.tsv", "a\tb\tneutral\na\tb\tmaybe\n", ("Line 2", "'maybe'", "entailment, neutral")),
        ("nli", "train.tsv", "a\tb\t3\n", ("Line 1", "'3'")),
        ("nli", "train.tsv", "a\tb\tneutral\n\na\tb\t1\n", ("blank line 2",)),
        ("nli", "train.tsv", "a b neutral\n", ("Line 1", "tabs")),
        ("nli", "train.tsv", "a\t \tneutral\n", ("Line 1", "no pair")),
        ("nli", "train.tsv", "premise\thypothesis\tlabel\n", ("is empty", "one pair")),
        ("nli", "train.jsonl", '{"premise": "a", "label": 1}\n', ("Line 1", '"hypothesis"')),
        ("nli", "train.jsonl", '{"premise": "a", "hypothesis": "b", "label": true}\n', ("Line 1", "True")),
        ("nli", "train.jsonl", '{"premise": "a", "hypothesis": "b"}\n', ("Line 1", "None")),
        ("nli", "train.jsonl", '{"premise": "a", "hypothesis": "b", "label": -1}\n', ("Line 1", "-1")),
        ("nli", "train.jsonl", "[]\n", ("Line 1", "no pair")),
    ],
)
def test_broken_files_are_named_with_the_line(tmp_path, kind, name, content, said):
    source = FolderSource(write(tmp_path, {f"en/{name}": content}))
    message = sentence(lambda: source.corpus("en", "train", kind))
    assert str(tmp_path / "en" / name) in message
    for part in said:
        assert part in message


def test_each_kind_sees_the_languages_that_it_can_be_read_from(tmp_path):
    source = open_source(
        str(
            write(
                tmp_path,
                {
                    "en/train.conllu": CONLLU,
                    "en/train.tsv": "a\tb\t0\n",
                    "sw.train.txt": "Una NOUN\n",
                    "de/train.tsv": "a\tb\t2\n",
                },
            )
        )
    )
    assert isinstance(source, Source)
    assert source.languages() == ("en", "sw")
    assert source.languages("pos") == ("en", "sw")
    assert source.languages("ner") == ("sw",)
    assert source.languages("nli") == ("de", "en")
    # The same file is a line of text or a word with its tag: what is asked for decides.
    assert source.corpus("sw", "train")[0] == "Una NOUN"
    assert source.corpus("sw", "train", "pos")[0] == Tagged(("Una",), ("NOUN",))
    assert source.corpus("en", "train")[0] == "Vámonos al mar"
    assert "no words with entity tags in language 'en'" in sentence(
        lambda: source.corpus("en", "train", "ner")
    )
    assert "add de/dev.tsv" in sentence(lambda: source.corpus("de", "dev", "nli"))
    assert "'chess'" in sentence(lambda: source.corpus("en", "train", "chess"))
    alone = open_source(str(write(tmp_path / "pairs", {"de/train.tsv": "a\tb\t2\n"})))
    assert alone.languages() == ()
    assert "add de.train.txt" in sentence(lambda: alone.corpus("de", "train"))


def test_labels_are_the_same_for_all_languages_and_in_a_fixed_order(tmp_path):
    words = ["London B-LOC\n", "Ford B-ORG\n", "Ann B-PER\nLee I-PER\n", "it O\n"]
    folders = []
    for number in range(3):
        shuffled = random.Random(number).sample(words, len(words))
        files = {"en.train.txt": "\n".join(shuffled[:2]), "sw.train.txt": "\n".join(shuffled[2:])}
        # What other splits name is no label: a model could not learn it.
        files["en.test.txt"] = "x B-TIME\n"
        folders.append(FolderSource(write(tmp_path / str(number), files)))
    assert {source.labels("ner") for source in folders} == {
        ("O", "B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER")
    }
    source = folders[0]
    assert source.labels("nli") == NLI_LABELS
    assert source.labels("pos") == UPOS_TAGS
    assert len(set(UPOS_TAGS)) == 17
    assert list(UPOS_TAGS) == sorted(UPOS_TAGS)
    assert "no data for 'text'" in sentence(lambda: source.labels("text"))
    nothing = FolderSource(write(tmp_path / "none", {"en.train.txt": "it O\n", "sw.test.txt": "Ann B-PER\n"}))
    assert "name no entity" in sentence(lambda: nothing.labels("ner"))


def test_a_fingerprint_is_of_bytes_and_kind(tmp_path):
    files = {f"en/{split}.txt": f"{split} X\n" for split in SPLITS}
    source = FolderSource(write(tmp_path, files))
    prints = {kind: source.fingerprint("en", kind) for kind in ("text", "pos", "ner")}
    assert len(set(prints.values())) == 3
    # The pairs beside it are another kind's files.
    write(tmp_path, {f"en/{split}.tsv": "a\tb\t1\n" for split in SPLITS})
    both = FolderSource(tmp_path)
    assert {kind: both.fingerprint("en", kind) for kind in prints} == prints
    assert both.fingerprint("en", "nli") not in prints.values()
    write(tmp_path, {"en/dev.txt": "dev Y\n"})
    assert both.fingerprint("en", "pos") != prints["pos"]


def test_two_files_of_one_kind_are_refused(tmp_path):
    source = FolderSource(
        write(tmp_path, {"en/train.conllu": CONLLU, "en/train.jsonl": '{"words": ["a"], "tags": ["O"]}\n'})
    )
    assert "more than once" in sentence(lambda: source.corpus("en", "train", "pos"))
    # Entities are not read from CoNLL-U, so here it is clear which file is meant.
    assert source.corpus("en", "train", "ner")[0] == Tagged(("a",), ("O",))
