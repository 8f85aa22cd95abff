"""Options that several verbs share, and what they are checked against."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lsn_core.cli.output import say
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas

if TYPE_CHECKING:
    from lsn_core.discovery.crew import Crew


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


TRAINING_OPTIONS = (
    "steps",
    "batch_size",
    "learning_rate",
    "max_length",
    "train_lines",
    "score_lines",
    "precision",
    "accumulate",
)


def add_training(training: Any, defaults: Mapping[str, object] | None = None) -> None:
    """Add the options on how a network is trained, all but `--steps`, and say what they default to."""

    def default(name: str) -> str:
        return f"(default {defaults[name]})" if defaults else ""

    training.add_argument("--batch-size", type=int, metavar="N", help=f"items a step {default('batch_size')}")
    training.add_argument(
        "--learning-rate", type=float, metavar="X", help=f"at the first step {default('learning_rate')}"
    )
    training.add_argument(
        "--max-length", type=int, metavar="N", help=f"word pieces an item at most {default('max_length')}"
    )
    training.add_argument(
        "--train-lines", type=int, metavar="N", help=f"training items used at most {default('train_lines')}"
    )
    training.add_argument(
        "--score-lines", type=int, metavar="N", help=f"test items scored at most {default('score_lines')}"
    )
    training.add_argument(
        "--precision",
        choices=("bf16", "fp32"),
        help=f"arithmetic of the matrix products {default('precision')}",
    )
    training.add_argument(
        "--accumulate",
        type=int,
        metavar="N",
        help=f"parts that a batch goes through the model in, to save memory {default('accumulate')}",
    )


def add_processes(verb: Any) -> None:
    """Add the options on how many processes there are, and where."""
    verb.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core, or one a GPU)")
    verb.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a Ray cluster to compute on: HOST:PORT of its head, or auto for the one that this machine is in",
    )


def add_machine(training: Any) -> None:
    """Add the options on where to compute."""
    training.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 … (default: a GPU where there is one)"
    )
    training.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads a process on the CPU (default 1)"
    )


def given_training(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the training settings that were asked for."""
    return {
        name: getattr(arguments, name) for name in TRAINING_OPTIONS if getattr(arguments, name) is not None
    }


def check_machine(arguments: argparse.Namespace) -> None:
    """Raise LsnError unless the numbers of threads and processes are sensible."""
    for name in ("threads", "jobs"):
        value = getattr(arguments, name, None)
        if value is not None and value < 1:
            raise LsnError(f"The option --{name} is {value}; it must be at least 1.")


def check_seeds(seeds: Sequence[int]) -> None:
    for seed in seeds:
        if not 0 <= seed < 2**31:
            raise LsnError(
                f"The option --seeds holds {seed}; a seed is a whole number from 0 to {2**31 - 1}."
            )


@contextmanager
def crew_for(arguments: argparse.Namespace) -> Iterator[Crew]:
    """Give what does the jobs: processes here, or those of the cluster, which is let go of at the end.

    Raises LsnError when the device or the cluster cannot be used.
    """
    if arguments.cluster is None:
        from lsn_core.discovery.crew import LocalCrew

        yield LocalCrew(usable_device(arguments.device), arguments.jobs)
        return
    try:
        from lsn_core.discovery.cluster import connect
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "ray":
            raise
        raise LsnError(
            "The option --cluster needs Ray, which is not installed here; install it with 'pip install -r "
            "requirements-cluster.txt', here and on every node."
        ) from error
    with connect(arguments.cluster, arguments.device, arguments.jobs) as crew:
        yield crew


def model_of(atlas: Atlas, given: str | None) -> str:
    """Return the model to load for an atlas; LsnError when it has to be given.

    An atlas knows the name of its model, but of a folder not where it lies.
    """
    if given is not None:
        return given
    if atlas.model_everywhere is not None:
        return atlas.model_everywhere
    raise LsnError(
        f"The atlas {atlas.name!r} is of a model in a folder, {str(atlas.model['name'])!r}; give it with --model."
    )


def source_of(atlas: Atlas, given: str | None, task: str) -> str:
    """Return the text that an atlas's tickets of a task were made from; LsnError when it has to be given."""
    if given is not None:
        return given
    texts = (header.provenance.get("data") for header in atlas.headers() if header.key.task == task)
    names = sorted({str(text["name"]) for text in texts if text and "name" in text})
    if not names:
        return "cldr"
    if len(names) > 1 or names[0].startswith("folder:"):
        raise LsnError(
            f"The tickets of task {task!r} in atlas {atlas.name!r} were made from {' and '.join(names)}; give "
            "that with --data."
        )
    return names[0]


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
