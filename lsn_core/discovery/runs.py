"""Making tickets and keeping them: each is computed once, resumes where it stopped, and is written whole."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from lsn_core.data.source import TextSource, open_source
from lsn_core.discovery.config import Recipe, config_hash
from lsn_core.discovery.lottery import Progress, Work, base_masks, random_key, random_masks, run_rounds
from lsn_core.discovery.state import load_progress, save_progress
from lsn_core.discovery.training import Bench, check_length, load_features
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import survival_from_masks
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from lsn_core.models.loading import load_model
from lsn_core.tasks.registry import task_named

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
    def steps(self) -> int:
        """Training steps of the whole ticket: the dense round and one a level."""
        return (self.recipe.rounds + 1) * self.recipe.training.steps

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


OnProgress = Callable[[TicketJob, int], None]
"""Called with the job and how many training steps of it are done; may raise to stop."""


class Workshop:
    """A model on its bench beside an atlas: makes tickets one after the other."""

    def __init__(self, setup: Setup) -> None:
        """Load the model, then open its atlas or make a new one; on an error nothing is made."""
        if setup.device == "cpu":
            torch.set_num_threads(setup.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        task = task_named(setup.task)
        self.source: TextSource = open_source(setup.data)
        loaded = load_model(setup.model, task.auto_class, setup.device)
        check_length(loaded, setup.max_length)
        self.bench = Bench(loaded, task)
        self._fingerprints: dict[str, str] = {}
        self.atlas = Atlas.open_or_create(setup.atlas, loaded.info, loaded.layout)

    def base(self) -> Ticket:
        """Return the atlas's base ticket, made now if it is not there."""
        with self.atlas.lock("base"):
            present = self.atlas.base()
            if present is not None:
                return present
            masks = base_masks(self.bench, BASE_LEVELS)
            ticket = Ticket(
                key=BASE_KEY,
                layout=self.bench.layout,
                levels=BASE_LEVELS,
                survival=survival_from_masks(masks),
                scores=(),
                provenance=self._provenance({"criterion": "magnitude", "scope": "global"}, {}, 0.0),
                config_hash=self._config_hash(Recipe(task="", method="base"), "", 0),
            )
            self.atlas.save(ticket)
            return ticket

    def check(self, job: TicketJob) -> None:
        """Raise LsnError when the atlas holds tickets made otherwise, with which `job` cannot be compared."""
        self.atlas.check_recipe(job.key, job.recipe.to_dict())
        if self.atlas.has(job.key) and self.atlas.header(job.key).config_hash != self._job_hash(job):
            raise LsnError(
                f"The atlas {self.atlas.name!r} holds another {job}, made from other text; use another --atlas."
            )

    def make(self, job: TicketJob, on_progress: OnProgress) -> bool:
        """Make the ticket of `job` unless it is there; return whether anything was computed.

        Another process that asks for the same ticket waits here, and then uses it. Raises LsnError when
        the atlas holds tickets that were made otherwise.
        """
        with self.atlas.lock(job.key.stem):
            self.check(job)
            if self.atlas.has(job.key):
                return False
            self._compute(job, on_progress)
            return True

    def _compute(self, job: TicketJob, on_progress: OnProgress) -> None:
        recipe, settings = job.recipe, job.recipe.training
        started = time.monotonic()
        digest = self._job_hash(job)
        base = self.base()
        folder = self.atlas.runs_dir(job.key.stem)
        work = Work(
            recipe,
            job.language,
            job.seed,
            load_features(self.bench.task, self.source, job.language, "train", self.bench.loaded, settings),
            load_features(self.bench.task, self.source, job.language, "test", self.bench.loaded, settings),
            [base.mask(level) for level in recipe.levels],
        )
        start = load_progress(folder, digest, self.bench.layout) or self._first_progress(job, work)
        progress = run_rounds(
            self.bench,
            work,
            start,
            lambda number, done, total: on_progress(job, number * total + done),
            lambda reached: save_progress(folder, digest, reached),
        )
        data = {"name": self.source.name, "fingerprint": self._data_fingerprint(job.language)}
        ticket = Ticket(
            key=job.key,
            layout=self.bench.layout,
            levels=recipe.levels,
            survival=survival_from_masks(progress.masks),
            scores=progress.scores,
            provenance=self._provenance(recipe.to_dict(), data, time.monotonic() - started),
            config_hash=digest,
            philox_key=random_key(recipe, job.language, job.seed) if recipe.method == "random" else None,
        )
        self.atlas.save(ticket)
        shutil.rmtree(folder, ignore_errors=True)

    def _first_progress(self, job: TicketJob, work: Work) -> Progress:
        """Where a new ticket begins; a random one takes its dense score from the `imp` ticket beside it.

        Round 0 of both trains the same model on the same batches, so the score is the same number.
        """
        if job.recipe.method != "random":
            return Progress(0, (), ())
        masks = random_masks(work)
        sibling = TicketKey(job.recipe.task, job.language, "imp", job.seed)
        if self.atlas.has(sibling):
            header = self.atlas.header(sibling)
            if header.config_hash == self._job_hash(replace(job, recipe=replace(job.recipe, method="imp"))):
                return Progress(1, masks, tuple(s for s in header.scores if s.sparsity == 0.0))
        return Progress(0, (), ())

    def _data_fingerprint(self, language: str) -> str:
        if language not in self._fingerprints:
            self._fingerprints[language] = self.source.fingerprint(language)
        return self._fingerprints[language]

    def _job_hash(self, job: TicketJob) -> str:
        return self._config_hash(job.recipe, job.language, job.seed, self._data_fingerprint(job.language))

    def _config_hash(self, recipe: Recipe, language: str, seed: int, data: str = "") -> str:
        return config_hash(recipe, language, seed, self.bench.loaded.info["fingerprint"], data)

    def _provenance(self, recipe: dict, data: dict, seconds: float) -> dict:
        return {
            "model": {k: self.bench.loaded.info[k] for k in ("name", "revision", "fingerprint")},
            "recipe": recipe,
            "data": data,
            "device": self.bench.device.type,
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "versions": {
                name: version(name) for name in ("torch", "transformers", "tokenizers", "babel", "numpy")
            },
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
        }
