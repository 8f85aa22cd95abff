"""A ticket: the nested masks of one (task, language, method, seed) with its scores and provenance."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.checks import is_real, is_whole
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask, mask_from_survival

MAX_LEVELS = 255
METHODS = ("imp", "oneshot", "random", "base")
SPARSITY_TOLERANCE = 1e-9

_PROVENANCE: Mapping[tuple[str, ...], type | tuple[type, ...]] = {
    **dict.fromkeys(((), ("model",), ("recipe",), ("data",), ("imported",), ("versions",)), dict),
    **{("recipe", "training"): dict, ("recipe", "method"): str, ("recipe", "rounds"): int},
    **{("recipe", "training", "steps"): int, ("seconds",): (int, float)},
    **{("created",): str, ("data", "name"): str, ("data", "fingerprint"): str, ("model", "name"): str},
    **{("imported", "file"): str, ("imported", "sha256"): str},
}
"""What is looked at in a ticket's provenance, by the way there, and its kind."""

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_LANGUAGE = re.compile(r"(?=.{1,64}$)[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")
_STEM = re.compile(r"(?P<task>[^-]+)-(?P<language>.+)-(?P<method>[^-]+)-s(?P<seed>0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Score:
    """What a sub-network, or at sparsity 0.0 the dense model, reached on some data.

    ``count`` is the number of items scored. Raises LsnError when a number is not finite or out of range.
    """

    sparsity: float
    metric: str
    value: float
    count: int
    split: str

    def __post_init__(self) -> None:
        if not is_real(self.sparsity) or not 0 <= self.sparsity <= 1:
            raise LsnError(f"the sparsity of a score lies between 0 and 1, not at {self.sparsity!r}")
        if not is_real(self.value):
            raise LsnError(f"the score {self.metric!r} at {self.sparsity} is {self.value!r}, not a number")
        if not is_whole(self.count):
            raise LsnError(f"the score {self.metric!r} counts {self.count!r} items; a whole number is needed")
        if not isinstance(self.metric, str) or not isinstance(self.split, str):
            raise LsnError("the metric and the split of a score are words")


@dataclass(frozen=True, order=True)
class TicketKey:
    """What a ticket is of. The base ticket is of the model alone: task and language are empty, seed 0.

    Raises LsnError on an unknown method, a negative seed or a name that cannot stand in a file name.
    """

    task: str
    language: str
    method: str
    seed: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise LsnError(f"there is no method {self.method!r}; choose one of {', '.join(METHODS)}")
        if not is_whole(self.seed):
            raise LsnError(f"a seed is a whole number from 0, not {self.seed!r}")
        if self.method == "base":
            if (self.task, self.language, self.seed) != ("", "", 0):
                raise LsnError("the base ticket is of the model alone: no task, no language, seed 0")
            return
        if not isinstance(self.task, str) or not _NAME.fullmatch(self.task):
            raise LsnError(f"a task's name has letters, digits and '_' only, unlike {self.task!r}")
        if not isinstance(self.language, str) or not _LANGUAGE.fullmatch(self.language):
            raise LsnError(f"a language code has letters, digits, '_' and '-' only, unlike {self.language!r}")

    @property
    def stem(self) -> str:
        """The name of the ticket's file without its ending; different keys have different stems."""
        return "base" if self.method == "base" else f"{self.task}-{self.language}-{self.method}-s{self.seed}"

    @classmethod
    def from_stem(cls, stem: str) -> TicketKey:
        """The key with this stem; LsnError when there is none."""
        if stem == "base":
            return BASE_KEY
        found = _STEM.fullmatch(stem)
        if found is None:
            raise LsnError(f"{stem!r} is not the name of a ticket, such as mlm-en-imp-s0")
        return cls(found["task"], found["language"], found["method"], int(found["seed"]))


BASE_KEY = TicketKey("", "", "base", 0)


@dataclass(frozen=True, eq=False)
class Ticket:
    """Nested masks with scores and provenance.

    ``levels``: ascending sparsities. ``survival``: uint8 (layout.size,), the number of levels that keep a
    weight, so that nesting holds by construction. ``provenance``: JSON-able; ``provenance["model"]`` names
    the base model (name, revision, fingerprint), ``provenance["recipe"]`` what has to be equal for tickets
    to be compared. ``philox_key``: given when ``make_random_survival`` drew the masks with it; the file then
    holds the key in place of the masks. Raises LsnError when the parts do not fit together.
    """

    key: TicketKey
    layout: Layout
    levels: tuple[float, ...]
    survival: np.ndarray
    scores: tuple[Score, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    config_hash: str = ""
    philox_key: int | None = None

    def __post_init__(self) -> None:
        check_levels(self.levels)
        survival = self.survival
        if not isinstance(survival, np.ndarray) or survival.dtype != np.uint8 or survival.ndim != 1:
            raise LsnError("the survival of a ticket is a flat array of uint8")
        if survival.size != self.layout.size:
            raise LsnError(f"the ticket has {survival.size} weights; its layout has {self.layout.size}")
        if int(survival.max()) > len(self.levels):
            raise LsnError(f"a weight survives {survival.max()} levels; the ticket has {len(self.levels)}")
        if survival.flags.writeable or not survival.flags.c_contiguous:
            survival = survival.copy()
            survival.setflags(write=False)
            object.__setattr__(self, "survival", survival)
        try:
            provenance = parse_json(canonical_json(dict(self.provenance)))
        except (TypeError, ValueError) as error:
            raise LsnError(f"the provenance of {self.key.stem} cannot be written as JSON: {error}") from error
        check_provenance(provenance)
        object.__setattr__(self, "provenance", provenance)

    @cached_property
    def kept(self) -> np.ndarray:
        """Weights kept at each level in each matrix, int64 (L, M)."""
        counts = np.empty((len(self.levels), len(self.layout.matrices)), dtype=np.int64)
        for index in range(counts.shape[1]):
            part = self.survival[self.layout.slice(index)]
            counts[:, index] = [np.count_nonzero(part > level) for level in range(len(self.levels))]
        counts.setflags(write=False)
        return counts

    @cached_property
    def content_hash(self) -> str:
        """sha256 (hex) over layout, key, levels, survival, scores and config hash.

        When, where and with which library versions the ticket was made is not part of it.
        """
        about = {
            "layout": self.layout.fingerprint,
            "key": asdict(self.key),
            "levels": self.levels,
            "scores": [asdict(score) for score in self.scores],
            "config_hash": self.config_hash,
        }
        digest = hashlib.sha256(f"ticket\n{canonical_json(about)}\n".encode())
        digest.update(self.survival.data)
        return digest.hexdigest()

    def level_index(self, sparsity: float) -> int:
        """The position of the level with this sparsity; LsnError naming the levels when there is none."""
        return level_index(self.levels, sparsity, f"ticket {self.key.stem}")

    def mask(self, sparsity: float) -> Mask:
        """The mask at this sparsity; LsnError naming the levels when there is none."""
        return mask_from_survival(self.survival, self.level_index(sparsity), self.layout)

    def masks(self) -> dict[float, Mask]:
        """Sparsity to mask, for every level."""
        return {level: self.mask(level) for level in self.levels}


def check_provenance(provenance: Any) -> None:
    """LsnError unless what is looked at in a provenance, where it is there, is of the kind that is written there."""
    for path, kind in _PROVENANCE.items():
        value: Any = provenance
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise LsnError(f"{' '.join(path) or 'what'} in a provenance cannot be {type(value).__name__}")


def level_index(levels: tuple[float, ...], sparsity: float, owner: str) -> int:
    """The position of ``sparsity`` among ``levels``; LsnError naming them when it is not there."""
    for index, level in enumerate(levels):
        if abs(level - sparsity) <= SPARSITY_TOLERANCE:
            return index
    raise LsnError(f"{owner} has no level {sparsity:g}; it has {', '.join(f'{level:g}' for level in levels)}")


def check_levels(levels: tuple[float, ...]) -> None:
    """LsnError unless the levels are 1 to ``MAX_LEVELS`` ascending sparsities between 0 and 1."""
    if not isinstance(levels, tuple) or not 1 <= len(levels) <= MAX_LEVELS:
        raise LsnError(f"a ticket has between 1 and {MAX_LEVELS} sparsity levels")
    if not all(is_real(level) and 0 <= level <= 1 for level in levels):
        raise LsnError(f"sparsity levels lie between 0 and 1, unlike {levels}")
    if any(after - before <= SPARSITY_TOLERANCE for before, after in pairwise(levels)):
        raise LsnError(f"sparsity levels have to ascend, unlike {levels}")
