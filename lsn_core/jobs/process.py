"""Processes that go on when the one that started them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """A process by its number and by when it was born: numbers are given again, births are not."""

    pid: int
    birth: str

    @property
    def alive(self) -> bool:
        """Whether it still runs, and is not another one that got its number."""
        return birth_of(self.pid) == self.birth

    def interrupt(self) -> None:
        """Ask it to stop, as Ctrl-C does."""
        self._send(signal.SIGINT, os.kill)

    def kill(self) -> None:
        """End it and the processes it started, without asking."""
        self._send(signal.SIGKILL, os.killpg)

    def _send(self, number: int, send: Callable[[int, int], None]) -> None:
        if self.alive:
            with suppress(ProcessLookupError):  # it ended in this moment
                send(self.pid, number)


def birth_of(pid: int) -> str | None:
    """What tells a living process from every other that had or will have its number; None when there is none.

    Where Linux shows its processes, the machine's start and the clock ticks from there to the process's own:
    setting the clock changes neither. Elsewhere, what `ps` says. One that has ended and was not yet collected
    (a zombie) does not live.
    """
    if _BOOT.exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name comes second, in brackets, and may hold anything; the third field is the state.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else f"{_BOOT.read_text().strip()} {fields[19]}"
    found = subprocess.run(
        ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return " ".join(found[1:]) if found and not found[0].startswith("Z") else None


def start(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> Process:
    """Start a command in a session of its own, its words at the end of `log`; it goes on when this process ends.

    Raises OSError when it cannot be started.
    """
    with log.open("ab") as written:
        child = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    # Not collected yet, so that its number cannot have been given again.
    birth = birth_of(child.pid) or "ended"
    # Somebody has to collect it, or it would stay as a zombie for as long as this process lives.
    threading.Thread(target=child.wait, daemon=True).start()
    return Process(child.pid, birth)
