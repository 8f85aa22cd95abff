"""What is seen, in a sentence: computed from the numbers on screen, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.viz.labels import plain_name
from lsn_core.viz.measures import ABOVE_CHANCE, ABOVE_REFERENCE, JACCARD, NEUTRALITY, Measure


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; the ends are NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def has_interval(self) -> bool:
        """Whether the uncertainty is known."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


@dataclass(frozen=True)
class Extremes:
    """The most and the least alike pair; `clear` says whether they differ by more than noise would make them.

    It is None where the noise is unknown.
    """

    most: tuple[str, str]
    most_value: float
    least: tuple[str, str]
    least_value: float
    clear: bool | None


def pair_mean(values: np.ndarray, replicates: np.ndarray) -> Estimate:
    """The mean over all pairs of different languages, with the 95 % interval of its resamples.

    Args:
        values: (n, n), symmetric; NaN is left out.
        replicates: (B, n, n), the same for each resample.
    """
    above = np.triu_indices(len(values), 1)
    return _estimate(_mean(values[above]), _means(replicates[:, above[0], above[1]]))


def pair_extremes(
    languages: Sequence[str], values: np.ndarray, replicates: np.ndarray, seeds: int
) -> Extremes | None:
    """The most and the least alike pair; None with fewer than two pairs that have a value.

    Among many pairs that differ by noise alone, the highest and the lowest are far apart. So their
    difference is held against the range over all pairs that the resamples' noise shows, and is clear only
    beyond its 95th percentile. Resamples of `seeds` seeds show too little of the noise between seeds, by
    about (seeds - 1) / seeds of its variance; the noise is widened by as much.
    """
    rows, columns = np.triu_indices(len(values), 1)
    known = np.isfinite(values[rows, columns])
    rows, columns = rows[known], columns[known]
    if len(rows) < 2:
        return None
    found = values[rows, columns]
    most, least = int(np.argmax(found)), int(np.argmin(found))
    return Extremes(
        most=(languages[rows[most]], languages[columns[most]]),
        most_value=float(found[most]),
        least=(languages[rows[least]], languages[columns[least]]),
        least_value=float(found[least]),
        clear=_beyond_noise(found, replicates[:, rows, columns], seeds),
    )


def _beyond_noise(found: np.ndarray, resampled: np.ndarray, seeds: int) -> bool | None:
    """Whether the range of `found` (P,) is beyond that of the noise of `resampled` (B, P)."""
    complete = resampled[np.isfinite(resampled).all(axis=1)]
    if not len(complete) or len(complete) < 0.95 * len(resampled):
        return None
    ranges = np.ptp(complete - found, axis=1)
    if ranges.max() == 0:
        return None
    widened = ranges * np.sqrt(seeds / (seeds - 1) if seeds > 1 else 1.0)
    return bool(np.ptp(found) > np.quantile(widened, 0.95))


def overlap_sentence(
    measure: Measure, count: int, sparsity: float, where: str, mean: Estimate, extremes: Extremes | None
) -> str:
    """Markdown for the line above the heatmap. `where` is a scope in words, such as "in the whole model"."""
    if not np.isfinite(mean.value):
        return f"For these {count} languages this measure is undefined {where}."
    start = f"With {100 * sparsity:g} % of the weights removed, "
    text = start + _mean_words(measure, count, where, mean)
    if extremes is not None:
        text += " " + _extreme_words(measure, extremes)
    return text


def pair_sentence(measure: Measure, pair: tuple[str, str], where: str, value: Estimate) -> str:
    """Markdown for one pair."""
    names = f"{plain_name(pair[0])} and {plain_name(pair[1])}"
    if not np.isfinite(value.value):
        return f"For {names} this measure is undefined {where}."
    number = _with_interval(value, measure.digits)
    if measure is NEUTRALITY:
        return f"{names} have a neutrality of {number} {where}{_neutrality_doubt(value)}."
    if measure is JACCARD:
        return f"{names} share {number} of the weights that either of them keeps {where} (the Jaccard index)."
    than = "the pretrained weights alone would give" if measure is ABOVE_REFERENCE else "chance would give"
    return f"{names} have a Jaccard index {number} {_more(value)} {than} {where}{_doubt(value)}."


