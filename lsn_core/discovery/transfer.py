"""Transfer: how well a sub-network serves a language or a task that it was not found for.

Three kinds (Foroutan et al. 2022, section 5): *mask* trains and scores a source language's sub-network on the
target; *zero-shot* trains it on the source and scores it on the target; *task* trains and scores the
sub-network of another task. Beside each stand the dense model, a random mask with as many weights in every
matrix, and the base mask.

The seeds are those of the tickets' own rounds: what a ticket has measured itself (its score, the dense
model's, that of the random ticket) is the same number, and is taken from it rather than measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.lottery import random_masks
from lsn_core.discovery.runs import Setup, Workshop, recipe_of
from lsn_core.discovery.training import round_seed, scoring_seed
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, Cell, cell_name, check_settings, gather, has_cell, save_cell
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, Score, TicketKey, level_index
from lsn_core.masks.ticket_file import TicketHeader

KINDS = ("mask", "zero-shot", "task")
CONTROLS = ("dense", "random", "base")

_FORMAT = 1


@dataclass(frozen=True)
class TransferJob:
    """One network to train, and the languages that it is scored on; the unit of work.

    `source` is the language whose mask it is, empty for a control of a mask transfer; `control` is empty
    for a sub-network. `round` is the number of the lottery round of this sparsity, 0 for the dense model:
    it fixes the training seed.
    """

    kind: str
    task: str
    source_task: str
    source: str
    control: str
    learns: str
    targets: tuple[str, ...]
    seed: int
    sparsity: float
    round: int
    training: Training

    @property
    def anchor(self) -> TicketKey:
        """The ticket of the mask; for the dense model and a random mask, the one that they stand beside."""
        if self.control == "base":
            return BASE_KEY
        return TicketKey(self.source_task, self.source or self.learns, "imp", self.seed)

    @property
    def steps(self) -> int:
        return self.training.steps

    def state(self, done: int) -> str:
        """How far the job is after so many steps."""
        return f"{self}, {done}/{self.steps} steps"

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
    tickets = _tickets(atlas, found, languages, seeds)
    own = {h.key: h for h in atlas.headers() if (h.key.task, h.key.method) == (task, "imp")}
    settings = _training(own.values(), training)
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
                        kind,
                        task,
                        found,
                        source,
                        control,
                        learns,
                        targets,
                        seed,
                        level,
                        0 if control == "dense" else number,
                        settings,
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


def _tickets(
    atlas: Atlas, task: str, languages: Sequence[str] | None, seeds: Collection[int] | None
) -> dict[TicketKey, TicketHeader]:
    """The `imp` tickets of a task that were asked for; LsnError when one of the names has none."""
    headers = [header for header in atlas.headers() if header.key.method == "imp"]
    if not headers:
        raise LsnError(f"The atlas {atlas.name!r} holds no imp tickets to transfer; discover some first.")
    mine = [header for header in headers if header.key.task == task]
    if not mine:
        tasks = ", ".join(sorted({header.key.task for header in headers}))
        raise LsnError(f"The atlas {atlas.name!r} has no imp tickets of task {task!r}; it has {tasks}.")
    for name, asked, there in (
        ("language", languages, in_paper_order({header.key.language for header in mine})),
        ("seed", seeds, sorted({header.key.seed for header in mine})),
    ):
        for value in asked or ():
            if value not in there:
                raise LsnError(
                    f"The atlas {atlas.name!r} has no imp ticket of task {task!r} with {name} {value!r}; it "
                    f"has {', '.join(map(str, there))}."
                )
    chosen = {
        header.key: header
        for header in mine
        if (languages is None or header.key.language in languages)
        and (seeds is None or header.key.seed in seeds)
    }
    if not chosen:
        raise LsnError(
            f"The atlas {atlas.name!r} has none of these languages of task {task!r} with these seeds."
        )
    return chosen


def _training(own: Collection[TicketHeader], given: Mapping[str, Any]) -> Training:
    """The settings of the task's own tickets, if there are any, with those that were given."""
    for header in own:
        recipe = recipe_of(header)
        if recipe is not None:
            return Training(**{**asdict(recipe.training), **given})
    return Training(**given)


