"""The card of an atlas: what it holds, how it was made and what it shows, in words and one table a task.

Everything is computed from the tickets and the tables made with them, whatever it says; a number that was
not measured is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.card_cells import core_lines, retrieval_lines, spread, transfer_lines
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.findings import READING, sentences
from lsn_core.analysis.tables import scores_table
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, RETRIEVAL, TRANSFER, intact_rows
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.ticket_file import TicketHeader

CARD_FILE = "CARD.md"
NOTE_FILE = "NOTE.md"
"""What people have to say of the atlas, such as where its model comes from; the card begins with it."""
SHOWN_LEVELS = (0.5, 0.8)


def write_card(atlas: Atlas, found: pd.DataFrame | None = None) -> None:
    """Write `CARD.md` into the atlas's folder, from the tickets that are intact and the findings, if there are."""
    atomic_write_bytes(atlas.path / CARD_FILE, "\n".join(_lines(atlas, found)).encode())


def note_stamp(atlas: Atlas) -> str:
    """The sha256 (hex) of what people say of the atlas; empty when they say nothing."""
    note = atlas.path / NOTE_FILE
    return sha256(note.read_bytes()).hexdigest() if note.is_file() else ""


def _lines(atlas: Atlas, found: pd.DataFrame | None) -> Iterator[str]:
    model = atlas.model
    headers = [header for header in atlas.headers() if header.key.method != "base"]
    scores = scores_table(atlas)
    transfers, cores = intact_rows(atlas, TRANSFER), intact_rows(atlas, CORE)
    yield f"# Atlas `{atlas.name}`"
    yield ""
    yield (
        f"Base model `{model['name']}` (revision {model.get('revision', 'not recorded')}, fingerprint "
        f"`{model['fingerprint'][:12]}`): {atlas.layout.size:,} prunable weights in "
        f"{len(atlas.layout.matrices)} matrices. {len(headers)} tickets beside the base ticket."
    )
    note = atlas.path / NOTE_FILE
    if note.is_file():
        # Whatever people wrote it with: what is no UTF-8 is shown as such.
        yield from ("", note.read_text(encoding="utf-8", errors="replace").strip())
    for task in sorted({header.key.task for header in headers}):
        mine = [header for header in headers if header.key.task == task]
        yield from ("", f"## Task `{task}`", "")
        yield from _how_made(mine)
        yield from ("", *_score_lines(scores[scores["task"] == task]))
        yield from ("", *_overlap_lines(atlas, task, mine))
        yield from transfer_lines(transfers, task)
        yield from core_lines(cores, task)
    yield from retrieval_lines(intact_rows(atlas, RETRIEVAL))
    if found is not None and not found.empty:
        yield from ("", "## Findings", "", READING, "", *(f"- {sentence}" for sentence in sentences(found)))
    yield ""


def _how_made(headers: Sequence[TicketHeader]) -> Iterator[str]:
    for method in sorted({header.key.method for header in headers}):
        made = [header for header in headers if header.key.method == method]
        imported = [header for header in made if "imported" in header.provenance]
        if imported:
            yield f"- `{method}`: {_imported(imported)}"
        made = [header for header in made if header not in imported]
        if not made:
            continue
        seconds = sum(header.provenance.get("seconds", 0.0) for header in made)
        seeds = sorted({header.key.seed for header in made})
        languages = {header.key.language for header in made}
        complete = "" if len(made) == len(languages) * len(seeds) else ", not every seed in every language"
        yield (
            f"- `{method}`: {len(made)} tickets, {len(languages)} languages, seeds "
            f"{', '.join(map(str, seeds))}{complete}; levels "
            f"{_all_said(f'{h.levels[0]:.0%} to {h.levels[-1]:.0%}' for h in made)}; text "
            f"`{_setting(made, 'data', 'name')}`; {_setting(made, 'recipe', 'training', 'steps')} steps a round, "
            f"batch {_setting(made, 'recipe', 'training', 'batch_size')}, learning rate "
            f"{_setting(made, 'recipe', 'training', 'learning_rate')}, "
            f"{_setting(made, 'recipe', 'training', 'precision')}, {_setting(made, 'device')}; "
            f"{seconds / 60:.0f} process-minutes."
        )
        if method == "random":
            matched = sum(_is_matched(header, headers) for header in made)
            yield (
                f"  {'All' if matched == len(made) else f'{matched} of {len(made)}'} keep as many weights in every "
                "matrix as the `imp` ticket of the same language and seed."
            )


def _is_matched(header: TicketHeader, others: Sequence[TicketHeader]) -> bool:
    """Whether a random ticket has the densities of the ``imp`` ticket beside it."""
    twin = replace(header.key, method="imp")
    return any(other.key == twin and np.array_equal(other.kept, header.kept) for other in others)


def _imported(headers: Sequence[TicketHeader]) -> str:
    files = ", ".join(
        f"{header.key.language} seed {header.key.seed} from "
        f"`{header.provenance['imported'].get('file', 'a file that is not named')}` "
        f"at {header.levels[0]:.1%}"
        for header in headers
    )
    return f"{len(headers)} tickets imported, not made here: {files}."


