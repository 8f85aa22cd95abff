from __future__ import annotations

from pathlib import Path

import pytest
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


def test_damaged_weights_are_one_sentence(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LsnError, match="could not be loaded"):
        load_model(str(folder), AutoModelForMaskedLM)
