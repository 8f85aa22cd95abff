"""Names on screen."""

from __future__ import annotations

import pytest

from lsn_core.viz.labels import language_label, language_line, scope_name, task_name


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
