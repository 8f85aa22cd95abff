"""The paper's own files at the paper's own size: imported fast, in little memory, and counted right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.utils import prune
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from lsn_core import overlap
from lsn_core.masks.atlas import Atlas
from lsn_core.models.families import family_of, layout_of

SECONDS, BYTES = 20.0, 1.5e9

_RUN = """
import json, resource, sys, time
from lsn_core.cli import main
start = time.perf_counter()
code = main(sys.argv[1:])
seconds = time.perf_counter() - start
# Not ru_maxrss of this process: that begins with the peak of the one that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "code": code,
    "seconds": seconds,
    "parent": int(status["VmHWM"].split()[0]) * 1024,
    "child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    "torch": "torch" in sys.modules,
}))
"""


def _config() -> BertConfig:
    return BertConfig(vocab_size=119_547)  # all other sizes of multilingual BERT are the defaults


def _save_paper_mask(path: Path, seed: int) -> dict[str, np.ndarray]:
    """Half of the weights of a random mBERT, removed by magnitude over all matrices and the pooler together."""
    torch.manual_seed(seed)
    model = BertForSequenceClassification(_config())
    assert sum(p.numel() for p in model.parameters()) > 177e6
    linear = [module for name, module in model.bert.named_modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == 73
    prune.global_unstructured([(m, "weight") for m in linear], prune.L1Unstructured, amount=0.5)
    masks = {name: value for name, value in model.state_dict().items() if name.endswith("_mask")}
    torch.save(masks, path)
    return {name: value.bool().numpy() for name, value in masks.items()}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_two_masks_of_multilingual_bert(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with torch.device("meta"):
        layout = layout_of(BertForMaskedLM(_config()), family_of("bert"))
    assert layout.size == 84_934_656
    info = {"name": "random", "revision": "1", "fingerprint": "0" * 64, "family": "bert", "heads": 12}
    Atlas.create(tmp_path / "atlas", info, layout)
    masks = {}
    for seed, language in enumerate(("en", "sw")):
        file = tmp_path / f"{language}.pt"
        masks[language] = _save_paper_mask(file, seed)
        assert file.stat().st_size > 340e6
        command = [
            "import",
            str(file),
            "--atlas",
            str(tmp_path / "atlas"),
            "--task",
            "nli",
            "--language",
            language,
        ]
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *command], capture_output=True, text=True, check=True
        )
        figures = json.loads(done.stdout)
        with capsys.disabled():
            print(f"\n{figures}\n{done.stderr}", end="")
        assert figures["code"] == 0, done.stderr
        assert figures["seconds"] < SECONDS
        assert figures["parent"] + figures["child"] < BYTES
        assert not figures["torch"]
        assert "pooler.dense.weight_mask is left out" in done.stderr
    table = overlap(Atlas.open(tmp_path / "atlas"), "nli", 0.5, "matrix")
    assert len(table) == len(layout.names)
    for row in table.itertuples():
        a, b = (masks[language][f"bert.{row.scope}_mask"] for language in (row.language_a, row.language_b))
        assert (row.intersection, row.union) == (int((a & b).sum()), int((a | b).sum()))
