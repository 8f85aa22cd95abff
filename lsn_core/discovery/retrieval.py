"""Retrieval: do sub-networks put a sentence and its translation close to each other, layer by layer?

The sentences of a parallel test split are encoded without any training: by the pretrained model, and by the
pretrained weights under each language's own mask. What is compared are the mean states of all pieces.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from lsn_core.analysis.retrieval import NEIGHBOURS, retrieval_accuracy
from lsn_core.data.opening import open_source
from lsn_core.discovery.lottery import random_masks
from lsn_core.discovery.runs import Setup, prepare_torch
from lsn_core.discovery.training import Bench, check_length
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import RETRIEVAL, Cell, cell_name, check_settings, gather, has_cell, save_cell
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, TicketKey, level_index
from lsn_core.models.families import encoder_of
from lsn_core.models.loading import family_named, load_model
from lsn_core.tasks.batching import scoring_batches
from lsn_core.tasks.registry import task_for

_FORMAT = 1
_BATCH = 32


@dataclass(frozen=True)
class Network:
    """A kind of network that languages are encoded with: each with its own mask, where it has one."""

    method: str
    task: str
    seed: int
    sparsity: float

    def anchor(self, language: str) -> TicketKey | None:
        """The ticket that the mask of a language comes from; None for the dense model."""
        if self.method == "dense":
            return None
        return BASE_KEY if self.method == "base" else TicketKey(self.task, language, "imp", self.seed)

    @property
    def shared(self) -> bool:
        """Whether all languages are encoded with the same mask."""
        return self.method in ("dense", "base")

    def __str__(self) -> str:
        return f"{self.method} seed {self.seed}" if not self.shared else self.method


@dataclass(frozen=True)
class EncodingJob:
    """The sentences of one language through one network."""

    network: Network
    language: str
    batches: int

    @property
    def steps(self) -> int:
        return self.batches

    def state(self, done: int) -> str:
        """How far the job is after so many batches."""
        return str(self)

    def __str__(self) -> str:
        return f"encode {self.language}, {self.network}"


@dataclass(frozen=True)
class PairJob:
    """Two encoded languages, compared in every layer."""

    network: Network
    source: str
    target: str

    @property
    def steps(self) -> int:
        return 1

    def state(self, done: int) -> str:
        """How far the job is."""
        return str(self)

    def __str__(self) -> str:
        return f"compare {self.source} and {self.target}, {self.network}"


@dataclass(frozen=True)
class RetrievalSetup(Setup):
    """What a process needs to set up its `RetrievalWorkshop`: `lines` sentences of each of `languages`."""

    lines: int = 300
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.lines < 2:
            raise LsnError(f"The option --lines is {self.lines}; it must be at least 2.")

    def open(self) -> RetrievalWorkshop:  # type: ignore[override]
        """Return a workshop set up so."""
        return RetrievalWorkshop(self)


def plan_networks(
    atlas: Atlas,
    task: str | None,
    sparsity: float,
    languages: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> tuple[str, tuple[str, ...], list[Network]]:
    """Return the task, the languages and the networks of a retrieval.

    None for `task`, `languages` or `seeds` means all that there are tickets of; there must be one task.
    Only seeds that every language has are used. Raises LsnError, naming what there is, when that leaves
    nothing to compare or the tickets lack the sparsity.
    """
    headers = [header for header in atlas.headers() if header.key.method == "imp"]
    tasks = sorted({header.key.task for header in headers})
    if not tasks:
        raise LsnError(f"The atlas {atlas.name!r} holds no imp tickets to encode with; discover some first.")
    if task is None and len(tasks) > 1:
        raise LsnError(f"The atlas {atlas.name!r} has tickets of {', '.join(tasks)}; choose one with --task.")
    task = task or tasks[0]
    mine = {header.key: header for header in headers if header.key.task == task}
    if not mine:
        raise LsnError(
            f"The atlas {atlas.name!r} has no imp tickets of task {task!r}; it has {', '.join(tasks)}."
        )
    there = in_paper_order({key.language for key in mine})
    for language in languages or ():
        if language not in there:
            raise LsnError(
                f"The atlas {atlas.name!r} has no imp ticket of task {task!r} in language {language!r}; it "
                f"has {', '.join(there)}."
            )
    codes = tuple(dict.fromkeys(languages or there))
    if len(codes) < 2:
        raise LsnError("Retrieval compares languages; give two at least.")
    common = sorted(set.intersection(*({key.seed for key in mine if key.language == code} for code in codes)))
    missing = [seed for seed in seeds or () if seed not in common]
    if missing or not common:
        raise LsnError(
            f"Not every one of {', '.join(codes)} has a ticket of task {task!r} with seed "
            f"{missing[0] if missing else 'in common'}; the seeds in common are "
            f"{', '.join(map(str, common)) or 'none'}."
        )
    chosen = [key for key in mine if key.language in codes and key.seed in (seeds or common)]
    levels = {
        mine[key].levels[level_index(mine[key].levels, sparsity, f"Ticket {key.stem}")] for key in chosen
    }
    level = min(levels)
    networks = [Network("dense", "", 0, 0.0)]
    if atlas.has(BASE_KEY) and any(abs(x - level) < 1e-9 for x in atlas.header(BASE_KEY).levels):
        networks.append(Network("base", "", 0, level))
    for seed in sorted({key.seed for key in chosen}):
        networks += [Network(method, task, seed, level) for method in ("imp", "random")]
    return task, codes, networks


class RetrievalWorkshop:
    """A model on its bench beside an atlas: encodes sentences, and compares the encodings."""

    def __init__(self, setup: RetrievalSetup) -> None:
        """Load model and text.

        Raises LsnError when the text is not parallel or not there, or the atlas is of another model.
        """
        prepare_torch(setup)
        self._setup = setup
        self._source = open_source(setup.data)
        # The task's own class of model, because the matrices are counted as in its tickets; but its head needs
        # no labels here, which the text need not have.
        task = task_for(setup.task, family_named(setup.model))
        loaded = load_model(setup.model, task.auto_class, setup.device)
        check_length(loaded, setup.max_length)
        if loaded.tokenizer.pad_token_id is None:
            raise LsnError(
                f"The tokenizer of {loaded.info['name']!r} has no padding piece, so it cannot retrieve."
            )
        self.bench = Bench(loaded, task)
        self._pieces = self._encode_text()
        self.atlas = Atlas.open_or_create(setup.atlas, loaded.info, loaded.layout)
        self._in_table = set(gather(self.atlas, RETRIEVAL).frame["cell"])
        self._folder = self.atlas.path / "runs" / "retrieval"

    def plan(self, networks: Sequence[Network]) -> tuple[list[EncodingJob], list[PairJob], int]:
        """Return the encodings and comparisons that are still to do, and how many are done.

        Raises LsnError when the table holds comparisons made with other settings.
        """
        found = gather(self.atlas, RETRIEVAL)
        pairs = [
            PairJob(network, source, target)
            for network in networks
            for source, target in combinations(sorted(self._setup.languages), 2)
        ]
        check_settings(found, RETRIEVAL, Cell(*self._about(pairs[0]), ()))
        open_pairs = [pair for pair in pairs if not self._has(pair)]
        wanted = dict.fromkeys(
            (pair.network, language) for pair in open_pairs for language in (pair.source, pair.target)
        )
        batches = -(-self._count // _BATCH)
        encodings = [EncodingJob(network, language, batches) for network, language in wanted]
        return encodings, open_pairs, len(pairs) - len(open_pairs)

    def make(self, job: EncodingJob | PairJob, on_progress: Callable[[Any, int], None]) -> bool:
        """Do a job unless it was done; return whether anything was computed."""
        if isinstance(job, PairJob):
            return self._compare(job)
        file, digest = self._file(job.network, job.language)
        if _read_states(file, digest) is not None:
            return False
        states = self._states(job, lambda done: on_progress(job, done))
        atomic_write_bytes(file, _packed(states, digest))
        return True

    def tidy(self) -> None:
        """Remove the encodings, once everything is compared."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _count(self) -> int:
        return len(next(iter(self._pieces.values())))

    def _encode_text(self) -> dict[str, list[list[int]]]:
        """The pieces of each language's sentences; LsnError when their numbers differ."""
        source, tokenizer = self._source, self.bench.loaded.tokenizer
        corpora = {code: source.corpus(code, "test", "text") for code in self._setup.languages}
        lengths = {code: len(corpus) for code, corpus in corpora.items()}
        first = next(iter(lengths))
        for code, length in lengths.items():
            if length != lengths[first]:
                raise LsnError(
                    f"The source {source.name!r} is not parallel: its test split has {lengths[first]} lines in "
                    f"{first!r} and {length} in {code!r}; line i must say the same in every language."
                )
        count = min(self._setup.lines, lengths[first])
        if count < 2:
            raise LsnError(f"The test split of {source.name!r} has one sentence only; retrieval needs two.")
        return {
            code: tokenizer(
                [corpus[i] for i in range(count)],
                truncation=True,
                max_length=self._setup.max_length,
                return_attention_mask=False,
            )["input_ids"]
            for code, corpus in corpora.items()
        }

    @torch.no_grad()
    def _states(self, job: EncodingJob, on_batch: Callable[[int], None]) -> np.ndarray:
        """Mean states of all pieces of each sentence, float32 (layers + 1, sentences, hidden)."""
        self.bench.rewind(self._mask(job.network, job.language))
        self.bench.model.eval()
        encoder = encoder_of(self.bench.model, self.bench.loaded.family)
        pieces = self._pieces[job.language]
        padding = self.bench.loaded.tokenizer.pad_token_id
        found: list[np.ndarray] = []
        order: list[int] = []
        for done, chosen in enumerate(scoring_batches([len(ids) for ids in pieces], _BATCH), 1):
            width = max(len(pieces[i]) for i in chosen)
            ids = torch.full((len(chosen), width), padding, dtype=torch.long)
            attended = torch.zeros((len(chosen), width), dtype=torch.long)
            for row, i in enumerate(chosen):
                ids[row, : len(pieces[i])] = torch.tensor(pieces[i])
                attended[row, : len(pieces[i])] = 1
            ids, attended = ids.to(self.bench.device), attended.to(self.bench.device)
            states = encoder(input_ids=ids, attention_mask=attended, output_hidden_states=True).hidden_states
            found.append(torch.stack([_mean_state(layer, attended) for layer in states]).cpu().numpy())
            order += chosen
            on_batch(done)
        # In memory as it reads, because the file holds the bytes as they lie.
        return np.ascontiguousarray(np.concatenate(found, axis=1)[:, np.argsort(order)])

    def _mask(self, network: Network, language: str) -> Mask:
        anchor = network.anchor(language)
        if anchor is None:
            return Mask.full(self.bench.layout)
        if network.method == "random":
            twin = self.atlas.header(anchor)
            return random_masks(twin)[level_index(twin.levels, network.sparsity, f"Ticket {anchor.stem}")]
        return self.atlas.ticket(anchor).mask(network.sparsity)

    def _compare(self, job: PairJob) -> bool:
        if self._has(job):
            return False
        sides = []
        for language in (job.source, job.target):
            states = _read_states(*self._file(job.network, language))
            if states is None:
                raise LsnError(
                    f"The encoding of {language!r} is gone from {self._folder}; run the same command again."
                )
            sides.append(states)
        rows = []
        about, tickets = self._about(job)
        place = asdict(job.network) | {"count": self._count}
        for layer, (a, b) in enumerate(zip(*sides, strict=True)):
            forth, back = retrieval_accuracy(a, b, NEIGHBOURS)
            for source, target, accuracy in (
                (job.source, job.target, forth),
                (job.target, job.source, back),
            ):
                rows.append(
                    {**place, "layer": layer, "source": source, "target": target, "accuracy": accuracy}
                )
        save_cell(self.atlas, RETRIEVAL, Cell(about, tickets, tuple(rows)))
        return True

    def _has(self, job: PairJob) -> bool:
        name = cell_name(*self._about(job))
        return name in self._in_table or has_cell(self.atlas, RETRIEVAL, name)

    def _tickets(self, network: Network, languages: Sequence[str]) -> dict[str, str]:
        anchors = {network.anchor(language) for language in languages} - {None}
        return {key.stem: self.atlas.header(key).content_hash for key in anchors if key is not None}

    def _settings(self) -> dict[str, Any]:
        return {
            "model": self.bench.loaded.info["fingerprint"],
            "source": self._source.name,
            "lines": self._setup.lines,
            "max_length": self._setup.max_length,
            "neighbours": NEIGHBOURS,
        }

    def _about(self, job: PairJob) -> tuple[dict[str, Any], dict[str, str]]:
        """All that one comparison depends on, and the tickets among it."""
        sides = (job.source, job.target)
        about = {
            **asdict(job.network),
            "format": _FORMAT,
            "pair": sides,
            "pieces": {code: self._digest(code) for code in sides},
            "settings": self._settings(),
        }
        return about, self._tickets(job.network, sides)

    def _digest(self, language: str) -> str:
        """sha256 (hex) of the pieces of a language's sentences."""
        return hashlib.sha256(repr(self._pieces[language]).encode()).hexdigest()

    def _file(self, network: Network, language: str) -> tuple[Path, str]:
        """Where the encoding of a language is kept meanwhile, and the hash of what it depends on."""
        about = {
            **asdict(network),
            "format": _FORMAT,
            "language": language,
            "pieces": self._digest(language),
            "settings": self._settings(),
        }
        name = cell_name(about, self._tickets(network, (language,)))
        return self._folder / f"{name}.safetensors", name


def _mean_state(states: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Means over the pieces that are attended to: states (n, length, d), attended (n, length) -> (n, d)."""
    weights = attended.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1).float() / weights.sum(dim=1).float()


def _packed(states: np.ndarray, name: str) -> bytes:
    return to_safetensors({"states": states}, metadata={"digest": _digest_of(states, name)})


def _read_states(file: Path, name: str) -> np.ndarray | None:
    """The encoding in a file; None when there is none, or it is damaged and has to be made again."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="np") as stored:
            states = stored.get_tensor("states")
            sound = (stored.metadata() or {}).get("digest") == _digest_of(states, name)
    except (SafetensorError, OSError):
        return None
    return states if sound else None


def _digest_of(states: np.ndarray, name: str) -> str:
    return hashlib.sha256(name.encode() + str(states.shape).encode() + states.tobytes()).hexdigest()
