"""What a study costs in hours, disk and memory: arithmetic on a few rates, measured or assumed, and no more.

A step's time is arithmetic over a sustained rate, plus what a step costs whatever its size. The rates of a processor are
fitted to measured steps (`fit`); those of an accelerator are assumed, as a range. Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from lsn_core.discovery.plan import rounds_of

MASKED_SHARE = 0.15
TRAINING = 3
"""A backward pass multiplies twice as much as the forward pass."""
STATE = 16
"""Bytes a parameter while training in float32: the weight, its gradient and AdamW's two moments."""
OPTIMISER_TRAFFIC = 28
"""Bytes a parameter that an AdamW step reads (weight, gradient, two moments) or writes (all but the gradient)."""


@dataclass(frozen=True)
class Architecture:
    """An encoder of BERT's kind. Biases, LayerNorm and positions, under a percent of it, are left out."""

    name: str
    layers: int
    hidden: int
    feed_forward: int
    vocabulary: int
    heads: int

    @property
    def prunable(self) -> int:
        """Weights of the matrices in the layers."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.feed_forward)

    @property
    def parameters(self) -> int:
        """All weights, the embeddings too."""
        return self.prunable + self.vocabulary * self.hidden

    def forward(self, length: int, masked: bool) -> float:
        """Floating-point operations a piece of texts of `length` pieces; `masked` ones are predicted, 15 % of them.

        Two for each weight that a piece meets, and four for each of the other pieces and features in attention.
        """
        attention = 4 * length * self.hidden * self.layers
        head = MASKED_SHARE * 2 * (self.hidden**2 + self.hidden * self.vocabulary) if masked else 0.0
        return 2 * self.prunable + attention + head

    def training_memory(self, batch: int, length: int, masked: bool) -> int:
        """Bytes on the device while training: the state, a mask of a byte a weight, and activations in 16 bits.

        Activations as Korthikanti et al. (2022), equation 1, count them, and the logits of the masked pieces
        once in 16 bits and twice in 32.
        """
        pieces = batch * length
        activations = self.layers * pieces * (34 * self.hidden + 5 * self.heads * length)
        logits = MASKED_SHARE * pieces * self.vocabulary * 10 if masked else 0
        return round(STATE * self.parameters + self.prunable + activations + logits)


@dataclass(frozen=True)
class Rate:
    """Operations a second that are sustained, and the seconds that a step takes beside them."""

    flops: float
    overhead: float

    def seconds(self, flops: float, steps: float = 1.0) -> float:
        """The time of so many operations in so many steps."""
        return flops / self.flops + steps * self.overhead


@dataclass(frozen=True)
class Step:
    """A measured training step: its operations and its seconds."""

    name: str
    flops: float
    seconds: float


def fit(steps: Sequence[Step]) -> tuple[Rate, float]:
    """The rate that comes closest to the steps, relative to each one's time, and how far off it is at most (0..1).

    Least squares with neither part below zero. Needs two steps at least.
    """
    seconds = np.array([step.seconds for step in steps])
    columns = np.array([[step.flops, 1.0] for step in steps])
    scale = columns.max(axis=0)  # so that both parts are of one size
    part, _ = nnls(columns / scale / seconds[:, None], np.ones(len(steps)))
    slope, overhead = part / scale
    error = np.abs(columns @ [slope, overhead] / seconds - 1).max()
    return Rate(1 / slope if slope else math.inf, float(overhead)), float(error)


@dataclass(frozen=True)
class Accelerator:
    """A GPU: what its maker publishes, and the ranges that are assumed of it, the worst first.

    `share` is the part of the published peak that training sustains, `overhead` the seconds that starting a
    step's kernels takes.
    """

    name: str
    peak: float
    bandwidth: float
    memory: float
    share: tuple[float, float]
    overhead: tuple[float, float]

    def rates(self, parameters: int) -> tuple[Rate, Rate]:
        """The slowest and the fastest that is assumed, for a model of so many parameters."""
        optimiser = OPTIMISER_TRAFFIC * parameters / self.bandwidth
        slow, fast = (
            Rate(self.peak * share, overhead + optimiser)
            for share, overhead in zip(self.share, self.overhead, strict=True)
        )
        return slow, fast


@dataclass(frozen=True)
class Study:
    """Tickets of one model, task and method that all take the same work.

    `levels` are the sparsities; every item is taken to be `length` pieces long. `networks` in place of tickets
    (a transfer's cells) are trained once each: `rounds` is then 1.
    """

    name: str
    model: Architecture
    masked: bool
    tickets: int
    rounds: int
    levels: int
    steps: int
    batch: int
    length: int
    scored: int

    @classmethod
    def of_tickets(
        cls, name: str, model: Architecture, masked: bool, tickets: int, levels: int, method: str, **work: int
    ) -> Study:
        """Tickets of a method with so many levels."""
        return cls(name, model, masked, tickets, rounds_of(method, levels), levels, **work)

    def ticket_seconds(self, rate: Rate) -> float:
        """Training and scoring of one ticket."""
        piece = self.model.forward(self.length, self.masked)
        training = TRAINING * piece * self.batch * self.length * self.steps
        return self.rounds * (
            rate.seconds(training, self.steps) + rate.seconds(piece * self.scored * self.length, 0)
        )


def makespan(seconds: Sequence[tuple[int, float]], devices: int) -> float:
    """How long all takes on so many devices: (tickets, seconds of each) one after another; a ticket is the unit."""
    return sum(math.ceil(tickets / devices) * each for tickets, each in seconds)


def pairs(tickets: int) -> int:
    """Unordered pairs."""
    return tickets * (tickets - 1) // 2


def largest(memory: float) -> int:
    """Parameters of the largest model whose training state alone fits a device's memory."""
    return int(memory // STATE)
