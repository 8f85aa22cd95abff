"""The atlas card says what the tickets say, and leaves out what was not measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsn_core.analysis.card import CARD_FILE, write_card
from lsn_core.analysis.tables import scores_table
from lsn_core.masks.atlas import Atlas
from tests.synthetic_atlas import make_atlas


def _card(atlas: Atlas) -> str:
    write_card(atlas)
    return (atlas.path / CARD_FILE).read_text(encoding="utf-8")


def _cells(card: str, start: str) -> list[str]:
    line = next(line for line in card.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_scores_are_means_over_seeds_with_their_range(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "fr", "sw"), seeds=(0, 1))
    scores = scores_table(atlas)
    chosen = scores[
        (scores["language"] == "fr") & (scores["method"] == "imp") & np.isclose(scores["sparsity"], 0.5)
    ]
    values = chosen[chosen["metric"] == scores["metric"].iloc[0]]["value"]
    card = _card(atlas)
    header = _cells(card, "language")
    cell = _cells(card, "fr")[header.index("imp 50%")]
    assert cell == f"{values.mean():.3f} ({values.min():.3f}–{values.max():.3f})"


def test_overlap_is_set_between_reference_and_ceiling(tmp_path: Path) -> None:
    card = _card(make_atlas(tmp_path / "a", languages=("en", "fr", "sw"), seeds=(0, 1)))
    cells = _cells(card, "50%")
    jaccard, chance, reference, ceiling, neutrality = (float(cell.split()[0]) for cell in cells[1:])
    assert chance < reference < jaccard < ceiling
    assert neutrality == pytest.approx((jaccard - reference) / (ceiling - reference), abs=0.05)


def test_with_one_seed_neutrality_is_not_measured(tmp_path: Path) -> None:
    card = _card(make_atlas(tmp_path / "a", languages=("en", "fr"), seeds=(0,)))
    assert _cells(card, "50%")[-2:] == ["not measured", "not measured"]


def test_the_controls_are_judged_plainly(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "fr"), methods=("imp", "random"))
    card = _card(atlas)
    scores = scores_table(atlas)
    scores = scores[(scores["metric"] == scores["metric"].iloc[0]) & np.isclose(scores["sparsity"], 0.8)]
    means = scores.groupby(["method", "language"])["value"].mean()
    difference = means["imp"] - means["random"]
    assert (
        f"At 80%, `imp` scores above `random` in {(difference > 0).sum()} of 2 languages "
        f"(mean difference {difference.mean():+.3f})."
    ) in card
    without = _card(make_atlas(tmp_path / "b", languages=("en", "fr"), methods=("imp",)))
    assert "scores above" not in without


def test_a_control_in_one_language_only_is_not_averaged_against_all(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "fr"), methods=("imp", "random"), tables=False)
    for seed in (0, 1):
        (atlas.path / "tickets" / f"mlm-fr-random-s{seed}.safetensors").unlink()
    card = _card(atlas)
    assert "nan" not in card
    assert _cells(card, "fr")[-1] == ""
    assert _cells(card, "**mean of 1**")[1] == _cells(card, "en")[1].split()[0]
    assert "in 1 of 1 languages" in card or "in 0 of 1 languages" in card


def test_a_note_stands_in_the_card(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "noted", ("en", "fr"))
    (tmp_path / "noted" / "NOTE.md").write_text("Made from a made-up model.", encoding="utf-8")
    write_card(atlas)
    assert "\n\nMade from a made-up model.\n\n## Task" in (tmp_path / "noted" / "CARD.md").read_text(
        encoding="utf-8"
    )
