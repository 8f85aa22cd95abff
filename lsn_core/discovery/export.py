"""A sub-network as something other programs load: a pruned state dict, or a checkpoint of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.files import write_new
from lsn_core.masks.mask import Mask
from lsn_core.models.families import Family, prunable_parameters
from lsn_core.models.loading import LoadedModel, load_model
from lsn_core.tasks.registry import task_named

ABOUT_FILE = "subnetwork.json"


def load_atlas_model(atlas: Atlas, task: str, name: str | None = None) -> LoadedModel:
    """The atlas's model with a task's head; ``name`` says where it is when the atlas's own word does not.

    Raises LsnError when it cannot be loaded, or is not the model that the atlas is of (by fingerprint).
    """
    wanted = name or str(atlas.model["name"])
    if name is None and wanted != "demo" and atlas.model.get("revision") == "local":
        # Of a folder the atlas knows the last part of its path only, which may be another model's name.
        raise LsnError(
            f"The model {wanted!r} of atlas {atlas.name} is a local folder; say with --model where."
        )
    loaded = load_model(wanted, task_named(task).auto_class)
    if loaded.info["fingerprint"] != atlas.model["fingerprint"] or loaded.layout != atlas.layout:
        raise LsnError(
            f"The model {wanted!r} is not the one that atlas {atlas.name} is of; give that one with --model."
        )
    return loaded


def prune_state(model: nn.Module, family: Family, mask: Mask) -> dict[str, torch.Tensor]:
    """The state dict that ``torch.nn.utils.prune`` gives a model pruned to the mask.

    For each prunable matrix X it has ``X_orig``, the weights before pruning, and ``X_mask``, 0.0 or 1.0, in
    place of X. A model loads it after ``prune.identity(module, "weight")`` on each of its prunable modules.
    """
    full = _full_names(model, family)
    state: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        if name in full:
            state[f"{name}_orig"] = value
            state[f"{name}_mask"] = torch.from_numpy(mask[full[name]]).to(value.dtype)
        else:
            state[name] = value
    return state


@torch.no_grad()
def apply_mask(model: nn.Module, family: Family, mask: Mask) -> None:
    """Put a plain zero in place of every weight that the mask removes."""
    for name, parameter in prunable_parameters(model, family).items():
        parameter.masked_fill_(torch.from_numpy(~mask[name]).to(parameter.device), 0.0)


def write_prune(path: Path, loaded: LoadedModel, mask: Mask) -> None:
    """Write ``prune_state`` with torch.save, whole or not at all; LsnError when something is there already."""
    state = prune_state(loaded.model, loaded.family, mask)
    with _saving(path):
        write_new(path, lambda target: torch.save(state, target))


def write_checkpoint(path: Path, loaded: LoadedModel, mask: Mask, about: Mapping[str, Any]) -> None:
    """Write a folder that ``from_pretrained`` opens: the pretrained weights under the mask, and the tokenizer.

    ``about``, JSON-able, goes beside them into ``subnetwork.json``. The loaded model is pruned. Raises
    LsnError when something is there already.
    """
    apply_mask(loaded.model, loaded.family, mask)

    def write(target: Path) -> None:
        target.mkdir()
        loaded.model.save_pretrained(target)  # type: ignore[operator]
        loaded.tokenizer.save_pretrained(target)
        (target / ABOUT_FILE).write_text(json.dumps(dict(about), indent=2, sort_keys=True) + "\n")

    with _saving(path):
        write_new(path, write)


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Tell in one sentence what the libraries that write report of a full disk and the like."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise LsnError(f"{path} cannot be written: {str(error).splitlines()[0]}") from error


def _full_names(model: nn.Module, family: Family) -> dict[str, str]:
    """A prunable matrix's name in the whole model to its name in the layout."""
    short = {id(parameter): name for name, parameter in prunable_parameters(model, family).items()}
    return {
        name: short[id(parameter)] for name, parameter in model.named_parameters() if id(parameter) in short
    }
