"""What a discovery is asked for, and what it will cost: arithmetic without a model, for every place that tells it.

Nothing here needs PyTorch: the command line answers with it before anything heavy is loaded, and the dashboard
never loads anything heavy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.discovery.config import Recipe, first_round
from lsn_core.masks.ticket import TicketKey
from lsn_core.masks.ticket_file import TicketHeader


def trained_methods(asked: Sequence[str]) -> list[str]:
    """The methods that need training, `random` last: it is matched to `imp`, which it brings with it."""
    methods = [method for method in dict.fromkeys(asked) if method not in ("base", "random")]
    if "random" not in asked:
        return methods
    return [*methods, *(() if "imp" in methods else ("imp",)), "random"]


def wanted(
    task: str, methods: Sequence[str], languages: Sequence[str], seeds: Sequence[int]
) -> list[TicketKey]:
    """The tickets that are asked for, in the order that they are made in; `methods` need training."""
    return [
        TicketKey(task, language, method, seed)
        for method in methods
        for seed in dict.fromkeys(seeds)
        for language in dict.fromkeys(languages)
    ]


def rounds_of(method: str, levels: int) -> int:
    """Rounds of training that a ticket of so many levels takes: one a level, and the dense one."""
    return levels + 1 - first_round(method)


@dataclass(frozen=True)
class Plan:
    """So many tickets, of which `missing` are to be made as `recipe` says, whatever its method."""

    tickets: int
    missing: tuple[TicketKey, ...]
    recipe: Recipe

    @property
    def there(self) -> int:
        """Tickets that were finished before."""
        return self.tickets - len(self.missing)

    @property
    def rounds(self) -> int:
        """Rounds of training to do."""
        return sum(rounds_of(key.method, self.recipe.rounds) for key in self.missing)

    @property
    def steps(self) -> int:
        """Training steps to do."""
        return self.rounds * self.recipe.training.steps

    def sentence(self) -> str:
        """The plan in one sentence."""
        if not self.tickets:
            return "plan: the base ticket alone, without training."
        training = self.recipe.training
        known = any(first_round(key.method) for key in self.missing)
        return (
            f"plan: {self.tickets} tickets, {self.there} of them there already; {self.rounds:,} rounds to do (the "
            f"dense model and {self.recipe.rounds} levels a ticket"
            f"{', random ones the levels alone' if known else ''}), each of {training.steps:,} steps of "
            f"{training.batch_size} items: {self.steps:,} steps in all; pruned by {self.recipe.criterion}, scope "
            f"{self.recipe.scope}."
        )


@dataclass(frozen=True)
class Estimate:
    """Seconds that a plan may take: as the median, the fastest and the slowest of `tickets` earlier ones did."""

    middle: float
    low: float
    high: float
    tickets: int


def estimate(plan: Plan, earlier: Iterable[TicketHeader], cores: int) -> Estimate | None:
    """How long a plan may take, judged by earlier tickets of the same model; None where none can be compared.

    Compared are tickets with as large batches and as long items: those of the same method where there are
    any, as controls are faster to train. Tickets are made side by side, one a core, as those were.
    """
    training = plan.recipe.training
    paces: dict[str, list[float]] = {}
    for header in earlier:
        recipe = header.provenance.get("recipe") or {}
        like = recipe.get("training") or {}
        if not {"rounds", "method"} <= recipe.keys() or "steps" not in like:
            continue  # one that was imported
        if (like.get("batch_size"), like.get("max_length")) != (training.batch_size, training.max_length):
            continue
        seconds = header.provenance.get("seconds")
        if seconds:
            steps = rounds_of(recipe["method"], recipe["rounds"]) * like["steps"]
            paces.setdefault(recipe["method"], []).append(seconds / steps)
    found = paces.get(plan.recipe.method) or [pace for several in paces.values() for pace in several]
    if not found:
        return None
    side_by_side = max(1, min(cores, len(plan.missing)))
    low, middle, high = np.quantile(found, [0.0, 0.5, 1.0]) * plan.steps / side_by_side
    return Estimate(float(middle), float(low), float(high), len(found))


def usable_cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
