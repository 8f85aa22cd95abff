"""Making tickets and keeping them: each is computed once, resumes where it stopped, and is written whole."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from lsn_core.data.opening import open_source
from lsn_core.data.source import Source
from lsn_core.discovery.config import Recipe, Training, config_hash, default_scope, first_round
from lsn_core.discovery.lottery import Progress, Work, base_masks, random_key, random_masks, run_rounds
from lsn_core.discovery.node import LIBRARIES
from lsn_core.discovery.plan import rounds_of
from lsn_core.discovery.state import ROUNDS_FILE, load_progress, save_progress, saved_scores
from lsn_core.discovery.training import Bench, check_length, load_features
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import survival_from_masks
from lsn_core.masks.ticket import BASE_KEY, Score, Ticket, TicketKey
from lsn_core.masks.ticket_file import TicketHeader, read_header, read_ticket
from lsn_core.models.loading import LoadedModel, family_named, load_model
from lsn_core.tasks.base import Feature, Task
from lsn_core.tasks.registry import task_for

BASE_LEVELS = Recipe(task="mlm").levels
"""The base ticket always has all nine levels, so that it serves any recipe."""


@dataclass(frozen=True)
class TicketJob:
    """One ticket that is wanted; the unit of work."""

    recipe: Recipe
    language: str
    seed: int

    @property
    def key(self) -> TicketKey:
        return TicketKey(self.recipe.task, self.language, self.recipe.method, self.seed)

    @property
    def rounds(self) -> int:
        """Rounds of training of the whole ticket."""
        return rounds_of(self.recipe.method, self.recipe.rounds)

    @property
    def steps(self) -> int:
        """Training steps of the whole ticket."""
        return self.rounds * self.recipe.training.steps

    def state(self, done: int) -> str:
        """How far the ticket is after so many steps."""
        return f"{self}, {done // self.recipe.training.steps}/{self.rounds} rounds"

    def __str__(self) -> str:
        return f"{self.recipe.task} {self.language} {self.recipe.method} seed {self.seed}"


@dataclass(frozen=True)
class Setup:
    """What a process needs to set up its `Workshop`; plain values, so that it can be sent to another."""

    atlas: str
    model: str
    task: str
    data: str = "cldr"
    device: str = "cpu"
    threads: int = 1
    max_length: int = 64

    def open(self) -> Workshop:
        """Return a workshop set up so."""
        return Workshop(self, ())


def prepare_torch(setup: Setup) -> None:
    """Let this process compute with as many threads as asked for, and the same way every time."""
    if setup.device == "cpu":
        torch.set_num_threads(setup.threads)
    # Read by CUDA when it starts; without it, matrix products there are not deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Debugging aid of the deterministic mode: it writes NaN over all memory that is about to be used.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def instructions(device: torch.device) -> str:
    """Return what a device's kernels are chosen by: the vector instructions of the CPU, or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else device.type


def bits_depend_on(device: torch.device) -> tuple[str, ...]:
    """Return the fields of a ticket's provenance that have to be the same for the same recipe to give the same bits.

    Sums are added up in another order with other instructions and, on a CPU, by another number of threads;
    the last bit that differs then grows in training. The number of processes changes nothing.
    """
    return ("device", "instructions", *(("threads",) if device.type == "cpu" else ()), "versions")


def equipment(setup: Setup) -> tuple[Source, Task, LoadedModel]:
    """Return source, task and model, the model with the task's head; LsnError when they do not fit together."""
    task = task_for(setup.task, family_named(setup.model))
    source = open_source(setup.data)
    loaded = load_model(setup.model, task.auto_class, setup.device, task.head_settings(source))
    check_length(loaded, setup.max_length)
    task.check(loaded)
    return source, task, loaded


OnProgress = Callable[[TicketJob, int], None]
"""Called with the job and how many training steps of it are done; may raise to stop."""


