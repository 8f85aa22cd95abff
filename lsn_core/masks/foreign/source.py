"""What the readers of foreign formats have in common: named arrays that are looked at before they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

MAX_ARRAYS = 20_000
MASK_ENDING = "_mask"

_MAX_NAME = 256


class Refused(Exception):
    """A file that is not read any further: what was found in it, and how the person can mend it."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.found, self.mend = found, mend


@dataclass(frozen=True)
class Header:
    """An array as the file declares it. ``dtype`` is numpy's or the format's own word for it."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of values declared; exact, as Python's whole numbers do not overflow."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True)
class Source:
    """An open file: what it declares, and ``load``, which reads one array once its size is known to be true."""

    headers: tuple[Header, ...]
    load: Callable[[Header], np.ndarray]


def masks_among(headers: Iterable[Header]) -> tuple[Header, ...]:
    """The arrays that are masks: those that say so by their ending, or all where none does.

    The state dict of a model pruned with ``torch.nn.utils.prune`` holds ``X.weight_mask`` beside
    ``X.weight_orig`` and everything that was not pruned.
    """
    headers = tuple(headers)
    return tuple(header for header in headers if header.name.endswith(MASK_ENDING)) or headers


def check_names(names: Iterable[str]) -> None:
    """Raise Refused when there are too many arrays, or a name is no plain one that can be shown."""
    names = list(names)
    if len(names) > MAX_ARRAYS:
        raise Refused(
            f"it holds {len(names)} arrays, more than the {MAX_ARRAYS} that are read",
            "save the masks alone, one array a matrix",
        )
    for name in names:
        plain = 0 < len(name) <= _MAX_NAME and name.isprintable() and not name.startswith((".", "/"))
        if not plain or ".." in name or "/" in name or "\\" in name:
            raise Refused(
                f"an array in it is called {shown(name)}", "name every array after the parameter it masks"
            )


def odd_values(array: np.ndarray) -> int:
    """How many values are neither 0 nor 1."""
    return 0 if array.dtype == np.bool_ else int(array.size - np.count_nonzero((array == 0) | (array == 1)))


def packed(array: np.ndarray) -> np.ndarray:
    """The array's bits row by row, eight a byte, the first in the lowest: uint8 (ceil(size / 8),)."""
    return np.packbits((array != 0).ravel(), bitorder="little")


def shown(text: str) -> str:
    """Text from a file as it can be shown to a person: quoted, escaped and not too long."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")
