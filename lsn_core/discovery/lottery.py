"""The lottery loop: from one language's text to its ticket (Foroutan et al. 2022, section 3).

Every method is a sequence of rounds. A round rewinds to θ0 under a mask, trains, and scores; what the
next mask is made from is all that tells the methods apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from lsn_core.discovery.config import Recipe
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.training import Bench, Calibration, calibration_seed, round_seed, scoring_seed
from lsn_core.masks.codec import make_random_survival
from lsn_core.masks.mask import Mask, mask_from_survival
from lsn_core.masks.ticket import Score
from lsn_core.masks.ticket_file import TicketHeader
from lsn_core.tasks.base import Feature
from lsn_core.tasks.batching import stable_seed


@dataclass(frozen=True)
class Progress:
    """Where a ticket stands: `rounds_done` rounds are scored, `masks` exist so far (sparsest last).

    `seconds` is the time that the rounds took, over all the runs that it was done in.
    """

    rounds_done: int = 0
    masks: tuple[Mask, ...] = ()
    scores: tuple[Score, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Work:
    """What one ticket is made from: training and scoring items."""

    recipe: Recipe
    language: str
    seed: int
    train: Sequence[Feature]
    test: Sequence[Feature]


OnStep = Callable[[int, int, int], None]
"""Called with the round, the steps done in it and its steps in all; may raise to stop."""


def base_masks(bench: Bench, levels: Sequence[float], scope: str = "global") -> tuple[Mask, ...]:
    """Return the magnitude masks of the untouched pretrained weights, one a level."""
    full = Mask.full(bench.layout)
    bench.rewind(full)
    return one_shot_masks(bench, levels, bench.importance("magnitude"), scope)


def base_mask(bench: Bench, keep: int, scope: str = "global") -> Mask:
    """Return the mask of the `keep` largest of the untouched pretrained weights."""
    full = Mask.full(bench.layout)
    bench.rewind(full)
    return bench.prune(full, keep, scope=scope)


def one_shot_masks(
    bench: Bench, levels: Sequence[float], importance: Sequence[torch.Tensor], scope: str
) -> tuple[Mask, ...]:
    """Return the masks of one set of scores (per matrix, as `Bench.importance` returns), one a level, nested."""
    masks: list[Mask] = []
    mask = Mask.full(bench.layout)
    for level in levels:
        mask = bench.prune(mask, kept_at(bench.layout.size, level), importance, scope)
        masks.append(mask)
    return tuple(masks)


def random_key(task: str, language: str, seed: int) -> int:
    """Return the key that a random ticket's masks are drawn with."""
    return stable_seed("random mask", task, language, seed)


def random_masks(twin: TicketHeader) -> tuple[Mask, ...]:
    """Return random nested masks that keep as many weights of every matrix at every level as a ticket does.

    A draw over the whole model would empty other matrices than magnitude pruning does, and so would be a
    control for more than which weights of a matrix are kept.
    """
    key = random_key(twin.key.task, twin.key.language, twin.key.seed)
    survival = make_random_survival(twin.layout, twin.kept, key)
    return tuple(mask_from_survival(survival, k, twin.layout) for k in range(len(twin.levels)))


def run_rounds(
    bench: Bench, work: Work, start: Progress, on_step: OnStep, on_round: Callable[[Progress], None]
) -> Progress:
    """Run the rounds of one ticket that are still to do.

    Round 0 trains the dense model; round k trains the sub-network at the k-th level. `on_round` is
    called after each with the progress so far: going on from it gives the same bits as not stopping.
    A random ticket starts with its masks and the dense score: they do not come from training.
    """
    recipe, progress = work.recipe, start
    for number in range(start.rounds_done, recipe.rounds + 1):
        started = time.monotonic()
        mask = Mask.full(bench.layout) if number == 0 else progress.masks[number - 1]
        bench.rewind(mask)
        bench.train(
            work.train,
            mask,
            recipe.training,
            round_seed(recipe.task, work.language, work.seed, number),
            partial(on_step, number),
        )
        metrics, count = bench.score(work.test, recipe.training, scoring_seed(recipe.task, work.language))
        level = 0.0 if number == 0 else recipe.levels[number - 1]
        scores = tuple(Score(level, name, value, count, "test") for name, value in metrics.items())
        progress = Progress(
            number + 1,
            _next_masks(bench, work, progress.masks, mask, number),
            progress.scores + scores,
            progress.seconds + time.monotonic() - started,
        )
        on_round(progress)
    return progress


def _next_masks(
    bench: Bench, work: Work, masks: tuple[Mask, ...], mask: Mask, number: int
) -> tuple[Mask, ...]:
    recipe = work.recipe
    if recipe.method == "imp" and number < recipe.rounds:
        keep = kept_at(bench.layout.size, recipe.levels[number])
        return (*masks, bench.prune(mask, keep, _importance(bench, work), recipe.scope))
    if recipe.method == "oneshot" and number == 0:
        return one_shot_masks(bench, recipe.levels, _importance(bench, work), recipe.scope)
    return masks


def _importance(bench: Bench, work: Work) -> Sequence[torch.Tensor]:
    recipe = work.recipe
    seed = calibration_seed(recipe.task, work.language, work.seed)
    calibration = Calibration(work.train, recipe.training, recipe.calibration_batches, seed)
    return bench.importance(recipe.criterion, calibration)
