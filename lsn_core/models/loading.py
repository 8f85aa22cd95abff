"""Loading a model and its tokenizer by name: `demo`, a local folder in the hub's layout, or a hub name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout
from lsn_core.models.families import Family, body_parameters, family_of, layout_of, name_in_body

_HEAD_SEED = 20_221_207
_NOT_IDENTITY = frozenset({"transformers_version", "_name_or_path", "_commit_hash", "dtype", "architectures"})
"""What a configuration says of where it comes from rather than of what the model does."""

DEMO_FOLDER = Path(__file__).parent / "demo"

# What these libraries have to say reaches the user as one sentence of ours.
transformers.logging.set_verbosity_error()
huggingface_hub.utils.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, its family and what identifies it.

    `info` goes into atlases and tickets: name, revision, fingerprint, family and size; its `layers` are those
    of all stacks together, and its `positions`, the pieces read at once, are None where there is no bound.
    `identity` is a sha256 (hex) over all that a training run on it depends on: every weight, the head's too,
    the tokenizer and the configuration. `untrained` names the weights that the checkpoint lacks.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    family: Family
    layout: Layout
    info: dict[str, Any]
    identity: str
    untrained: tuple[str, ...]


def load_model(
    name: str, auto_class: Any, device: str = "cpu", settings: Mapping[str, Any] | None = None
) -> LoadedModel:
    """Load `name` with the head that `auto_class` (a transformers Auto class) puts on it, in float32.

    `settings` go into the model's configuration, such as the labels of its head. A head that the checkpoint
    lacks gets the same random weights in every process; a pooler that it lacks is part of such a head, and
    not prunable. Raises LsnError when the model cannot be found or read, its family is not supported or has
    no such head, or the checkpoint lacks weights below the head.
    """
    path = _resolve(name)
    with _loading(name):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, **(settings or {}))
        family = family_of(config.model_type)
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        torch.manual_seed(_HEAD_SEED)
        # Eager attention: up to twice as fast as the fused kernel for short sequences on a CPU, and with
        # a backward pass that is deterministic on a GPU.
        model, report = auto_class.from_pretrained(
            path,
            config=config,
            trust_remote_code=False,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    untrained = tuple(sorted(report["missing_keys"]))
    lacking = [inside for key in untrained if (inside := name_in_body(model, family, key)) is not None]
    missing = [inside for inside in lacking if not _is_pooler(inside, family)]
    if missing:
        parts = " and ".join(stack.name for stack in family.stacks)
        raise LsnError(
            f"The checkpoint of {name!r} lacks {len(missing)} weights of the {parts}, {missing[0]!r} among "
            "them; give a checkpoint that save_pretrained() wrote."
        )
    weights = fingerprint(model, family)
    if lacking:
        family = replace(family, pooler=None)
    layout = layout_of(model, family)
    commit = getattr(config, "_commit_hash", None)
    info = {
        "name": Path(name).name if Path(name).is_dir() else name,
        "revision": commit or "local",
        "fingerprint": weights,
        "family": family.model_type,
        "layers": len({(m.stack, m.layer) for m in layout.matrices if m.layer is not None}),
        "heads": config.num_attention_heads,
        "hidden_size": config.hidden_size,
        "positions": family.positions(config),
        "prunable_weights": layout.size,
    }
    identity = _identity(model, tokenizer)
    return LoadedModel(model.to(device), tokenizer, family, layout, info, identity, untrained)


def family_named(name: str) -> Family:
    """Return the family of the model called `name`, from its configuration alone.

    Raises LsnError when the model cannot be found or its family is not supported.
    """
    path = _resolve(name)
    with _loading(name):
        return family_of(AutoConfig.from_pretrained(path, trust_remote_code=False).model_type)


@contextmanager
def _loading(name: str) -> Iterator[None]:
    try:
        yield
    except LsnError:
        raise
    except Exception as error:  # transformers raises many kinds for a missing or broken model
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LsnError(
            f"The model {name!r} could not be loaded; give 'demo', a local folder in the hub's layout, or "
            f"the name of a model on the hub ({reason})."
        ) from error


def fingerprint(model: nn.Module, family: Family) -> str:
    """Return the sha256 (hex) of the weights below the head as float32, in name order; heads do not count.

    The pooler is left out, because a masked-language model is loaded without it.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(body_parameters(model, family)):
        if not _is_pooler(name, family):
            _add(digest, name, parameter)
    return digest.hexdigest()


def _identity(model: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        _add(digest, name, value)
    config = {key: value for key, value in model.config.to_dict().items() if key not in _NOT_IDENTITY}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    digest.update(vocabulary.encode())
    return digest.hexdigest()


def _add(digest: Any, name: str, value: torch.Tensor) -> None:
    digest.update(f"{name}:{tuple(value.shape)}".encode())
    digest.update(value.detach().float().cpu().contiguous().numpy().data)


def _is_pooler(name: str, family: Family) -> bool:
    return family.pooler is not None and name.startswith(f"{family.pooler.split('.')[0]}.")


def _resolve(name: str) -> str:
    if name == "demo":
        if not (DEMO_FOLDER / "config.json").is_file():
            raise LsnError("The embedded model is missing; make it with 'python -m lsn_core pretrain'.")
        return str(DEMO_FOLDER)
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise LsnError(
                f"The folder {name!r} holds no config.json; give a folder that save_pretrained() wrote."
            )
        return str(path)
    if path.is_file() or name.startswith((".", "/", "~")) or not name.strip():
        raise LsnError(f"There is no model folder {name!r}; give 'demo', a local folder or a hub name.")
    return name
