from __future__ import annotations

from hypothesis import settings

# Machines differ in speed: no example fails for being slow, and few are enough for a run between edits.
settings.register_profile("lsn", deadline=None, max_examples=40)
settings.load_profile("lsn")
