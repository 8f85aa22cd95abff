"""Colour scales that are even to the eye, made in the OKLCH colour space.

OKLCH (Ottosson, "A perceptual color space for image processing", 2020) describes a colour by lightness,
chroma and hue so that equal steps look equal. A scale whose lightness changes evenly is read correctly in
print, by people who see colours differently, and on a projector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

DARK_INK, BRIGHT_INK = "#000000", "#ffffff"

Lch = tuple[float, float, float]  # lightness 0..1, chroma 0..0.4, hue in degrees


def oklch_to_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """sRGB channels (0..1 where the colour can be shown) of an OKLCH colour."""
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (_gamma(channel) for channel in linear)
    return red, green, blue


def hex_colour(lightness: float, chroma: float, hue: float) -> str:
    """The colour as #rrggbb; chroma is lowered until a screen can show it, lightness and hue stay."""
    while chroma > 0 and not all(-1e-4 <= c <= 1.0001 for c in oklch_to_rgb(lightness, chroma, hue)):
        chroma -= 0.002
    channels = oklch_to_rgb(lightness, max(chroma, 0.0), hue)
    return "#" + "".join(f"{round(255 * min(max(c, 0.0), 1.0)):02x}" for c in channels)


def scale(stops: Sequence[Lch], steps: int = 33) -> list[tuple[float, str]]:
    """A Plotly colour scale through OKLCH stops set evenly along it; a stop without chroma has its neighbours' hues."""
    if len(stops) < 2 or steps < 2:
        raise ValueError("a colour scale needs at least two stops and two steps")
    result = []
    for step in range(steps):
        position = step / (steps - 1)
        place = position * (len(stops) - 1)
        left = min(int(place), len(stops) - 2)
        share = place - left
        low, high = stops[left], stops[left + 1]
        if low[1] == 0:
            low = (low[0], 0.0, high[2])
        if high[1] == 0:
            high = (high[0], 0.0, low[2])
        mixed = [a + (b - a) * share for a, b in zip(low, high, strict=True)]
        result.append((position, hex_colour(mixed[0], mixed[1], mixed[2])))
    return result


def mixed(first: str, second: str, share: float) -> str:
    """#rrggbb between two others: `share` 0 is the first, 1 the second."""
    pairs = ((int(first[k : k + 2], 16), int(second[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def relative_luminance(colour: str) -> float:
    """Luminance of #rrggbb, 0 black to 1 white (WCAG 2.2, "relative luminance")."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    dark, bright = sorted((relative_luminance(first), relative_luminance(second)))
    return (bright + 0.05) / (dark + 0.05)


def readable_on(background: str) -> str:
    """Black or white, whichever is easier to read on the background."""
    return max((DARK_INK, BRIGHT_INK), key=lambda ink: contrast(ink, background))


def _gamma(channel: float) -> float:
    if channel <= 0.0031308:
        return 12.92 * channel
    return 1.055 * channel ** (1 / 2.4) - 0.055
