"""Training, rewinding and pruning, whatever the family: the tasks do it, and nothing of them is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lsn_core.data.cldr import CldrSource
from lsn_core.discovery.config import Training
from lsn_core.discovery.lottery import base_masks
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.training import Bench, check_length, load_features
from lsn_core.errors import LsnError
from lsn_core.models.families import prunable_parameters
from lsn_core.models.loading import load_model
from lsn_core.tasks.registry import task_for
from tests.tiny_models import POSITIONS, TEXT_FAMILIES

SETTINGS = Training(steps=3, batch_size=8, learning_rate=0.01, precision="fp32", train_lines=24)


@pytest.fixture
def bench(name: str, folder_of: Callable[[str], Path]) -> Bench:
    from lsn_core.models.families import family_of

    task = task_for("mlm", family_of(name))
    return Bench(load_model(str(folder_of(name)), task.auto_class), task)


def test_a_round_leaves_nothing_behind_and_never_uses_what_is_removed(bench: Bench) -> None:
    features = load_features(bench.task, CldrSource(), "en", "train", bench.loaded, SETTINGS)
    start = {name: value.clone() for name, value in bench.model.state_dict().items()}
    mask = base_masks(bench, (0.5,))[0]
    prunable = prunable_parameters(bench.model, bench.loaded.family)
    forwards = 0

    def check(module: torch.nn.Module, inputs: object) -> None:
        nonlocal forwards
        forwards += 1
        for matrix, weight in prunable.items():
            assert not weight.detach()[~torch.from_numpy(mask[matrix])].any(), matrix

    bench.rewind(mask)
    before = bench.score(features, SETTINGS, 5)
    hook = bench.model.register_forward_pre_hook(check)
    bench.train(features, mask, SETTINGS, 1, lambda done, total: None)
    bench.score(features, SETTINGS, 5)
    hook.remove()
    inside = {id(weight): torch.from_numpy(mask[matrix]) for matrix, weight in prunable.items()}
    moved = {name for name, value in bench.model.state_dict().items() if not torch.equal(value, start[name])}
    trained = {name for name, weight in bench.model.named_parameters() if id(weight) in inside}
    assert trained <= moved
    bench.rewind(mask)
    for name, value in bench.model.named_parameters():
        assert torch.equal(value, start[name] * inside[id(value)] if id(value) in inside else start[name]), (
            name
        )
    assert bench.score(features, SETTINGS, 5) == before
    # The masked task of the encoder families goes past the whole model, straight to the encoder.
    assert (forwards > 0) == (bench.loaded.family.model_type in TEXT_FAMILIES)


def test_both_stacks_lose_weights_when_pruned_together(bench: Bench) -> None:
    mask = base_masks(bench, (0.5,))[0]
    assert mask.kept == kept_at(bench.layout.size, 0.5)
    for scope in bench.layout.scopes("stack"):
        kept = sum(int(mask.counts[matrix]) for matrix in scope.matrices)
        size = int(bench.layout.sizes[scope.matrices].sum())
        assert 0 < kept < size
    weights = prunable_parameters(bench.model, bench.loaded.family)
    bench.rewind(type(mask).full(bench.layout))
    flat = np.concatenate([np.abs(weight.detach().numpy()).ravel() for weight in weights.values()])
    bits = np.concatenate([np.asarray(mask[matrix]).ravel() for matrix in weights])
    assert flat[bits].min() >= flat[~bits].max()


def test_how_many_pieces_are_read_at_once(bench: Bench) -> None:
    unbounded = bench.loaded.family.model_type in TEXT_FAMILIES
    assert bench.loaded.info["positions"] == (
        None if unbounded else POSITIONS - (1 if "roberta" in bench.loaded.family.model_type else 0)
    )
    if unbounded:
        check_length(bench.loaded, 100_000)
    else:
        with pytest.raises(LsnError, match="--max-length"):
            check_length(bench.loaded, POSITIONS + 1)


def test_tied_weights_are_kept_once(bench: Bench) -> None:
    values = [*bench.model.parameters(), *bench.model.buffers()]
    assert bench._start.size == sum(value.numel() * value.element_size() for value in values)


def test_the_task_is_the_one_that_the_family_can_do(bench: Bench) -> None:
    metrics, count = bench.score(
        load_features(bench.task, CldrSource(), "fr", "test", bench.loaded, SETTINGS), SETTINGS, 0
    )
    text = bench.loaded.family.model_type in TEXT_FAMILIES
    assert list(metrics) == ["span top-1" if text else "masked top-1", "loss"]
    assert 0 <= next(iter(metrics.values())) <= 1
    assert count > 0
