"""What a core scores: the weights that at least k of n languages keep, trained on each language again.

The core is trained from the pretrained weights and scored on every one of its languages, beside the dense model,
the language's own sub-network, and two masks with as many weights as the core: drawn by lot, as many in every
matrix; and the largest pretrained weights, as many in all. The last is the fair one to hold it against: whatever
many languages keep is mostly what was large before any was looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lsn_core.analysis.cores import check_at_least, core_mask, core_tickets, random_core
from lsn_core.discovery.config import default_scope
from lsn_core.discovery.lottery import base_mask
from lsn_core.discovery.networks import NetworkJob, NetworkWorkshop, chosen_tickets, training_of
from lsn_core.discovery.runs import Setup
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, CellTable
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey, level_index
from lsn_core.tasks.batching import stable_seed

OF_NO_CORE = ("dense", "own")
CONTROLS = (*OF_NO_CORE, "", "random", "base")


@dataclass(frozen=True)
class CoreJob(NetworkJob):
    """One network of a core's score; `control` as in `masks.cells.CORE`.

    `members` are the core's languages with spaces between; it is empty, and `at_least` 0, for the dense model
    and a language's own sub-network, which are of no core.
    """

    members: str
    at_least: int

    @property
    def anchors(self) -> tuple[TicketKey, ...]:
        languages = self.members.split() or [self.learns]
        return tuple(TicketKey(self.task, language, "imp", self.seed) for language in languages)

    def __str__(self) -> str:
        of = f" of {self.at_least} of {len(self.members.split())}" if self.members else ""
        name = f"{self.control} beside the core" if self.control else "core"
        return f"{name}{of} learns {self.task} in {self.learns}, seed {self.seed}"


@dataclass(frozen=True)
class CoreSetup(Setup):
    """What a process needs to set up its `CoreWorkshop`."""

    def open(self) -> CoreWorkshop:  # type: ignore[override]
        """Return a workshop set up so."""
        return CoreWorkshop(self, ())


def plan_core(
    atlas: Atlas,
    task: str,
    sparsity: float,
    at_least: int,
    training: Mapping[str, Any],
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
) -> list[CoreJob]:
    """Return the jobs of a core's score, seed by seed and language by language.

    The core is of `languages` (None: all that have a ticket of the task), in each of `seeds` (None: all that
    every one of these languages has). `training` overrides settings of the recipe that the tickets were made
    by. Raises LsnError, naming what there is, when the atlas lacks tickets, a language, a seed or the
    sparsity, or `at_least` is no number of these languages.
    """
    tickets = chosen_tickets(atlas, task, languages, None)
    members = in_paper_order({key.language for key in tickets})
    by_language = [{key.seed for key in tickets if key.language == code} for code in members]
    common = sorted(set.intersection(*by_language))
    missing = [seed for seed in seeds or () if seed not in common]
    if missing or not common:
        raise LsnError(
            f"Not every one of {', '.join(members)} has a ticket of task {task!r} with seed "
            f"{missing[0] if missing else 'in common'}; the seeds in common are "
            f"{', '.join(map(str, common)) or 'none'}."
        )
    check_at_least(at_least, len(members))
    settings = training_of(tickets.values(), training)
    jobs = []
    for seed in sorted(seeds or common):
        keys = core_tickets(atlas, task, sparsity, seed, languages=members)
        for key in keys:
            levels = tickets[key].levels
            number = level_index(levels, sparsity, f"Ticket {key.stem}")
            for control in CONTROLS:
                of_no_core = control in OF_NO_CORE
                jobs.append(
                    CoreJob(
                        task=task,
                        control=control,
                        learns=key.language,
                        targets=(key.language,),
                        seed=seed,
                        sparsity=levels[number],
                        round=0 if control == "dense" else number + 1,
                        training=settings,
                        members="" if of_no_core else " ".join(members),
                        at_least=0 if of_no_core else at_least,
                    )
                )
    return jobs


class CoreWorkshop(NetworkWorkshop[CoreJob]):
    """A model on its bench beside an atlas with tickets: trains and scores cores."""

    table: ClassVar[CellTable] = CORE

    def __init__(self, setup: Setup, jobs: Sequence[CoreJob]) -> None:
        self._cores: dict[tuple[Any, ...], Mask] = {}
        super().__init__(setup, jobs)

    def mask(self, job: CoreJob) -> Mask:
        if job.control == "dense":
            return Mask.full(self.bench.layout)
        if job.control == "own":
            return self.atlas.ticket(job.anchors[0]).mask(job.sparsity)
        core = self._core(job)
        if job.control == "random":
            key = stable_seed("random core", job.task, job.members, job.at_least, job.seed)
            return random_core(core, self.bench.layout, key)
        if job.control == "base":
            return base_mask(self.bench, core.kept, default_scope(self.bench.layout))
        return core

    def known_ticket(self, job: CoreJob, target: str) -> TicketKey | None:
        return job.anchors[0] if job.control in OF_NO_CORE else None

    def further_columns(self, job: CoreJob) -> dict[str, Any]:
        return {"kept": self._kept(job)}

    def _kept(self, job: CoreJob) -> int:
        """How many weights the network has."""
        if job.control == "dense":
            return self.bench.layout.size
        if job.control == "own":
            header = self.atlas.header(job.anchors[0])
            level = level_index(header.levels, job.sparsity, f"Ticket {header.key.stem}")
            return int(header.kept[level].sum())
        return self._core(job).kept

    def _core(self, job: CoreJob) -> Mask:
        """The core of a job; one is kept at a time, as the jobs of a core come one after another."""
        place = (job.anchors, job.sparsity, job.at_least)
        if place not in self._cores:
            members = job.members.split()
            found = core_mask(self.atlas, job.task, job.sparsity, job.at_least, job.seed, languages=members)
            self._cores = {place: found}
        return self._cores[place]
