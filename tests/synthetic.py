"""Small made-up layouts, masks and atlases, for tests of everything above the masks.

``make_atlas(tmp_path / "demo")`` gives an atlas that behaves as a real one does: a base ticket, iterative
tickets of several languages and seeds that share more within a language than between languages, and more
within a family than across; random tickets; scores; fresh tables.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lsn_core.analysis.tables import refresh
from lsn_core.languages import language
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.codec import make_random_survival
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, Score, Ticket, TicketKey

MODEL = {"name": "synthetic", "revision": "1", "fingerprint": "5f" * 32, "family": "bert"}
LEVELS = tuple(step / 10 for step in range(1, 10))


def small_layout(layers: int = 3, hidden: int = 16, pooler: bool = False) -> Layout:
    """An encoder of BERT's shape: six matrices a layer, and a pooler when asked."""
    shapes = {
        "query": (hidden, hidden),
        "key": (hidden, hidden),
        "value": (hidden, hidden),
        "attention output": (hidden, hidden),
        "feed-forward in": (2 * hidden, hidden),
        "feed-forward out": (hidden, 2 * hidden),
    }
    matrices = [
        Matrix(
            f"encoder.layer.{layer}.{component.replace(' ', '_')}.weight", shape, "encoder", layer, component
        )
        for layer in range(layers)
        for component, shape in shapes.items()
    ]
    if pooler:
        matrices.append(Matrix("pooler.dense.weight", (hidden, hidden), "encoder", None, "pooler"))
    return Layout(tuple(matrices))


def odd_layout() -> Layout:
    """Encoder and decoder matrices whose sizes do not fill whole words, and a pooler outside the layers."""
    return Layout(
        (
            Matrix("enc.0.q", (3, 5), "encoder", 0, "query"),
            Matrix("enc.0.ff", (8, 8), "encoder", 0, "feed-forward in"),
            Matrix("enc.1.q", (7, 11), "encoder", 1, "query"),
            Matrix("enc.1.ff", (5, 13), "encoder", 1, "feed-forward in"),
            Matrix("pooler", (1, 1), "encoder", None, "pooler"),
            Matrix("dec.0.q", (16, 9), "decoder", 0, "query"),
            Matrix("dec.0.cross", (2, 64), "decoder", 0, "cross query"),
        )
    )


def random_mask(layout: Layout, density: float, rng: np.random.Generator) -> Mask:
    """Every weight kept with this probability."""
    arrays = {matrix.name: rng.random(matrix.shape) < density for matrix in layout.matrices}
    return Mask.from_arrays(arrays, layout)


def provenance(recipe: Mapping[str, object] | None = None, created: str = "2024-05-01T12:00:00Z") -> dict:
    """What a real ticket says of its making, cut short."""
    return {
        "model": MODEL,
        "recipe": dict(recipe or {"steps": 30, "criterion": "magnitude"}),
        "created": created,
    }


def survival_of(magnitude: np.ndarray, levels: Sequence[float] = LEVELS) -> np.ndarray:
    """Survival of weights pruned together by magnitude, smallest first."""
    rank = np.empty(magnitude.size, dtype=np.int64)
    rank[np.argsort(magnitude, kind="stable")] = np.arange(magnitude.size)
    removed = [round(level * magnitude.size) for level in levels]
    return sum((rank >= count).astype(np.uint8) for count in removed)


def make_ticket(
    key: TicketKey, layout: Layout, magnitude: np.ndarray, levels: Sequence[float] = LEVELS
) -> Ticket:
    """A ticket of made-up magnitudes, with a dense score and one for each level."""
    top = 0.6 - 0.01 * (zlib.crc32(key.stem.encode()) % 10)
    scores = tuple(
        Score(level, "masked top-1", round(top * (1 - level**4), 6), 512, "dev") for level in (0.0, *levels)
    )
    survival = survival_of(magnitude, levels)
    return Ticket(key, layout, tuple(levels), survival, scores, provenance(), f"config-{key.stem}")


def random_twin(ticket: Ticket) -> Ticket:
    """The random control: as many weights in each matrix as the ticket keeps."""
    key = TicketKey(ticket.key.task, ticket.key.language, "random", ticket.key.seed)
    philox_key = zlib.crc32(key.stem.encode())
    survival = make_random_survival(ticket.layout, ticket.kept, philox_key)
    scores = tuple(
        Score(score.sparsity, score.metric, score.value / 2, score.count, score.split)
        for score in ticket.scores
    )
    return Ticket(
        key, ticket.layout, ticket.levels, survival, scores, provenance(), f"config-{key.stem}", philox_key
    )


def make_atlas(
    path: Path,
    languages: Sequence[str] = ("en", "de", "fr", "es", "zh"),
    seeds: Sequence[int] = (0, 1),
    levels: Sequence[float] = LEVELS,
    layout: Layout | None = None,
    task: str = "mlm",
    with_base: bool = True,
    with_random: bool = True,
    tables: bool = True,
) -> Atlas:
    """A synthetic atlas in the folder ``path``, which is made.

    A ticket's magnitudes are the base model's, shaken a little by family, branch, language and seed, so that
    overlaps are ordered: seeds of a language, then languages of a branch, of a family, others, reference.
    ``with_base=False`` leaves the reference undefined, one seed the ceiling; ``tables=False`` leaves the
    tables to be built.
    """
    layout = layout or small_layout()
    atlas = Atlas.create(path, MODEL, layout)
    base = np.abs(_noise("base", layout.size))
    if with_base:
        base_ticket = Ticket(
            BASE_KEY, layout, tuple(levels), survival_of(base, levels), (), provenance(), "base"
        )
        atlas.save(base_ticket)
    for code in languages:
        about = language(code)
        shifts = [(about.family, 0.1), (f"{about.family}/{about.branch}", 0.1), (code, 0.1)]
        for seed in seeds:
            strength = sum(
                size * _noise(name, layout.size) for name, size in [*shifts, (f"{code}-{seed}", 0.03)]
            )
            ticket = make_ticket(TicketKey(task, code, "imp", seed), layout, base * np.exp(strength), levels)
            atlas.save(ticket)
            if with_random and seed == seeds[0]:
                atlas.save(random_twin(ticket))
    if tables:
        refresh(atlas)
    return atlas


def _noise(name: str, size: int) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).normal(size=size)
