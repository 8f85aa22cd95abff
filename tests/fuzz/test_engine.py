"""The engine finds readers that misbehave; otherwise it would show nothing."""

from __future__ import annotations

import itertools
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lsn_core.errors import LsnError
from tests.fuzz import engine
from tests.fuzz.engine import Reader, Target, mutate, mutate_json, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")

SAMPLE = b'{"length": 12, "name": "x"}' + bytes(100)


def _misread(change: Callable[[bytes], object], folder: Path) -> list[tuple[int, str]]:
    """The failures of a reader that does something else to what it does not know."""

    def read(data: bytes) -> None:
        if data != SAMPLE:
            change(data)

    return run(Reader("bad", 1, lambda _: Target([SAMPLE], read)), 3, folder).failures


def _fails(data: bytes) -> None:
    raise KeyError("length")


def _spins(data: bytes) -> None:
    for _ in itertools.count():
        pass


def _says_much(data: bytes) -> None:
    raise LsnError("one line\nand another")


def _says_nothing(data: bytes) -> None:
    raise LsnError("")


def _takes_much(data: bytes) -> None:
    bytearray(b"x") * (engine.MEMORY_ROOM + 2**24)


def _writes_beside(data: bytes) -> None:
    with tempfile.NamedTemporaryFile():
        pass


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (_fails, "KeyError"),
        (_spins, "_Hang"),
        (_says_much, "several lines"),
        (_says_nothing, "says nothing"),
        (_takes_much, "MiB"),
        (_writes_beside, "it touched"),
    ],
)
def test_what_a_bad_reader_does_is_found(
    bad: Callable[[bytes], object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bad is _spins:
        monkeypatch.setattr(engine, "HANG_SECONDS", 0.2)
    failures = _misread(bad, tmp_path)
    assert failures
    assert all(says in what for _, what in failures)


def test_a_good_reader_passes(tmp_path: Path) -> None:
    def refuse(data: bytes) -> None:
        raise LsnError("the file is damaged; fetch it again")

    assert _misread(refuse, tmp_path) == []


def test_the_same_case_is_the_same_input() -> None:
    first, again = (mutate(SAMPLE, random.Random("x 5")) for _ in range(2))
    assert first == again
    assert len({mutate(SAMPLE, random.Random(number)) for number in range(300)}) > 200


def test_mutated_json_is_json() -> None:
    sound = {"a": [1, 2, {"b": "c"}], "d": None}
    changed = [json.dumps(mutate_json(sound, random.Random(number))) for number in range(300)]
    assert sound == {"a": [1, 2, {"b": "c"}], "d": None}
    assert len(set(changed)) > 150
    for text in changed:
        json.loads(text)
