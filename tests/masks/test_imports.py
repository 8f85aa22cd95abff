from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "streamlit")


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys; print(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_itself_loads_nothing() -> None:
    assert loaded_by("import lsn_core").isdisjoint({*HEAVY, "numpy", "pandas", "scipy"})


def test_masks_need_neither_pandas_nor_scipy() -> None:
    assert loaded_by("from lsn_core import Mask, Atlas").isdisjoint({*HEAVY, "pandas", "scipy", "pyarrow"})


def test_analysis_stays_free_of_models_and_screens() -> None:
    loaded = loaded_by("from lsn_core import Mask, Atlas, overlap, tree\nimport lsn_core.analysis.tables")
    assert "scipy" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_public_names_are_the_ones_in_their_modules() -> None:
    import lsn_core
    from lsn_core.analysis.overlap import overlap
    from lsn_core.analysis.trees import tree
    from lsn_core.masks.atlas import Atlas
    from lsn_core.masks.mask import Mask

    assert (lsn_core.Mask, lsn_core.Atlas, lsn_core.overlap, lsn_core.tree) == (Mask, Atlas, overlap, tree)
    assert {"Mask", "Atlas", "overlap", "tree"} <= set(dir(lsn_core))
    with pytest.raises(AttributeError, match="nothing"):
        _ = lsn_core.nothing