def _setting(headers: Sequence[TicketHeader], *path: str) -> str:
    def find(header: TicketHeader) -> str:
        value: object = header.provenance
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return "not recorded" if value is None else str(value)

    return _all_said(map(find, headers))


def _all_said(values: Iterable[str]) -> str:
    return " or ".join(sorted(set(values)))


def _score_lines(scores: pd.DataFrame) -> Iterator[str]:
    if scores.empty:
        yield "No scores were measured."
        return
    metric = scores["metric"].iloc[0]
    scores = scores[scores["metric"] == metric]
    items = int(scores["count"].median())
    levels = [level for level in SHOWN_LEVELS if np.isclose(scores["sparsity"], level).any()]
    methods = [m for m in ("imp", "oneshot", "random") if (scores["method"] == m).any()]
    wanted = {"dense": (methods[0], 0.0)} | {
        f"{method} {level:.0%}": (method, level) for level in levels for method in methods
    }
    languages = in_paper_order(set(scores["language"]))
    values = {
        name: [_values(scores, language, method, level) for language in languages]
        for name, (method, level) in wanted.items()
    }
    values = {name: column for name, column in values.items() if any(len(found) for found in column)}
    means = {
        name: np.array([found.mean() if len(found) else np.nan for found in column])
        for name, column in values.items()
    }
    several = any(len(found) > 1 for column in values.values() for found in column)
    over = "; mean over seeds, with the lowest and highest in brackets" if several else ""
    yield (
        f"Score: {metric} on the test split, about {items:,} items a language{over}. A percentage is the sparsity, the "
        "share of weights removed; `dense` is the unpruned model."
    )
    yield ""
    yield "| language | " + " | ".join(values) + " |"
    yield "| --- " * (len(values) + 1) + "|"
    for row, language in enumerate(languages):
        yield f"| {language} | " + " | ".join(spread(column[row]) for column in values.values()) + " |"
    # Only languages with every cell: otherwise the columns' means would be over different languages.
    whole = ~np.isnan(np.array(list(means.values()))).any(axis=0)
    if whole.any():
        label = "mean" if whole.all() else f"mean of {whole.sum()}"
        yield f"| **{label}** | " + " | ".join(f"{m[whole].mean():.3f}" for m in means.values()) + " |"
    yield ""
    yield from _verdicts(means, levels, methods)


def _values(scores: pd.DataFrame, language: str, method: str, level: float) -> np.ndarray:
    chosen = (
        (scores["language"] == language)
        & (scores["method"] == method)
        & np.isclose(scores["sparsity"], level)
    )
    return scores.loc[chosen, "value"].to_numpy()


def _verdicts(
    means: Mapping[str, np.ndarray], levels: Sequence[float], methods: Sequence[str]
) -> Iterator[str]:
    """Say plainly, level by level, in how many languages `imp` beats each control."""
    for level in levels:
        imp = means.get(f"imp {level:.0%}")
        if imp is None:
            continue
        both = ~np.isnan(imp) & ~np.isnan(means["dense"])
        if both.any() and means["dense"][both].mean() > 0:
            share = imp[both].mean() / means["dense"][both].mean()
            yield f"- At {level:.0%}, `imp` keeps {share:.0%} of the unpruned model's score on average."
        for control in methods:
            other = means.get(f"{control} {level:.0%}")
            if control == "imp" or other is None:
                continue
            both = ~np.isnan(imp) & ~np.isnan(other)
            if both.any():
                yield (
                    f"- At {level:.0%}, `imp` scores above `{control}` in {int((imp > other)[both].sum())} of "
                    f"{int(both.sum())} languages (mean difference {np.mean((imp - other)[both]):+.3f})."
                )


def _overlap_lines(atlas: Atlas, task: str, headers: Sequence[TicketHeader]) -> Iterator[str]:
    imp = [header for header in headers if header.key.method == "imp"]
    languages = {header.key.language for header in imp}
    levels = [level for level in SHOWN_LEVELS if any(np.isclose(level, h.levels).any() for h in imp)]
    if len(languages) < 2 or not levels:
        return
    yield (
        "Overlap between languages (`imp`, all matrices): mean over language pairs, [lowest, highest]. Chance: "
        "what densities alone give. Reference: what the pretrained magnitudes alone give. Ceiling: the same "
        "language with another seed. Neutrality: where the Jaccard index lies from reference (0) to ceiling (1)."
    )
    yield ""
    yield "| sparsity | Jaccard | chance | reference | ceiling | neutrality |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for level in levels:
        counts = load_counts(atlas, level, task)
        cells = []
        for measure in ("jaccard", "chance", "reference", "ceiling", "neutrality"):
            matrix = language_matrix(counts, "jaccard" if measure == "ceiling" else measure)
            n = len(matrix.languages)
            values = np.diag(matrix.value) if measure == "ceiling" else matrix.value[np.triu_indices(n, 1)]
            values = values[~np.isnan(values)]
            cells.append(
                f"{values.mean():.3f} [{values.min():.3f}, {values.max():.3f}]"
                if len(values)
                else "not measured"
            )
        yield f"| {level:.0%} | " + " | ".join(cells) + " |"
