"""Marks of an axis of differences."""

from __future__ import annotations

import pytest

from lsn_core.viz.ticks import log_ticks, signed_ticks


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


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (210, 980, [200, 500, 1000]),
        (240, 260, [200, 500]),
        (500, 500, [200, 500]),
        (7000, 63_000, [5000, 10_000, 20_000, 50_000, 100_000]),
        (0.6, 900, [0.1, 1, 10, 100, 1000]),
    ],
)
def test_a_logarithmic_axis_goes_from_tick_to_tick(low: float, high: float, ticks: list[float]) -> None:
    found = log_ticks(low, high)
    assert found["tickvals"] == pytest.approx(ticks)
    first, last = found["range"]
    assert 10**first < low
    assert high < 10**last
