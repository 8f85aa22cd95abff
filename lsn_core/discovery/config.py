"""What a discovery is asked to do: frozen, checked on construction, and hashed to name its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from lsn_core.errors import LsnError
from lsn_core.masks.ticket import METHODS

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Training:
    """How a network is trained within one round.

    AdamW without weight decay and a learning rate that falls linearly to zero, as in Foroutan et al.
    (2022), appendix A; each round begins with a fresh optimiser and schedule. `train_lines` and
    `score_lines` bound how many items of the train and test split are used.
    """

    steps: int = 100
    batch_size: int = 16
    learning_rate: float = 2e-4
    clip_norm: float = 1.0
    max_length: int = 64
    precision: str = "bf16"
    train_lines: int = 4096
    score_lines: int = 300

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "train_lines", "score_lines"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.max_length >= 4, "max_length", self.max_length, "at least 4")
        _require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "between 0 and 1")
        _require(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")
        _require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))


@dataclass(frozen=True)
class Recipe:
    """Everything but language and seed: tickets of one atlas, task and method share one recipe."""

    task: str
    method: str = "imp"
    data: str = "cldr"
    rounds: int = 9
    criterion: str = "magnitude"
    scope: str = "global"
    schedule: str = "linear"
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        _require(self.method in METHODS, "method", self.method, "one of " + ", ".join(METHODS))
        _require(1 <= self.rounds <= 9, "rounds", self.rounds, "from 1 to 9 (10 % of the weights each)")
        _require(self.criterion == "magnitude", "criterion", self.criterion, "'magnitude'")
        _require(self.scope == "global", "scope", self.scope, "'global'")
        _require(self.schedule == "linear", "schedule", self.schedule, "'linear'")

    @property
    def levels(self) -> tuple[float, ...]:
        """The sparsities reached, ascending: 10 % of the original weights a round (schedule `linear`)."""
        return tuple(round(k / 10, 1) for k in range(1, self.rounds + 1))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def config_hash(
    recipe: Recipe,
    language: str,
    seed: int,
    model_fingerprint: str,
    data_fingerprint: str,
    matched: str = "",
) -> str:
    """Return the hash (16 hex digits) of everything that a ticket's bits depend on.

    `matched` is the content hash of the ticket whose densities a random ticket has.
    """
    content = {
        "recipe": recipe.to_dict(),
        "language": language,
        "seed": seed,
        "model": model_fingerprint,
        "data": data_fingerprint,
    }
    if matched:
        content["matched"] = matched
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise LsnError(f"The setting {name} is {value!r}; it must be {allowed}.")
