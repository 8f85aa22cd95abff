"""The verb `pretrain`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lsn_core.cli.output import say
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES


def add_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("pretrain", help="make the embedded model again from the embedded text")
    verb.add_argument("--out", required=True, metavar="DIR")
    verb.add_argument("--steps", type=int, metavar="N", help="training steps (default: as it is shipped)")
    verb.set_defaults(run=_pretrain)


def _pretrain(arguments: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from lsn_core.data.opening import open_source
    from lsn_core.tasks.pretrain import PretrainConfig, pretrain

    if arguments.steps is not None and arguments.steps < 1:
        raise LsnError(f"The option --steps is {arguments.steps}; it must be at least 1.")
    config = PretrainConfig() if arguments.steps is None else PretrainConfig(steps=arguments.steps)
    torch.use_deterministic_algorithms(True, warn_only=True)
    with tqdm(total=config.steps, unit="step", disable=None) as bar:

        def on_step(done: int, total: int, loss: float) -> None:
            bar.update(done - bar.n)
            if done % 100 == 0:
                bar.set_postfix(loss=f"{loss:.2f}")
                if not sys.stderr.isatty():
                    say(f"step {done}/{total}, loss {loss:.3f}")

        pretrain(open_source("cldr"), PAPER_LANGUAGES, Path(arguments.out), config, on_step)
    print((Path(arguments.out) / "CARD.md").read_text(encoding="utf-8"))
    return 0
