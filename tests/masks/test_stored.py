from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks import container, stored
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.stored import Shelf, StoredMask, store
from tests.synthetic import odd_layout, random_mask, small_layout

MASK = random_mask(odd_layout(), 0.5, np.random.default_rng(0))


def test_round_trip(tmp_path: Path) -> None:
    layout = Layout((*odd_layout().matrices, Matrix("long", (900, 1000), "encoder", 2, "query")))
    mask = random_mask(layout, 0.3, np.random.default_rng(1))
    made = store(tmp_path / "mask", mask)
    opened = StoredMask.open(tmp_path / "mask")
    assert made.layout == opened.layout == layout
    assert made.load() == opened.load() == mask
    for number, (_, start, stop) in enumerate(layout.chunks):
        out = np.empty(stop - start, np.uint64)
        opened.read_chunk(number, out)
        np.testing.assert_array_equal(out, mask.words[start:stop])


def test_chunks_cover_the_words_matrix_by_matrix() -> None:
    layout = Layout((Matrix("a", (2**10, 2**10), "encoder", 0, "key"), *odd_layout().matrices))
    words = [word for _, start, stop in layout.chunks for word in range(start, stop)]
    assert words == list(range(int(layout.word_offsets[-1])))
    for matrix, start, stop in layout.chunks:
        assert layout.word_offsets[matrix] <= start < stop <= layout.word_offsets[matrix + 1]
        assert stop - start <= 2**13


@settings(max_examples=200)
@given(st.data())
def test_a_changed_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("stored") / "mask"
    store(path, MASK)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match="damaged"):
        StoredMask.open(path).load()


def test_a_file_that_shrinks_or_goes_while_it_is_read(tmp_path: Path) -> None:
    made = store(tmp_path / "mask", MASK)
    made.path.write_bytes(made.path.read_bytes()[:-1])
    with pytest.raises(CorruptFile, match="not those that were written"):
        made.load()
    made.path.unlink()
    with pytest.raises(LsnError, match="cannot be read: no such file"):
        made.load()


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"digests": []},
        {"digests": None},
        {"layout": small_layout().to_json()},
        {"layout": "x"},
        {"more": 1},
    ],
)
def test_headers_that_were_made_up_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    store(tmp_path / "mask", MASK)
    with open(tmp_path / "mask", "rb") as stream:
        shell = container.read_shell(stream, tmp_path / "mask")
        words = stream.read()
    header = json.loads(shell.metadata)
    del header["seal"]
    header |= change
    sealed = container.canonical_json({**header, "seal": stored._seal(header)})
    (tmp_path / "mask").write_bytes(container.build(sealed, {"words": words}))
    with pytest.raises(CorruptFile, match="damaged or not a packed mask"):
        StoredMask.open(tmp_path / "mask")


def test_bits_beyond_a_matrix_are_refused_though_their_digest_fits(tmp_path: Path) -> None:
    honest = store(tmp_path / "mask", MASK)
    words = MASK.words.copy()
    words[0] |= np.uint64(2**63)  # the first matrix has 15 weights
    digests = [hashlib.sha256(words[start:stop]).hexdigest() for _, start, stop in MASK.layout.chunks]
    content = honest.path.read_bytes()
    honest.path.write_bytes(content[: -words.nbytes] + words.tobytes())
    forged = StoredMask(honest.path, MASK.layout, digests, len(content) - words.nbytes)
    with pytest.raises(CorruptFile, match=r"beyond the end of enc\.0\.q"):
        forged.load()


def test_what_is_no_packed_mask_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(CorruptFile, match="too short to be a packed mask"):
        StoredMask.open(tmp_path / "short")
    with pytest.raises(LsnError, match="no such file"):
        StoredMask.open(tmp_path / "none")
    with pytest.raises(LsnError, match="not a plain file"):
        StoredMask.open(tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    with pytest.raises(LsnError, match="cannot be written: file exists"):
        store(tmp_path / "there", MASK)
    assert (tmp_path / "there").read_bytes() == b"mine"


def test_a_shelf_keeps_what_fits_and_stores_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rng = np.random.default_rng(4)
    masks = [random_mask(odd_layout(), 0.5, rng) for _ in range(4)]
    with Shelf(memory=2 * masks[0].words.nbytes) as shelf:
        kept = [shelf.put(mask) for mask in masks]
        assert [isinstance(mask, Mask) for mask in kept] == [True, True, False, False]
        assert [mask.load() if isinstance(mask, StoredMask) else mask for mask in kept] == masks
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_shelf_without_room_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with Shelf(memory=0) as shelf, pytest.raises(LsnError, match=r"cannot be written to: .*set TMPDIR"):
        shelf.put(MASK)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Shelf(memory=0) as shelf:
        first = shelf.put(MASK)
        assert isinstance(first, StoredMask)
        (first.path.parent / "2").mkdir()
        with pytest.raises(LsnError, match="make room, or set TMPDIR"):
            shelf.put(MASK)
