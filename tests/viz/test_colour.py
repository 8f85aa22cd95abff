"""Colours: even to the eye, readable, and true to what they stand for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lsn_core.viz.colour import (
    contrast,
    hex_colour,
    mixed,
    oklch_to_rgb,
    readable_on,
    relative_luminance,
    scale,
)
from lsn_core.viz.theme import DARK, LIGHT, Theme

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def perceived_lightness(colour: str) -> float:
    """CIE L*, 0 black to 100 white: another yardstick than the space that the scales are made in."""
    y = relative_luminance(colour)
    return 116 * y ** (1 / 3) - 16 if y > 216 / 24389 else y * 24389 / 27


def test_known_colours() -> None:
    assert hex_colour(1, 0, 0) == "#ffffff"
    assert hex_colour(0, 0, 0) == "#000000"
    assert oklch_to_rgb(0.62796, 0.25768, 29.234) == pytest.approx((1, 0, 0), abs=1e-3)


def test_colour_out_of_reach_keeps_its_lightness() -> None:
    grey, vivid = hex_colour(0.7, 0, 150), hex_colour(0.7, 0.4, 150)
    assert perceived_lightness(vivid) == pytest.approx(perceived_lightness(grey), abs=6)


def test_scale_needs_two_stops() -> None:
    with pytest.raises(ValueError, match="two stops"):
        scale([(0.5, 0.1, 10)])


@THEMES
def test_amounts_get_steadily_lighter_or_darker(theme: Theme) -> None:
    lightness = [perceived_lightness(colour) for _, colour in theme.amount]
    steps = [b - a for a, b in itertools.pairwise(lightness)]
    direction = 1 if theme is DARK else -1
    assert all(direction * step > 0 for step in steps)
    assert max(map(abs, steps)) < 2.5 * min(map(abs, steps))
    assert abs(lightness[-1] - lightness[0]) > 55


@THEMES
def test_balance_turns_at_its_middle(theme: Theme) -> None:
    lightness = [perceived_lightness(colour) for _, colour in theme.balance]
    middle = len(lightness) // 2
    sign = 1 if theme is DARK else -1
    left, right = lightness[: middle + 1], lightness[middle:]
    assert all(sign * (a - b) > 0 for a, b in itertools.pairwise(left))
    assert all(sign * (b - a) > 0 for a, b in itertools.pairwise(right))
    assert lightness[0] == pytest.approx(lightness[-1], abs=4)


@THEMES
def test_balance_has_two_hues_and_no_third(theme: Theme) -> None:
    seen = np.array([oklab(colour, None) for _, colour in theme.balance])
    chroma, hue = np.hypot(seen[:, 1], seen[:, 2]), np.degrees(np.arctan2(seen[:, 2], seen[:, 1])) % 360
    middle = len(seen) // 2
    assert chroma[middle] < 0.005
    for half in (slice(0, middle), slice(middle + 1, None)):
        coloured = hue[half][chroma[half] > 0.01]
        assert np.ptp(coloured) < 40
    assert abs(hue[0] - hue[-1]) > 120


@THEMES
def test_text_and_lines_stand_out(theme: Theme) -> None:
    assert contrast(theme.ink, theme.background) > 10
    assert contrast(theme.quiet, theme.background) >= 4.5
    for colour in (theme.first, theme.second, theme.both, theme.accent):
        assert contrast(colour, theme.background) >= 4.5
    assert 2 <= contrast(theme.pale, theme.background) < 4.5


@THEMES
def test_numbers_are_readable_on_every_cell(theme: Theme) -> None:
    for _, colour in (*theme.amount, *theme.balance):
        assert contrast(readable_on(colour), colour) >= 4.5


# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
SEEN_WITHOUT = {
    "red": [
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ],
    "green": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)],
    "blue": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)],
}


def oklab(colour: str, matrix: list[tuple[float, float, float]] | None) -> np.ndarray:
    """Where a colour lies in Oklab, as somebody who lacks a kind of cone sees it."""
    channels = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    if matrix is not None:
        linear = np.clip(np.array(matrix) @ linear, 0, 1)
    to_cones = [
        (0.41222147, 0.53633254, 0.05144599),
        (0.2119035, 0.68069955, 0.10739696),
        (0.08830246, 0.28171884, 0.6299787),
    ]
    to_lab = [
        (0.21045426, 0.79361779, -0.00407205),
        (1.9779985, -2.42859221, 0.45059371),
        (0.02590404, 0.78277177, -0.80867577),
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ linear)


@THEMES
def test_kinds_are_told_apart_by_everybody(theme: Theme) -> None:
    for colour in theme.kinds:
        assert contrast(colour, theme.background) >= 3
    for matrix in (None, *SEEN_WITHOUT.values()):
        seen = [oklab(colour, matrix) for colour in (*theme.kinds, theme.missing)]
        apart = [float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)]
        assert min(apart) > 0.08


def test_mixing_goes_from_one_colour_to_the_other() -> None:
    assert [mixed("#000000", "#ff8040", share) for share in (0, 0.5, 1)] == ["#000000", "#804020", "#ff8040"]
