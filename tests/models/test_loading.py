from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoModelForTokenClassification

from lsn_core.errors import LsnError
from lsn_core.models.loading import load_model
from tests.tiny_models import FAMILIES, PRUNABLE, save_tiny_model


@pytest.mark.parametrize("family", FAMILIES)
def test_a_local_folder_loads_and_says_what_it_is(tmp_path: Path, family: str) -> None:
    folder = save_tiny_model(tmp_path / "some-model", family)
    loaded = load_model(str(folder), AutoModelForMaskedLM)
    assert loaded.info["name"] == "some-model"
    assert loaded.info["family"] == family
    assert loaded.info["prunable_weights"] == loaded.layout.size == PRUNABLE


def test_fingerprint_follows_the_encoder_and_not_the_head(tmp_path: Path) -> None:
    one, other = save_tiny_model(tmp_path / "a", seed=0), save_tiny_model(tmp_path / "b", seed=1)
    plain = load_model(str(one), AutoModelForMaskedLM).info["fingerprint"]
    assert load_model(str(one), AutoModelForTokenClassification).info["fingerprint"] == plain
    assert load_model(str(other), AutoModelForMaskedLM).info["fingerprint"] != plain


def test_the_embedded_model_loads_and_is_small() -> None:
    from lsn_core.models.loading import DEMO_FOLDER

    loaded = load_model("demo", AutoModelForMaskedLM)
    assert loaded.info["layers"] == 6
    assert 1_000_000 <= loaded.info["prunable_weights"] <= 2_000_000
    assert sum(file.stat().st_size for file in DEMO_FOLDER.iterdir()) <= 6_000_000
    assert (DEMO_FOLDER / "CARD.md").is_file()


@pytest.mark.parametrize("name", ["./missing", "/nowhere/at/all", " "])
def test_a_missing_folder_is_one_sentence(name: str) -> None:
    with pytest.raises(LsnError, match="no model folder"):
        load_model(name, AutoModelForMaskedLM)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LsnError, match=r"holds no config\.json"):
        load_model(str(tmp_path), AutoModelForMaskedLM)


def test_weights_of_any_width_are_used_as_float32(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "m")
    AutoModelForMaskedLM.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert {p.dtype for p in load_model(str(folder), AutoModelForMaskedLM).model.parameters()} == {
        torch.float32
    }


def test_a_head_that_the_checkpoint_lacks_is_the_same_every_time(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "m")
    encoder = AutoModelForMaskedLM.from_pretrained(folder).bert
    shutil.rmtree(folder)
    save_tiny_model(folder)
    encoder.save_pretrained(folder)
    one, two = (load_model(str(folder), AutoModelForMaskedLM) for _ in range(2))
    assert one.untrained
    assert one.identity == two.identity


def test_a_checkpoint_without_the_encoder_is_one_sentence(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    save_file({f"module.{name}": value for name, value in weights.items()}, folder / "model.safetensors")
    with pytest.raises(LsnError, match=r"lacks .* weights of the encoder"):
        load_model(str(folder), AutoModelForMaskedLM)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_reads_as_many_pieces_as_it_says(tmp_path: Path, family: str) -> None:
    loaded = load_model(str(save_tiny_model(tmp_path / "m", family)), AutoModelForMaskedLM)
    pieces = torch.full((1, loaded.info["positions"]), 7)
    with torch.no_grad():
        assert loaded.model(input_ids=pieces).logits.shape[1] == loaded.info["positions"]


def test_damaged_weights_are_one_sentence(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LsnError, match="could not be loaded"):
        load_model(str(folder), AutoModelForMaskedLM)
