"""The Upload page without a browser: what passes, what is refused and why, what is kept, saved and left alone."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec
from streamlit.testing.v1 import AppTest

from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from lsn_core.ui import permissions, uploads
from tests.foreign_files import (
    Tensor,
    named,
    pickled,
    save_npz,
    save_safetensors,
    save_torch,
    system_call,
    torch_zip,
)
from tests.pages.conftest import FEW, Visit, charts, said
from tests.synthetic import random_mask
from tests.synthetic_atlas import make_atlas, make_layout

NAMES = {"en": "English", "de": "German", "fr": "French", "sw": "Swahili"}


def mask_of(atlas: Atlas, code: str = "sw", seed: int = 0, sparsity: float = 0.5) -> Mask:
    return atlas.ticket(TicketKey("mlm", code, "imp", seed)).mask(sparsity)


def mixture(atlas: Atlas, sparsity: float = 0.5) -> Mask:
    """Mostly Swahili's, the rest by lot: like nothing that is in the atlas."""
    source, noise = (
        mask_of(atlas, sparsity=sparsity),
        random_mask(atlas.layout, 1 - sparsity, np.random.default_rng(1)),
    )
    choice = random_mask(atlas.layout, 0.1, np.random.default_rng(2))
    return (source - choice) | (noise & choice)


def packed(
    mask: Mask, tmp_path: Path, save: Callable = save_safetensors, ending: str = ".safetensors"
) -> bytes:
    return save(tmp_path / f"made{ending}", named(mask)).read_bytes()


