"""Uploading in a real browser: real files, two visitors, a server that goes on, and a disk that stays as it was."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from tests.browser.conftest import Visitor
from tests.browser.driver import PATIENCE_MS, Server, serve, wait_until_quiet
from tests.browser.test_dashboard import CUT
from tests.foreign_files import Tensor, named, pickled, save_safetensors, save_torch, system_call, torch_zip
from tests.synthetic import random_mask
from tests.synthetic_atlas import make_atlas, make_layout

pytestmark = pytest.mark.browser


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A sound file, and ones that are refused."""
    folder = tmp_path / "files"
    folder.mkdir()
    layout, rng = make_layout(), np.random.default_rng(0)
    mask = random_mask(layout, 0.5, rng)
    save_torch(folder / "mask_sw.pt", named(mask, "bert.", "_mask"))
    save_safetensors(folder / "wrong_model.safetensors", named(random_mask(make_layout(2, 8), 0.5, rng)))
    whole = (folder / "mask_sw.pt").read_bytes()
    (folder / "cut_short.pt").write_bytes(whole[: len(whole) // 2])
    evil = pickle.dumps({"x": system_call(folder / "ran")}, protocol=2)
    torch_zip(folder / "evil.pt", evil, {"0": bytes(4)})
    lie = pickled({layout.names[0]: Tensor((8, 8), (8, 1), 10**10)})
    torch_zip(folder / "lie.pt", lie, {"0": bytes(256)})
    np.savez_compressed(folder / "bomb.npz", x=np.zeros(2**27, dtype=np.uint8))
    return folder


def see(what: Locator) -> None:
    """Wait until it is there: checking, comparing and saving take their time on a busy machine."""
    expect(what).to_be_visible(timeout=PATIENCE_MS)


def drop(page: Page, *paths: Path) -> None:
    """Give files to the page and wait for what it says of them."""
    page.locator("input[type=file]").set_input_files([str(path) for path in paths])
    for path in paths:
        see(page.locator("[class*=st-key-file_]").filter(has_text=path.name))
    wait_until_quiet(page)


def visit(visitor: Visitor, server: Server, **settings: object) -> Page:
    page = visitor(f"{server.url}/upload", wait=False, **settings)
    page.locator("input[type=file]").wait_for(state="attached")
    wait_until_quiet(page)
    return page


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path, Path]]:
    """A read-only server over its own atlas, and where its temporary files go."""
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    make_atlas(root / "demo", ("en", "sw"), levels=(0.5,))
    scratch.mkdir()
    monkeypatch.setenv("LSN_READ_ONLY", "1")
    monkeypatch.setenv("TMPDIR", str(scratch))
    with serve(root, tmp_path) as running:
        yield running, root, scratch


def test_sound_and_bad_files_and_the_server_lives_on(
    fresh_server: Server, visitor: Visitor, files: Path
) -> None:
    page = visit(visitor, fresh_server)
    names = ("wrong_model.safetensors", "cut_short.pt", "evil.pt", "lie.pt", "bomb.npz", "mask_sw.pt")
    drop(page, *(files / name for name in names))
    for name, says in (
        ("wrong_model.safetensors", "it lacks 24 of 36 prunable matrices"),
        ("cut_short.pt", "cut short or damaged"),
        ("evil.pt", "posix.system"),
        ("lie.pt", "claims 40000000000 bytes"),
        ("bomb.npz", "would unpack to"),
        ("mask_sw.pt", "All 10 checks passed"),
    ):
        card = page.locator("[class*=st-key-file_]").filter(has_text=name)
        expect(card).to_contain_text(says)
        if name != "mask_sw.pt":
            expect(card).to_contain_text("✗ failed")
            expect(card).to_contain_text("to mend it:")
    assert not (files / "ran").exists()
    assert page.locator(".stException").count() == 0
    see(page.get_by_text("This sub-network is most like that of"))
    wait_until_quiet(page)
    assert page.locator(".stPlotlyChart[aria-label]").count() == 3
    another = visit(visitor, fresh_server)
    expect(another.get_by_role("heading", level=1)).to_have_text("Upload")
    modules = fresh_server.stop()
    assert "streamlit" in modules
    assert not {"torch", "transformers"} & set(modules)


