"""What encoder-decoder models have to do in the other parts: scopes, criteria, import and export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from lsn_core.cli import main
from lsn_core.data.cldr import CldrSource
from lsn_core.data.files import FolderSource
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.training import micro_batches
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, TicketKey
from lsn_core.models.families import family_of
from lsn_core.models.loading import load_model
from lsn_core.tasks.registry import task_for
from tests.foreign_files import named, save_torch
from tests.tiny_models import TEXT_FAMILIES

NLI = TicketKey("nli", "en", "imp", 0)


def _discover(model: Path, data: Path, atlas: Path, *extra: str) -> int:
    return main(
        [
            *("discover", "--model", str(model), "--task", "nli", "--languages", "en"),
            *("--data", str(data / "nli"), "--rounds", "2", "--steps", "2", "--batch-size", "4"),
            *("--learning-rate", "0.01", "--jobs", "1", "--atlas", str(atlas), *extra),
        ]
    )


def _kept(atlas: Path, key: TicketKey) -> dict[str, tuple[int, int]]:
    """Kept weights and size of each stack at 20 %."""
    mask = Atlas.open(atlas).ticket(key).mask(0.2)
    layout = mask.layout
    return {
        scope.label: (int(mask.counts[scope.matrices].sum()), int(layout.sizes[scope.matrices].sum()))
        for scope in layout.scopes("stack")
    }


def test_encoder_and_decoder_are_pruned_apart_unless_asked_otherwise(
    folder_of: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    assert _discover(folder_of("mt5"), data, tmp_path / "apart") == 0
    for key in (NLI, BASE_KEY):
        for kept, size in _kept(tmp_path / "apart", key).values():
            assert kept == pytest.approx(0.8 * size, abs=1)
    assert _discover(folder_of("mt5"), data, tmp_path / "together", "--scope", "global") == 0
    together = _kept(tmp_path / "together", NLI)
    total = sum(size for _, size in together.values())
    assert sum(kept for kept, _ in together.values()) == kept_at(total, 0.2)
    assert any(abs(kept - 0.8 * size) > 2 for kept, size in together.values())


@pytest.mark.parametrize(
    "options", [("--criterion", "wanda"), ("--criterion", "taylor"), ("--accumulate", "2")]
)
def test_other_ways_to_prune_and_to_train(
    options: tuple[str, ...], folder_of: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    assert _discover(folder_of("mt5"), data, tmp_path / "atlas", *options) == 0
    for kept, size in _kept(tmp_path / "atlas", NLI).values():
        assert kept == pytest.approx(0.8 * size, abs=1)


@pytest.mark.parametrize("task_name", ["mlm", "nli"])
@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_the_loss_of_a_batch_is_that_of_its_pieces(
    family: str, task_name: str, folder_of: Callable[[str], Path], data: Path
) -> None:
    task = task_for(task_name, family_of(family))
    loaded = load_model(str(folder_of(family)), task.auto_class)
    source = CldrSource() if task_name == "mlm" else FolderSource(str(data / "nli"))
    features = task.features(source, "en", "train", 6, loaded.tokenizer, 64)
    batch = task.collate(features, loaded.tokenizer, np.random.default_rng(0), training=True)
    model = loaded.model.eval()
    with torch.no_grad():
        whole = task.loss(model, loaded.family, batch)
        parts = sum(task.loss(model, loaded.family, part) * share for part, share in micro_batches(batch, 3))
    assert float(parts) == pytest.approx(float(whole), rel=1e-5)


def test_masks_under_the_papers_names_come_in_and_go_out(
    folder_of: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    model = folder_of("mt5")
    layout = load_model(str(model), AutoModelForSeq2SeqLM).layout
    rng = np.random.default_rng(0)
    mask = Mask.from_arrays({m.name: rng.random(m.shape) < 0.5 for m in layout.matrices}, layout)
    file = save_torch(tmp_path / "masks.pt", named(mask, "module.", "_mask"))
    assert "module.encoder.block.0.layer.0.SelfAttention.q.weight_mask" in named(mask, "module.", "_mask")
    atlas = tmp_path / "atlas"
    where = ["--task", "nli", "--language", "en"]
    assert main(["import", str(file), "--atlas", str(atlas), *where, "--model", str(model)]) == 0
    key = next(header.key for header in Atlas.open(atlas).headers() if header.key.task == "nli")
    ticket = Atlas.open(atlas).ticket(key)
    assert ticket.mask(ticket.levels[0]) == mask
    out = tmp_path / "checkpoint"
    command = ["export", "--atlas", str(atlas), *where, "--method", key.method, "--model", str(model)]
    level = ["--sparsity", str(ticket.levels[0])]
    assert main([*command, *level, "--format", "checkpoint", "--out", str(out)]) == 0
    pruned = AutoModelForSeq2SeqLM.from_pretrained(out)
    whole = AutoModelForSeq2SeqLM.from_pretrained(model)
    for matrix in layout.names:
        kept = torch.from_numpy(mask[matrix])
        assert torch.equal(pruned.get_parameter(matrix), whole.get_parameter(matrix) * kept)
