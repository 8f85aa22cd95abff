"""Round trips of every format for random layouts, masks and tables; and no bit of a mask that a hash leaves out."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsn_core.masks import tables
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, Cell, gather, save_cell
from lsn_core.masks.codec import make_random_survival
from lsn_core.masks.container import canonical_json, parse_json
from lsn_core.masks.foreign.exchange import write_mask_file
from lsn_core.masks.foreign.numpy_files import open_safetensors
from lsn_core.masks.layout import COMPONENTS, STACKS, Layout, Matrix
from lsn_core.masks.mask import Mask, mask_from_survival
from lsn_core.masks.ticket import BASE_KEY, Score, Ticket, TicketKey
from lsn_core.masks.ticket_file import read_header, read_ticket, write_ticket
from tests.synthetic import MODEL, make_ticket, small_layout

SIDES = st.integers(1, 9)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = TEXTS.filter(str.isprintable)
SEEDS = st.integers(0, 2**32 - 1)
REALS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """One to five matrices of any shape up to 9 × 9, anywhere in a model."""
    shapes = draw(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
    return Layout(
        tuple(
            Matrix(
                f"{number}.{draw(NAMES)}",
                shape,
                draw(st.sampled_from(STACKS)),
                draw(st.none() | st.integers(0, 40)),
                draw(st.sampled_from(COMPONENTS)),
            )
            for number, shape in enumerate(shapes)
        )
    )


@st.composite
def survivals(draw: st.DrawFn, layout: Layout, levels: int) -> np.ndarray:
    """Any number of levels that each weight survives; often all the same, or nearly."""
    rng = np.random.default_rng(draw(SEEDS))
    most = draw(st.integers(0, levels))
    return rng.integers(0, most, layout.size, dtype=np.uint8, endpoint=True)


@st.composite
def level_lists(draw: st.DrawFn) -> tuple[float, ...]:
    """One to twenty sparsities, ascending: above and below the number that fits half a byte."""
    thousandths = draw(st.sets(st.integers(0, 1000), min_size=1, max_size=20))
    return tuple(number / 1000 for number in sorted(thousandths))


@st.composite
def tickets(draw: st.DrawFn, layout: Layout, key: TicketKey) -> Ticket:
    levels = draw(level_lists())
    scores = draw(
        st.lists(
            st.builds(Score, st.sampled_from((0.0, *levels)), TEXTS, REALS, st.integers(0, 10**9), TEXTS),
            max_size=4,
        )
    )
    about = {"model": MODEL, "recipe": {"note": draw(TEXTS)}, "seconds": draw(REALS)}
    survival = draw(survivals(layout, len(levels)))
    return Ticket(key, layout, levels, survival, tuple(scores), about, draw(TEXTS))


@given(layouts())
def test_a_layout_is_what_its_json_says(layout: Layout) -> None:
    again = Layout.from_json(parse_json(canonical_json(layout.to_json())))
    assert again == layout
    assert again.fingerprint == layout.fingerprint


@given(st.data())
def test_a_mask_is_what_its_arrays_and_its_words_say(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    mask = mask_from_survival(data.draw(survivals(layout, 1)), 0, layout)
    for again in (Mask.from_arrays(mask.arrays(), layout), Mask.from_words(mask.words, layout)):
        assert again == mask
        assert again.content_hash == mask.content_hash
    assert mask.kept == sum(int(array.sum()) for array in mask.arrays().values())


@settings(max_examples=15)
@given(st.data())
def test_every_bit_of_a_mask_is_in_its_hash(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    survival = data.draw(survivals(layout, 1))
    hashes = {mask_from_survival(survival, 0, layout).content_hash}
    for weight in range(layout.size):
        changed = survival.copy()
        changed[weight] ^= 1
        hashes.add(mask_from_survival(changed, 0, layout).content_hash)
    assert len(hashes) == layout.size + 1


@given(st.data())
def test_the_same_bits_over_other_matrices_are_another_mask(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    first, *rest = layout.matrices
    other = Layout((dataclasses.replace(first, name=f"{first.name}'"), *rest))
    survival = data.draw(survivals(layout, 1))
    one, two = (mask_from_survival(survival, 0, over) for over in (layout, other))
    assert one.content_hash != two.content_hash


@given(st.data())
def test_a_ticket_comes_back_from_its_file(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    ticket = data.draw(tickets(layout, TicketKey("mlm", "en", "imp", 3)))
    base = data.draw(st.none() | tickets(layout, BASE_KEY))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ticket.safetensors"
        write_ticket(path, ticket, base)
        header, again = read_header(path, check_parts=True), read_ticket(path, base, layout)
    np.testing.assert_array_equal(again.survival, ticket.survival)
    np.testing.assert_array_equal(header.kept, ticket.kept)
    for name in ("key", "layout", "levels", "scores", "provenance", "config_hash", "content_hash"):
        assert getattr(again, name) == getattr(header, name) == getattr(ticket, name)


@given(st.data())
def test_a_random_ticket_comes_back_from_its_key(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    kept = data.draw(tickets(layout, TicketKey("mlm", "en", "imp", 3))).kept
    number = data.draw(st.integers(0, 2**128 - 1))
    levels = tuple(step / 1000 for step in range(len(kept)))
    survival = make_random_survival(layout, kept, number)
    ticket = Ticket(TicketKey("mlm", "en", "random", 3), layout, levels, survival, philox_key=number)
    np.testing.assert_array_equal(ticket.kept, kept)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ticket.safetensors"
        write_ticket(path, ticket, None)
        np.testing.assert_array_equal(read_ticket(path).survival, survival)


@settings(max_examples=15)
@given(st.data())
def test_every_weight_of_a_ticket_is_in_its_hash(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    ticket = data.draw(tickets(layout, TicketKey("mlm", "en", "imp", 3)))
    hashes = {ticket.content_hash}
    for weight in range(layout.size):
        changed = ticket.survival.copy()
        changed[weight] = (int(changed[weight]) + 1) % (len(ticket.levels) + 1)
        hashes.add(dataclasses.replace(ticket, survival=changed).content_hash)
    assert len(hashes) == layout.size + 1


@given(st.data())
def test_a_table_comes_back_from_its_file(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 5))

    def column(values: st.SearchStrategy, dtype: str) -> pd.Series:
        return pd.Series(data.draw(st.lists(values, min_size=rows, max_size=rows)), dtype=dtype)

    frame = pd.DataFrame(
        {
            "text": column(TEXTS, "str"),
            "whole": column(st.integers(-(2**63), 2**63 - 1), "int64"),
            "real": column(st.floats(), "float64"),
        }
    )
    stamps = data.draw(st.dictionaries(TEXTS, TEXTS, max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        tables.write(Path(folder) / "t.parquet", frame, stamps)
        again, their_stamps = tables.read(Path(folder) / "t.parquet")
    assert their_stamps == stamps
    pd.testing.assert_frame_equal(again.astype(frame.dtypes.to_dict()), frame)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """An atlas with one ticket."""
    layout = small_layout(1, 8)
    found = Atlas.create(tmp_path_factory.mktemp("cells") / "atlas", MODEL, layout)
    found.save(make_ticket(TicketKey("mlm", "en", "imp", 0), layout, np.arange(layout.size, dtype=float)))
    return found


@given(st.data())
def test_a_cell_comes_back_from_its_file(atlas: Atlas, data: st.DataObject) -> None:
    made = {"str": TEXTS, "int64": st.integers(0, 2**60), "float64": st.floats(0, 1)}
    rows = data.draw(
        st.lists(
            st.fixed_dictionaries({name: made[kind] for name, kind in TRANSFER.dtypes.items()}), max_size=3
        )
    )
    about = {"settings": {"steps": data.draw(st.integers())}, "number": data.draw(SEEDS)}
    cell = Cell(about, atlas.stamps(), tuple(rows))
    save_cell(atlas, TRANSFER, cell)
    found = gather(atlas, TRANSFER)
    assert found.problems == ()
    mine = found.frame[found.frame["cell"] == cell.name]
    expected = pd.DataFrame(rows, columns=list(TRANSFER.dtypes)).astype(dict(TRANSFER.dtypes))
    places = list(TRANSFER.place)
    pd.testing.assert_frame_equal(
        mine[list(TRANSFER.dtypes)].reset_index(drop=True),
        expected.sort_values(places, kind="stable").reset_index(drop=True),
    )


@given(st.data())
def test_an_exported_mask_is_read_as_it_was(data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
    layout = Layout(
        tuple(
            Matrix(f"layer.{number}.weight", shape, "encoder", number, "query")
            for number, shape in enumerate(shapes)
        )
    )
    mask = mask_from_survival(data.draw(survivals(layout, 1)), 0, layout)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.safetensors"
        write_mask_file(path, mask, {"note": data.draw(TEXTS)})
        with open_safetensors(path, layout.size) as source:
            arrays = {header.name: source.load(header) for header in source.headers}
    assert Mask.from_arrays(arrays, layout) == mask