def test_two_visitors_stay_apart_on_every_page(server: Server, visitor: Visitor, files: Path) -> None:
    first, second = visit(visitor, server), visit(visitor, server)
    drop(first, files / "mask_sw.pt")
    first.get_by_role("button", name="Keep", exact=True).click()
    see(first.get_by_text("It is kept for this session as Swahili"))
    drop(second, files / "cut_short.pt")
    assert second.get_by_text("mask_sw.pt").count() == 0
    assert first.get_by_text("cut_short.pt").count() == 0
    assert "mask_sw" not in first.url
    for page, name in ((first, "mask_sw.pt"), (second, "cut_short.pt")):
        page.locator(".st-key-menu").get_by_text("Language tree").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Language tree")
        page.locator(".st-key-menu").get_by_text("Upload").click()
        see(page.get_by_text(name))
    link = visitor(first.url, wait=False)
    link.locator("input[type=file]").wait_for(state="attached")
    wait_until_quiet(link)
    assert link.get_by_text("mask_sw.pt").count() == 0


def test_language_that_is_not_in_the_list_can_be_typed(server: Server, visitor: Visitor, files: Path) -> None:
    page = visit(visitor, server)
    drop(page, files / "mask_sw.pt")
    for typed, says in (("no/code", "unlike 'no/code'"), ("pt", "It is kept for this session as pt,")):
        box = page.locator("[class*=st-key-file_]").get_by_role("combobox").first
        box.fill(typed)
        box.press("Enter")
        page.get_by_role("button", name="Keep", exact=True).click()
        see(page.get_by_text(says))


def test_saved_by_someone_allowed(tmp_path: Path, visitor: Visitor, files: Path) -> None:
    root = tmp_path / "root"
    make_atlas(root / "demo", ("en", "de"), methods=("random",), levels=(0.5,))
    with serve(root, tmp_path) as running:
        page = visit(visitor, running)
        drop(page, files / "mask_sw.pt")
        page.get_by_role("button", name="Keep", exact=True).click()
        page.get_by_role("button", name="Save to atlas demo").click()
        see(page.get_by_text("Saved in atlas demo as mlm-sw-imp-s0"))
        assert page.locator(".stException").count() == 0
    key = TicketKey("mlm", "sw", "imp", 0)
    atlas = Atlas.open(root / "demo")
    expected = random_mask(make_layout(), 0.5, np.random.default_rng(0))
    found: Mask = atlas.ticket(key).mask(atlas.header(key).levels[0])
    assert found == expected
    assert atlas.verify() == []


def test_read_only_server_writes_nothing(
    watched: tuple[Server, Path, Path], visitor: Visitor, files: Path
) -> None:
    running, root, scratch = watched
    before = listing(root)
    page = visit(visitor, running)
    drop(page, files / "mask_sw.pt", files / "evil.pt")
    page.get_by_role("button", name="Keep", exact=True).click()
    see(page.get_by_text("This server is read-only"))
    assert page.get_by_role("button", name="Save to atlas").count() == 0
    page.locator(".st-key-menu").get_by_text("Overlap").click()
    wait_until_quiet(page)
    assert listing(root) == before
    assert not [path for path in scratch.rglob("*") if path.name.startswith("lsn-") or path.suffix == ".pt"]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut(server: Server, visitor: Visitor, files: Path, width: int) -> None:
    page = visit(visitor, server, width=width)
    drop(page, files / "mask_sw.pt", files / "wrong_model.safetensors")
    page.wait_for_selector(".st-key-upload_components .subplot", state="attached")
    wait_until_quiet(page)
    assert page.evaluate(CUT) == []
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= window.innerWidth")


def test_file_that_is_too_large_is_told_by_its_limit(
    server: Server, visitor: Visitor, tmp_path: Path
) -> None:
    large = tmp_path / "large.pt"
    with large.open("wb") as stream:
        stream.truncate(33 * 2**20)
    page = visit(visitor, server)
    page.locator("input[type=file]").set_input_files(str(large))
    see(page.get_by_text("32.0MB or smaller"))
    see(page.get_by_text("At most 32 MB a file"))
    assert page.locator("[class*=st-key-file_]").count() == 0
