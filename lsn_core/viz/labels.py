"""Names as they stand on screen: languages in two scripts, scopes, tasks."""

from __future__ import annotations

from lsn_core.languages import language

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


def everyone(count: int) -> str:
    """All of so many languages, in words."""
    return "both languages" if count == 2 else f"all {count} languages"


def scope_name(scope: str) -> str:
    """A scope of the tables in words: `encoder.3` becomes "Encoder layer 3"."""
    stack, _, number = scope.rpartition(".")
    if stack in ("encoder", "decoder") and number.isdigit():
        return f"{stack.capitalize()} layer {number}"
    return {"total": "Whole model"}.get(scope, scope.capitalize() if "." not in scope else scope)


def signed(value: float, digits: int) -> str:
    """A difference with its sign, a true minus; none where it rounds to zero."""
    return f"{round(value, digits) + 0.0:{'+' if round(value, digits) else ''}.{digits}f}".replace("-", "−")


def task_name(task: str) -> str:
    """A task in words, its short name after it: the two together are never ambiguous."""
    return f"{TASKS[task].capitalize()} ({task})" if task in TASKS else task
