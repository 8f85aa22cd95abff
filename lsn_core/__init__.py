"""Sub-networks of multilingual language models: find them, keep them, see what they share.

``from lsn_core import Mask, Atlas, overlap, tree`` is what scripts need. The names are loaded when they are
first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsn_core.analysis.overlap import overlap as overlap
    from lsn_core.analysis.trees import tree as tree
    from lsn_core.masks.atlas import Atlas as Atlas
    from lsn_core.masks.mask import Mask as Mask

__version__ = "0.1.0"
__all__ = ["Atlas", "Mask", "overlap", "tree"]

_HOMES = {
    "Atlas": "lsn_core.masks.atlas",
    "Mask": "lsn_core.masks.mask",
    "overlap": "lsn_core.analysis.overlap",
    "tree": "lsn_core.analysis.trees",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