class Workshop:
    """A model on its bench beside an atlas: makes tickets one after the other."""

    def __init__(
        self, setup: Setup, jobs: Sequence[TicketJob] | Callable[[Layout], Sequence[TicketJob]]
    ) -> None:
        """Load model and text and try them out, then open the atlas or make a new one.

        Where the jobs depend on the model's matrices, `jobs` is called with them. Raises LsnError when anything that `jobs` need is missing or cannot work; then nothing is made.
        """
        prepare_torch(setup)
        device = torch.device(setup.device)
        self._environment = f"{device.type}-{instructions(device)}-{setup.threads}"
        self.source, task, loaded = equipment(setup)
        self.bench = Bench(loaded, task)
        self.jobs: Sequence[TicketJob] = jobs(loaded.layout) if callable(jobs) else jobs
        self._fingerprints: dict[str, str] = {}
        self._features: dict[tuple[str, str, Training], Sequence[Feature]] = {}
        for job in self.jobs:
            for split in ("train", "test"):
                self.features(job.language, split, job.recipe.training)
        self.atlas = Atlas.open_or_create(setup.atlas, loaded.info, loaded.layout)
        for job in self.jobs:
            self.check(job)

    def base(self) -> Ticket:
        """Return the atlas's base ticket, made now if it is not there."""
        with self.atlas.lock("base"):
            present = self.atlas.base()
            if present is not None:
                return present
            scope = default_scope(self.bench.layout)
            ticket = Ticket(
                key=BASE_KEY,
                layout=self.bench.layout,
                levels=BASE_LEVELS,
                survival=survival_from_masks(base_masks(self.bench, BASE_LEVELS, scope)),
                scores=(),
                provenance=self._provenance({"criterion": "magnitude", "scope": scope}, {}, 0.0),
                config_hash=config_hash(
                    Recipe(task="", method="base", scope=scope), "", 0, self.bench.loaded.identity, ""
                ),
            )
            self.atlas.save(ticket)
            return ticket

    def check(self, job: TicketJob) -> None:
        """Raise LsnError when the atlas holds tickets made otherwise, with which `job` cannot be compared."""
        self.atlas.check_recipe(job.key, job.recipe.to_dict())
        if job.recipe.method == "random" and not self.atlas.has(_twin(job).key):
            return  # what it is to match comes first, and then it is looked at again
        if self.atlas.has(job.key) and self.atlas.header(job.key).config_hash != self._job_hash(job):
            otherwise = "matched to another ticket, or " if job.recipe.method == "random" else ""
            raise LsnError(
                f"The atlas {self.atlas.name!r} holds another {job}, {otherwise}made from another text or model "
                "head; use another --atlas."
            )

    def scores(self, key: TicketKey) -> tuple[Score, ...] | None:
        """Return a ticket's scores, those of its finished rounds while it is made; None where there are none."""
        if self.atlas.has(key):
            return self.atlas.header(key).scores
        return saved_scores(self.atlas.runs_dir(key.stem))

    def is_ours(self, header: TicketHeader) -> bool:
        """Whether this model and text, with the recipe that the ticket names, give that ticket."""
        recipe = recipe_of(header)
        if recipe is None:
            return False
        job = TicketJob(recipe, header.key.language, header.key.seed)
        if recipe.method == "random" and not self.atlas.has(_twin(job).key):
            return False
        return header.config_hash == self._job_hash(job)

    def make(self, job: TicketJob, on_progress: OnProgress) -> bool:
        """Make the ticket of `job` unless it is there; return whether anything was computed.

        A random ticket needs the `imp` ticket that it is matched to, which is made first where it is
        missing. Another process that asks for the same ticket waits here, and then uses it. Raises
        LsnError when the atlas holds tickets that were made otherwise.
        """
        if job.recipe.method == "random":
            self.make(_twin(job), on_progress)
        with self.atlas.lock(job.key.stem):
            self.check(job)
            if self.atlas.has(job.key):
                # What a run leaves that is killed between writing its ticket and removing the rounds.
                shutil.rmtree(self.atlas.path / "runs" / job.key.stem, ignore_errors=True)
                return False
            self._compute(job, on_progress)
            return True

    @property
    def identity(self) -> str:
        """The hash of the model that tickets are made from (`LoadedModel.identity`)."""
        return self.bench.loaded.identity

    def to_train(self, job: TicketJob) -> TicketJob | None:
        """Return the job, or None where its ticket is there; LsnError as `check`."""
        self.check(job)
        return None if self.atlas.has(job.key) else job

    def gives(self, job: TicketJob) -> tuple[TicketKey, ...]:
        """The ticket of a job."""
        return (job.key,)

    def reads(self, job: TicketJob) -> tuple[TicketKey, ...]:
        """The base ticket, and the one that a random one is matched to."""
        return (BASE_KEY, _twin(job).key) if job.recipe.method == "random" else (BASE_KEY,)

    def texts(self, job: TicketJob) -> dict[str, str]:
        """The job's language with the fingerprint of its text."""
        return {job.language: self.data_fingerprint(job.language)}

    def saved_rounds(self, job: TicketJob) -> Path | None:
        """The file with the finished rounds of a ticket that is not finished, where there is one."""
        file = self.atlas.runs_dir(job.key.stem) / ROUNDS_FILE
        return file if file.is_file() else None

    def claim(self, job: TicketJob) -> AbstractContextManager[None]:
        """Hold the lock of the job's ticket; Busy when another process makes it now."""
        return self.atlas.lock(job.key.stem, timeout=0)

    def receive(self, job: TicketJob, folder: Path) -> None:
        """Keep finished rounds, or tickets, that another process has made; they lie in `folder` as in an atlas.

        Raises LsnError when they are not what this model and text give.
        """
        for rounds in folder.glob(f"runs/*/{ROUNDS_FILE}"):
            atomic_write_bytes(self.atlas.runs_dir(rounds.parent.name) / ROUNDS_FILE, rounds.read_bytes())
        # By name, so that a random ticket comes after the one that it is matched to.
        for file in sorted(folder.glob("tickets/*")):
            header = read_header(file)
            if not self.is_ours(header):
                raise LsnError(
                    f"Another process made ticket {header.key.stem} from another model or text; put the same "
                    "files everywhere."
                )
            base = None if header.base_hash is None else self.atlas.base()
            self.atlas.save(read_ticket(file, base, self.bench.layout))
            shutil.rmtree(self.atlas.runs_dir(header.key.stem), ignore_errors=True)

    def _compute(self, job: TicketJob, on_progress: OnProgress) -> None:
        recipe, digest = job.recipe, self._job_hash(job)
        self.base()  # tickets are stored as differences from it
        work = Work(
            recipe,
            job.language,
            job.seed,
            self.features(job.language, "train", recipe.training),
            self.features(job.language, "test", recipe.training),
        )
        # Rounds done with other instructions or another number of threads may differ in the last bit.
        folder, run = self.atlas.runs_dir(job.key.stem), f"{digest}-{self._environment}"
        first = first_round(recipe.method)
        progress = run_rounds(
            self.bench,
            work,
            load_progress(folder, run, self.bench.layout) or self._first_progress(job),
            lambda number, done, total: on_progress(job, (number - first) * total + done),
            lambda reached: save_progress(folder, run, reached),
        )
        survival = survival_from_masks(progress.masks)
        progress = replace(progress, masks=())  # nothing needs them any more, and they are more than survival
        data = {"name": self.source.name, "fingerprint": self.data_fingerprint(job.language)}
        ticket = Ticket(
            key=job.key,
            layout=self.bench.layout,
            levels=recipe.levels,
            survival=survival,
            scores=progress.scores,
            provenance=self._provenance(recipe.to_dict(), data, progress.seconds) | self._matched(job),
            config_hash=digest,
            philox_key=random_key(recipe.task, job.language, job.seed) if recipe.method == "random" else None,
        )
        self.atlas.save(ticket)
        shutil.rmtree(folder, ignore_errors=True)

    def features(self, language: str, split: str, settings: Training) -> Sequence[Feature]:
        """Return one split of a language, encoded for the task; LsnError when the text is missing or bad."""
        key = (language, split, settings)
        if key not in self._features:
            self._features[key] = load_features(
                self.bench.task, self.source, language, split, self.bench.loaded, settings
            )
        return self._features[key]

    def _first_progress(self, job: TicketJob) -> Progress:
        """Where a new ticket begins; a random one has its masks, and its twin's dense score.

        Round 0 of both trains the same model on the same batches, so the score is the same number.
        """
        if job.recipe.method != "random":
            return Progress()
        twin = self.atlas.header(_twin(job).key)
        return Progress(
            first_round("random"),
            random_masks(twin),
            tuple(score for score in twin.scores if score.sparsity == 0.0),
        )

    def _matched(self, job: TicketJob) -> dict:
        if job.recipe.method != "random":
            return {}
        twin = self.atlas.header(_twin(job).key)
        return {"matched": {"ticket": twin.key.stem, "content_hash": twin.content_hash}}

    def data_fingerprint(self, language: str) -> str:
        """Return the fingerprint of a language's items of the task's kind."""
        if language not in self._fingerprints:
            self._fingerprints[language] = self.source.fingerprint(language, self.bench.task.kind)
        return self._fingerprints[language]

    def _job_hash(self, job: TicketJob) -> str:
        data = self.data_fingerprint(job.language)
        matched = self.atlas.header(_twin(job).key).content_hash if job.recipe.method == "random" else ""
        return config_hash(job.recipe, job.language, job.seed, self.bench.loaded.identity, data, matched)

    def _provenance(self, recipe: dict, data: dict, seconds: float) -> dict:
        return {
            "model": {k: self.bench.loaded.info[k] for k in ("name", "revision", "fingerprint")},
            "recipe": recipe,
            "data": data,
            "device": self.bench.device.type,
            "processor": platform.machine(),
            "instructions": instructions(self.bench.device),
            "threads": torch.get_num_threads(),
            "bits_depend_on": bits_depend_on(self.bench.device),
            "versions": {name: version(name) for name in LIBRARIES},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
        }


def recipe_of(header: TicketHeader) -> Recipe | None:
    """Return the recipe that a ticket was made by; None when it does not say, as one that was imported."""
    given = header.provenance.get("recipe")
    if not isinstance(given, Mapping) or not isinstance(given.get("training"), Mapping):
        return None
    try:
        return Recipe(**{**given, "training": Training(**given["training"])})
    except TypeError as error:
        raise LsnError(
            f"Ticket {header.key.stem} was made with settings that this version does not know ({error}); "
            "use the version that made it."
        ) from error


def _twin(job: TicketJob) -> TicketJob:
    """The `imp` ticket that a random one has the densities of."""
    return replace(job, recipe=replace(job.recipe, method="imp"))
