"""Which languages keep what the others remove, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsn_core.analysis.words import everyone
from lsn_core.viz.sets import SetColumn, set_name
from lsn_core.viz.words.core import per_cent

NAMED = 3  # sets


def sets_sentence(
    languages: Sequence[str],
    where: str,
    size: int,
    counts: Sequence[float],
    reference: float,
    columns: Sequence[SetColumn],
    groups: bool,
) -> str:
    """Markdown for the line above the set view.

    `size` is the number of weights `where`; `counts` are those that exactly 0 to n languages keep, means over
    seeds; `reference` is how many the pretrained weights alone would leave to some languages but not all, NaN
    where unknown. `columns` are the sets shown, largest first, and `groups` says that they are those of two
    languages up to all but two.
    """
    n = len(languages)
    some = float(np.sum(counts[1:-1]))
    text = (
        f"{everyone(n).capitalize()} keep the same {counts[-1]:,.0f} weights {where}, and all remove the same "
        f"{counts[0]:,.0f}. The other **{some:,.0f}** ({per_cent(100 * some / size)}) are kept by some languages "
        "and removed by others"
    )
    if np.isfinite(reference):
        text += f"; the pretrained weights alone would give {reference:,.0f}"
    if not columns:
        return f"{text}."
    named = "; ".join(
        f"{set_name(column.languages, languages)} ({column.weights:,.0f})" for column in columns[:NAMED]
    )
    what = "Among groups of languages, the" if groups else "The"
    return f"{text}. {what} sets that keep most: {named}."
