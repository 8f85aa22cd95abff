"""What a machine says of itself, for one that is about to send it work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from lsn_core import __version__

LIBRARIES = ("torch", "transformers", "tokenizers", "babel", "numpy")
"""The libraries whose versions a ticket's bits can hang on."""


@dataclass(frozen=True)
class Report:
    """Versions of this software and its libraries, and the bytes of a GPU's memory (0: none was asked for)."""

    versions: Mapping[str, str]
    gpu_memory: int = 0


def report(gpu: bool) -> Report:
    """Return the report of this process; with `gpu`, of the GPU that it sees first, too."""
    # What follows the plus sign of torch's version says for which device it was built.
    versions = {name: version(name).split("+")[0] for name in LIBRARIES}
    memory = 0
    if gpu:
        import torch

        memory = torch.cuda.mem_get_info(0)[1]
    return Report({"lsn_core": __version__, **versions}, memory)


def differences(mine: Report, theirs: Report) -> str:
    """Say which versions differ, empty where none does."""
    return ", ".join(
        f"{name} {theirs.versions.get(name)} rather than {mine.versions[name]}"
        for name in mine.versions
        if theirs.versions.get(name) != mine.versions[name]
    )
