"""Names as they stand on screen: languages in two scripts, scopes, tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsn_core.languages import language, relatives

# Isolates keep a right-to-left name from reordering the left-to-right text around it.
_ISOLATE_RTL, _ISOLATE_LTR, _POP_ISOLATE = "\u2067", "\u2066", "\u2069"

TASKS = {
    "mlm": "masked words",
    "ner": "named entities",
    "pos": "parts of speech",
    "nli": "inference",
}
METHOD_NAMES = {
    "imp": "iterative pruning",
    "oneshot": "one-shot pruning",
    "random": "random control",
}
PRETRAINED = "Pretrained alone"
_METRICS = {
    "masked top-1": ("hidden pieces guessed right", "share of hidden word pieces guessed right"),
    "span top-1": ("hidden pieces guessed right", "share of the pieces of hidden spans guessed right"),
    "accuracy": ("share of right answers", "share of right answers"),
    "entity F1": ("entity F1", "mean of the share of entities found and of the share found that is right"),
}
"""A metric on an axis, and what it means; each is a number from 0 to 1."""


def plain_name(code: str) -> str:
    """The language's English name."""
    return language(code).name


def own_name(code: str) -> str:
    """The language's own name, isolated in its own direction."""
    entry = language(code)
    start = _ISOLATE_RTL if entry.direction == "rtl" else _ISOLATE_LTR
    return f"{start}{entry.own_name}{_POP_ISOLATE}"


def language_line(code: str) -> str:
    """English name and own name on one line: for lists and menus."""
    entry = language(code)
    return entry.name if entry.own_name == entry.name else f"{entry.name} · {own_name(code)}"


def language_label(code: str) -> str:
    """English name over own name: for the axis of a figure."""
    entry = language(code)
    if entry.own_name == entry.name:
        return entry.name
    return f"{entry.name}<br><span style='font-size:11px'>{entry.own_name}</span>"


def family_label(code: str) -> str:
    """English name over the branch it belongs to: for the axis of a family tree."""
    return f"{plain_name(code)}<br><span style='font-size:11px'>{relatives(code) or 'family unknown'}</span>"


def listed(codes: Sequence[str], most: int = 6) -> str:
    """Languages in a sentence: "Urdu and Hindi"; of more than `most` the first ones and how many more."""
    names = [plain_name(code) for code in codes]
    if len(names) > most:
        shown = most - 1
        return f"{', '.join(names[:shown])} and {len(names) - shown} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def hover_names(codes: Sequence[str], most: int = 12, a_line: int = 4) -> str:
    """Languages under the pointer, a few a line; of more than `most` the first ones and how many more."""
    names = [plain_name(code) for code in codes[:most]]
    if len(codes) > most:
        names.append(f"and {len(codes) - most} more")
    lines = [", ".join(names[start : start + a_line]) for start in range(0, len(names), a_line)]
    return ",<br>".join(lines)


def scope_name(scope: str) -> str:
    """A scope of the tables in words: `encoder.3` becomes "Encoder layer 3"."""
    stack, _, number = scope.rpartition(".")
    if stack in ("encoder", "decoder") and number.isdigit():
        return f"{stack.capitalize()} layer {number}"
    return {"total": "Whole model"}.get(scope, scope.capitalize() if "." not in scope else scope)


def matrix_name(stack: str, layer: int | None, component: str) -> str:
    """A matrix by its place, on a line of its own: "Encoder layer 3 · query"."""
    return component.capitalize() if layer is None else f"{scope_name(f'{stack}.{layer}')} · {component}"


SEED_LINES = "; lines: lowest to highest seed"
"""What a caption goes on with after naming several seeds, where a line is drawn over them."""


def unbroken(text: str) -> str:
    """The text with each number and its per cent sign held together where a line ends."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def signed(value: float, digits: int) -> str:
    """A difference with its sign, a true minus; none where it rounds to zero."""
    return f"{round(value, digits) + 0.0:{'+' if round(value, digits) else ''}.{digits}f}".replace("-", "−")


def p_value(value: float) -> str:
    """A p-value with as many digits as say something."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.1g}"


def metric_name(metric: str) -> str:
    """What a score is, on an axis or within a sentence; a metric that is not known here goes by its own name."""
    return _METRICS[metric][0] if metric in _METRICS else metric


def metric_line(metric: str) -> str:
    """What a score is, with its short name, to begin a sentence with."""
    if metric not in _METRICS:
        return f"{metric[:1].upper()}{metric[1:]}"
    meaning = _METRICS[metric][1]
    return f"{meaning[:1].upper()}{meaning[1:]} ({metric})"


def task_name(task: str) -> str:
    """A task in words, its short name after it: the two together are never ambiguous."""
    return f"{TASKS[task].capitalize()} ({task})" if task in TASKS else task