def send(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Drop files on the page."""
    for name, content in files:
        app.file_uploader[0].upload(name, content)
    return app.run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def cards(app: AppTest) -> str:
    """What is said of the files."""
    return html(app).split("<style>")[0]


def keep(app: AppTest) -> AppTest:
    return next(button for button in app.button if button.label == "Keep").click().run()


def token(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def listing(*folders: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its size and the time it was last changed."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture
def demo(atlases: Path) -> Atlas:
    return Atlas.open(atlases / "demo")


@pytest.fixture
def own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit: Visit) -> Path:
    """A folder of atlases that a test may write to."""
    root = tmp_path / "own"
    make_atlas(root / "demo", ("en", "de"), methods=("imp",), levels=(0.5,))
    monkeypatch.setenv("LSN_MASKS", str(root))
    return root


def test_first_view_says_what_a_file_has_to_hold(visit: Visit) -> None:
    app = visit("upload")
    assert not app.exception
    assert "36 weight matrices of model synthetic" in said(app)
    assert "At most 32 MB a file" in said(app)
    assert "import FILE --atlas masks/demo" in said(app)
    assert "export --atlas masks/demo" in said(app)
    assert not charts(app)


def test_sentence_is_what_counting_weight_by_weight_gives(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    mask = mixture(demo)
    app = send(visit("upload"), ("mask_sw.safetensors", packed(mask, tmp_path)))
    assert not app.exception
    base = demo.base()
    assert base is not None
    values: dict[str, dict[str, float]] = {}
    for code in FEW:
        found = []
        for seed in (0, 1):
            i = a = b = expected = chance = 0.0
            for name in demo.layout.names:
                mine, theirs = mask[name].ravel(), mask_of(demo, code, seed)[name].ravel()
                inside = base.mask(0.5)[name].ravel()
                i, a, b = i + (mine & theirs).sum(), a + mine.sum(), b + theirs.sum()
                chance += mine.sum() * theirs.sum() / mine.size
                for part in (inside, ~inside):
                    expected += mine[part].sum() * theirs[part].sum() / max(part.sum(), 1)
            found.append([shared / (a + b - shared) for shared in (i, expected, chance)])
        values[code] = dict(zip(("jaccard", "reference", "chance"), np.mean(found, axis=0), strict=True))
    ranked = sorted(FEW, key=lambda code: -values[code]["jaccard"])
    text = next(m.value for m in app.markdown if "most like" in m.value)
    first = values[ranked[0]]
    assert ranked[0] == "sw"
    assert f"most like that of **{NAMES[ranked[0]]}**" in text
    assert f"both keep **{first['jaccard']:.3f}**" in text
    assert f"pretrained weights alone would give {first['reference']:.3f}" in text
    assert f"would share {first['chance']:.3f}" in text
    assert f"by {abs(first['jaccard'] - first['reference']):.4f}" in text
    assert f"is {NAMES[ranked[1]]} with {values[ranked[1]]['jaccard']:.3f}" in text
    assert "weight for weight" not in text
    kept = {
        layer: np.concatenate([mask[m.name].ravel() for m in demo.layout.matrices if m.layer == layer])
        for layer in range(6)
    }
    density = {layer: 100 * bits.mean() for layer, bits in kept.items()}
    most, least = max(density, key=density.__getitem__), min(density, key=density.__getitem__)
    assert f"in encoder layer {most} ({density[most]:.1f} %)" in said(app)
    assert f"in encoder layer {least} ({density[least]:.1f} %)" in said(app)
    assert len(charts(app)) == 3
    assert all(len(chart.proto.alt) > 60 and "**" not in chart.proto.alt for chart in charts(app))


def test_copy_of_a_ticket_is_told(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    app = send(visit("upload"), ("x.npz", packed(mask_of(demo, "fr", 1), tmp_path, save_npz, ".npz")))
    text = said(app)
    assert "weight for weight, the atlas's own sub-network of French (seed 1), which is left out here" in text
    assert "mean over seeds 0, 1, without French with seed 1, which the upload is a copy of." in text
    mine, other = mask_of(demo, "fr", 1), mask_of(demo, "fr", 0)
    jaccard = (mine & other).kept / (mine | other).kept
    assert (
        f"most like that of **French**: of the weights that either keeps over the whole model, both keep **{jaccard:.3f}**"
        in text
    )
    alone = send(
        visit("upload", seeds="1", languages="fr"), ("x.npz", packed(mine, tmp_path, save_npz, ".npz"))
    )
    assert not alone.exception
    assert (
        "weight for weight, the atlas's own sub-network of French (seed 1), and is compared with itself"
        in said(alone)
    )
    assert "which the upload is a copy of" not in said(alone)
    assert "both keep **1.000**" in said(alone)


def test_other_sparsity_is_compared_with_the_nearest_and_said(
    visit: Visit, demo: Atlas, tmp_path: Path
) -> None:
    mask = random_mask(demo.layout, 0.42, np.random.default_rng(5))
    app = send(visit("upload", sparsity="80"), ("m.npz", packed(mask, tmp_path, save_npz, ".npz")))
    text = said(app)
    assert re.search(
        r"removes 5\d(\.\d)? % of the weights; the nearest sub-networks of the atlas remove 50 %", text
    )
    assert "is left open: the atlas has no mask of them at" in text
    assert "is not known" in text
    assert "Compared at 50 % removed" in text
    assert "pretrained alone" not in charts(app)[0].proto.spec


@pytest.mark.parametrize(
    ("atlas", "says"),
    [
        ("no-base", "what the pretrained weights alone would give is not known"),
        ("tables-only", "compared weight by weight with the masks of the atlas"),
        ("damaged", "This sub-network is most like that of"),
        ("lonely", "set beside that of **English**"),
        ("one-seed", "most like that of **Swahili**"),
    ],
)
def test_atlases_that_lack_something(
    visit: Visit, demo: Atlas, tmp_path: Path, atlas: str, says: str
) -> None:
    app = send(visit("upload", atlas=atlas), ("m.safetensors", packed(mixture(demo), tmp_path)))
    assert not app.exception
    assert says in said(app)
    assert "nan" not in said(app)
    assert len(charts(app)) == (2 if atlas == "tables-only" else 3)


def test_two_stacks(visit: Visit, atlases: Path, tmp_path: Path) -> None:
    mask = mask_of(Atlas.open(atlases / "two-stacks"), "fr")
    app = send(visit("upload", atlas="two-stacks"), ("m.safetensors", packed(mask, tmp_path)))
    assert not app.exception
    app.segmented_control(key="by").set_value("stack").run()
    assert app.query_params["by"] == "stack"
    assert "in encoder, both keep" in said(app)


def test_part_of_the_model_is_in_the_address_and_the_file_is_not(
    visit: Visit, demo: Atlas, tmp_path: Path
) -> None:
    content = packed(mixture(demo), tmp_path)
    app = send(visit("upload"), ("m.safetensors", content))
    app.segmented_control(key="by").set_value("layer").run()
    app.selectbox(key="scope").set_value("encoder.2").run()
    assert app.query_params["by"] == "layer"
    assert app.query_params["scope"] == "encoder.2"
    assert "in encoder layer 2, both keep" in said(app)
    assert token(content) not in str(app.query_params)


def wrong_model(folder: Path) -> bytes:
    other = make_layout(layers=2, hidden=8)
    return packed(random_mask(other, 0.5, np.random.default_rng(0)), folder)


def other_shapes(folder: Path) -> bytes:
    other = make_layout(hidden=8)
    return packed(random_mask(other, 0.5, np.random.default_rng(0)), folder)


def cut_short(folder: Path) -> bytes:
    whole = packed(random_mask(make_layout(), 0.5, np.random.default_rng(0)), folder)
    return whole[: len(whole) // 2]


def evil_pickle(folder: Path) -> bytes:
    return torch_zip(
        folder / "evil.pt", pickle.dumps({"x": system_call(folder / "ran")}, protocol=2), {"0": bytes(4)}
    ).read_bytes()


def bare_pickle(folder: Path) -> bytes:
    return pickle.dumps(system_call(folder / "ran"))


def lying_header(folder: Path) -> bytes:
    return torch_zip(
        folder / "lie.pt", pickled({"encoder.0.query": Tensor((8, 8), (8, 1), 10**10)}), {"0": bytes(256)}
    ).read_bytes()


def bomb(folder: Path) -> bytes:
    np.savez_compressed(folder / "bomb.npz", x=np.zeros(2**26, dtype=np.uint8))
    return (folder / "bomb.npz").read_bytes()


def escaping(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "escape.npz", "w") as archive:
        archive.writestr("../../../escape.npy", b"x")
    return (folder / "escape.npz").read_bytes()


def not_numbers(folder: Path) -> bytes:
    np.savez(folder / "objects.npz", x=np.array([system_call(folder / "ran")], dtype=object))
    return (folder / "objects.npz").read_bytes()


def nothing_removed(folder: Path) -> bytes:
    return packed(Mask.full(make_layout()), folder)


def fractions(folder: Path) -> bytes:
    arrays = {m.name: np.full(m.shape, 0.5, dtype=np.float32) for m in make_layout().matrices}
    return save_npz(folder / "f.npz", arrays).read_bytes()


@pytest.mark.parametrize(
    ("name", "make", "check", "found"),
    [
        ("m.safetensors", wrong_model, "no missing matrix", "it lacks 24 of 36 prunable matrices"),
        ("m.safetensors", other_shapes, "shapes", "36 masks have another shape"),
        ("m.safetensors", cut_short, "contents", "safetensors"),
        ("m.pt", evil_pickle, "contents", "posix.system"),
        ("m.pt", bare_pickle, "contents", "bare pickle"),
        ("m.pt", lying_header, "contents", "claims 40000000000 bytes where the file holds 256"),
        ("m.npz", bomb, "contents", "would unpack to"),
        ("m.npz", escaping, "contents", "which is a path"),
        ("m.npz", not_numbers, "contents", "not numbers"),
        ("m.safetensors", nothing_removed, "sparsity", "remove 0 of 18432 weights"),
        ("m.npz", fractions, "values", "other than 0 and 1"),
        ("letter.txt", lambda folder: b"Dear all", "format", "'.txt'"),
        ("m.pt", lambda folder: b"", "contents", "To mend"),
    ],
)
def test_refused_in_plain_words(
    visit: Visit, tmp_path: Path, name: str, make: Callable[[Path], bytes], check: str, found: str
) -> None:
    content = make(tmp_path)
    app = send(visit("upload"), (name, content))
    assert not app.exception
    text = cards(app)
    assert f"<b>{name}</b> · Refused" in text
    assert f"check “{check}” failed" in text
    assert "✗ failed" in text
    assert "expected:" in text
    if found != "To mend":
        assert found in text.replace("&#x27;", "'")
    assert "to mend it:" in text
    assert "Traceback" not in text
    assert not (tmp_path / "ran").exists()
    assert not charts(app)
    assert not any(button.label == "Keep" for button in app.button)
    assert app.session_state["uploads_arrived"]
    assert "uploads" not in app.session_state
    app.button(key=f"remove_{token(content)}").click().run()
    assert name not in cards(app)


def test_several_files_each_with_its_own_checks(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    app = send(
        visit("upload"),
        ("mask_sw.pt", save_torch(tmp_path / "m.pt", named(mixture(demo), "bert.", "_mask")).read_bytes()),
        ("bad.safetensors", wrong_model(tmp_path)),
        ("mlm-fr-imp-s1.npz", packed(mask_of(demo, "fr", 1, 0.8), tmp_path, save_npz, ".npz")),
    )
    assert not app.exception
    assert cards(app).count("To be confirmed") == 2
    assert cards(app).count("Refused") == 1
    assert app.file_uploader[0].value == []
    shown = app.selectbox(key="upload_shown")
    assert shown.options == ["mlm-fr-imp-s1.npz", "mask_sw.pt"]
    assert "French" in next(m.value for m in app.markdown if "most like" in m.value)
    first_token = next(iter(app.session_state["uploads_arrived"]))[0]
    shown.set_value(first_token).run()
    assert "Swahili" in next(m.value for m in app.markdown if "most like" in m.value)


def test_name_suggests_and_the_visitor_confirms(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    content = packed(mixture(demo), tmp_path)
    app = send(visit("upload"), ("mlm-sw-oneshot-s3.safetensors", content))
    boxes = {
        name: app.selectbox(key=f"{name}_{token(content)}").value for name in ("language", "task", "method")
    }
    assert boxes == {"language": "sw", "task": "mlm", "method": "oneshot"}
    assert app.number_input(key=f"seed_{token(content)}").value == 3
    app.selectbox(key=f"language_{token(content)}").set_value("zh")
    keep(app)
    (upload,) = app.session_state["uploads"].values()
    assert upload.ticket.key == TicketKey("mlm", "zh", "oneshot", 3)
    assert upload.token == token(content)
    assert upload.ticket.mask(upload.ticket.levels[0]) == mixture(demo)
    assert "Chinese, masked words (mlm), one-shot pruning, seed 3" in said(app)


def test_language_has_to_be_chosen(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    content = packed(mixture(demo), tmp_path)
    app = keep(send(visit("upload"), ("mask.safetensors", content)))
    assert "mask.safetensors was not kept: choose its language first." in said(app)
    assert "uploads" not in app.session_state
    app.selectbox(key=f"language_{token(content)}").set_value("fr")
    assert "was not kept" not in said(keep(app))
    assert len(app.session_state["uploads"]) == 1


def test_kept_over_pages_and_atlases_until_removed(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    content = packed(mixture(demo), tmp_path)
    app = keep(send(visit("upload"), ("mask_sw.safetensors", content)))
    app.switch_page("pages/overlap.py").run()
    assert not app.exception
    app.switch_page("pages/upload.py").run()
    assert "It is kept for this session as **Swahili" in said(app)
    assert charts(app)
    app.selectbox(key="atlas").set_value("two-stacks").run()
    assert "mask_sw" not in cards(app)
    app.selectbox(key="atlas").set_value("demo").run()
    assert "mask_sw" in cards(app)
    app.button(key=f"change_{token(content)}").click().run()
    assert not app.session_state["uploads"]
    assert "To be confirmed" in cards(app)
    app.button(key=f"remove_{token(content)}").click().run()
    assert not app.session_state["uploads_arrived"]
    assert not charts(app)


def test_kept_leads_to_its_anatomy_beside_the_nearest_language(
    visit: Visit, demo: Atlas, tmp_path: Path
) -> None:
    content = packed(mixture(demo), tmp_path)
    app = send(visit("upload"), ("mask_sw.safetensors", content))
    assert not [link for link in app.get("page_link") if "down to single matrices" in link.proto.label]
    keep(app)
    assert not app.exception
    (link,) = [link for link in app.get("page_link") if "down to single matrices" in link.proto.label]
    assert link.proto.label.startswith("See it beside Swahili")
    found = dict(parse_qsl(link.proto.query_string))
    assert (found["left"], found["right"]) == (f"up:{token(content)}", "mlm-sw-imp-s0@50")
    app.switch_page("pages/anatomy.py")
    for key, value in found.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    assert not app.warning
    assert "mask_sw.safetensors" in said(app)


def test_same_file_twice_is_one(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    content = packed(mixture(demo), tmp_path)
    app = send(send(visit("upload"), ("a.safetensors", content)), ("b.safetensors", content))
    assert not app.exception
    assert len(app.session_state["uploads_arrived"]) == 1


def test_two_visitors_see_their_own(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    first = keep(send(visit("upload"), ("mask_sw.safetensors", packed(mixture(demo), tmp_path))))
    second = visit("upload")
    assert "mask_sw" not in html(second)
    assert "uploads" not in second.session_state
    assert "mask_sw" in html(first.run())


def test_memory_of_a_file_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("/upload")
    records = [UploadedFileRec(str(number), "m.pt", "", b"x" * 100) for number in range(2)]
    for session in ("mine", "another's"):
        for record in records:
            manager.add_file(session, record)
    context = SimpleNamespace(uploaded_file_mgr=manager, session_id="mine")
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: context)
    uploads.let_go([UploadedFile(records[0], FileURLs())])
    assert manager.get_files("mine", ["0", "1"]) == [records[1]]
    assert manager.get_files("another's", ["0", "1"]) == records


def test_too_many_files(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    app = send(visit("upload"), *((f"f{number}.txt", bytes([number])) for number in range(3)))
    assert not app.exception
    assert "f2.txt was not read: 2 files are remembered already; remove one first." in said(app)
    assert cards(app).count("Refused") == 2


def test_too_much_to_keep(visit: Visit, demo: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_KEPT_BYTES", 1.5 * demo.layout.size)
    files = [(f"mask_{code}.safetensors", packed(mask_of(demo, code), tmp_path)) for code in ("en", "fr")]
    app = keep(keep(send(visit("upload"), *files)))
    assert "was not kept: the sub-networks kept already take" in said(app)
    assert len(app.session_state["uploads"]) == 1


def test_names_of_files_cannot_say_more_than_a_name(visit: Visit, tmp_path: Path) -> None:
    name = "../<img src=x onerror=alert(1)>![a](http://evil.example/x.png).txt"
    app = send(visit("upload"), (name, b"x"))
    shown = html(app) + said(app)
    assert not any(mark in shown for mark in ("<img", "![", "http", "evil.example/"))
    assert uploads.safe_name("a/b\\c") == "c"
    assert len(uploads.safe_name("n" * 400 + ".safetensors")) <= 60
    assert uploads.safe_name("маска_中文.npz") == "маска_中文.npz"


def test_array_names_are_escaped(visit: Visit, demo: Atlas, tmp_path: Path) -> None:
    arrays = {**named(mixture(demo)), "<script>alert(1)<script>": np.zeros((2, 2), dtype=bool)}
    app = send(visit("upload"), ("m.npz", save_npz(tmp_path / "m.npz", arrays).read_bytes()))
    assert "no unknown matrix" in cards(app)
    assert "<script" not in html(app)


def test_no_room_for_a_copy(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = visit("upload")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    app = send(app, ("m.npz", b"x"))
    assert not app.exception
    assert "m.npz was not read: the file cannot be read here, as there is no room for a copy of it" in said(
        app
    )


def test_saved_where_that_is_allowed(visit: Visit, own_root: Path, tmp_path: Path) -> None:
    atlas = Atlas.open(own_root / "demo")
    mask = random_mask(atlas.layout, 0.5, np.random.default_rng(3))
    content = packed(mask, tmp_path)
    app = keep(send(visit("upload"), ("mlm-sw-oneshot-s0.safetensors", content)))
    app.button(key=f"save_upload_{token(content)}").click().run()
    assert not app.exception
    assert "Saved in atlas demo as `mlm-sw-oneshot-s0`" in said(app)
    again = Atlas.open(own_root / "demo")
    key = TicketKey("mlm", "sw", "oneshot", 0)
    assert again.ticket(key).mask(again.header(key).levels[0]) == mask
    assert again.verify() == []
    assert app.selectbox(key="method").options == ["Iterative pruning", "One-shot pruning"]
    assert "tables of this atlas were made from other" not in said(app)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mlm-en-imp-s0.safetensors", "holds another sub-network of this language, task, method and seed"),
        ("mlm-sw-imp-s0.safetensors", "the two are not mixed"),
    ],
)
def test_what_the_atlas_cannot_take_is_said_before(
    visit: Visit, own_root: Path, tmp_path: Path, name: str, says: str
) -> None:
    mask = random_mask(make_layout(), 0.5, np.random.default_rng(3))
    app = keep(send(visit("upload"), (name, packed(mask, tmp_path))))
    assert says in said(app)
    assert not any(button.label.startswith("Save to") for button in app.button)


@pytest.mark.parametrize(
    ("variables", "allowed"),
    [
        ({}, True),
        ({"LSN_READ_ONLY": "1"}, False),
        ({"LSN_READ_ONLY": "1", "LSN_ALLOW_SAVE": "1"}, False),
        ({"LSN_READ_ONLY": "0"}, True),
        ({"LSN_ALLOW_SAVE": "0"}, False),
        ({"LSN_ALLOW_SAVE": "1"}, True),
    ],
)
def test_who_may_save(
    visit: Visit,
    demo: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    allowed: bool,
) -> None:
    for name in ("LSN_READ_ONLY", "LSN_ALLOW_SAVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    app = keep(send(visit("upload"), ("mlm-sw-oneshot-s7.safetensors", packed(mixture(demo), tmp_path))))
    offered = any(button.label == "Save to atlas demo" for button in app.button)
    assert offered is allowed
    command = "import FILE --atlas masks/demo --task mlm --language sw --method oneshot --seed 7"
    assert (command in said(app)) is not allowed


@pytest.mark.parametrize(
    ("address", "headers", "here"),
    [
        ("127.0.0.1", {}, True),
        ("localhost", {"Host": "a"}, True),
        ("::1", {}, True),
        ("0.0.0.0", {}, False),
        (None, {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, False),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.1"}, False),
    ],
)
def test_this_computer_alone(
    monkeypatch: pytest.MonkeyPatch, address: str | None, headers: dict[str, str], here: bool
) -> None:
    monkeypatch.setattr(permissions.st, "context", SimpleNamespace(headers=headers))
    monkeypatch.setattr(permissions.st, "get_option", {"server.address": address}.get)
    monkeypatch.delenv("LSN_READ_ONLY", raising=False)
    monkeypatch.delenv("LSN_ALLOW_SAVE", raising=False)
    assert permissions.may_save() is here


def test_read_only_changes_nothing_on_disk(
    visit: Visit, own_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    mask = random_mask(make_layout(), 0.5, np.random.default_rng(3))
    content = packed(mask, tmp_path)
    monkeypatch.setenv("LSN_READ_ONLY", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = listing(own_root, Path.cwd() / "masks", Path.cwd() / ".streamlit")
    time.sleep(0.02)
    app = keep(
        send(visit("upload"), ("mlm-sw-oneshot-s0.safetensors", content), ("bad.pt", evil_pickle(tmp_path)))
    )
    assert "This server is read-only" in said(app)
    for page in ("overlap", "tree", "transfer", "core", "methods", "upload"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
    assert listing(own_root, Path.cwd() / "masks", Path.cwd() / ".streamlit") == before
    assert os.listdir(scratch) == []
