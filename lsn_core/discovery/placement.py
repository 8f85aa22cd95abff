"""Where the processes of a run go: a bound on the memory that one needs, and processes shared out by it.

Arithmetic without PyTorch or a machine: what a device has is measured elsewhere and given as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lsn_core.discovery.config import SCORING_BATCH, Training
from lsn_core.masks.layout import Layout

_OVERHEAD = 2**30
"""Bytes that a process takes before it loads a model: Python with PyTorch, or the kernels of a GPU."""
_COPIES = 5
"""float32 copies of the weights while training: as they are, as they started, gradient, two moments of AdamW."""
_FLOAT = 4
_SCORE_BYTES = 12
"""Bytes that attention keeps of a pair of pieces and a head: score, probability, and what dropout left of it."""
_LOGIT_BYTES = 12
"""Bytes of a piece's logit: itself, its log-probability and its gradient."""
_PREDICTED = 0.25
"""Share of the pieces that has logits over the vocabulary, at most: 15 % are hidden, or are in spans with sentinels."""


@dataclass(frozen=True)
class Shape:
    """What the memory of a training hangs on.

    `widths` is the sum of inputs and outputs of all prunable matrices, `attentions` the number of attention
    blocks; `vocabulary` is 0 where the task predicts no pieces.
    """

    parameters: int
    prunable: int
    widths: int
    attentions: int
    heads: int
    vocabulary: int

    @classmethod
    def of(cls, layout: Layout, parameters: int, heads: int, vocabulary: int) -> Shape:
        """The shape of a model with these prunable matrices and so many parameters in all."""
        return cls(
            parameters,
            layout.size,
            sum(sum(matrix.shape) for matrix in layout.matrices),
            sum(matrix.component in ("query", "cross query") for matrix in layout.matrices),
            heads,
            vocabulary,
        )


@dataclass(frozen=True)
class Need:
    """Bytes that a process needs: where it computes, and beside that in the memory of its machine."""

    device: int
    host: int


def need_of(shape: Shape, training: Training, device: str) -> Need:
    """Return a bound on what one process needs on a device of type 'cpu', 'cuda' or 'mps'.

    Weights: five float32 copies and a byte for each prunable weight, the mask. Activations: of every piece in
    a batch, input and output of each prunable matrix in float32, which for a layer of BERT's shape is 72 bytes
    times its width, where Korthikanti et al. (2022, "Reducing activation recomputation in large transformer
    models", eq. 1) count 68 in float32; twelve bytes for each pair of pieces and head; logits at a quarter of
    the pieces. Scoring has no gradients but a larger batch, so its logits can be the larger part. Not counted:
    the text, and what an allocator leaves unused.
    """
    weights = shape.parameters * _FLOAT * _COPIES + shape.prunable
    pieces = math.ceil(training.batch_size / training.accumulate) * training.max_length
    activations = pieces * (
        shape.widths * _FLOAT + shape.attentions * shape.heads * training.max_length * _SCORE_BYTES
    )
    predicted = shape.vocabulary * _LOGIT_BYTES * _PREDICTED
    work = max(activations + pieces * predicted, SCORING_BATCH * training.max_length * predicted)
    whole = _OVERHEAD + weights + math.ceil(work)
    if device == "cpu":
        return Need(0, whole)
    # The machine's own memory holds the model while it is loaded, and the libraries.
    return Need(whole, 2 * _OVERHEAD + shape.parameters * _FLOAT)


def fill(capacities: Sequence[int], wanted: int) -> tuple[int, ...]:
    """Return how many of `wanted` processes go to each place, as evenly as the capacities allow.

    Where all are full, the rest goes nowhere; of places with equally many, the first comes first.
    """
    counts = [0] * len(capacities)
    for _ in range(wanted):
        free = [place for place, capacity in enumerate(capacities) if counts[place] < capacity]
        if not free:
            break
        counts[min(free, key=counts.__getitem__)] += 1
    return tuple(counts)


def gpu_places(free: Sequence[int], need: int, wanted: int | None) -> tuple[int, ...]:
    """Return the number of the GPU of each process, where the GPUs have so many bytes free.

    Without `wanted`, it is one process a GPU. A GPU gets no more processes than it has room for; where none
    has room for one, a single process tries on the first all the same, as `need` is a bound.
    """
    capacities = [max(0, bytes_free // need) for bytes_free in free]
    if not any(capacities):
        return (0,)
    if wanted is None:
        capacities = [min(capacity, 1) for capacity in capacities]
        wanted = sum(capacities)
    counts = fill(capacities, wanted)
    return tuple(gpu for gpu, count in enumerate(counts) for _ in range(count))


@dataclass(frozen=True)
class Node:
    """A machine of a cluster: its processors and bytes of memory, its GPUs and the bytes of each of them."""

    id: str
    address: str
    processors: float
    memory: int
    gpus: int = 0
    gpu_memory: int = 0


@dataclass(frozen=True)
class Place:
    """Room for `count` processes on a node, each with so many processors and such a share of one GPU."""

    node: Node
    count: int
    processors: int
    gpu_share: float


def places(
    nodes: Sequence[Node], need: Need, threads: int, on_gpu: bool, wanted: int | None
) -> tuple[Place, ...]:
    """Return where `wanted` processes go, evenly over the nodes and their GPUs; nodes without any are left out.

    Without `wanted`, it is as many as there are processors for, or one a GPU. A process has `threads`
    processors, with a GPU one; none goes where memory or GPU memory does not hold one more. The share of a GPU
    is such that no more processes fit on it than are meant to.
    """
    processors = 1 if on_gpu else threads
    room = [
        Place(node, min(int(node.processors // processors), node.memory // need.host), processors, 0.0)
        for node in nodes
    ]
    if not on_gpu:
        capacities = [place.count for place in room]
        counts = fill(capacities, sum(capacities) if wanted is None else wanted)
        return tuple(replace(place, count=count) for place, count in zip(room, counts, strict=True) if count)
    found = []
    gpus = [(place, gpu) for place in room for gpu in range(place.node.gpus)]
    capacities = [
        _of_gpu(place.count, place.node.gpus, gpu, max(0, place.node.gpu_memory // need.device))
        for place, gpu in gpus
    ]
    if wanted is None:
        capacities = [min(capacity, 1) for capacity in capacities]
        wanted = sum(capacities)
    counts = fill(capacities, wanted)
    for place in room:
        mine = [count for (of, _), count in zip(gpus, counts, strict=True) if of is place]
        if any(mine):
            # Ray counts in ten-thousandths; rounded down, so many shares fit on a GPU, and not one more.
            share = math.floor(10_000 / max(mine)) / 10_000
            found.append(replace(place, count=sum(mine), gpu_share=share))
    return tuple(found)


def _of_gpu(room: int, gpus: int, gpu: int, fitting: int) -> int:
    """Processes that a node's `gpu`-th GPU can have, of the `room` that the node has for all of them."""
    return min(fitting, room // gpus + (gpu < room % gpus))
