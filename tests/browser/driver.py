"""A server and a browser for tests and pictures."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

ROOT = Path(__file__).parents[2]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000
QUIET = '() => !document.querySelector(\'[data-test-script-state="running"], [data-stale="true"]\')'

# Runs Streamlit's command line and, when the server ends, leaves the names of all modules it had imported.
SERVE = """
import atexit, json, sys
from pathlib import Path
report = Path(sys.argv.pop(1))
atexit.register(lambda: report.write_text(json.dumps(sorted(sys.modules))))
from streamlit.web.cli import main
sys.argv[0] = "streamlit"
main()
"""


@dataclass(frozen=True)
class Server:
    """A running dashboard; `report` holds, once it has ended, the modules it had imported."""

    url: str
    process: subprocess.Popen[bytes]
    report: Path

    def stop(self) -> list[str]:
        """End the server; the names of the modules it had imported."""
        self.process.terminate()
        self.process.wait(timeout=30)
        return list(json.loads(self.report.read_text()))


@contextmanager
def serve(atlases: Path, scratch: Path, script: str = "app.py") -> Iterator[Server]:
    """A fresh server over a folder of atlases, ready to answer; of the dashboard, or of another script."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    report = scratch / f"modules-{port}.json"
    environment = {name: value for name, value in os.environ.items() if name != "LSN_ATLAS"}
    with (scratch / f"server-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(report), "run", script, "--server.port", str(port)],
            cwd=ROOT,
            env=environment | {"LSN_MASKS": str(atlases)},
            stdout=log,
            stderr=log,
        )
        try:
            server = Server(f"http://127.0.0.1:{port}", process, report)
            _wait_until_healthy(server)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium where there is one, else the one that Playwright brought."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, names) if found), None)
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


def wait_for_figure(page: Page, patience: float = PATIENCE_MS) -> None:
    """Until the first figure is drawn, for so many milliseconds at most."""
    page.wait_for_selector(".stPlotlyChart[aria-label] .subplot", timeout=patience, state="attached")


def wait_until_quiet(page: Page, patience: float = PATIENCE_MS) -> None:
    """Until the run has ended and nothing moves any more, twice for so many milliseconds at most."""
    page.wait_for_function(QUIET, timeout=patience)
    page.wait_for_timeout(400)
    page.wait_for_function(QUIET, timeout=patience)


def _wait_until_healthy(server: Server) -> None:
    for _ in range(300):
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with {server.process.returncode} before it answered")
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("the server did not answer within half a minute")
