"""Loading a model and its tokenizer by name: `demo`, a local folder in the hub's layout, or a hub name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout
from lsn_core.models.families import Family, encoder_of, family_of, layout_of

DEMO_FOLDER = Path(__file__).parent / "demo"

# What these libraries have to say reaches the user as one sentence of ours.
transformers.logging.set_verbosity_error()
huggingface_hub.utils.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, its family and what identifies it.

    `info` goes into atlases and tickets: name, revision, fingerprint, family and size.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    family: Family
    layout: Layout
    info: dict[str, Any]


def load_model(name: str, auto_class: Any, device: str = "cpu", revision: str | None = None) -> LoadedModel:
    """Load `name` with the head that `auto_class` (a transformers Auto class) puts on it, in float32.

    Raises LsnError when the model cannot be found or read, or its family is not supported.
    """
    path = _resolve(name)
    # Eager attention is up to twice as fast as the fused kernel for short sequences on a CPU.
    attention = "eager" if torch.device(device).type == "cpu" else "sdpa"
    try:
        config = AutoConfig.from_pretrained(path, revision=revision)
        family = family_of(config.model_type)
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision)
        model = auto_class.from_pretrained(
            path, revision=revision, dtype=torch.float32, attn_implementation=attention
        )
    except LsnError:
        raise
    except Exception as error:  # transformers raises many kinds for a missing or broken model
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LsnError(
            f"The model {name!r} could not be loaded; give 'demo', a local folder in the hub's layout, or "
            f"the name of a model on the hub ({reason})."
        ) from error
    layout = layout_of(model, family)
    commit = getattr(config, "_commit_hash", None)
    info = {
        "name": Path(name).name if Path(name).is_dir() else name,
        "revision": revision or commit or "local",
        "fingerprint": fingerprint(model, family),
        "family": family.model_type,
        "layers": len({m.layer for m in layout.matrices if m.layer is not None}),
        "heads": config.num_attention_heads,
        "hidden_size": config.hidden_size,
        "positions": config.max_position_embeddings - family.reserved_positions,
        "prunable_weights": layout.size,
    }
    return LoadedModel(model.to(device), tokenizer, family, layout, info)


def fingerprint(model: nn.Module, family: Family) -> str:
    """Return the sha256 (hex) of the encoder's weights as float32, in name order; heads do not count.

    The pooler is left out, because a masked-language model is loaded without it.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(encoder_of(model, family).named_parameters()):
        if family.pooler and name.startswith(family.pooler.split(".")[0] + "."):
            continue
        digest.update(f"{name}:{tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


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
