"""Seeded mutations of sound inputs, and one case: a reader meets a mutated input and must stay within its bounds.

A reader passes a case when it returns, or refuses with an ``LsnError`` of one sentence; within ``HANG_SECONDS``,
with no more than ``MEMORY_ROOM`` bytes of memory above what the process had at rest, and without touching a file
outside the folder it was given.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from lsn_core.errors import LsnError

HANG_SECONDS = 5
"""Of the processor's time, so that a busy machine hangs nobody; waiting for something is cut after ``WAIT_SECONDS``."""
WAIT_SECONDS = 120
MEMORY_ROOM = 300 * 2**20
LONGEST_SENTENCE = 2000

_EXTREMES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**26,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_SNIPPETS = (
    *(
        b"../",
        b"..\\",
        b"/etc/passwd",
        b"\0",
        b"\n",
        b"\r\n",
        b"\t",
        b" ",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
    ),
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"-1",
        b"1e400",
        b"9" * 5000,
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'"',
        b"\\ud800",
    ),
    *(b"[" * 5000, b'{"a":' * 5000, b"A" * 100_000, b"%s%n", b"<script>", b"-0"),
)
_TOKEN = re.compile(rb'"[^"\\]{0,80}"|-?\d+(?:\.\d+)?|true|false|null')


class Escaped(AssertionError):
    """A reader that opened a file for writing where it has no business, or took too much memory."""


class _Hang(BaseException):
    """Raised in a reader that takes too long; no ``except Exception`` swallows it."""


@dataclass(frozen=True)
class Target:
    """A reader made ready in a folder: sound inputs, and what reads one.

    ``forge`` mutates an input as someone would who knows the format, with its seals and lengths right again.
    """

    samples: Sequence[bytes]
    read: Callable[[bytes], object]
    forge: Callable[[bytes, random.Random], bytes] | None = None


@dataclass(frozen=True)
class Reader:
    """A reader by name; ``share`` is how many of a thousand cases are its own."""

    name: str
    share: float
    prepare: Callable[[Path], Target]


@dataclass
class Tally:
    """What came of a reader's cases; ``failures`` are (case number, what happened)."""

    name: str
    cases: int = 0
    refused: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return self.cases - self.refused - len(self.failures)


def run(reader: Reader, cases: int, folder: Path, first: int = 0) -> Tally:
    """Put cases ``first`` to ``first + cases - 1`` to a reader that works in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    target = reader.prepare(folder)
    tally = Tally(reader.name)
    for sample in target.samples:
        try:
            target.read(sample)  # what is sound is read; otherwise the cases would show nothing
        except Exception as error:
            tally.failures.append((-1, f"a sound input: {_described(error)}"))
    with _watched(folder):
        limit = _rest() + MEMORY_ROOM
        for number in range(first, first + cases):
            rng = random.Random(f"{reader.name} {number}")
            data = mutated(rng, target)
            tally.cases += 1
            try:
                tally.refused += _refuses(target, data, limit)
            except (Exception, _Hang) as error:
                tally.failures.append((number, _described(error)))
    return tally


def mutated(rng: random.Random, target: Target) -> bytes:
    """One of the target's samples, changed."""
    sample = rng.choice(target.samples)
    if target.forge is not None and rng.random() < 0.6:
        with suppress(RecursionError):  # what is nested so deeply that it cannot be written
            return target.forge(sample, rng)
    return mutate(sample, rng, target.samples)


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes] = (b"",)) -> bytes:
    """The bytes after one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        data = rng.choice(_MUTATIONS)(data, rng, others)
    return data


def mutate_json(value: Any, rng: random.Random) -> Any:
    """A copy of JSON-able data with one to three of its nodes changed, removed or repeated."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _changed(value, rng)
    return value


def odd_value(rng: random.Random) -> Any:
    """A JSON-able value that nobody expects."""
    return rng.choice(
        (
            *(
                None,
                True,
                False,
                0,
                -1,
                1,
                2**31,
                2**53,
                2**63,
                2**64,
                10**30,
                -(2**63),
                0.5,
                -0.0,
                1e308,
                1e-320,
            ),
            *(float("nan"), float("inf"), float("-inf")),
            *(
                "",
                " ",
                "../../etc/passwd",
                "a\0b",
                "a\nb",
                "\ud800",
                "x" * 5000,
                "NaN",
                "-1",
                "é",
                "<script>",
            ),
            *([], {}, [[]], [None], {"a": {}}, [1, "a", None], _deep(40), _deep(900)),
        )
    )


def _deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def _changed(value: Any, rng: random.Random) -> Any:
    places = list(_places(value))
    if not places or rng.random() < 0.03:
        return odd_value(rng)
    holder, key = rng.choice(places)
    action = rng.random()
    if action < 0.6:
        holder[key] = odd_value(rng)
    elif action < 0.75:
        del holder[key]
    elif action < 0.85:
        other, there = rng.choice(places)
        # A copy: a structure that holds itself is no JSON.
        holder[key] = json.loads(json.dumps(other[there])) if _has(other, there) else None
    elif isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(holder[key])))
    else:
        holder[f"{key}_"] = odd_value(rng)
    return value


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every node of JSON-able data but the outermost, as its holder and its key there."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        entries = (
            holder.items()
            if isinstance(holder, dict)
            else enumerate(holder)
            if isinstance(holder, list)
            else ()
        )
        for key, held in list(entries):
            yield holder, key
            waiting.append(held)