def parts_sentence(measure: Measure, kind: str, means: Mapping[str, float]) -> str:
    """Markdown on how the mean over pairs differs between parts of the model; empty with fewer than two.

    `kind` is "layer" or "component"; `means` maps the parts' names to their means.
    """
    known = {name: value for name, value in means.items() if np.isfinite(value)}
    if len(known) < 2:
        return ""
    most, least = max(known, key=lambda name: known[name]), min(known, key=lambda name: known[name])
    digits = measure.digits
    return (
        f"By {kind}, the mean over pairs is highest in {_lower(most)} ({known[most]:.{digits}f}) and "
        f"lowest in {_lower(least)} ({known[least]:.{digits}f})."
    )


def _mean_words(measure: Measure, count: int, where: str, mean: Estimate) -> str:
    number = _with_interval(mean, measure.digits)
    these = f"these {count} languages" if count > 2 else "these languages"
    if measure is NEUTRALITY:
        scale = "0 is what the pretrained weights alone bring about, 1 what one language has with itself"
        return f"two of {these} have a neutrality of {number} on average {where}{_neutrality_doubt(mean)}; {scale}."
    if measure is JACCARD:
        return (
            f"two of {these} share on average {number} of the weights that either of them keeps {where} "
            "(the Jaccard index)."
        )
    if measure is ABOVE_CHANCE:
        return (
            f"two of {these} have on average a Jaccard index {number} {_more(mean)} chance would give {where}. "
            "Most of that comes with the pretrained weights."
        )
    return (
        f"two of {these} have on average a Jaccard index {number} {_more(mean)} the pretrained weights alone "
        f"would give {where}{_doubt(mean)}."
    )


def _neutrality_doubt(value: Estimate) -> str:
    """What an interval that holds 0 or 1 means."""
    if value.has_interval and value.low <= 0 <= value.high:
        return ", which cannot be told from 0, the pretrained weights alone"
    if value.has_interval and value.low <= 1 <= value.high:
        return ", which cannot be told from 1, one language with itself"
    return ""


def _extreme_words(measure: Measure, extremes: Extremes) -> str:
    most, least = (
        f"{plain_name(a)} and {plain_name(b)} ({value:.{measure.digits}f})"
        for (a, b), value in ((extremes.most, extremes.most_value), (extremes.least, extremes.least_value))
    )
    text = f"Most alike are {most}, least {least}"
    if extremes.clear is None:
        return f"{text}."
    if extremes.clear:
        return f"{text}; among this many pairs, noise alone would not set two so far apart."
    return f"{text}, but among this many pairs noise alone can set two so far apart."


def _with_interval(value: Estimate, digits: int) -> str:
    if not value.has_interval:
        return f"**{value.value:.{digits}f}**"
    return f"**{value.value:.{digits}f}** (95 % interval {value.low:.{digits}f} to {value.high:.{digits}f})"


def _more(value: Estimate) -> str:
    return "more than" if value.value >= 0 else "(that is, less) than"


def _doubt(value: Estimate) -> str:
    return (
        ", which cannot be told from nothing" if value.has_interval and value.low <= 0 <= value.high else ""
    )


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _means(replicates: np.ndarray) -> np.ndarray:
    finite = np.isfinite(replicates)
    number = finite.sum(axis=1)
    total = np.where(finite, replicates, 0.0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _estimate(value: float, resampled: np.ndarray) -> Estimate:
    """The value with the middle 95 % of its resamples; without, where they are undefined or all the same."""
    finite = resampled[np.isfinite(resampled)]
    if (
        not np.isfinite(value)
        or len(finite) < 0.95 * len(resampled)
        or not len(finite)
        or np.ptp(finite) == 0
    ):
        return Estimate(value)
    low, high = np.quantile(finite, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value))
