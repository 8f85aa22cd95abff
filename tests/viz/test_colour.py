"""Colours: even to the eye, readable, and true to what they stand for."""

from __future__ import annotations

import itertools

import pytest

from lsn_core.viz.colour import contrast, hex_colour, oklch_to_rgb, readable_on, relative_luminance, scale
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
