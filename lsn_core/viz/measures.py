"""The measures a reader can choose, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A measure, for readers.

    `token` stands for it in the address, `key` in `analysis.calibration`; `name`, `axis` and `help` are words
    for it, `bar` those beside a scale of colours, `formula` how it is computed, and `digits` says how many its values
    are written with. `whole` is its natural range for colours, or None where the values' own range says more.
    """

    token: str
    key: str
    name: str
    axis: str
    bar: str
    formula: str
    help: str
    digits: int
    whole: tuple[float, float] | None
    needs_base: bool = False
    needs_seeds: bool = False


NEUTRALITY = Measure(
    token="neutrality",
    key="neutrality",
    name="Neutrality",
    axis="neutrality",
    bar="neutrality (0: pretrained alone, 1: same language)",
    formula="Neutrality = (Jaccard − pretrained alone) / (same language − pretrained alone)",
    help="Where a pair stands between two known points: 0 is the overlap that the pretrained weights alone "
    "bring about, 1 the overlap of one language with itself under another seed.",
    digits=2,
    whole=(0.0, 1.0),
    needs_base=True,
    needs_seeds=True,
)
ABOVE_REFERENCE = Measure(
    token="above-reference",
    key="jaccard-reference",
    name="Jaccard − pretrained alone",
    axis="Jaccard − pretrained alone",
    bar="Jaccard − pretrained alone",
    formula="The Jaccard index of two languages less the one that the pretrained weights alone would give",
    help="The overlap less what two languages would show if all they had in common were the sizes of the "
    "pretrained weights. Above 0, they share more than that.",
    digits=4,
    whole=None,
    needs_base=True,
)
ABOVE_CHANCE = Measure(
    token="above-chance",
    key="excess",
    name="Jaccard − chance",
    axis="Jaccard − chance",
    bar="Jaccard − chance",
    formula="The Jaccard index of two languages less that of chance",
    help="The overlap less that of two random sub-networks with as many weights in every matrix. Far "
    "above 0 for any two languages, because both prune the same pretrained weights.",
    digits=3,
    whole=None,
)
JACCARD = Measure(
    token="jaccard",
    key="jaccard",
    name="Jaccard",
    axis="Jaccard",
    bar="Jaccard index (1: the same weights)",
    formula="Jaccard index = weights kept by both / weights kept by either",
    help="Weights kept by both languages, as a share of the weights kept by either: 0 is no weight in "
    "common, 1 the same weights. Read it beside chance and pretrained alone.",
    digits=4,
    whole=(0.0, 1.0),
)
MEASURES = (NEUTRALITY, ABOVE_REFERENCE, ABOVE_CHANCE, JACCARD)
DISTANCES = {NEUTRALITY.token: "1 − neutrality", JACCARD.token: "1 − Jaccard"}
"""The measures that the distances of a tree are made from, and the words on its axis."""


def default_measure(has_base: bool, seeds: int) -> Measure:
    """The measure that says most with what there is."""
    if has_base and seeds > 1:
        return NEUTRALITY
    return ABOVE_REFERENCE if has_base else ABOVE_CHANCE
