"""The tasks by name, and the form that each takes in models that write."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lsn_core.errors import LsnError
from lsn_core.models.families import Family
from lsn_core.tasks.base import Task
from lsn_core.tasks.mlm import MaskedLanguageModelling
from lsn_core.tasks.ner import NamedEntities
from lsn_core.tasks.nli import Inference
from lsn_core.tasks.nli_text import TextInference
from lsn_core.tasks.pos import PartOfSpeech
from lsn_core.tasks.spans import SpanCorruption

TASKS: Mapping[str, Task] = MappingProxyType(
    {task.name: task for task in (MaskedLanguageModelling(), NamedEntities(), PartOfSpeech(), Inference())}
)

TEXT_TASKS: Mapping[str, Task] = MappingProxyType(
    {task.name: task for task in (SpanCorruption(), TextInference())}
)
"""The tasks that an encoder-decoder model does by writing the answer; the others it does as an encoder does."""


def task_named(name: str) -> Task:
    """Return the task called `name`, or raise LsnError with the names there are."""
    try:
        return TASKS[name]
    except KeyError:
        raise LsnError(f"There is no task {name!r}; choose one of: {', '.join(TASKS)}.") from None


def task_for(name: str, family: Family) -> Task:
    """Return the task called `name` in the form that a model of `family` does it in; LsnError as `task_named`."""
    task = task_named(name)
    return TEXT_TASKS.get(name, task) if family.is_encoder_decoder else task
