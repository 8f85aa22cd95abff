"""Atlases for the pages, made once, and a way to visit a page without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.synthetic_atlas import make_atlas, make_layout

APP = Path(__file__).parents[2] / "app.py"
FEW = ("en", "de", "fr", "sw")

Visit = Callable[..., AppTest]


@pytest.fixture(scope="session")
def atlases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of atlases with every make-up that the pages must cope with."""
    root = tmp_path_factory.mktemp("atlases")
    levels = (0.3, 0.5, 0.8)
    make_atlas(root / "demo", FEW, levels=levels)
    make_atlas(root / "one-seed", FEW, seeds=(0,), methods=("imp",), levels=(0.5,))
    make_atlas(root / "no-base", FEW, base=False, methods=("imp",), levels=(0.5,))
    make_atlas(root / "lonely", ("en",), methods=("imp",), levels=(0.5,))
    make_atlas(root / "empty", ())
    two_stacks = make_layout(layers=2, hidden=8, stacks=("encoder", "decoder"))
    make_atlas(root / "two-stacks", ("en", "fr", "sw"), layout=two_stacks, methods=("imp",), levels=(0.5,))
    for name in ("damaged", "tables-only", "old-tables", "unreadable"):
        shutil.copytree(root / "demo", root / name)
    flip(root / "damaged" / "tickets" / "mlm-fr-imp-s1.safetensors")
    shutil.rmtree(root / "tables-only" / "tickets")
    (root / "old-tables" / "overlap.parquet").unlink()
    flip(root / "unreadable" / "atlas.json")
    return root


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.fixture
def visit(atlases: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """`visit("tree", atlas="demo", …)`: the page as a first visit with that address shows it."""
    monkeypatch.setenv("LSN_MASKS", str(atlases))
    monkeypatch.delenv("LSN_ATLAS", raising=False)

    def first_visit(page: str, query: Mapping[str, str] | None = None, **tokens: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=180)
        for key, value in {**(query or {}), **tokens}.items():
            app.query_params[key] = value
        app.switch_page(f"pages/{page}.py")
        return app.run()

    return first_visit


def charts(app: AppTest) -> list[Any]:
    """The charts on the page."""
    return list(app.get("plotly_chart"))


def said(app: AppTest) -> str:
    """All that is written on the page."""
    blocks = (app.markdown, app.caption, app.header, app.subheader, app.info, app.warning, app.code)
    return "\n".join(element.value for kind in blocks for element in kind)
