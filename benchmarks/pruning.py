"""One pruning step at mBERT's size beside `torch.nn.utils.prune`, and a round of a model of mT5-base's size."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from lsn_core.discovery.pruning import Computed, keep_in_groups, kept_at
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from tests.memory import peak_memory, resident_memory, restart_peak

from .table import Row

ROOT = Path(__file__).resolve().parents[1]
SPARSITY = 0.5
REPEATS = 3
PASSES = 3
"""How often a pruning step has to read the weights at least: two countings and the comparison."""


def mbert() -> tuple[Layout, list[nn.Linear]]:
    """The prunable matrices of multilingual BERT, 84,934,656 weights, no two of the same magnitude.

    Which of equal magnitudes are kept is not defined by `torch.nn.utils.prune`, and of so many normal numbers
    some are equal.
    """
    layer = [
        ("query", (768, 768)),
        ("key", (768, 768)),
        ("value", (768, 768)),
        ("attention output", (768, 768)),
        ("feed-forward in", (3072, 768)),
        ("feed-forward out", (768, 3072)),
    ]
    matrices = tuple(
        Matrix(f"{number}.{component}", shape, "encoder", number, component)
        for number in range(12)
        for component, shape in layer
    )
    layout, linear = Layout(matrices), []
    for index, matrix in enumerate(matrices):
        module = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, device="meta").to_empty(device="cpu")
        place = layout.slice(index)
        numbers = torch.arange(place.start, place.stop)
        # An odd factor permutes the 2²⁷ numbers; as bits of floats they are magnitudes from 2⁻¹¹ to 2⁵.
        bits = (numbers * 0x9E3779B1 & (1 << 27) - 1) + 0x3A000000
        values = bits.to(torch.int32).view(torch.float32) * (1 - 2 * (numbers & 1))
        module.weight.data = values.reshape(matrix.shape)
        linear.append(module)
    return layout, linear


def ours(layout: Layout, linear: list[nn.Linear]) -> Mask:
    """The mask that a discovery makes of these weights, packed."""
    full = Mask.full(layout)
    alive = Computed(lambda m: torch.from_numpy(full[layout.names[m]]), len(linear))
    scores = Computed(lambda m: linear[m].weight.detach().abs(), len(linear))
    kept = keep_in_groups(scores, alive, kept_at(layout.size, SPARSITY), [range(len(linear))])
    return Mask.from_sequence((matrix.numpy() for matrix in kept), layout)


def theirs(layout: Layout, linear: list[nn.Linear]) -> Mask | None:
    """The same by `torch.nn.utils.prune`, which keeps its masks as float buffers of the modules."""
    removed = layout.size - kept_at(layout.size, SPARSITY)
    prune.global_unstructured([(m, "weight") for m in linear], prune.L1Unstructured, amount=removed)
    return None


def child(which: str) -> dict[str, Any]:
    """One way in this process: its peak extra memory (the first time), its best time, and a hash of its mask."""
    layout, linear = mbert()
    work = {"ours": ours, "theirs": theirs}[which]
    seconds: list[float] = []
    extra, mask = 0, None
    for attempt in range(REPEATS):
        restart_peak()
        resting = resident_memory()
        started = time.perf_counter()
        mask = work(layout, linear)
        seconds.append(time.perf_counter() - started)
        if attempt == 0:
            extra = peak_memory() - resting
        if which == "theirs":
            bits = {
                name: module.weight_mask.bool().numpy()
                for name, module in zip(layout.names, linear, strict=True)
            }
            mask = Mask.from_arrays(bits, layout)
            for module in linear:  # back to where it was
                weight = module.weight_orig
                for name in ("weight_mask", "weight_orig"):
                    delattr(module, name)
                module._forward_pre_hooks.clear()
                module.weight = weight
    assert mask is not None
    return {"seconds": min(seconds), "extra": extra, "mask": hashlib.sha256(mask.words.tobytes()).hexdigest()}


def memory_bandwidth() -> float:
    """Bytes a second that one thread reads from memory: the sum of an array larger than any cache."""
    array = np.ones(2**26, dtype=np.float32)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        array.sum()
        best = min(best, time.perf_counter() - started)
    return array.nbytes / best


def measure() -> list[Row]:
    """The rows of the table."""
    return [*_pruning_step(), *_large_model()]


def _pruning_step() -> list[Row]:
    mine, other = _child("ours"), _child("theirs")
    same = mine["mask"] == other["mask"]
    floor = PASSES * 4 * 84_934_656 / memory_bandwidth()
    faster, smaller = other["seconds"] / mine["seconds"], other["extra"] / mine["extra"]
    against = "`torch.nn.utils.prune.global_unstructured`"
    return [
        Row(
            "one pruning step on 85 M weights (mBERT's shape), one thread"
            + ("" if same else ": ANOTHER MASK"),
            against,
            f"{mine['seconds']:.2f} s",
            f"{other['seconds']:.2f} s",
            faster,
            "4 times faster, same mask",
            same and faster >= 4,
            f"counting, {mine['seconds'] / floor:.1f} times the {floor:.2f} s that reading the weights "
            f"{PASSES} times takes",
        ),
        Row(
            "its peak extra memory, of a fresh process",
            against,
            f"{mine['extra'] / 1e6:,.0f} MB",
            f"{other['extra'] / 1e6:,.0f} MB",
            smaller,
            "a third",
            smaller >= 3,
            f"the masks before and after, {2 * 84_934_656 / 8e6:.0f} MB packed, and one matrix at a time",
        ),
    ]


def _large_model() -> list[Row]:
    """What `tests.discovery.large_round` finds."""
    with tempfile.TemporaryDirectory(prefix="large-") as folder:
        found = _run("-m", "tests.discovery.large_round", folder)
    share = found["copy"] / found["extra"]
    about = "; ".join(f"{name} {value:.1f} s" for name, value in found.items() if isinstance(value, float))
    return [
        Row(
            f"memory above the loaded model of a round without its training, mT5-base's shape "
            f"({found['parameters'] / 1e6:.0f} M parameters, {found['prunable'] / 1e6:.0f} M prunable)",
            "one copy of the prunable weights",
            f"{found['extra'] / 1e6:,.0f} MB",
            f"{found['copy'] / 1e6:,.0f} MB",
            share,
            "at most one copy",
            share >= 1,
            f"a byte a weight of the ticket and of the base ticket, {found['prunable'] / 1e6:,.0f} MB each; {about}",
        )
    ]


def _child(which: str) -> dict[str, Any]:
    return _run("-m", "benchmarks.pruning", which)


def _run(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, *arguments], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(child(sys.argv[1])))
