"""What a tokenizer must be able to do for a task; each check raises LsnError with one sentence."""

from __future__ import annotations

from lsn_core.errors import LsnError
from lsn_core.models.loading import LoadedModel


def check_padding(loaded: LoadedModel, task: str) -> None:
    """Raise LsnError when the tokenizer cannot fill up a batch."""
    if loaded.tokenizer.pad_token_id is None:
        raise LsnError(
            f"The tokenizer of {loaded.info['name']!r} has no padding piece, so it cannot do the task {task!r}."
        )


def check_vocabulary(loaded: LoadedModel) -> None:
    """Raise LsnError when the tokenizer has pieces that the model does not embed."""
    embedded = loaded.model.get_input_embeddings().num_embeddings  # type: ignore[operator]
    if len(loaded.tokenizer) > embedded:
        raise LsnError(
            f"The tokenizer of {loaded.info['name']!r} has {len(loaded.tokenizer)} pieces, but the model embeds "
            f"{embedded}; give the tokenizer that belongs to the model."
        )


def check_word_pieces(loaded: LoadedModel, task: str) -> None:
    """Raise LsnError when the tokenizer cannot tell which word a piece belongs to."""
    if not loaded.tokenizer.is_fast:
        raise LsnError(
            f"The tokenizer of {loaded.info['name']!r} does not say which word a piece belongs to, which the task "
            f"{task!r} needs; give a model with a tokenizer.json."
        )
