"""Reads foreign files as ``reading`` has them read, but in forks of one small process: a hundred times as fast.

Started as ``python -m tests.fuzz.fork_server``: each line of its input is a JSON list of the arguments of
``child.main`` and the file for the answer; each line of its output a JSON list of exit code, peak memory in bytes,
and what went to standard error. Every fork limits itself just as the process of its own does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lsn_core

_ROOT = Path(lsn_core.__file__).parents[1]


class ForkServer:
    """The process, and ``read`` in place of ``reading._run_child``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.fuzz.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self.peak = 0
        """Bytes of memory that the reading of the last file took."""

    def ask(self, arguments: Sequence[str], answer: Path) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of ``child.main`` with these arguments."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([list(arguments), str(answer)]) + "\n")
        self._process.stdin.flush()
        code, self.peak, said = json.loads(self._process.stdout.readline())
        return code, answer.read_text(), said

    def rest(self, folder: Path) -> int:
        """Bytes of memory that a reading takes before it looks at its file."""
        self.ask(["npy", str(folder / "missing.npy"), "0", "5", str(folder / "out")], folder / "answer")
        return self.peak

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def _fork(arguments: Sequence[str], answer: str) -> list[Any]:
    from lsn_core.masks.foreign import child

    said = f"{answer}.err"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for stream, path in ((1, answer), (2, said)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            code = child.main(arguments)
            sys.stdout.flush()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    _, status, usage = os.wait4(pid, 0)
    # Linux begins a fork's peak with what it shares with its parent.
    return [os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, Path(said).read_text(errors="replace")]


def _serve() -> None:
    from lsn_core.masks.foreign import child  # noqa: F401 (read once, for all forks)

    for line in sys.stdin:
        arguments, answer = json.loads(line)
        print(json.dumps(_fork(arguments, answer)), flush=True)


if __name__ == "__main__":
    _serve()
