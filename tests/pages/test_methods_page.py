"""The Methods page: it explains the words also where there is no atlas yet."""

from pathlib import Path

import pytest

from lsn_core.analysis.findings import findings
from lsn_core.analysis.publish import publish
from lsn_core.masks.atlas import Atlas
from tests.pages.conftest import Visit, flip, said
from tests.synthetic_atlas import make_atlas


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


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit: Visit) -> Path:
    """An atlas with findings, the only one that the pages see."""
    make_atlas(tmp_path / "told", ("en", "de", "fr", "sw"), levels=(0.5,))
    publish(Atlas.open(tmp_path / "told"))
    monkeypatch.setenv("LSN_MASKS", str(tmp_path))
    return tmp_path / "told"


def test_findings_are_those_of_the_atlas(told: Path, visit: Visit) -> None:
    app = visit("methods")
    assert not app.exception
    table = findings(Atlas.open(told))
    assert f"neutrality is {table['value'].iloc[0]:.3f}" in said(app)
    assert len(app.dataframe[0].value) == len(table)


def test_a_damaged_table_of_findings_is_told(told: Path, visit: Visit) -> None:
    flip(told / "findings.parquet")
    app = visit("methods")
    assert not app.exception
    assert "findings.parquet is damaged" in said(app)
    assert str(told) not in said(app)
