"""What an atlas holds: which tasks, methods, languages, seeds and sparsities there are to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lsn_core.languages import PAPER_LANGUAGES
from lsn_core.masks.ticket import BASE_KEY, TicketKey

METHOD_ORDER = ("imp", "oneshot", "random")


@dataclass(frozen=True)
class Catalogue:
    """The tickets of an atlas with the sparsities they reach; the base ticket, of no language, is apart."""

    tickets: Mapping[TicketKey, tuple[float, ...]]
    base_levels: tuple[float, ...]

    @classmethod
    def of(cls, tickets: Mapping[TicketKey, tuple[float, ...]]) -> Catalogue:
        """The catalogue of these tickets, the base ticket among them or not; levels that differ by rounding
        alone are the same."""
        rounded = {key: tuple(round(level, 9) for level in levels) for key, levels in tickets.items()}
        others = {key: levels for key, levels in rounded.items() if key != BASE_KEY}
        return cls(others, rounded.get(BASE_KEY, ()))

    @property
    def tasks(self) -> list[str]:
        """Tasks with at least one ticket, by name."""
        return sorted({key.task for key in self.tickets})

    def methods(self, task: str) -> list[str]:
        """Methods that found tickets for the task, iterative pruning first."""
        found = {key.method for key in self.tickets if key.task == task}
        return [method for method in METHOD_ORDER if method in found]

    def seeds(self, task: str, method: str) -> list[int]:
        """Seeds that at least one language has."""
        return sorted({key.seed for key in self._of(task, method)})

    def levels(self, task: str, method: str) -> list[float]:
        """Sparsities that every ticket reaches; those that some reach where none is common."""
        reached = [set(self.tickets[key]) for key in self._of(task, method)]
        common = set.intersection(*reached) if reached else set()
        return sorted(common or set().union(*reached))

    def languages(self, task: str, method: str, sparsity: float, seeds: list[int]) -> list[str]:
        """Languages with a ticket of this sparsity and one of these seeds; the paper's first."""
        found = {
            key.language
            for key in self._of(task, method)
            if key.seed in seeds and sparsity in self.tickets[key]
        }
        return [code for code in PAPER_LANGUAGES if code in found] + sorted(found - set(PAPER_LANGUAGES))

    def seeds_of(self, task: str, method: str, language: str, seeds: list[int]) -> int:
        """How many of these seeds a language has."""
        return sum(key.language == language and key.seed in seeds for key in self._of(task, method))

    def _of(self, task: str, method: str) -> list[TicketKey]:
        return [key for key in self.tickets if (key.task, key.method) == (task, method)]
