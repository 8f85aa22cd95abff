"""Text cut into words, in any script.

White space parts words, and punctuation marks and symbols are words of their own, except within a word or number
("d'Ivoire", "Guinea-Bissau", "1,234.5", "3:04"). Scripts written without spaces (Han, kana, Thai, Lao, Khmer,
Myanmar, Tibetan, Yi) have no boundary that the text shows: there each letter, with the marks on it, is a word, and
runs of digits or of letters of other scripts stay whole. Marks of writing direction are in no word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Letters of the scripts without spaces, first and last code points.
_UNSPACED = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration mark, zero
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xA000, 0xA4CF),  # Yi
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_JOINERS = "\u200c\u200d"
# Kept between two digits, and between two characters of a word that are not both digits.
_IN_NUMBERS = frozenset(".,:/'’٫٬·")
_IN_WORDS = frozenset("-‐‑.'’·॰")


@lru_cache(maxsize=1 << 12)
def _sort(char: str) -> str:
    """ "space", "letter" (a word of its own), "mark", "digit", "word" or "other"."""
    category = unicodedata.category(char)
    if char in _JOINERS:
        return "mark"
    if char.isspace() or category in ("Cf", "Cc"):
        return "space"
    if category[0] == "L":
        code = ord(char)
        return "letter" if any(first <= code <= last for first, last in _UNSPACED) else "word"
    return {"M": "mark", "N": "digit" if category == "Nd" else "word"}.get(category[0], "other")


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each word, in order; together they hold all but white space and direction marks."""
    sorts = [_sort(char) for char in text]
    start, end = 0, 0
    while start < len(text):
        end = start + 1
        if sorts[start] == "space":
            start = end
            continue
        if sorts[start] == "letter":
            while end < len(text) and sorts[end] == "mark":
                end += 1
        elif sorts[start] != "other":
            while end < len(text):
                if sorts[end] in ("word", "digit", "mark"):
                    end += 1
                elif _joins(text, sorts, end):
                    end += 2
                else:
                    break
        yield start, end
        start = end


def _joins(text: str, sorts: list[str], place: int) -> bool:
    """Whether the mark at ``place`` is within a word or number; something is before it."""
    if sorts[place] != "other" or place + 1 == len(text) or sorts[place + 1] not in ("word", "digit"):
        return False
    numeric = sorts[place - 1] == sorts[place + 1] == "digit"
    return text[place] in (_IN_NUMBERS if numeric else _IN_WORDS)
