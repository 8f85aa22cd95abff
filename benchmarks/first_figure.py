"""How long a visitor waits: from nothing running to the first figure, and the same on a server that is warm.

`python -m benchmarks.first_figure [--repeats 5]`, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.driver import ROOT, launch, serve, wait_for_figure


def visit(browser: Browser, url: str) -> float:
    """Seconds from asking for the page to its first figure, with an empty browser cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url)
    wait_for_figure(page)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--atlases", type=Path, default=ROOT / "masks", help="folder of atlases")
    options = parser.parse_args()
    rows: dict[str, list[float]] = {
        "server start": [],
        "first visit": [],
        "start and first visit": [],
        "second visitor": [],
    }
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(options.repeats):
            started = time.perf_counter()
            with serve(options.atlases, Path(scratch)) as server:
                ready = time.perf_counter() - started
                first = visit(browser, server.url)
                second = visit(browser, server.url)
            for name, value in zip(rows, (ready, first, ready + first, second), strict=True):
                rows[name].append(value)
        browser.close()
    print("| seconds | median | lowest | highest |")
    print("| --- | --- | --- | --- |")
    for name, values in rows.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
