"""An uploaded sub-network in sentences: whom it is most like, and whether that says anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lsn_core.analysis.newcomer import SAME_LEVEL, Neighbours
from lsn_core.masks.ticket import TicketKey
from lsn_core.viz.labels import plain_name, scope_name, signed

DIGITS = 3
FIRM = 0.95  # share of the resamples in which the first has to stay the first


def neighbours_sentence(
    found: Neighbours, where: str, identical: Sequence[TicketKey], left_out: bool = True
) -> str:
    """Markdown for the line above the figure: the most alike language, what that is held against, how firm it is.

    `where` is a part of the model, as in "over the whole model"; `identical` are tickets that the upload is a copy
    of, and `left_out` says whether they are left out of the comparison.
    """
    known = [place for place in found.order if np.isfinite(found.jaccard[place])]
    if not known:
        return f"Neither this sub-network nor those of the atlas keep a weight {where}: there is nothing to compare."
    first = known[0]
    name = plain_name(found.languages[first])
    most = f"is most like that of **{name}**" if len(known) > 1 else f"is set beside that of **{name}**"
    value = _with_interval(found.jaccard[first], found.low[first], found.high[first])
    text = f"This sub-network {most}: of the weights that either keeps {where}, both keep {value}. {_judged(found, first)}"
    return " ".join(filter(None, (text, _firm(found, known), _same(identical, left_out))))


def levels_sentence(sparsity: float, level: float, found: Neighbours, base_levels: Sequence[float]) -> str:
    """On a comparison across two sparsities; empty where both are one."""
    if abs(sparsity - level) <= SAME_LEVEL:
        return ""
    possible = float(np.nanmax(found.possible)) if np.isfinite(found.possible).any() else float("nan")
    text = (
        f"It removes {_percent(sparsity)} of the weights; the nearest sub-networks of the atlas remove "
        f"{_percent(level)}. They keep different numbers of weights"
    )
    text += (
        f", so that even one that lies wholly within the other would reach {possible:.{DIGITS}f} only."
        if np.isfinite(possible)
        else "."
    )
    if np.isfinite(found.reference).any():
        return f"{text} What the pretrained weights alone would give takes both sparsities into account."
    missing = " and ".join(
        _percent(one)
        for one in (sparsity, level)
        if all(abs(one - there) > SAME_LEVEL for there in base_levels)
    )
    return (
        f"{text} What the pretrained weights alone would give is left open: the atlas has no mask of them at "
        f"{missing}."
    )


def density_sentence(shares: Mapping[str, float]) -> str:
    """On where the sub-network keeps most; `shares` maps layers to per cent, NaN where there is no weight."""
    known = {name: value for name, value in shares.items() if np.isfinite(value)}
    if len(known) < 2:
        return ""
    most, least = max(known, key=lambda name: known[name]), min(known, key=lambda name: known[name])
    return (
        f"Of its layers, it keeps the largest share of the weights in {scope_name(most).lower()} "
        f"({known[most]:.1f} %) and the smallest in {scope_name(least).lower()} ({known[least]:.1f} %)."
    )


def _judged(found: Neighbours, place: int) -> str:
    """What the overlap is held against."""
    chance, reference, above = (values[place] for values in (found.chance, found.reference, found.above))
    by_chance = f"two random sub-networks of these sizes would share {chance:.{DIGITS}f}"
    if not np.isfinite(reference):
        return f"For scale, {by_chance}; what the pretrained weights alone would give is not known."
    low, high = found.above_low[place], found.above_high[place]
    start = f"The pretrained weights alone would give {reference:.{DIGITS}f} ({by_chance})"
    size = f"{abs(above):.{DIGITS + 1}f}"
    if not np.isfinite([low, high]).all():
        side = "more" if above > 0 else "less"
        return f"{start}; this is {side} by {size}, and how sure that is is unknown."
    ends = f"95 % interval of the difference {signed(low, DIGITS + 1)} to {signed(high, DIGITS + 1)}"
    if low > 0:
        return f"{start}, and this is **more than that**, by {size} ({ends})."
    if high < 0:
        return f"{start}, and this is **less than that**, by {size} ({ends})."
    return f"{start}, and this is **no more than that**, as far as can be told ({ends})."


def _firm(found: Neighbours, known: Sequence[int]) -> str:
    """Whether the most alike is clearly so."""
    if len(known) < 2:
        return ""
    first, second = known[0], known[1]
    share = found.first_in[first]
    if not np.isfinite(share):
        return "How firm that order is is unknown: there is nothing to resample."
    next_one = f"{plain_name(found.languages[second])} with {found.jaccard[second]:.{DIGITS}f}"
    often = "all" if share == 1 else f"{100 * share:.0f} %"
    if share >= FIRM:
        return f"Next is {next_one}; in {often} of the resamples of matrices and seeds the first stays the first."
    return (
        f"But that it is the first is **not firm**: it is so in {often} of the resamples of matrices and seeds, "
        f"and next is {next_one}."
    )


def _same(identical: Sequence[TicketKey], left_out: bool) -> str:
    if not identical:
        return ""
    names = " and ".join(f"{plain_name(key.language)} (seed {key.seed})" for key in identical)
    text = f"It is, weight for weight, the atlas's own sub-network of {names}"
    if left_out:
        return f"{text}, which is left out here: that a copy is like what it was copied from is no finding."
    return f"{text}, and is compared with itself, as there is no other."


def _with_interval(value: float, low: float, high: float) -> str:
    number = f"**{value:.{DIGITS}f}**"
    if not np.isfinite([low, high]).all():
        return number
    return f"{number} (95 % interval {low:.{DIGITS}f} to {high:.{DIGITS}f})"


def _percent(level: float) -> str:
    return f"{100 * level:.3g} %"
