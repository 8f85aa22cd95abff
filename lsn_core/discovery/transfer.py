"""Transfer: how well a sub-network serves a language or a task that it was not found for.

Three kinds (Foroutan et al. 2022, section 5): *mask* trains and scores a source language's sub-network on the
target; *zero-shot* trains it on the source and scores it on the target; *task* trains and scores the
sub-network of another task. Beside each stand the dense model, a random mask with as many weights in every
matrix, and the base mask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lsn_core.discovery.config import Recipe
from lsn_core.discovery.lottery import random_masks
from lsn_core.discovery.networks import NetworkJob, NetworkWorkshop, chosen_tickets, training_of
from lsn_core.discovery.runs import Setup
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, CellTable
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, TicketKey, level_index

KINDS = ("mask", "zero-shot", "task")
CONTROLS = ("dense", "random", "base")


@dataclass(frozen=True)
class TransferJob(NetworkJob):
    """One network of a transfer.

    `source` is the language whose mask it is, empty for a control of a mask transfer, and `source_task` the
    task that the mask is of; `control` is empty for a sub-network.
    """

    kind: str
    source_task: str
    source: str

    @property
    def anchors(self) -> tuple[TicketKey, ...]:
        if self.control == "base":
            return (BASE_KEY,)
        return (TicketKey(self.source_task, self.source or self.learns, "imp", self.seed),)

    def __str__(self) -> str:
        mask = " ".join(filter(None, (self.source_task, self.source, self.control)))
        return f"{self.kind} transfer: {mask} learns {self.task} in {self.learns}, seed {self.seed}"


@dataclass(frozen=True)
class TransferSetup(Setup):
    """What a process needs to set up its `TransferWorkshop`."""

    def open(self) -> TransferWorkshop:  # type: ignore[override]
        """Return a workshop set up so."""
        return TransferWorkshop(self, ())


def plan_transfer(
    atlas: Atlas,
    kind: str,
    task: str,
    sparsity: float,
    training: Mapping[str, Any],
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
    source_task: str | None = None,
) -> list[TransferJob]:
    """Return the jobs of a transfer between the languages of an atlas, seed by seed.

    `training` overrides settings of the recipe that the atlas's tickets of `task` were made by. None for
    `languages` or `seeds` means all that have a ticket. Raises LsnError, naming what there is, when the
    atlas lacks tickets, a language, a seed or the sparsity.
    """
    if kind not in KINDS:
        raise LsnError(f"There is no kind of transfer {kind!r}; choose one of {', '.join(KINDS)}.")
    if kind == "task" and (source_task is None or source_task == task):
        raise LsnError("A transfer between tasks needs --source-task, another task than --task.")
    if kind != "task" and source_task not in (None, task):
        raise LsnError("The option --source-task goes with --kind task only.")
    found = source_task if kind == "task" and source_task else task
    tickets = chosen_tickets(atlas, found, languages, seeds)
    own = {h.key: h for h in atlas.headers() if (h.key.task, h.key.method) == (task, "imp")}
    settings = training_of(own.values(), training)
    levels = {
        key: header.levels[level_index(header.levels, sparsity, f"Ticket {key.stem}")]
        for key, header in tickets.items()
    }
    base = atlas.header(BASE_KEY).levels if atlas.has(BASE_KEY) else Recipe(task).levels
    controls = CONTROLS if any(abs(level - sparsity) < 1e-9 for level in base) else CONTROLS[:-1]
    jobs = []
    for seed in sorted({key.seed for key in tickets}):
        codes = in_paper_order({key.language for key in tickets if key.seed == seed})
        for learns in codes:
            header = own.get(TicketKey(task, learns, "imp", seed), tickets[_key(found, learns, seed)])
            number = level_index(header.levels, sparsity, f"Ticket {header.key.stem}") + 1
            level = levels[_key(found, learns, seed)]
            for source, control, targets in _cells(kind, codes, learns, controls):
                jobs.append(
                    TransferJob(
                        task=task,
                        control=control,
                        learns=learns,
                        targets=targets,
                        seed=seed,
                        sparsity=level,
                        round=0 if control == "dense" else number,
                        training=settings,
                        kind=kind,
                        source_task=found,
                        source=source,
                    )
                )
    return jobs


def _cells(
    kind: str, codes: Sequence[str], learns: str, controls: Sequence[str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Source, control and targets of each network that learns from one language, the cheap ones first."""
    if kind == "zero-shot":
        for control in ("", *controls):
            yield learns, control, tuple(codes)
        return
    for control in controls:
        yield "", control, (learns,)
    yield learns, "", (learns,)
    if kind == "mask":
        for source in codes:
            if source != learns:
                yield source, "", (learns,)


def _key(task: str, language: str, seed: int) -> TicketKey:
    return TicketKey(task, language, "imp", seed)


class TransferWorkshop(NetworkWorkshop[TransferJob]):
    """A model on its bench beside an atlas with tickets: trains and scores their masks."""

    table: ClassVar[CellTable] = TRANSFER

    def mask(self, job: TransferJob) -> Mask:
        if job.control == "dense":
            return Mask.full(self.bench.layout)
        (anchor,) = job.anchors
        if job.control == "random":
            twin = self.atlas.header(anchor)
            return random_masks(twin)[level_index(twin.levels, job.sparsity, f"Ticket {anchor.stem}")]
        return self.atlas.ticket(anchor).mask(job.sparsity)

    def known_ticket(self, job: TransferJob, target: str) -> TicketKey | None:
        foreign = job.source_task != job.task and job.control != "dense"
        if foreign or job.control == "base" or target != job.learns or job.source not in ("", target):
            return None
        return TicketKey(job.task, target, "random" if job.control == "random" else "imp", job.seed)