class TransferWorkshop:
    """A model on its bench beside an atlas with tickets: trains and scores their masks."""

    def __init__(self, setup: Setup, jobs: Sequence[TransferJob]) -> None:
        """Load model and text and try them out.

        Raises LsnError when anything that `jobs` need is missing, or is not what the tickets were made
        with; then nothing is written.
        """
        self._workshop = Workshop(setup, ())
        self.bench = self._workshop.bench
        self.atlas = self._workshop.atlas
        self._check_tickets(jobs)
        for job in jobs:
            self._workshop.features(job.learns, "train", job.training)
            for target in job.targets:
                self._workshop.features(target, "test", job.training)
        found = gather(self.atlas, TRANSFER)
        self._in_table = set(found.frame["cell"])
        if jobs:
            check_settings(found, TRANSFER, self._cell(jobs[0], jobs[0].targets[0], ()))

    def make(self, job: TransferJob, on_progress: Callable[[TransferJob, int], None]) -> bool:
        """Measure the cells of `job` that are not there yet; return whether there were any.

        Each is written when it is done. Raises LsnError when a ticket that is needed is gone.
        """
        missing = [target for target in job.targets if not self._has(job, target)]
        unknown = []
        for target in missing:
            scores = self._known_scores(job, target)
            if scores:
                save_cell(self.atlas, TRANSFER, self._cell(job, target, scores))
            else:
                unknown.append(target)
        if unknown:
            self._train(job, on_progress)
            for target in unknown:
                save_cell(self.atlas, TRANSFER, self._cell(job, target, self._score(job, target)))
        return bool(missing)

    def base(self) -> None:
        """Make the base ticket if it is not there."""
        self._workshop.base()

    def _check_tickets(self, jobs: Sequence[TransferJob]) -> None:
        """The task's own tickets have to be of this text and model, head included."""
        languages = {language for job in jobs for language in (job.learns, *job.targets)}
        wanted = {(job.task, job.seed) for job in jobs}
        for header in self.atlas.headers():
            key = header.key
            mine = key.method == "imp" and key.language in languages and (key.task, key.seed) in wanted
            if not mine or recipe_of(header) is None:
                continue
            text = header.provenance.get("data", {})
            if text.get("fingerprint") != self._workshop.data_fingerprint(key.language):
                raise LsnError(
                    f"The text {self._workshop.source.name!r} is not the one that ticket {key.stem} was made "
                    f"from ({text.get('name')}); give that one with --data."
                )
            if not self._workshop.is_ours(header):
                raise LsnError(
                    f"Ticket {key.stem} was made from a model with another head or tokenizer than "
                    f"{self.bench.loaded.info['name']!r}; give that one with --model."
                )

    def _train(self, job: TransferJob, on_progress: Callable[[TransferJob, int], None]) -> None:
        mask = self._mask(job)
        features = self._workshop.features(job.learns, "train", job.training)
        self.bench.rewind(mask)
        self.bench.train(
            features,
            mask,
            job.training,
            round_seed(job.task, job.learns, job.seed, job.round),
            lambda done, total: on_progress(job, done),
        )

    def _score(self, job: TransferJob, target: str) -> tuple[Score, ...]:
        """Score the bench's present weights on a language."""
        features = self._workshop.features(target, "test", job.training)
        metrics, count = self.bench.score(features, job.training, scoring_seed(job.task, target))
        level = 0.0 if job.control == "dense" else job.sparsity
        return tuple(Score(level, name, value, count, "test") for name, value in metrics.items())

    def _mask(self, job: TransferJob) -> Mask:
        if job.control == "dense":
            return Mask.full(self.bench.layout)
        if job.control == "random":
            twin = self.atlas.header(job.anchor)
            level = level_index(twin.levels, job.sparsity, f"Ticket {twin.key.stem}")
            return random_masks(twin)[level]
        return self.atlas.ticket(job.anchor).mask(job.sparsity)

    def _known_scores(self, job: TransferJob, target: str) -> tuple[Score, ...]:
        """The scores that a ticket has of this cell; none when there is no such ticket."""
        foreign = job.source_task != job.task and job.control != "dense"
        if foreign or job.control == "base" or target != job.learns or job.source not in ("", target):
            return ()
        method = "random" if job.control == "random" else "imp"
        key = TicketKey(job.task, target, method, job.seed)
        header = self.atlas.header(key) if self.atlas.has(key) else None
        if header is None or not self._workshop.is_ours(header):
            return ()
        recipe = recipe_of(header)
        if recipe is None or recipe.training != job.training:
            return ()
        level = 0.0 if job.control == "dense" else job.sparsity
        return tuple(score for score in header.scores if abs(score.sparsity - level) < 1e-9)

    def _has(self, job: TransferJob, target: str) -> bool:
        name = cell_name(*self._about(job, target))
        return name in self._in_table or has_cell(self.atlas, TRANSFER, name)

    def _about(self, job: TransferJob, target: str) -> tuple[dict[str, Any], dict[str, str]]:
        """All that one cell depends on, and the tickets among it."""
        fields = {name: value for name, value in asdict(job).items() if name not in ("targets", "training")}
        about = {
            **fields,
            "format": _FORMAT,
            "target": target,
            "settings": {
                "training": Recipe(job.task, training=job.training).to_dict()["training"],
                "model": self.bench.loaded.identity,
            },
            "data": {code: self._workshop.data_fingerprint(code) for code in (job.learns, target)},
        }
        return about, {job.anchor.stem: self.atlas.header(job.anchor).content_hash}

    def _cell(self, job: TransferJob, target: str, scores: Sequence[Score]) -> Cell:
        about, tickets = self._about(job, target)
        place = {name: about[name] for name in TRANSFER.dtypes if name in about}
        rows = tuple({**place, **asdict(score), "sparsity": job.sparsity} for score in scores)
        return Cell(about, tickets, rows)
