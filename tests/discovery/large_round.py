"""One round of a model of mT5-base's shape with random weights, but for its training; and what memory it takes.

`python -m tests.discovery.large_round FOLDER` makes the base ticket and one level of a language's, in an atlas in FOLDER, by the
steps of a discovery, and prints what was measured as JSON. Nothing is downloaded and nothing is trained.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from transformers import MT5Config, MT5ForConditionalGeneration

from lsn_core.discovery.config import default_scope
from lsn_core.discovery.lottery import Progress, base_masks
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.runs import BASE_LEVELS
from lsn_core.discovery.state import load_progress, save_progress
from lsn_core.discovery.training import Bench
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask, survival_from_masks
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from lsn_core.models.families import family_of, layout_of, prunable_parameters
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.registry import task_named
from tests.memory import peak_memory, resident_memory, restart_peak

LEVEL = 0.5


def mt5_base() -> LoadedModel:
    """A model of the shape of google/mt5-base, without a tokenizer; its weights are random."""
    config = MT5Config(
        vocab_size=250_112,
        d_model=768,
        d_kv=64,
        d_ff=2048,
        num_layers=12,
        num_decoder_layers=12,
        num_heads=12,
    )
    with torch.device("meta"):
        model = MT5ForConditionalGeneration(config)
    model.to_empty(device="cpu")
    model.tie_weights()
    # mT5's output layer is a matrix of its own, whatever transformers makes of a configuration without weights.
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    torch.manual_seed(0)
    drawn = torch.randn(2**20)
    with torch.no_grad():
        for parameter in model.parameters():
            # The same numbers again and again, every time of another size: drawing all would take minutes.
            for part in parameter.view(-1).split(len(drawn)):
                torch.mul(drawn[: len(part)], 0.03 + 0.04 * torch.rand(1), out=part)
    family = family_of("mt5")
    info = {
        "name": "random mT5-base",
        "revision": "local",
        "fingerprint": "0" * 64,
        "family": "mt5",
        "heads": 12,
    }
    return LoadedModel(model, cast(Any, None), family, layout_of(model, family), info, "", ())


def measure(folder: Path) -> dict[str, Any]:
    """Make the tickets; sizes and peak memory in bytes, times in seconds."""
    found: dict[str, Any] = {}
    peaks: dict[str, int] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        restart_peak()
        started = time.perf_counter()
        yield
        found[name] = time.perf_counter() - started
        peaks[name] = peak_memory() - resting

    loaded = mt5_base()
    weights = prunable_parameters(loaded.model, loaded.family)
    first = next(iter(weights.values())).detach()
    before = first[:8].clone()
    atlas = Atlas.create(folder / "atlas", loaded.info, loaded.layout)
    scope = default_scope(loaded.layout)
    provenance = {"model": loaded.info}
    resting = resident_memory()

    with timed("keep θ0"):
        bench = Bench(loaded, task_named("mlm"))
    with timed("base masks, nine levels"):
        survival = survival_from_masks(base_masks(bench, BASE_LEVELS, scope))
    with timed("write the base ticket"):
        atlas.save(Ticket(BASE_KEY, loaded.layout, BASE_LEVELS, survival, provenance=provenance))
    del survival
    with torch.no_grad():  # what training would do: every weight moves a little
        for weight in weights.values():
            weight.add_(torch.randn_like(weight[:1]), alpha=1e-3)
    with timed("prune one level"):
        keep = kept_at(loaded.layout.size, LEVEL)
        mask = bench.prune(Mask.full(loaded.layout), keep, bench.importance("magnitude"), scope)
    with timed("save the round"):
        save_progress(folder / "run", "run", Progress(1, (mask,)))
    with timed("load the round"):
        progress = load_progress(folder / "run", "run", loaded.layout)
    assert progress is not None
    assert progress.masks == (mask,)
    key = TicketKey("mlm", "en", "imp", 0)
    with timed("write the ticket"):
        survival = survival_from_masks(progress.masks)
        del progress
        path = atlas.save(Ticket(key, loaded.layout, (LEVEL,), survival, provenance=provenance))
    del survival
    with timed("read it back"):
        again = atlas.ticket(key)
    assert again.mask(LEVEL) == mask
    assert mask.kept == keep
    with timed("rewind"):
        bench.rewind(mask)
    kept = torch.from_numpy(mask[loaded.layout.names[0]][:8])
    assert torch.equal(first[:8], before * kept)
    return found | {
        "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
        "prunable": loaded.layout.size,
        "copy": 4 * loaded.layout.size,
        "extra": max(peaks.values()),
        "peaks": peaks,
        "ticket": path.stat().st_size,
        "base": atlas.header(BASE_KEY).path.stat().st_size,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(measure(Path(sys.argv[1]))))
