"""Names on screen."""

from __future__ import annotations

import pytest

from lsn_core.analysis.words import over_seeds
from lsn_core.viz.labels import (
    family_label,
    hover_names,
    language_label,
    language_line,
    listed,
    p_value,
    scope_name,
    task_name,
    unbroken,
)


def test_own_names_are_set_apart_in_their_direction() -> None:
    assert language_line("ar") == "Arabic · \u2067العربية\u2069"
    assert language_line("sw") == "Swahili · \u2066Kiswahili\u2069"
    assert language_line("en") == "English"
    assert language_label("zh").startswith("Chinese<br>")


def test_unknown_language_is_its_code() -> None:
    assert language_line("tlh") == language_label("tlh") == "tlh"


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("total", "Whole model"),
        ("encoder.11", "Encoder layer 11"),
        ("decoder", "Decoder"),
        ("feed-forward in", "Feed-forward in"),
        ("bert.encoder.layer.0.output.dense.weight", "bert.encoder.layer.0.output.dense.weight"),
    ],
)
def test_scopes_in_words(scope: str, name: str) -> None:
    assert scope_name(scope) == name


def test_tasks_keep_their_short_name() -> None:
    assert task_name("mlm") == "Masked words (mlm)"
    assert task_name("other") == "other"


def test_languages_in_a_sentence_and_under_the_pointer() -> None:
    assert listed(["ur"]) == "Urdu"
    assert listed(["ur", "hi", "fa"]) == "Urdu, Hindi and Persian"
    assert listed(["ur", "hi", "fa", "en"], most=3) == "Urdu, Hindi and 2 more"
    assert hover_names(["ur", "hi", "fa"], a_line=2) == "Urdu, Hindi,<br>Persian"
    assert hover_names(["ur", "hi", "fa"], most=2) == "Urdu, Hindi, and 1 more"


def test_branches_stand_under_their_languages() -> None:
    assert "Bantu" in family_label("sw")
    assert "family unknown" in family_label("tlh")


def test_small_p_values_keep_a_digit() -> None:
    assert [p_value(p) for p in (1.0, 0.194, 0.0331, 0.0001)] == ["1.00", "0.19", "0.03", "0.0001"]


def test_a_number_keeps_its_per_cent_sign() -> None:
    assert unbroken("With 50 % of 3, that is **1.5 %**, % alone") == (
        "With 50\N{NO-BREAK SPACE}% of 3, that is **1.5\N{NO-BREAK SPACE}%**, % alone"
    )


def test_one_seed_is_no_mean() -> None:
    assert over_seeds([1]) == "Seed 1 only"
    assert over_seeds([0, 1, 2]) == "Mean over seeds 0, 1, 2"
