from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of building material: LSN_SHARED, or ``shared`` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("LSN_SHARED") or beside)
    if not folder.is_dir():
        pytest.skip("no shared material: set LSN_SHARED to its folder")
    return folder
