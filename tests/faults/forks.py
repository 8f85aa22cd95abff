"""Runs that die, or meet a full disk, at a chosen change of a file: one warm process that forks for each run.

Started as ``python -m tests.faults.forks`` it loads the heavy libraries once. Each line of its input is a JSON
object (``Order``); the fork counts every change that the run makes to a file under a folder, and at the n-th

* ``die``: ends at once, as a killed process does: nothing is tidied up, before the change is made; and a file that was
  being forced to disk has lost its second half, as after a power cut;
* ``full``: this change and all that need room after it fail with "no space left on device".

Lock files are not counted: they hold nothing.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lsn_core

DIED = 77
_ROOT = Path(lsn_core.__file__).parents[1]
_HEAVY = ("torch", "transformers", "lsn_core.cli", "lsn_core.discovery.transfer", "lsn_core.analysis.publish")


@dataclass(frozen=True)
class Order:
    """A function (``module:name``) to call with text arguments, and what goes wrong at which change of a file.

    ``fault`` is ``die``, ``full`` or empty; changes count from 1 and are those under ``folder``.
    """

    call: str
    arguments: tuple[str, ...]
    folder: str
    fault: str = ""
    at: int = 0


@dataclass(frozen=True)
class Outcome:
    """Exit code (``DIED`` where the fault ended it), what it wrote to standard error, and the changes it made."""

    code: int
    said: str
    changes: tuple[str, ...]


class Forks:
    """The warm process."""

    def __init__(self, folder: Path) -> None:
        self._log, self._changes = folder / "said.txt", folder / "changes.txt"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks", str(self._log), str(self._changes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(_ROOT),
                "OMP_NUM_THREADS": "1",
                "TOKENIZERS_PARALLELISM": "false",
            },
        )

    def run(self, order: Order) -> Outcome:
        """One run to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Outcome(code, self._log.read_text(), tuple(self._changes.read_text().splitlines()))

    def command(self, argv: Sequence[str], folder: Path, fault: str = "", at: int = 0) -> Outcome:
        """A run of the command line."""
        return self.run(Order("lsn_core.cli:main", tuple(argv), str(folder), fault, at))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


class _Fault:
    """Counts the changes of files, writes each down before it is made, and does harm at one of them."""

    def __init__(self, order: Order, changes: int) -> None:
        self._order, self._changes, self._count, self._busy = order, changes, 0, False
        self._fsync = os.fsync
        os.fsync = self._on_fsync  # type: ignore[assignment]
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy or event not in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        if event == "open":
            mode, flags = arguments[1], arguments[2]
            # The raw calls of a temporary folder or a lock come with flags alone.
            if not (isinstance(mode, str) and set(mode) & set("wxa+")) and not flags & os.O_CREAT:
                return
        place = os.fsdecode(path)
        if event in ("os.remove", "os.rmdir") and arguments[1] >= 0:  # a path within an open folder
            place = os.path.join(os.readlink(f"/proc/self/fd/{arguments[1]}"), place)
        if event != "os.mkdir" or not os.path.isdir(place):
            self._change(event, place, needs_room=event in ("open", "os.mkdir"))

    def _on_fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self._change("fsync", path, needs_room=os.path.isfile(path), descriptor=descriptor)
        self._fsync(descriptor)

    def _change(self, kind: str, path: str, needs_room: bool, descriptor: int | None = None) -> None:
        place = os.path.abspath(path)
        if not place.startswith(self._order.folder) or f"{os.sep}.locks" in place or place.endswith(".lock"):
            return
        self._busy = True
        self._count += 1
        os.write(self._changes, f"{kind} {os.path.relpath(place, self._order.folder)}\n".encode())
        fault, reached = self._order.fault, self._count >= self._order.at > 0
        if reached and fault == "die":
            if descriptor is not None and needs_room:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os._exit(DIED)
        self._busy = False
        if reached and fault == "full" and needs_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _fork(order: Order, log: str, changes: str) -> int:
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _load(Path(f"{changes}.modules"))
        return code
    code = 1
    try:
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        written = os.open(changes, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        module, _, name = order.call.partition(":")
        called = getattr(importlib.import_module(module), name)
        _Fault(order, written)
        argv = list(order.arguments)
        code = (called(argv) if module == "lsn_core.cli" else called(*argv)) or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        Path(f"{changes}.modules").write_text("\n".join(sys.modules))
        os._exit(code)


def _load(names: Path) -> None:
    """Load what a fork has loaded, so that the next need not."""
    if names.exists():
        for name in names.read_text().split():
            with suppress(Exception):  # some cannot be loaded by themselves
                importlib.import_module(name)
        names.unlink()


def _serve(log: str, changes: str) -> None:
    for name in _HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        fields = json.loads(line)
        order = Order(**{**fields, "arguments": tuple(fields["arguments"])})
        print(_fork(order, log, changes), flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
