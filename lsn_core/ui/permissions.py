"""What the one who runs the dashboard lets its visitors do; never decided by a visitor."""

from __future__ import annotations

import os

READ_ONLY_VARIABLE = "LSN_READ_ONLY"
"""Set to anything but 0 or nothing: no page writes to the disk and no run is started."""


def read_only() -> bool:
    """Whether nothing may be written and no run started."""
    return os.environ.get(READ_ONLY_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")
