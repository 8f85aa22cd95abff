"""Marks of an axis of differences."""

from __future__ import annotations

import pytest

from lsn_core.viz.ticks import signed_ticks


@pytest.mark.parametrize(
    ("low", "high", "most", "text"),
    [
        (-0.014, 0.003, 6, ["−0.010", "−0.005", "0"]),
        (-1.0, 1.0, 4, ["−1.0", "−0.5", "0", "+0.5", "+1.0"]),
        (0.0, 0.0, 5, ["0"]),
        (3.0, 9.0, 3, ["+4", "+6", "+8"]),
        (-420.0, -80.0, 4, ["−400", "−300", "−200", "−100"]),
    ],
)
def test_marks_are_round_and_zero_is_plain(low: float, high: float, most: int, text: list[str]) -> None:
    found = signed_ticks(low, high, most)
    assert found["ticktext"] == text
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found["tickvals"])
    assert [float(mark.replace("−", "-")) for mark in text] == pytest.approx(found["tickvals"])
