"""Who may import whom: figures know nothing of the dashboard, the dashboard nothing of training."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported_by(file: Path) -> set[str]:
    """Top-level names of the packages that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_streamlit_is_imported_by_the_dashboard_alone() -> None:
    allowed = {ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "lsn_core" / "ui").rglob("*.py")}
    everything = {ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "lsn_core").rglob("*.py")}
    guilty = {file for file in everything - allowed if "streamlit" in imported_by(file)}
    assert not guilty
    assert any("streamlit" in imported_by(file) for file in allowed)


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "lsn_core.viz.heatmap, lsn_core.viz.words, lsn_core.viz.profile",
            ("torch", "transformers", "streamlit"),
        ),
        (
            "lsn_core.ui.shell, lsn_core.ui.views.pair_view, lsn_core.ui.views.tree_view",
            ("torch", "transformers"),
        ),
    ],
)
def test_importing_stays_light(modules: str, absent: tuple[str, ...]) -> None:
    code = f"import sys\nimport {modules}\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
