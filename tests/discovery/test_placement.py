"""Where processes go, over made-up machines, and the bound on memory that it hangs on."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lsn_core.discovery.config import Training
from lsn_core.discovery.crew import LocalCrew
from lsn_core.discovery.placement import Need, Node, Shape, fill, gpu_places, need_of, places
from lsn_core.discovery.runs import Setup
from tests.synthetic import small_layout

GIB = 2**30
XLM_R = Shape(278_885_778, 84_934_656, 12 * 18 * 768, 12, 12, 250_002)
"""xlm-roberta-base: 12 layers of width 768 (six matrices, inputs and outputs 18 times the width together)."""

capacities = st.lists(st.integers(0, 5), max_size=6)


@given(capacities, st.integers(0, 20))
def test_fill_gives_each_place_what_it_holds_and_spreads_evenly(room: list[int], wanted: int) -> None:
    counts = fill(room, wanted)
    assert sum(counts) == min(wanted, sum(room))
    assert all(count <= capacity for count, capacity in zip(counts, room, strict=True))
    # A place has two fewer than another only where it is full.
    assert all(
        counts[a] + 1 >= counts[b] or counts[a] == room[a] for a in range(len(room)) for b in range(len(room))
    )


@given(st.lists(st.integers(0, 80 * GIB), min_size=1, max_size=8), st.integers(1, 24))
def test_no_gpu_gets_more_than_its_free_memory_holds(free: list[int], wanted: int) -> None:
    need = 9 * GIB
    found = gpu_places(free, need, wanted)
    if max(free) < need:
        assert found == (0,)
        return
    assert len(found) == min(wanted, sum(bytes_free // need for bytes_free in free))
    assert all(found.count(gpu) * need <= bytes_free for gpu, bytes_free in enumerate(free))


def test_unless_asked_for_more_there_is_one_process_a_gpu() -> None:
    assert gpu_places([80 * GIB] * 4, 9 * GIB, None) == (0, 1, 2, 3)
    assert gpu_places([80 * GIB, GIB, 80 * GIB], 9 * GIB, None) == (0, 2)
    assert gpu_places([80 * GIB] * 2, 9 * GIB, 6) == (0, 0, 0, 1, 1, 1)


def _gpus(monkeypatch: pytest.MonkeyPatch, *free: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (free[gpu], 80 * GIB))


@pytest.mark.parametrize(
    ("device", "wanted", "devices"),
    [
        ("cuda", None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", 5, ["cuda:0", "cuda:0", "cuda:1", "cuda:1", "cuda:2"]),
        ("cuda", 2, ["cuda:0", "cuda:1"]),
        ("cuda:1", None, ["cuda:1"]),
        ("cuda:1", 3, ["cuda:1", "cuda:1", "cuda:1"]),
        ("cpu", 2, ["cpu", "cpu"]),
    ],
)
def test_processes_are_spread_over_the_gpus_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, device: str, wanted: int | None, devices: list[str]
) -> None:
    _gpus(monkeypatch, 80 * GIB, 80 * GIB, 40 * GIB)
    seen: list[list[str]] = []
    monkeypatch.setattr(
        "lsn_core.discovery.crew.run_jobs",
        lambda maker, setups, jobs, on_event: seen.append([setup.device for setup in setups]),
    )
    team = LocalCrew(device, wanted).hire(
        Setup("a", "m", "mlm", device=device), SimpleNamespace(shape=XLM_R), Training(), 20
    )
    team.run(None, [], lambda event: None)
    assert seen == [devices]
    assert (team.size, team.note) == (len(devices), "")


def test_fewer_processes_than_asked_for_are_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 16 * GIB, 2 * GIB)
    team = LocalCrew("cuda", 4).hire(Setup("a", "m", "mlm"), SimpleNamespace(shape=XLM_R), Training(), 20)
    need = need_of(XLM_R, Training(), "cuda").device
    assert team.size == 16 * GIB // need
    assert team.note.startswith(f"{team.size} processes rather than 4: each needs up to {need / GIB:.1f} GiB")


def test_memory_is_what_the_weights_take_and_grows_with_what_a_step_sees() -> None:
    plain = Training(batch_size=16, max_length=64)
    need = need_of(XLM_R, plain, "cuda")
    assert need.device > 20 * XLM_R.parameters
    larger = [
        replace(plain, batch_size=256),
        replace(plain, max_length=512),
    ]
    assert all(need_of(XLM_R, training, "cuda").device > need.device for training in larger)
    in_parts = replace(plain, batch_size=256, accumulate=16)
    assert need_of(XLM_R, in_parts, "cuda") == need
    assert need_of(XLM_R, plain, "cpu").device == 0
    assert need_of(XLM_R, plain, "cpu").host == need.device
    assert need_of(replace(XLM_R, vocabulary=0), plain, "cuda").device < need.device


def test_the_shape_counts_widths_and_attention_blocks() -> None:
    layout = small_layout(layers=3, hidden=8)
    shape = Shape.of(layout, 10_000, 2, 300)
    assert shape.widths == sum(sum(matrix.shape) for matrix in layout.matrices)
    assert (shape.attentions, shape.prunable) == (3, layout.size)


NEED = Need(9 * GIB, 4 * GIB)


def _node(name: str, processors: float = 16, memory: int = 64 * GIB, gpus: int = 0, of: int = 0) -> Node:
    return Node(name, name, processors, memory, gpus, of * GIB)


nodes = st.lists(
    st.builds(
        _node,
        st.uuids().map(str),
        st.integers(0, 64),
        st.integers(0, 256).map(GIB.__mul__),
        st.integers(0, 8),
        st.integers(0, 80),
    ),
    max_size=5,
)


@given(nodes, st.one_of(st.none(), st.integers(1, 40)), st.booleans(), st.integers(1, 4))
def test_no_node_is_given_more_than_it_holds(
    found: list[Node], wanted: int | None, on_gpu: bool, threads: int
) -> None:
    placed = places(found, NEED, threads, on_gpu, wanted)
    assert wanted is None or sum(place.count for place in placed) <= wanted
    assert len({place.node.id for place in placed}) == len(placed)
    for place in placed:
        assert place.count >= 1
        assert place.count * place.processors <= place.node.processors
        assert place.count * NEED.host <= place.node.memory
        if not on_gpu:
            assert (place.gpu_share, place.processors) == (0, threads)
            continue
        assert place.count * place.gpu_share <= place.node.gpus
        # As many shares as fit on one GPU need no more than its memory.
        assert math.floor(1 / place.gpu_share) * NEED.device <= place.node.gpu_memory


def test_a_cluster_of_gpus_gets_one_process_each_and_more_when_asked() -> None:
    large, small, bare = _node("large", gpus=2, of=80), _node("small", gpus=1, of=16), _node("bare")
    one_each = places([large, small, bare], NEED, 1, True, None)
    assert [(place.node.id, place.count, place.gpu_share) for place in one_each] == [
        ("large", 2, 1.0),
        ("small", 1, 1.0),
    ]
    five = places([large, small, bare], NEED, 1, True, 5)
    assert [(place.node.id, place.count, place.gpu_share) for place in five] == [
        ("large", 4, 0.5),
        ("small", 1, 1.0),
    ]


def test_processors_and_memory_bound_a_cluster_without_gpus() -> None:
    found = places([_node("a", 5), _node("b", 64, 9 * GIB), _node("c", 1)], NEED, 2, False, None)
    assert [(place.node.id, place.count) for place in found] == [("a", 2), ("b", 2)]
    assert [place.count for place in places([_node("a"), _node("b")], NEED, 1, False, 5)] == [3, 2]


_MEASURE = """
import numpy as np
from lsn_core.discovery.config import Training
from lsn_core.discovery.placement import need_of
from lsn_core.discovery.runs import Setup, equipment
from lsn_core.discovery.training import Bench
from lsn_core.masks.mask import Mask
from tests.memory import peak_memory

_, task, loaded = equipment(Setup("", "demo", "mlm", max_length=128))
bench = Bench(loaded, task)
training = Training(steps=1, batch_size=32, max_length=128, precision="fp32")
full = np.ones(128, bool)
features = [{"ids": np.full(128, 9), "maskable": full} for _ in range(64)]
before = peak_memory()
mask = Mask.full(bench.layout)
bench.train(features, mask, training, 0, lambda done, total: None)
bench.prune(mask, bench.layout.size // 2)
bench.score(features, training, 0)
print(before, peak_memory(), need_of(bench.shape, training, "cpu").host)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_training_with_the_longest_items_takes_no_more_than_the_bound() -> None:
    done = subprocess.run([sys.executable, "-c", _MEASURE], check=True, capture_output=True, text=True)
    before, peak, bound = map(int, done.stdout.split())
    assert peak <= bound
    assert peak - before > (bound - GIB) / 3, "the bound is so loose that it says nothing"
