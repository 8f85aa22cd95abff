"""The weights that a round starts from, kept in memory or in a file, and put back bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lsn_core.discovery import starts
from lsn_core.discovery.starts import StartWeights
from lsn_core.errors import LsnError


def _values() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "matrix": torch.randn(37, 11),
        "half": torch.randn(5, 3, 2).bfloat16(),
        "whole": torch.arange(9),
        "truth": torch.tensor([True, False]),
        "scalar": torch.tensor(-0.0),
        "nothing": torch.empty(0, 4),
        "turned": torch.randn(6, 8).T,
    }


@pytest.mark.parametrize("in_memory", [0, 2**20])
@pytest.mark.parametrize("slab", [1, 64, 2**24])
def test_every_bit_comes_back(in_memory: int, slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "_SLAB", slab)
    values, before = _values(), _values()
    kept = StartWeights(values, in_memory)
    assert kept.size == sum(value.numel() * value.element_size() for value in before.values())
    for value in values.values():
        value.fill_(1)
    assert not torch.equal(values["matrix"], before["matrix"])
    assert torch.equal(kept.read("matrix", values["matrix"]), before["matrix"])
    for _ in range(2):  # every round reads it again, in whatever order
        for name in reversed(values):
            kept.put_back(name, values[name])
            assert torch.equal(values[name], before[name])
    assert torch.signbit(values["scalar"])


def test_a_file_has_no_name_and_no_room_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kept = StartWeights(_values(), in_memory=0)
    assert list(tmp_path.iterdir()) == []
    assert kept.size
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(LsnError, match=r"cannot be kept in '.*missing' \(.*TMPDIR"):
        StartWeights(_values(), in_memory=0)
