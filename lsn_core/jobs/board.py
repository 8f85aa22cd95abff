"""The runs that were started from here: a folder each, the same for whoever looks, also after a restart.

``ID/job.json`` says what is run, ``ID/process.json`` in which process, ``ID/state.json`` how far it is (the run
writes that itself, `jobs.snapshot`), ``ID/log.txt`` what it had to say. ID is a hash of the command, so that the
same command is the same run: asked for again, it goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.jobs import process, snapshot
from lsn_core.jobs.process import Process
from lsn_core.jobs.snapshot import LATEST, Snapshot
from lsn_core.masks.checks import is_real
from lsn_core.masks.container import parse_json
from lsn_core.masks.files import atomic_write_bytes, open_regular, read_bytes, reason

FOLDER = ".jobs"
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
FINISHED, STOPPED, FAILED, BROKEN = "finished", "stopped", "failed", "broken off"
ALIVE = (STARTING, RUNNING, STOPPING)
"""The phases of a run whose process is there; it has ended in the others."""

_PROJECT = Path(__file__).parents[2]
_ID = re.compile(r"[0-9a-f]{12}")
_MAX_BYTES = 2**20
_LOG_BYTES = 16 * 2**10
_SAID = "lsn_core: "  # what the command line puts before the one sentence it ends with
_LOCK_SECONDS = 20.0


@dataclass(frozen=True)
class Job:
    """A run as it is now.

    `command` is what follows ``python -m lsn_core``; `atlas` the name of the folder that its tickets go to. `begun`
    is when it was first started, in seconds since 1970, and `asked` when it was asked to stop. `message` is the
    sentence that a failed run ended with. `snapshot` is how far it was when it last said so.
    """

    id: str
    command: tuple[str, ...]
    atlas: str
    begun: float
    phase: str
    asked: float | None = None
    message: str = ""
    snapshot: Snapshot | None = None

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.phase in ALIVE


def command_line(command: Sequence[str]) -> str:
    """The command as it is typed."""
    return shlex.join(["python", "-m", "lsn_core", *command])


def job_id(command: Sequence[str]) -> str:
    """The name of the run of this command."""
    return hashlib.sha256(json.dumps(list(command)).encode()).hexdigest()[:12]


class Board:
    """The runs under a folder of atlases. `limit` is how many may be under way at once.

    Commands run in the folder above it, with this very Python and this very code, so that a path in a command is
    the same there as for a person who stands in that folder.
    """

    def __init__(self, masks: Path, limit: int = 1) -> None:
        self._masks = masks.absolute()
        self._folder = self._masks / FOLDER
        self._limit = limit

    @property
    def workplace(self) -> Path:
        """The folder that commands run in."""
        return self._masks.parent

    def jobs(self) -> list[Job]:
        """All runs that can be read, the latest begun first."""
        found = [self.job(name) for name in self._names() if self._readable(name)]
        return sorted(found, key=lambda job: -job.begun)

    def damaged(self) -> list[str]:
        """The names of the runs whose files cannot be read."""
        return [name for name in self._names() if not self._readable(name)]

    def job(self, name: str) -> Job:
        """One run; LsnError when there is none, CorruptFile when its files are damaged."""
        folder = self._home(name)
        about = _read_json(folder / "job.json", {"command": list, "atlas": str, "begun": float})
        command = about["command"]
        if not all(isinstance(word, str) for word in command) or job_id(command) != name:
            raise CorruptFile(f"{folder / 'job.json'} is damaged: it is not the record of this run")
        launch = self._launch(name)
        # In this order: one that ends in between has then said so.
        alive = launch is not None and launch.process.alive
        last = snapshot.read_snapshot(folder / "state.json")
        of_now = last if last is not None and launch is not None and last.pid == launch.process.pid else None
        asked = self._asked(name)
        phase, message = self._phase(name, launch, alive, of_now, asked)
        return Job(name, tuple(command), about["atlas"], about["begun"], phase, asked, message, last)

    def start(self, command: Sequence[str], atlas: str) -> Job:
        """Start a run, or go on with it where the same command was started before.

        Raises LsnError when it is under way, when as many as may be are, or nothing can be written or started.
        """
        name = job_id(command)
        with self._lock():
            folder = self._folder / name
            if not (folder / "job.json").exists():
                about = {"command": list(command), "atlas": atlas, "begun": time.time()}
                atomic_write_bytes(folder / "job.json", json.dumps(about).encode())
            self._start(name)
        return self.job(name)

    def resume(self, name: str) -> Job:
        """Start the command of a run again: it goes on where it was. Raises LsnError as `start` does."""
        self._home(name)
        with self._lock():
            self._start(name)
        return self.job(name)

    def stop(self, name: str) -> None:
        """Ask a run to stop, as Ctrl-C does: it keeps what is finished, and ends within seconds.

        One that has not begun to work has nothing to keep, and may not hear yet: it is ended at once. Nothing
        happens where it has ended. Raises LsnError when there is no such run.
        """
        job = self.job(name)
        launch = self._launch(name)
        if launch is None or not job.alive:
            return
        if job.asked is None:
            atomic_write_bytes(self._home(name) / "stop.json", json.dumps({"asked": time.time()}).encode())
        if job.phase == STARTING:
            launch.process.kill()
        elif job.asked is None:
            launch.process.interrupt()

    def end(self, name: str) -> None:
        """End a run that does not stop: the round under way is lost, finished ones are not."""
        self.stop(name)
        launch = self._launch(name)
        if launch is not None:
            launch.process.kill()

    def forget(self, name: str) -> None:
        """Take a run that has ended off the list; its atlas stays. Raises LsnError while it is under way."""
        with self._lock():
            if self._readable(name) and self.job(name).alive:
                raise LsnError("this run is under way; stop it before it is taken off the list")
            shutil.rmtree(self._home(name))

    def log(self, name: str, lines: int = 20) -> str:
        """The last lines that a run wrote; without the folder that it ran in, which is the server's business."""
        text = self._log_since(name, 0)
        for folder in (self.workplace, _PROJECT):
            text = text.replace(f"{folder}/", "")
        return "\n".join(text.splitlines()[-lines:])

    def _phase(
        self, name: str, launch: _Launch | None, alive: bool, now: Snapshot | None, asked: float | None
    ) -> tuple[str, str]:
        """The phase, and the sentence of one that failed; `now` is what the process itself said last."""
        if alive:
            return (STOPPING if asked else STARTING if now is None else RUNNING), ""
        if now is not None and now.state == snapshot.FAILED:
            return FAILED, now.message
        if now is not None and now.state == snapshot.FINISHED:
            return FINISHED, ""
        if asked or (now is not None and now.state == snapshot.STOPPED):
            return STOPPED, ""
        # It ended before it could say how it is: what it printed may tell why.
        said = self._log_since(name, launch.log_from).strip().splitlines() if launch and not now else []
        if said and said[-1].startswith(_SAID):
            return FAILED, said[-1].removeprefix(_SAID)
        return BROKEN, ""

    def _start(self, name: str) -> None:
        """Start the process of a run; the lock is held."""
        if self.job(name).alive:
            raise LsnError("this run is under way already")
        under_way = sum(job.alive for job in self.jobs())
        if under_way >= self._limit:
            several = f"{under_way} other runs are" if under_way > 1 else "another run is"
            raise LsnError(
                f"{several} under way, and no more are allowed at once; wait for the end, or stop one"
            )
        folder = self._home(name)
        command = [*self.job(name).command, "--progress", str(folder / "state.json")]
        path = os.pathsep.join(filter(None, [str(_PROJECT), os.environ.get("PYTHONPATH")]))
        log = folder / "log.txt"
        try:
            (folder / "stop.json").unlink(missing_ok=True)
            # What an earlier process said stays to be seen, but is nobody's: its number may be given again.
            earlier = snapshot.read_snapshot(folder / "state.json")
            if earlier is not None:
                snapshot.write_snapshot(folder / "state.json", replace(earlier, pid=0))
            log_from = log.stat().st_size if log.exists() else 0
            started = process.start(
                [sys.executable, "-m", "lsn_core", *command],
                self.workplace,
                log,
                os.environ | {"PYTHONPATH": path},
            )
        except OSError as error:
            raise LsnError(f"the run cannot be started: {reason(error)}") from error
        launch = {"pid": started.pid, "birth": started.birth, "log_from": log_from}
        try:
            atomic_write_bytes(folder / "process.json", json.dumps(launch).encode())
        except LsnError:
            started.kill()  # nobody could find it again
            raise

    def _names(self) -> list[str]:
        """The runs that there are, damaged ones too."""
        found = (path.parent.name for path in self._folder.glob("*/job.json"))
        return sorted(name for name in found if _ID.fullmatch(name))

    def _home(self, name: str) -> Path:
        folder = self._folder / name
        if not _ID.fullmatch(name) or not (folder / "job.json").exists():
            raise LsnError(f"there is no run {name!r} here")
        return folder

    def _launch(self, name: str) -> _Launch | None:
        file = self._home(name) / "process.json"
        if not file.exists():
            return None
        found = _read_json(file, {"pid": int, "birth": str, "log_from": int})
        return _Launch(Process(found["pid"], found["birth"]), found["log_from"])

    def _asked(self, name: str) -> float | None:
        file = self._home(name) / "stop.json"
        return _read_json(file, {"asked": float})["asked"] if file.exists() else None

    def _log_since(self, name: str, start: int) -> str:
        """What was written to the log from a place on, its last 16 KiB."""
        file = self._home(name) / "log.txt"
        if not file.exists():
            return ""
        with open_regular(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, min(start, size), size - _LOG_BYTES))
            return stream.read().decode(errors="replace")

    def _readable(self, name: str) -> bool:
        try:
            self.job(name)
        except LsnError:
            return False
        return True

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold off every other start, in this process and in others."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / ".lock", timeout=_LOCK_SECONDS):
                yield
        except Timeout as error:
            raise LsnError("other runs are being started at this moment; try again") from error
        except OSError as error:
            raise LsnError(f"the list of runs cannot be written to: {reason(error)}") from error


@dataclass(frozen=True)
class _Launch:
    """The process a run was last started in, and where in the log its words begin."""

    process: Process
    log_from: int


def _read_json(path: Path, shape: dict[str, type]) -> dict[str, Any]:
    """A small JSON object with fields of these types; CorruptFile when it is none, LsnError when it cannot be read.

    Numbers are places in a file, processes and times: from 0 to ``LATEST``.
    """
    found = parse_json(read_bytes(path, _MAX_BYTES))
    if not isinstance(found, dict) or not all(_is_a(kind, found.get(name)) for name, kind in shape.items()):
        raise CorruptFile(f"{path} is damaged: it is not what was written")
    return found


def _is_a(kind: type, value: object) -> bool:
    if kind in (int, float):
        return isinstance(value, kind) and is_real(value) and 0 <= value <= LATEST
    return isinstance(value, kind)
