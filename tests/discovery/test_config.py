from __future__ import annotations

import pytest

from lsn_core.discovery.config import Recipe, Training, config_hash
from lsn_core.errors import LsnError


def test_the_hash_of_a_configuration_never_changes() -> None:
    """A pinned literal: a refactoring that changed it would orphan every cached ticket."""
    assert config_hash(Recipe(task="mlm"), "en", 0, "model", "data") == "0af1b2a9e2fe27b3"


def test_settings_that_change_nothing_leave_the_hash_alone() -> None:
    """Pinned literals: the recipe's JSON as it was before these settings were there."""
    recipe = Recipe(task="mlm", calibration_batches=99)
    assert recipe.to_dict() == {
        "task": "mlm",
        "method": "imp",
        "data": "cldr",
        "rounds": 9,
        "criterion": "magnitude",
        "scope": "global",
        "schedule": "linear",
        "training": {
            "steps": 100,
            "batch_size": 16,
            "learning_rate": 2e-4,
            "clip_norm": 1.0,
            "max_length": 64,
            "precision": "bf16",
            "train_lines": 4096,
            "score_lines": 300,
        },
    }
    assert config_hash(recipe, "en", 0, "model", "data") == "0af1b2a9e2fe27b3"


def test_the_calibration_counts_for_the_criteria_that_need_one() -> None:
    for criterion, counts in (("magnitude", 1), ("magnitude-change", 1), ("taylor", 2), ("wanda", 2)):
        recipes = [Recipe(task="mlm", criterion=criterion, calibration_batches=n) for n in (4, 8)]
        assert len({config_hash(recipe, "en", 0, "m", "d") for recipe in recipes}) == counts


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
        config_hash(Recipe(task="mlm", training=Training(accumulate=2)), "en", 0, "m", "d"),
        config_hash(Recipe(task="mlm", criterion="wanda"), "en", 0, "m", "d"),
        config_hash(Recipe(task="mlm", criterion="taylor"), "en", 0, "m", "d"),
        config_hash(Recipe(task="mlm", criterion="magnitude-change"), "en", 0, "m", "d"),
        config_hash(Recipe(task="mlm", scope="layer"), "en", 0, "m", "d"),
    }
    assert len(hashes) == 13


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
        (lambda: Training(accumulate=0), "accumulate"),
        (lambda: Training(batch_size=16, accumulate=3), "accumulate"),
        (lambda: Recipe(task="mlm", criterion="luck"), "criterion"),
        (lambda: Recipe(task="mlm", scope="universe"), "scope"),
        (lambda: Recipe(task="mlm", criterion="taylor", calibration_batches=0), "calibration_batches"),
    ],
)
def test_bad_settings_are_one_sentence(make, word: str) -> None:
    with pytest.raises(LsnError, match=f"The setting {word} is"):
        make()