def _place(data: bytes, rng: random.Random) -> int:
    """A place in the bytes; starts and ends, where headers and directories are, come up more often."""
    if not data:
        return 0
    near = rng.randrange(min(len(data), 128))
    return rng.choice((near, len(data) - 1 - near, rng.randrange(len(data))))


def _flip(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _unused in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.randbytes(rng.randint(1, 32)) + data[start + 16 :]


def _cut(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return data[: _place(data, rng)]


def _remove(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + rng.randint(1, max(1, len(data) // 4)) :]


def _repeat(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start = _place(data, rng)
    piece = data[start : start + rng.randint(1, 4096)]
    return data[:start] + piece * rng.choice((2, 2, 3, 50)) + data[start + len(piece) :]


def _splice(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def _extreme(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A length or an offset set to something extreme."""
    width, start = rng.choice((1, 2, 4, 8)), _place(data, rng)
    number = (rng.choice(_EXTREMES) % 2 ** (8 * width)).to_bytes(
        width, rng.choice(("little", "little", "big"))
    )
    return data[:start] + number + data[start + width :]


def _insert(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.choice(_SNIPPETS) + data[start:]


def _retoken(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A word or a number of the text replaced."""
    found = list(_TOKEN.finditer(data[: 2**20]))
    if not found:
        return data
    token = rng.choice(found)
    return data[: token.start()] + rng.choice(_SNIPPETS) + data[token.end() :]


def _replace(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    return rng.choice(
        (b"", rng.randbytes(rng.randint(1, 300)), bytes(4096), rng.choice(others), rng.choice(_SNIPPETS))
    )


_MUTATIONS = (
    *(_flip, _flip, _overwrite, _cut, _remove, _repeat, _splice),
    *(_extreme, _extreme, _insert, _retoken, _retoken, _replace),
)


def _refuses(target: Target, data: bytes, limit: int) -> bool:
    """Whether the reader refuses the input, as it may; AssertionError or _Hang when it misbehaves."""
    refused = False
    before = [signal.signal(number, _on_alarm) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    signal.alarm(WAIT_SECONDS)
    try:
        target.read(data)
    except LsnError as error:
        refused = True
        check_sentence(str(error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)
    if _WATCH.strays:
        strays, _WATCH.strays[:] = list(_WATCH.strays), []
        raise Escaped(f"it touched {', '.join(strays[:3])}")
    peak = _status("VmHWM")
    if peak > limit:
        _forget_peak()
        raise Escaped(f"it took {(peak - limit + MEMORY_ROOM) // 2**20} MiB")
    return refused


def check_sentence(text: str) -> None:
    """AssertionError unless the text is one line that a person can read."""
    assert text.strip(), "it says nothing"
    assert len(text) <= LONGEST_SENTENCE, f"it says {len(text)} characters: {text[:200]}"
    assert "\n" not in text, f"it says several lines: {text[:200]!r}"
    assert "Traceback" not in text, text


def _on_alarm(number: int, frame: FrameType | None) -> None:
    raise _Hang(f"it takes more than {HANG_SECONDS} s")


def _described(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "lsn_core" in frame.filename]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {str(error)[:300]!r}"


# ---------------------------------------------------------------- memory


def _rest() -> int:
    """Bytes that the process has now; its peak counts from here."""
    _forget_peak()
    return _status("VmRSS")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    """A number of bytes from the process's status."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


# ---------------------------------------------------------------- files


class _Watch:
    """Which folder a reader may write to, None while nobody is watched, and what it touched beside it."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.strays: list[str] = []
        self.hooked = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event == "open":
            path, mode, flags = arguments
            written = (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            paths = [path] if written else []
        elif event in (
            "os.mkdir",
            "os.remove",
            "os.rmdir",
            "os.truncate",
            "os.symlink",
            "os.link",
            "os.rename",
        ):
            paths = [argument for argument in arguments[:2] if not isinstance(argument, int)]
            if event in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # a path within an open folder
                paths = [os.path.join(os.readlink(f"/proc/self/fd/{arguments[1]}"), os.fsdecode(paths[0]))]
        else:
            return
        for path in paths:
            if isinstance(path, int):
                continue
            place = os.path.abspath(os.fsdecode(path))
            if not place.startswith(self.allowed) and "__pycache__" not in place:
                self.strays.append(place)


_WATCH = _Watch()


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """Note every file outside the folder that is opened for writing, made or removed inside the block."""
    if not _WATCH.hooked:
        sys.addaudithook(_WATCH)  # can never be taken off again, so there is one for all
        _WATCH.hooked = True
    _WATCH.strays.clear()
    # Below the temporary folder: what a reader unpacks is laid there under names of its own.
    own = [
        str(folder.absolute()) + os.sep,
        str(folder.absolute()),
        os.path.join(tempfile.gettempdir(), "lsn-"),
    ]
    _WATCH.allowed = (*own, "/dev/null", "/proc/self/clear_refs")
    try:
        yield
    finally:
        _WATCH.allowed = None
