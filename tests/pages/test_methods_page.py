"""The Methods page: it explains the words also where there is no atlas yet."""

from pathlib import Path

import pytest

from tests.pages.conftest import Visit, said


def test_every_measure_of_the_side_bar_is_explained(visit: Visit) -> None:
    app = visit("methods", atlas="demo")
    assert not app.exception
    text = said(app)
    for word in ("Jaccard", "Chance", "Reference", "Ceiling", "Neutrality", "core"):
        assert f"**{word}**" in text


def test_it_needs_no_atlas(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSN_MASKS", str(tmp_path))
    app = visit("methods")
    assert not app.exception
    assert "Neutrality" in said(app)
