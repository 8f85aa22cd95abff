from __future__ import annotations

import pytest

from lsn_core.discovery.config import Recipe, Training, config_hash
from lsn_core.errors import LsnError


def test_the_hash_of_a_configuration_never_changes() -> None:
    """A pinned literal: a refactoring that changed it would orphan every cached ticket."""
    assert config_hash(Recipe(task="mlm"), "en", 0, "model", "data") == "0af1b2a9e2fe27b3"


def test_every_part_of_a_configuration_counts() -> None:
    recipe = Recipe(task="mlm")
    hashes = {
        config_hash(recipe, "en", 0, "m", "d"),
        config_hash(recipe, "fr", 0, "m", "d"),
        config_hash(recipe, "en", 1, "m", "d"),
        config_hash(recipe, "en", 0, "n", "d"),
        config_hash(recipe, "en", 0, "m", "e"),
        config_hash(Recipe(task="mlm", method="oneshot"), "en", 0, "m", "d"),
        config_hash(Recipe(task="mlm", training=Training(steps=101)), "en", 0, "m", "d"),
        config_hash(recipe, "en", 0, "m", "d", "matched"),
    }
    assert len(hashes) == 8


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="stepz"):
        Training(stepz=3)  # type: ignore[call-arg]


def test_levels_are_ten_per_cent_of_the_original_weights_a_round() -> None:
    assert Recipe(task="mlm", rounds=9).levels == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Recipe(task="mlm", rounds=10), "rounds"),
        (lambda: Recipe(task="mlm", method="magic"), "method"),
        (lambda: Training(steps=0), "steps"),
        (lambda: Training(learning_rate=0.0), "learning_rate"),
        (lambda: Training(learning_rate=float("nan")), "learning_rate"),
        (lambda: Training(precision="fp8"), "precision"),
    ],
)
def test_bad_settings_are_one_sentence(make, word: str) -> None:
    with pytest.raises(LsnError, match=f"The setting {word} is"):
        make()
