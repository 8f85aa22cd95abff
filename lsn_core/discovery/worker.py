"""A process on another machine: makes jobs beside an atlas of its own, and hands on what comes of them.

The atlas of the run belongs to the process that gives out the jobs, and it alone writes there. A worker has a
folder that is gone when it ends: a job comes with the tickets that it reads, and the rounds that an earlier try
has finished; rounds, tickets and cells go back as files, as soon as each is whole. No disk need be shared.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from lsn_core.discovery.pool import Event, Job, Maker, Stopped, told
from lsn_core.discovery.runs import Setup
from lsn_core.discovery.state import ROUNDS_FILE
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.ticket import TicketKey

_PULSE = 0.5
"""Seconds that a worker waits for something to tell before it tells how many steps are done."""
_LAST_STEP = 5.0
"""Seconds that a stopped worker has to come to the end of its step."""


class Lender(Maker, Protocol):
    """A maker whose jobs another process can do too."""

    atlas: Atlas

    @property
    def identity(self) -> str:
        """The hash of the model that jobs are done with."""

    def data_fingerprint(self, language: str) -> str:
        """The fingerprint of a language's text."""

    def to_train(self, job: Any) -> Any:
        """Return the part of a job that another process is needed for; None where `make` has nothing to train."""

    def gives(self, job: Any) -> tuple[TicketKey, ...]:
        """The tickets that a job makes."""

    def reads(self, job: Any) -> tuple[TicketKey, ...]:
        """The tickets that a job needs, as far as they exist."""

    def texts(self, job: Any) -> dict[str, str]:
        """The languages whose text a job reads, with its fingerprint."""

    def saved_rounds(self, job: Any) -> Path | None:
        """The file with the rounds that an earlier try has finished, where there is one."""

    def claim(self, job: Any) -> AbstractContextManager[None]:
        """Keep others from doing a job; Busy when one does it now."""

    def receive(self, job: Any, folder: Path) -> None:
        """Take over what lies in a folder as in an atlas: finished rounds, tickets or cells of a job.

        Raises LsnError when that is not what the job would give here.
        """


@dataclass(frozen=True)
class Errand:
    """A job for a worker: what it must find where it is, and the names of the files that come along."""

    job: Job
    identity: str
    texts: Mapping[str, str]
    files: tuple[str, ...]


class Worker:
    """Does one errand after the other in a thread of its own, so that it can be asked for news all the while.

    News are events as in `pool`, and two more kinds: 'files' (value: name to bytes, for the atlas) and 'done'.
    """

    def __init__(self, setup: Setup) -> None:
        """Begin to load model and text; what goes wrong with them is news."""
        self._setup = setup
        self._errands: queue.SimpleQueue[tuple[Errand, tuple[bytes, ...]] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._news = threading.Condition()
        self._told: list[Event] = []
        self._steps: dict[Job, int] = {}
        self._begun: set[Job] = set()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def begin(self, errand: Errand, *files: bytes) -> None:
        """Do an errand after those before it; `files` are the bytes of `errand.files`."""
        self._errands.put((errand, files))

    def news(self) -> list[Event]:
        """Return what there is to tell, as soon as there is more than steps, or after half a second.

        Of the steps of a job the first is told and then the latest. Raises what went wrong where that is no
        LsnError and nothing that a machine refuses: an error of this software.
        """
        with self._news:
            self._news.wait_for(lambda: self._told or self._failure, timeout=_PULSE)
            if self._failure is not None:
                raise self._failure
            self._flush()
            told, self._told = self._told, []
            return told

    def stop(self) -> None:
        """Stop after the step in work, and leave no file behind; what is not finished is lost."""
        self._stopped.set()
        self._errands.put(None)
        self._thread.join(timeout=_LAST_STEP)

    def _live(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="lsn-worker-", ignore_cleanup_errors=True) as folder:
                maker: Any = replace(self._setup, atlas=folder).open()
                while (errand := self._errands.get()) is not None:
                    self._do(maker, Path(folder), *errand)
        except Stopped:
            pass
        except LsnError as error:
            self._tell(Event("error", None, str(error)))
        except (OSError, torch.OutOfMemoryError) as error:
            self._tell(Event("error", None, told(error)))
        except BaseException as error:  # told by `news`, whose caller is another process
            with self._news:
                self._failure = error
                self._news.notify_all()

    def _do(self, maker: Lender, folder: Path, errand: Errand, files: tuple[bytes, ...]) -> None:
        self._check(maker, errand)
        for name, data in zip(errand.files, files, strict=True):
            atomic_write_bytes(folder / name, data)
        given = _files(folder)

        def on_progress(job: Any, done: int) -> None:
            if self._stopped.is_set():
                raise Stopped
            for name, mark in _rounds(folder).items():
                if given.get(name) != mark:
                    given[name] = mark
                    self._tell(Event("files", errand.job, {name: (folder / name).read_bytes()}))
            self._step(job, done)

        maker.make(errand.job, on_progress)
        made = [name for name in _files(folder) if name not in given]
        self._tell(Event("files", errand.job, {name: (folder / name).read_bytes() for name in made}))
        self._tell(Event("done", errand.job))
        for name in made:
            (folder / name).unlink()

    def _check(self, maker: Lender, errand: Errand) -> None:
        """Another model or text than that of the run would give other bits, hours from now."""
        if maker.identity != errand.identity:
            raise LsnError(
                f"The model {self._setup.model!r} is another one there; put the same files on every node."
            )
        for language, fingerprint in errand.texts.items():
            if maker.data_fingerprint(language) != fingerprint:
                raise LsnError(
                    f"The text of {language!r} in {self._setup.data!r} is another one there; put the same "
                    "files on every node."
                )

    def _step(self, job: Job, done: int) -> None:
        with self._news:
            if job in self._begun:
                self._steps[job] = done
                return
            self._begun.add(job)
            self._told.append(Event("step", job, done))
            self._news.notify_all()

    def _tell(self, event: Event) -> None:
        with self._news:
            self._flush()
            self._told.append(event)
            self._news.notify_all()

    def _flush(self) -> None:
        """Tell the latest step of each job, before what comes after it."""
        self._told += [Event("step", job, done) for job, done in self._steps.items()]
        self._steps.clear()


def _files(folder: Path) -> dict[str, tuple[int, ...]]:
    """Tickets, cells and finished rounds in an atlas's folder: name below it, and what changes with the file."""
    found = {f"{path.parent.name}/{path.name}": _mark(path) for path in folder.glob("[!.]*/[!.]*.*")}
    return found | _rounds(folder)


def _rounds(folder: Path) -> dict[str, tuple[int, ...]]:
    return {str(path.relative_to(folder)): _mark(path) for path in folder.glob(f"runs/*/{ROUNDS_FILE}")}


def _mark(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
