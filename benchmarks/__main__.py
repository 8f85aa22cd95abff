"""`python -m benchmarks [NAME ...]`: measure, and write `docs/benchmarks.md` from everything measured so far.

Each benchmark is a module of this folder with a function `measure() -> list[Row]`. It runs in a process of its own, so
that peak memory is its own, on a machine that does nothing else. Its rows are kept in `benchmarks/results/NAME.json`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import subprocess
import sys
from pathlib import Path

from .table import Measured, machine, markdown

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
NAMES: tuple[str, ...] = ("overlap", "tickets", "pruning", "training", "runs", "dashboard", "visitors")
START, END = "<!-- table: made by python -m benchmarks -->", "<!-- end of table -->"


def measure(name: str) -> None:
    """Run one benchmark in this process and keep its rows."""
    rows = importlib.import_module(f"benchmarks.{name}").measure()
    Measured(name, machine(), datetime.date.today().isoformat(), rows).write(RESULTS)


def publish() -> None:
    """Put the table into the page, between its two marks; the words around it stay."""
    results = [Measured.read(path) for name in NAMES if (path := RESULTS / f"{name}.json").exists()]
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n\n{markdown(results)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--here", action="store_true", help="in this process, for one benchmark")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in options.names:
        if options.here:
            measure(name)
        else:
            print(f"{name} …", flush=True)
            subprocess.run([sys.executable, "-m", "benchmarks", "--here", name], check=True, cwd=HERE.parent)
    if not options.here:
        publish()


if __name__ == "__main__":
    main()
