"""Lines do not break between a number and its per cent sign."""

from __future__ import annotations

from lsn_core.viz.words.breaks import NO_BREAK, unbroken


def test_numbers_keep_their_per_cent_sign() -> None:
    @unbroken
    def sentence(share: float) -> str:
        return f"**{share:.1f} %** of all, in % of 5 weights (less than 0.01 %)."

    assert sentence(50) == f"**50.0{NO_BREAK}%** of all, in % of 5 weights (less than 0.01{NO_BREAK}%)."
