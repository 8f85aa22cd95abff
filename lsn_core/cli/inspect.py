"""The verbs `inspect` and `verify`."""

from __future__ import annotations

import argparse
from typing import Any

from lsn_core.cli.options import open_atlas
from lsn_core.masks.atlas import Atlas


def add_verbs(verbs: Any) -> None:
    _add_inspect(verbs)
    _add_verify(verbs)


def _add_inspect(verbs: Any) -> None:
    verb = verbs.add_parser("inspect", help="what an atlas holds")
    verb.add_argument("atlas", metavar="DIR")
    verb.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    atlas = open_atlas(arguments.atlas)
    model = atlas.model
    print(f"atlas   {atlas.name}")
    about = [*filter(None, [model.get("family")]), f"revision {model.get('revision', 'not recorded')}"]
    print(f"model   {model['name']} ({', '.join(map(str, about))})")
    print(f"weights {atlas.layout.size:,} prunable in {len(atlas.layout.matrices)} matrices")
    headers = atlas.headers()
    print(f"tickets {len(headers)}")
    for header in headers:
        key = header.key
        main = [s for s in header.scores if s.metric == header.scores[0].metric]
        scores = "  ".join(f"{s.sparsity:.0%}:{s.value:.3f}" for s in main)
        label = "base" if key.method == "base" else f"{key.task} {key.language} {key.method} seed {key.seed}"
        metric = (
            f"{main[0].metric}  {scores}"
            if main
            else f"levels {', '.join(f'{x:.0%}' for x in header.levels)}"
        )
        print(f"  {label:<24} {header.content_hash[:12]}  {metric}")
    return 0


def _add_verify(verbs: Any) -> None:
    verb = verbs.add_parser("verify", help="read every byte of an atlas and say what is damaged or stale")
    verb.add_argument("atlas", metavar="DIR")
    verb.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    atlas = Atlas.open(arguments.atlas)
    problems = atlas.verify()
    for problem in problems:
        print(problem.message)
    print(f"{len(atlas.headers())} tickets read, {len(problems)} problems.")
    return 1 if problems else 0
