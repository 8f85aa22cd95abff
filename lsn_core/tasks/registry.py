"""The tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lsn_core.errors import LsnError
from lsn_core.tasks.base import Task
from lsn_core.tasks.mlm import MaskedLanguageModelling
from lsn_core.tasks.pos import PartOfSpeech

TASKS: Mapping[str, Task] = MappingProxyType(
    {task.name: task for task in (MaskedLanguageModelling(), PartOfSpeech())}
)


def task_named(name: str) -> Task:
    """Return the task called `name`, or raise LsnError with the names there are."""
    try:
        return TASKS[name]
    except KeyError:
        raise LsnError(f"There is no task {name!r}; choose one of: {', '.join(TASKS)}.") from None
