"""Where a line of text may not break."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

NO_BREAK = "\u00a0"
_Arguments = ParamSpec("_Arguments")


def unbroken(sentence: Callable[_Arguments, str]) -> Callable[_Arguments, str]:
    """Keep each number of the sentence that a function makes on one line with the per cent sign after it."""

    @wraps(sentence)
    def joined(*args: _Arguments.args, **named: _Arguments.kwargs) -> str:
        return re.sub(r"(?<=\d) (?=%)", NO_BREAK, sentence(*args, **named))

    return joined
