"""Files from a browser: no name of the sender's is used, nothing is left, and names say only what is plain."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lsn_core.errors import LsnError
from lsn_core.masks.foreign import received
from lsn_core.masks.foreign.inspection import Report, inspect_foreign
from lsn_core.masks.foreign.received import Suggestion, inspect_received, suggestion
from lsn_core.masks.mask import Mask
from tests.foreign_files import named, save_npz, save_safetensors
from tests.synthetic import random_mask, small_layout

LAYOUT = small_layout(1, 8)
TASKS = ("mlm", "ner", "pos", "nli")
LANGUAGES = ("en", "fr", "sw", "zh", "pt-BR")


@pytest.fixture
def mask() -> Mask:
    return random_mask(LAYOUT, 0.5, np.random.default_rng(0))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_reads_what_was_sent_and_leaves_nothing(mask: Mask, scratch: Path, tmp_path: Path) -> None:
    data = save_npz(tmp_path / "m.npz", named(mask)).read_bytes()
    report = inspect_received(data, "mask_fr.npz", LAYOUT)
    assert report.checked_mask() == mask
    digest = hashlib.sha256(data).hexdigest()
    assert report.facts["sha256"] == digest
    assert report.facts["file"] == report.path.name == f"{digest}.npz"
    assert not report.path.is_absolute()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("../../etc/passwd.npz", ".npz"),
        ("/etc/cron.d/x.NPZ", ".npz"),
        ("C:\\x\\y.npz", ".npz"),
        ("x.n/pz", ""),
        ("x.npz\0.pt", ".pt"),
        ("x.np\0z", ""),
        ("no ending", ""),
        ("x." + "a" * 400, ""),
        ("", ""),
        ("..", ""),
    ],
)
def test_no_name_of_the_sender_is_used(
    name: str, used: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def look(path: Path, *rest: object) -> Report:
        seen.append(path)
        assert path.read_bytes() == b"content"
        return inspect_foreign(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(received, "inspect_foreign", look)
    report = inspect_received(b"content", name, LAYOUT)
    assert report.failed is not None
    assert seen[0].name == hashlib.sha256(b"content").hexdigest() + used
    assert seen[0].parent.parent == scratch
    assert list(scratch.iterdir()) == []


def test_folder_is_for_nobody_else(mask: Mask, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    monkeypatch.setattr(
        received,
        "inspect_foreign",
        lambda path, *rest: modes.append(path.parent.stat().st_mode & 0o777) or inspect_foreign(path, *rest),
    )
    inspect_received(b"x", "x.npz", LAYOUT)
    assert modes == [0o700]


def test_unknown_ending_is_a_failed_check() -> None:
    report = inspect_received(b"x", "letter.txt", LAYOUT)
    assert report.failed is not None
    assert report.failed.name == "format"
    assert "'.txt'" in report.failed.found


def test_no_room(mask: Mask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(LsnError, match="no room") as error:
        inspect_received(b"x", "x.npz", LAYOUT)
    assert str(tmp_path) not in str(error.value)


def test_same_content_has_the_same_name_whatever_it_is_called(mask: Mask, tmp_path: Path) -> None:
    data = save_safetensors(tmp_path / "m.safetensors", named(mask)).read_bytes()
    first, second = (inspect_received(data, name, LAYOUT) for name in ("a.safetensors", "b.safetensors"))
    assert first.path == second.path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mlm-sw-imp-s1.safetensors", Suggestion("mlm", "sw", "imp", 1)),
        ("ner-pt-BR-oneshot-s12.pt", Suggestion("ner", "pt-BR", "oneshot", 12)),
        ("mlm-xx-imp-s1.pt", Suggestion()),
        ("mask_fr.pt", Suggestion(language="fr")),
        ("Swahili mask, seed 3.npz", Suggestion(language="sw", seed=3)),
        ("fr_ner_seed2_random.pt", Suggestion("ner", "fr", "random", 2)),
        ("FR.npz", Suggestion(language="fr")),
        ("en-fr.npz", Suggestion()),
        ("en_english.npz", Suggestion(language="en")),
        ("mask.pt", Suggestion()),
        ("base.pt", Suggestion()),
        ("frsw.pt", Suggestion()),
        ("/home/en/mask_zh.v2.pt", Suggestion(language="zh")),
        ("C:\\en\\mask_zh.pt", Suggestion(language="zh")),
        ("", Suggestion()),
        ("s" * 5000, Suggestion()),
        ("mask_s99999999999999.pt", Suggestion()),
        ("seed " + "9" * 5000, Suggestion()),
        ("mlm_ner_fr.pt", Suggestion(language="fr")),
    ],
)
def test_what_a_name_says(name: str, says: Suggestion) -> None:
    assert suggestion(name, TASKS, LANGUAGES) == says
