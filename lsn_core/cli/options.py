"""Options that several verbs share, and what they are checked against."""

from __future__ import annotations

import argparse
import os

from lsn_core.cli.output import say
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas


def add_selection(verb: argparse.ArgumentParser, needs_task: bool = False) -> None:
    verb.add_argument("--atlas", required=True, metavar="DIR")
    verb.add_argument("--task", required=needs_task, metavar="T", help="only tickets of this task")
    verb.add_argument(
        "--sparsity", type=float, default=0.5, metavar="S", help="share of weights removed (default 0.5)"
    )


def check_sparsity(value: float) -> None:
    if not 0 < value < 1:
        raise LsnError(f"The option --sparsity is {value:g}; it must lie between 0 and 1.")


def open_selected(arguments: argparse.Namespace) -> Atlas:
    """Return the atlas that `add_selection` asked for, after a look at the sparsity."""
    check_sparsity(arguments.sparsity)
    return open_atlas(arguments.atlas)


def open_atlas(folder: str) -> Atlas:
    """Return the atlas in a folder, and tell which of its files are left out."""
    atlas = Atlas.open(folder)
    for problem in atlas.problems():
        say(f"left out: {problem.message}")
    return atlas


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError(f"no training on {device.type}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise LsnError(
            f"The device {name!r} cannot be used here; give cpu, or leave --device out."
        ) from error
    return str(device)
