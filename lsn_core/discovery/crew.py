"""Who does the jobs of a run: processes of this machine, spread over its GPUs; `cluster` has the other kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from lsn_core.discovery.config import Training
from lsn_core.discovery.placement import gpu_places, need_of
from lsn_core.discovery.plan import usable_cores
from lsn_core.discovery.pool import Event, Job, run_jobs
from lsn_core.discovery.runs import Setup
from lsn_core.discovery.training import Bench

Run = Callable[[Any, Sequence[Job], Callable[[Event], None]], None]
"""Does every one of some jobs that is not done yet, as `pool.run_jobs` says; its first argument is the maker."""


@dataclass(frozen=True)
class Team:
    """The processes of one run: how many, the run itself, and what a person should know of them, if anything."""

    size: int
    run: Run
    note: str = ""


class Crew(Protocol):
    """Has processes for jobs, on this machine or elsewhere."""

    @property
    def device(self) -> str:
        """Where the process that asks computes the little that it does itself."""

    def hire(self, setup: Setup, bench: Bench, training: Training, jobs: int) -> Team:
        """Return the processes for so many jobs that train so; `bench` has the model, which sizes them."""


@dataclass(frozen=True)
class LocalCrew:
    """The processes of this machine: `wanted` of them, by default one a core, or one a GPU."""

    device: str
    wanted: int | None = None

    def hire(self, setup: Setup, bench: Bench, training: Training, jobs: int) -> Team:
        """As `Crew.hire`. A GPU gets no more processes than have room in the memory that is free now."""
        kind = torch.device(self.device)
        jobs = max(1, jobs)
        if kind.type != "cuda":
            size = processes_for(self.device, setup.threads, self.wanted, jobs)
            return Team(size, _of([setup] * size))
        gpus = range(torch.cuda.device_count()) if kind.index is None else [kind.index]
        free = [torch.cuda.mem_get_info(gpu)[0] for gpu in gpus]
        need = need_of(bench.shape, training, "cuda").device
        wanted = None if self.wanted is None else min(self.wanted, jobs)
        devices = [f"cuda:{gpus[place]}" for place in gpu_places(free, need, wanted)][:jobs]
        setups = [replace(setup, device=device) for device in devices]
        note = ""
        if wanted is not None and len(devices) < wanted:
            note = (
                f"{len(devices)} processes rather than {wanted}: each needs up to {need / 2**30:.1f} GiB of GPU "
                f"memory, and there are {', '.join(f'{bytes_free / 2**30:.1f}' for bytes_free in free)} GiB free."
            )
        return Team(len(devices), _of(setups), note)


def processes_for(device: str, threads: int, wanted: int | None, jobs: int) -> int:
    """Return how many processes do so many jobs: `wanted`, or one a core, or one where that is no processor."""
    cores = max(1, usable_cores() // threads)
    return min(wanted or (cores if device == "cpu" else 1), max(1, jobs))


def _of(setups: Sequence[Setup]) -> Run:
    return lambda maker, jobs, on_event: run_jobs(maker, setups, jobs, on_event)
