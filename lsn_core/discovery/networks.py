"""Networks that are trained under a mask and scored, each score kept in a table of the atlas as it comes.

The seeds are those of the tickets' own rounds: what a ticket has measured itself (its score, the dense
model's, that of the random ticket) is the same number, and is taken from it rather than measured again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.runs import Setup, Workshop, recipe_of
from lsn_core.discovery.training import round_seed, scoring_seed
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import (
    Cell,
    CellTable,
    cell_name,
    check_settings,
    gather,
    has_cell,
    read_cell,
    save_cell,
)
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, Score, TicketKey
from lsn_core.masks.ticket_file import TicketHeader

_FORMAT = 1


@dataclass(frozen=True)
class NetworkJob(ABC):
    """One network to train, and the languages that it is scored on; the unit of work.

    `control` says what kind of mask it has, `learns` is the language that it is trained on. `round` is the
    number of the lottery round of this sparsity, 0 for the dense model: it fixes the training seed.
    """

    task: str
    control: str
    learns: str
    targets: tuple[str, ...]
    seed: int
    sparsity: float
    round: int
    training: Training

    @property
    @abstractmethod
    def anchors(self) -> tuple[TicketKey, ...]:
        """The tickets that the mask is made from; for the dense model, the one that it stands beside."""

    @property
    def steps(self) -> int:
        return self.training.steps

    def state(self, done: int) -> str:
        """How far the job is after so many steps."""
        return f"{self}, {done}/{self.steps} steps"


J = TypeVar("J", bound=NetworkJob)


class NetworkWorkshop(ABC, Generic[J]):
    """A model on its bench beside an atlas with tickets: trains networks under masks made from them."""

    table: ClassVar[CellTable]

    def __init__(self, setup: Setup, jobs: Sequence[J]) -> None:
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
        found = gather(self.atlas, self.table)
        self._in_table = set(found.frame["cell"])
        if jobs:
            check_settings(found, self.table, Cell(*self._about(jobs[0], jobs[0].targets[0]), ()))

    @abstractmethod
    def mask(self, job: J) -> Mask:
        """The mask of a network; raises LsnError when a ticket that is needed is gone."""

    @abstractmethod
    def known_ticket(self, job: J, target: str) -> TicketKey | None:
        """The ticket that has measured this score itself if there is one; None where none can have."""

    def further_columns(self, job: J) -> dict[str, Any]:
        """What the rows hold beside the job's own fields and the score."""
        return {}

    def make(self, job: J, on_progress: Callable[[J, int], None]) -> bool:
        """Measure the cells of `job` that are not there yet; return whether there were any.

        Each is written when it is done. Raises LsnError when a ticket that is needed is gone.
        """
        missing = [target for target in job.targets if not self._has(job, target)]
        unknown = []
        for target in missing:
            scores = self._known_scores(job, target)
            if scores:
                save_cell(self.atlas, self.table, self._cell(job, target, scores))
            else:
                unknown.append(target)
        if unknown:
            self._train(job, on_progress)
            for target in unknown:
                save_cell(self.atlas, self.table, self._cell(job, target, self._score(job, target)))
        return bool(missing)

    def base(self) -> None:
        """Make the base ticket if it is not there."""
        self._workshop.base()

    @property
    def identity(self) -> str:
        """The hash of the model that networks are cut from (`LoadedModel.identity`)."""
        return self.bench.loaded.identity

    def data_fingerprint(self, language: str) -> str:
        """Return the fingerprint of a language's items of the task's kind."""
        return self._workshop.data_fingerprint(language)

    def to_train(self, job: J) -> J | None:
        """Return the job with those targets alone that no cell or ticket has the score of; None without any."""
        unknown = tuple(
            target
            for target in job.targets
            if not self._has(job, target) and not self._known_scores(job, target)
        )
        return replace(job, targets=unknown) if unknown else None

    def gives(self, job: J) -> tuple[TicketKey, ...]:
        """No ticket."""
        return ()

    def reads(self, job: J) -> tuple[TicketKey, ...]:
        """The tickets that the mask is made from, and the base ticket, which they are stored against."""
        return (BASE_KEY, *(key for key in job.anchors if key != BASE_KEY))

    def texts(self, job: J) -> dict[str, str]:
        """The languages that are learned and scored, with the fingerprint of their text."""
        return {code: self.data_fingerprint(code) for code in (job.learns, *job.targets)}

    def saved_rounds(self, job: J) -> Path | None:
        """None: a network is trained in one go."""
        return None

    def claim(self, job: J) -> AbstractContextManager[None]:
        """Nothing to hold: cells have no locks, and one that is measured twice is the same twice."""
        return nullcontext()

    def receive(self, job: J, folder: Path) -> None:
        """Keep cells that another process has measured; they lie in `folder` as in an atlas.

        Raises LsnError when they are not of this job, or hang on another model or text.
        """
        wanted = {cell_name(*self._about(job, target)) for target in job.targets}
        for file in sorted(folder.glob(f"{self.table.name}/*")):
            cell = read_cell(file)
            if cell.name not in wanted:
                raise LsnError(
                    f"Another process measured something else than {job}: from another model or text, or the "
                    "atlas has changed meanwhile; run the same command again."
                )
            save_cell(self.atlas, self.table, cell)

    def _check_tickets(self, jobs: Sequence[J]) -> None:
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

    def _train(self, job: J, on_progress: Callable[[J, int], None]) -> None:
        mask = self.mask(job)
        features = self._workshop.features(job.learns, "train", job.training)
        self.bench.rewind(mask)
        self.bench.train(
            features,
            mask,
            job.training,
            round_seed(job.task, job.learns, job.seed, job.round),
            lambda done, total: on_progress(job, done),
        )

    def _score(self, job: J, target: str) -> tuple[Score, ...]:
        """Score the bench's present weights on a language."""
        features = self._workshop.features(target, "test", job.training)
        metrics, count = self.bench.score(features, job.training, scoring_seed(job.task, target))
        level = 0.0 if job.control == "dense" else job.sparsity
        return tuple(Score(level, name, value, count, "test") for name, value in metrics.items())

    def _known_scores(self, job: J, target: str) -> tuple[Score, ...]:
        """The scores that a ticket has of this cell; none when there is no such ticket."""
        key = self.known_ticket(job, target)
        header = self.atlas.header(key) if key is not None and self.atlas.has(key) else None
        if header is None or not self._workshop.is_ours(header):
            return ()
        recipe = recipe_of(header)
        if recipe is None or recipe.training != job.training:
            return ()
        level = 0.0 if job.control == "dense" else job.sparsity
        return tuple(score for score in header.scores if abs(score.sparsity - level) < 1e-9)

    def _has(self, job: J, target: str) -> bool:
        name = cell_name(*self._about(job, target))
        return name in self._in_table or has_cell(self.atlas, self.table, name)

    def _about(self, job: J, target: str) -> tuple[dict[str, Any], dict[str, str]]:
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
        return about, {key.stem: self.atlas.header(key).content_hash for key in job.anchors}

    def _cell(self, job: J, target: str, scores: Sequence[Score]) -> Cell:
        about, tickets = self._about(job, target)
        place = {name: about[name] for name in self.table.dtypes if name in about}
        place |= self.further_columns(job)
        rows = tuple({**place, **asdict(score), "sparsity": job.sparsity} for score in scores)
        return Cell(about, tickets, rows)


def chosen_tickets(
    atlas: Atlas, task: str, languages: Sequence[str] | None, seeds: Collection[int] | None
) -> dict[TicketKey, TicketHeader]:
    """The `imp` tickets of a task that were asked for (None: all); LsnError when one of the names has none."""
    headers = [header for header in atlas.headers() if header.key.method == "imp"]
    if not headers:
        raise LsnError(f"The atlas {atlas.name!r} holds no imp tickets to train; discover some first.")
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


def training_of(own: Collection[TicketHeader], given: Mapping[str, Any]) -> Training:
    """The settings of the task's own tickets, if there are any, with those that were given."""
    for header in own:
        recipe = recipe_of(header)
        if recipe is not None:
            return Training(**{**asdict(recipe.training), **given})
    return Training(**given)
