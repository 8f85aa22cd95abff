"""What a discovery is asked to do: frozen, checked on construction, and hashed to name its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from lsn_core.discovery.criteria import CRITERIA
from lsn_core.errors import LsnError, brief
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import METHODS

PRECISIONS = ("fp32", "bf16")
SCORING_BATCH = 64
"""Items that are scored at once."""
SCOPES = ("global", "stack", "layer", "matrix")
"""Which weights a pruning compares with one another: those of the whole model, or of each part alone."""


@dataclass(frozen=True)
class Training:
    """How a network is trained within one round.

    AdamW without weight decay and a learning rate that falls linearly to zero, as in Foroutan et al.
    (2022), appendix A; each round begins with a fresh optimiser and schedule. `train_lines` and
    `score_lines` bound how many items of the train and test split are used. `accumulate` is the number of
    pieces that a batch goes through the model in: the same step with less memory.
    """

    steps: int = 100
    batch_size: int = 16
    learning_rate: float = 2e-4
    clip_norm: float = 1.0
    max_length: int = 64
    precision: str = "bf16"
    train_lines: int = 4096
    score_lines: int = 300
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "train_lines", "score_lines"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.max_length >= 4, "max_length", self.max_length, "at least 4")
        _require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "between 0 and 1")
        _require(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")
        _require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        _require(
            self.accumulate >= 1 and self.batch_size % self.accumulate == 0,
            "accumulate",
            self.accumulate,
            f"a number that divides the batch size, {self.batch_size}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON. Those at which nothing changes are left out: hashes stay as they were."""
        settings = asdict(self)
        if self.accumulate == 1:
            del settings["accumulate"]
        return settings


@dataclass(frozen=True)
class Recipe:
    """Everything but language and seed: tickets of one atlas, task and method share one recipe.

    `calibration_batches` training batches are shown to the trained network for a criterion that asks for
    more than weights; which ones follows from the ticket's seed.
    """

    task: str
    method: str = "imp"
    data: str = "cldr"
    rounds: int = 9
    criterion: str = "magnitude"
    scope: str = "global"
    schedule: str = "linear"
    training: Training = field(default_factory=Training)
    calibration_batches: int = 16

    def __post_init__(self) -> None:
        _require(self.method in METHODS, "method", self.method, "one of " + ", ".join(METHODS))
        _require(1 <= self.rounds <= 9, "rounds", self.rounds, "from 1 to 9 (10 % of the weights each)")
        _require(self.criterion in CRITERIA, "criterion", self.criterion, "one of " + ", ".join(CRITERIA))
        _require(self.scope in SCOPES, "scope", self.scope, "one of " + ", ".join(SCOPES))
        _require(self.schedule == "linear", "schedule", self.schedule, "'linear'")
        _require(self.calibration_batches >= 1, "calibration_batches", self.calibration_batches, "at least 1")

    @property
    def levels(self) -> tuple[float, ...]:
        """The sparsities reached, ascending: 10 % of the original weights a round (schedule `linear`)."""
        return tuple(round(k / 10, 1) for k in range(1, self.rounds + 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON, with the calibration where the criterion needs one."""
        content = asdict(self) | {"training": self.training.to_dict()}
        if not CRITERIA[self.criterion].calibrated:
            del content["calibration_batches"]
        return content


def first_round(method: str) -> int:
    """The first round that a ticket of this method trains: 0, the dense model; but 1, its first level, for a
    random one, whose dense score is that of the `imp` ticket beside it."""
    return 1 if method == "random" else 0


def default_scope(layout: Layout) -> str:
    """Return the scope of a model that nobody chose one for.

    `global`, or `stack` where encoder and decoder lie side by side: their weights differ in size for other
    reasons than importance (Foroutan et al. 2022 prune the two of mT5 apart).
    """
    return "stack" if len({matrix.stack for matrix in layout.matrices}) > 1 else "global"


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
        raise LsnError(f"The setting {name} is {brief(repr(value))}; it must be {allowed}.")
