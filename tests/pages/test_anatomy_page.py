"""The Anatomy page without a browser: its numbers again from the bits, its controls, links and what can go wrong."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from lsn_core.ui.controls import clicked_matrix
from lsn_core.ui.uploads import Upload
from tests.pages.conftest import FEW, Visit, charts, plain, said
from tests.synthetic_atlas import make_atlas, make_layout, write_transfer

MAPS = {"anatomy_left", "anatomy_right", "anatomy_both"}
PICTURES = {f"anatomy_picture_{place}" for place in (1, 2, 3, 4)}
LINES = {"anatomy_rows", "anatomy_columns"}
QUERY = "encoder.1.query"
SHIPPED = Path(__file__).parents[2] / "masks"


@pytest.fixture(scope="module", autouse=True)
def with_more(atlases: Path) -> None:
    """An atlas whose model's heads are known, one of another task's tickets too, and one with transfer."""
    make_atlas(atlases / "headed", FEW, levels=(0.5,), heads=4)
    make_atlas(atlases / "odd-heads", FEW, methods=("imp",), levels=(0.5,), heads=3)
    linked = make_atlas(atlases / "linked", FEW, levels=(0.5,))
    write_transfer(linked, FEW)


def figures(app: AppTest) -> dict[str, dict[str, Any]]:
    return {chart.key: json.loads(chart.proto.spec) for chart in charts(app)}


def unpacked(sent: Any) -> np.ndarray:
    """A trace's numbers, which may be sent packed."""
    if not isinstance(sent, dict):
        return np.array(sent, dtype=float)
    flat = np.frombuffer(base64.b64decode(sent["bdata"]), dtype=np.dtype(sent["dtype"]))
    shape = tuple(int(part) for part in str(sent.get("shape", len(flat))).split(","))
    return flat.reshape(shape).astype(float)


def grid(figure: Mapping[str, Any]) -> np.ndarray:
    """The numbers of a map or a picture."""
    return unpacked(next(trace for trace in figure["data"] if trace.get("coloraxis"))["z"])


def mask_of(atlases: Path, code: str, atlas: str = "demo", method: str = "imp", level: float = 0.5) -> Mask:
    found = Atlas.open(atlases / atlas)
    key = BASE_KEY if code == "base" else TicketKey("mlm", code, method, 0)
    return found.ticket(key).mask(level)


def per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"


def jaccards(first: Mask, second: Mask, base: Mask) -> tuple[float, float, float]:
    """Measured, expected from the pretrained weights alone, and by chance, over the whole model."""
    both = either = 0
    reference = chance = 0.0
    for name in first.layout.names:
        a, b, r = (mask[name].ravel() for mask in (first, second, base))
        both, either = both + (a & b).sum(), either + (a | b).sum()
        chance += a.mean() * b.mean() * a.size
        for part in (r, ~r):
            reference += a[part].mean() * b[part].mean() * part.sum() if part.any() else 0.0
    kept = first.kept + second.kept
    return float(both / either), reference / (kept - reference), chance / (kept - chance)


def unhyphened(text: str) -> str:
    """The text with components called as in the atlas."""
    return text.replace("feed-forward-", "feed-forward ")


def check_sentences(app: AppTest, root: Path, atlas: str) -> None:
    """What is written of English beside French, against the bits."""
    assert not app.exception
    assert not app.warning
    first, second, base = (mask_of(root, code, atlas) for code in ("en", "fr", "base"))
    places = {m.name: f"the {m.component} matrix of {m.stack} layer {m.layer}" for m in first.layout.matrices}
    said_of = [part for m in app.markdown for part in plain(m.value).split("\n\n")]
    for name, mask in (("English", first), ("French", second)):
        density = {m: mask[m].mean() for m in mask.layout.names}
        most, least = max(density, key=density.__getitem__), min(density, key=density.__getitem__)
        inside = sum((mask[m] & base[m]).sum() for m in mask.layout.names) / mask.kept
        (line,) = [unhyphened(part) for part in said_of if part.startswith(f"**{name}** keeps")]
        assert f"keeps **{per_cent(mask.density)}** of all prunable weights" in line
        assert f"the fullest is {places[most]} ({per_cent(density[most])})" in line
        assert f"the emptiest {places[least]} ({per_cent(density[least])})" in line
        assert f"the pretrained weights alone would keep {per_cent(inside)} too" in line
    measured, reference, chance = jaccards(first, second, base)
    by_place = {m: (first[m] & second[m]).sum() / (first[m] | second[m]).sum() for m in first.layout.names}
    most, least = max(by_place, key=by_place.__getitem__), min(by_place, key=by_place.__getitem__)
    (line,) = [
        unhyphened(part)
        for part in said_of
        if part.startswith("Of the weights that either") and "share most" in part
    ]
    assert f"both keep **{per_cent(measured)}**" in line
    assert f"alone would give {per_cent(reference)}, chance {per_cent(chance)}" in line
    assert f"most in {places[most]} ({per_cent(by_place[most])})" in line
    assert f"least in {places[least]} ({per_cent(by_place[least])})" in line


@pytest.mark.parametrize("atlas", ["demo", "headed", "two-stacks"])
def test_first_view_says_what_counting_bits_says(visit: Visit, atlases: Path, atlas: str) -> None:
    app = visit("anatomy", atlas=atlas)
    assert app.title[0].value == "Anatomy"
    check_sentences(app, atlases, atlas)
    heads = {"anatomy_heads", "anatomy_all_heads"} if atlas == "headed" else set()
    assert set(figures(app)) == MAPS | PICTURES | LINES | heads


@pytest.mark.slow
@pytest.mark.parametrize("atlas", ["demo", "e5-small"])
def test_first_view_of_the_shipped_atlases(visit: Visit, monkeypatch: pytest.MonkeyPatch, atlas: str) -> None:
    monkeypatch.setenv("LSN_MASKS", str(SHIPPED))
    app = visit("anatomy", atlas=atlas)
    check_sentences(app, SHIPPED, atlas)
    assert {"anatomy_heads", "anatomy_all_heads"} < set(figures(app))


def test_maps_are_those_of_their_parts(visit: Visit, atlases: Path) -> None:
    shown = figures(visit("anatomy", right="base@50", compare="shared"))
    first, base = mask_of(atlases, "en"), mask_of(atlases, "base")
    own, other, both = (grid(shown[key]) for key in ("anatomy_left", "anatomy_right", "anatomy_both"))
    assert own.shape == other.shape == both.shape == (7, 7)
    parts = {(1, 0): ["encoder.1.query"], (6, 6): list(first.layout.names)}
    parts[4, 6] = [name for name in first.layout.names if name.startswith("encoder.4.")]
    parts[6, 3] = [name for name in first.layout.names if name.endswith(".attention output")]
    for place, names in parts.items():
        a, b = (np.concatenate([mask[name].ravel() for name in names]) for mask in (first, base))
        assert own[place] == pytest.approx(100 * a.mean(), rel=1e-5)
        assert other[place] == pytest.approx(100 * b.mean(), rel=1e-5)
        assert both[place] == pytest.approx(100 * (a & b).sum() / (a | b).sum(), rel=1e-5)


def test_difference_map_is_signed(visit: Visit) -> None:
    shown = figures(visit("anatomy", left="mlm-en-imp-s0@50", right="mlm-en-imp-s0@80", compare="difference"))
    both = shown["anatomy_both"]
    apart = grid(shown["anatomy_left"]) - grid(shown["anatomy_right"])
    np.testing.assert_allclose(grid(both), apart, atol=1e-4)
    assert apart[-1, -1] == pytest.approx(30, abs=0.1)
    assert both["layout"]["coloraxis"]["cmin"] == -both["layout"]["coloraxis"]["cmax"]


def test_pictures_are_the_matrix_itself(visit: Visit, atlases: Path) -> None:
    shown = figures(visit("anatomy", matrix=QUERY))
    first, second = (mask_of(atlases, code)[QUERY] for code in ("en", "fr"))
    pictures = [grid(shown[f"anatomy_picture_{place}"]) for place in (1, 2, 3, 4)]
    expected = [first, second, first.astype(int) - second.astype(int), first ^ second]
    for picture, bits in zip(pictures, expected, strict=True):
        np.testing.assert_allclose(picture, 100.0 * bits, atol=1e-4)
    rows = shown["anatomy_rows"]["data"]
    np.testing.assert_allclose(unpacked(rows[1]["y"]), 100 * first.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(unpacked(rows[2]["y"]), 100 * second.mean(axis=1), rtol=1e-5)
    columns = shown["anatomy_columns"]["data"]
    np.testing.assert_allclose(unpacked(columns[1]["y"]), 100 * first.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("component", "axis"), [("key", 0), ("attention output", 1)])
def test_heads_are_blocks_of_rows_or_of_columns(
    visit: Visit, atlases: Path, component: str, axis: int
) -> None:
    app = visit("anatomy", atlas="headed", matrix=f"encoder.2.{component}")
    assert not app.exception
    bits = mask_of(atlases, "en", "headed")[f"encoder.2.{component}"]
    expected = [100 * part.mean() for part in np.split(bits, 4, axis=axis)]
    shown = figures(app)
    assert unpacked(shown["anatomy_heads"]["data"][1]["y"]) == pytest.approx(expected, rel=1e-5)
    everywhere = grid(shown["anatomy_all_heads"])
    assert everywhere.shape == (6, 5)
    assert everywhere[2] == pytest.approx([*expected, 100 * bits.mean()], rel=1e-5)
    assert len(shown["anatomy_picture_1"]["layout"]["shapes"]) == 3
    assert f"English keeps the largest share of a head's {component} weights in head" in said(app)
    assert "there are 24 heads" in said(app)


@pytest.mark.parametrize("atlas", ["demo", "odd-heads"])
def test_heads_are_not_guessed(visit: Visit, atlas: str) -> None:
    app = visit("anatomy", atlas=atlas, matrix=QUERY)
    assert not app.exception
    assert "anatomy_heads" not in figures(app)
    assert "The number of attention heads of this model is not recorded" in said(app)


def test_feed_forward_matrix_still_shows_heads_of_attention(visit: Visit) -> None:
    app = visit("anatomy", atlas="headed", matrix="encoder.0.feed-forward in")
    assert not app.exception
    assert {"anatomy_all_heads"} == {key for key in figures(app) if "heads" in key}
    assert "share of a head's query weights" in said(app)


def test_side_bar_leads_until_something_is_chosen(visit: Visit) -> None:
    app = visit("anatomy", languages="de.sw", sparsity="80")
    assert "**German** keeps **20.0 %**" in said(app)
    assert "**Swahili** keeps **20.0 %**" in said(app)
    assert "Both follow the side bar's task, method, sparsity" in said(app)
    assert "German: seed 0, 80 % removed." in said(app)
    app.selectbox(key="left_of").set_value("mlm-fr-imp-s1").run()
    assert "**French** keeps **20.0 %**" in said(app)
    assert app.query_params["left"] == "mlm-fr-imp-s1@80"
    assert app.query_params["right"] == "sidebar"
    assert "The first is chosen here and stays" in said(app)
    app.select_slider(key="sparsity").set_value(0.3).run()
    assert "**French** keeps **20.0 %**" in said(app)
    assert "**Swahili** keeps **70.0 %**" in said(app)
    assert "French keeps fewer weights than Swahili, so that at most 28.6 % could be shared" in said(app)
    app.select_slider(key="right_level").set_value(0.5).run()
    assert app.query_params["right"] == "mlm-sw-imp-s0@50"
    assert "Both are chosen here" in said(app)
    again = visit("anatomy", app.query_params)
    assert not again.warning
    assert figures(again) == figures(app)
    app.selectbox(key="left_of").set_value("sidebar").run()
    assert "**German** keeps **70.0 %**" in said(app)
    app.selectbox(key="right_of").set_value("none").run()
    assert app.query_params["right"] == "none"
    assert "The first follows the side bar" in said(app)
    assert "there is no second" in said(app)
    assert set(figures(app)) == {"anatomy_left", "anatomy_picture_1"} | LINES


def test_one_language_stands_beside_the_pretrained_weights(visit: Visit) -> None:
    for app in (visit("anatomy", atlas="lonely"), visit("anatomy", languages="fr")):
        assert not app.exception
        assert "**Pretrained alone** keeps **50.0 %**" in said(app)
        assert "chance would give" in said(app)
        assert app.segmented_control(key="compare").options == [
            "Shared − chance", "Shared", "Density difference"
        ]  # fmt: skip


def test_random_control_and_another_seed_are_told_apart(visit: Visit) -> None:
    app = visit("anatomy", left="mlm-en-imp-s0@50", right="mlm-en-random-s0@50")
    assert "**English (iterative pruning)** keeps" in said(app)
    assert "**English (random control)** keeps" in said(app)
    app = visit("anatomy", left="mlm-en-imp-s0@50", right="mlm-en-imp-s1@50")
    assert "**English (seed 1)** keeps" in said(app)
    app = visit("anatomy", left="mlm-en-imp-s0@50", right="mlm-en-imp-s0@50")
    assert not app.exception
    assert "Both keep the very same weights." in said(app)


def test_another_atlas_over_the_same_matrices(visit: Visit, atlases: Path) -> None:
    app = visit("anatomy", left="mlm-en-imp-s0@50", right="headed:mlm-sw-imp-s0@50")
    assert not app.exception
    assert not app.warning
    first, second, base = (mask_of(atlases, *where) for where in (("en",), ("sw", "headed"), ("base",)))
    assert f"both keep **{per_cent(jaccards(first, second, base)[0])}**" in said(app)
    assert "atlas headed" in " ".join(app.selectbox(key="right_of").options)
    assert "two-stacks" not in " ".join(app.selectbox(key="right_of").options)


def upload(atlases: Path, label: str = "my <b>mask</b>_*1*.pt", atlas: str = "demo") -> Upload:
    found = Atlas.open(atlases / atlas)
    half = Mask.from_arrays(
        {m.name: np.arange(m.size).reshape(m.shape) % 2 == 0 for m in found.layout.matrices}, found.layout
    )
    survival = np.concatenate([half[name].ravel() for name in found.layout.names]).astype(np.uint8)
    ticket = Ticket(TicketKey("mlm", "en", "imp", 0), found.layout, (0.5,), survival)
    return Upload("0123456789ab", label, ticket)


def test_upload_is_there_for_its_owner_alone(visit: Visit, atlases: Path) -> None:
    mine = upload(atlases)
    app = visit("anatomy")
    app.session_state["uploads"] = {mine.token: mine}
    app.run()
    (line,) = [option for option in app.selectbox(key="right_of").options if "your upload" in option]
    assert "<" not in line
    app.selectbox(key="right_of").set_value("up:0123456789ab").run()
    assert not app.exception
    assert app.query_params["right"] == "up:0123456789ab"
    english = mask_of(atlases, "en")
    bits = mine.ticket.mask(0.5)
    both = (english & bits).kept / (english | bits).kept
    assert f"both keep **{per_cent(both)}**" in said(app)
    assert "<b>" not in said(app)
    assert "*1*" not in said(app)
    other = visit("anatomy", app.query_params)
    assert not other.exception
    assert "an upload of another visitor or of an earlier visit, “up:0123456789ab”" in other.warning[0].value
    assert not any("your upload" in option for option in other.selectbox(key="right_of").options)
    assert set(figures(other)) >= MAPS


def test_upload_of_another_model_is_not_offered(visit: Visit, atlases: Path) -> None:
    mine = upload(atlases, atlas="two-stacks")
    app = visit("anatomy")
    app.session_state["uploads"] = {mine.token: mine}
    app.run()
    assert not any("your upload" in option for option in app.selectbox(key="right_of").options)


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ({"left": "mlm-xx-imp-s0@50"}, "mlm-xx-imp-s0@50"),
        ({"right": "mlm-en-imp-s0@55"}, "the second sub-network “mlm-en-imp-s0@55”"),
        ({"left": "none"}, "the first sub-network “none”"),
        ({"right": "../../etc:base@50"}, "../../etc:base@50"),
        ({"matrix": "encoder.9.query"}, "the matrix “encoder.9.query”"),
        ({"compare": "all"}, "the comparison “all”"),
        ({"right": "damaged:mlm-fr-imp-s1@50"}, "damaged:mlm-fr-imp-s1@50"),
    ],
)
def test_address_that_cannot_be_followed_is_told(visit: Visit, tokens: dict[str, str], told: str) -> None:
    app = visit("anatomy", tokens)
    assert not app.exception
    assert told in app.warning[0].value
    assert set(figures(app)) >= MAPS


def test_two_stacks(visit: Visit) -> None:
    app = visit("anatomy", atlas="two-stacks", matrix="decoder.1.key")
    assert not app.exception
    assert figures(app)["anatomy_left"]["layout"]["yaxis"]["ticktext"] == ["e0", "e1", "d0", "d1", "all"]
    assert "Decoder layer 1 · key" in app.selectbox(key="matrix").options


@pytest.mark.parametrize(
    ("atlas", "heading"), [("empty", "This atlas is empty"), ("tables-only", "The masks are not here")]
)
def test_what_is_missing_and_what_to_do(visit: Visit, atlases: Path, atlas: str, heading: str) -> None:
    app = visit("anatomy", atlas=atlas)
    assert not app.exception
    assert not figures(app)
    assert heading in said(app)
    assert f"--atlas masks/{atlas}" in said(app)
    assert str(atlases) not in said(app)


def test_tables_alone_leave_the_masks_of_other_atlases(visit: Visit) -> None:
    app = visit("anatomy", atlas="tables-only")
    app.selectbox(key="left_of").set_value("demo:mlm-en-imp-s0").run()
    assert not app.exception
    assert "**English** keeps **50.0 %**" in said(app)
    assert app.query_params["left"] == "demo:mlm-en-imp-s0@50"


def test_without_a_base_ticket_nothing_is_made_up(visit: Visit) -> None:
    app = visit("anatomy", atlas="no-base")
    assert not app.exception
    assert "pretrained" not in " ".join(m.value for m in app.markdown)
    assert "nan" not in said(app)
    assert app.session_state["compare"] == "above-chance"


@pytest.mark.parametrize(
    ("points", "name"),
    [
        ([{"customdata": QUERY}], QUERY),
        ([{"customdata": [QUERY]}], QUERY),
        ([{"customdata": ""}], None),
        ([{"customdata": "encoder.9.query"}], None),
        ([{"customdata": [QUERY, QUERY]}], None),
        ([{"customdata": 3}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_click_must_name_a_matrix(points: list[dict[str, Any]], name: str | None) -> None:
    assert clicked_matrix(points, make_layout()) == name


def test_cells_carry_their_matrix_and_the_chosen_one_is_outlined(visit: Visit) -> None:
    shown = figures(visit("anatomy", matrix=QUERY))
    for key in MAPS:
        points = next(trace for trace in shown[key]["data"] if trace["name"] == "cells")
        place = list(points["customdata"]).index(QUERY)
        assert (points["x"][place], points["y"][place]) == (0, 1)
        assert points["customdata"][-1] == ""
        outlines = [shape for shape in shown[key]["layout"]["shapes"] if shape["type"] == "rect"]
        assert {(outline["x0"], outline["y0"]) for outline in outlines} == {(-0.5, 0.5)}


def links(app: AppTest) -> dict[str, str]:
    return {link.proto.label: link.proto.query_string for link in app.get("page_link")}


@pytest.mark.parametrize(("page", "token"), [("overlap", {"pair": "fr.sw"}), ("transfer", {"cell": "fr.sw"})])
def test_pair_leads_to_its_anatomy(visit: Visit, page: str, token: dict[str, str]) -> None:
    found = links(visit(page, {"atlas": "linked", "seeds": "1"} | token))
    query = found["See the two sub-networks side by side"]
    assert "left=mlm-fr-imp-s1%4050" in query
    assert "right=mlm-sw-imp-s1%4050" in query
    pairs = dict(part.split("=") for part in query.split("&"))
    app = visit("anatomy", {name: value.replace("%40", "@") for name, value in pairs.items()})
    assert not app.warning
    assert "**French** keeps" in said(app)
    assert "**Swahili** keeps" in said(app)


def test_pair_leads_to_its_transfer_where_that_was_measured(visit: Visit) -> None:
    found = links(visit("overlap", atlas="linked", pair="fr.sw"))
    assert "cell=fr.sw" in found["How well French serves Swahili"]
    assert not any("serves" in label for label in links(visit("overlap", pair="fr.sw")))
    assert "See the two sub-networks side by side" in links(visit("overlap", pair="fr.sw"))
    assert "See the two sub-networks side by side" not in links(
        visit("overlap", atlas="tables-only", pair="fr.sw")
    )


def test_everything_drawn_has_words(visit: Visit) -> None:
    for chart in charts(visit("anatomy", atlas="headed")):
        assert "**" not in chart.proto.alt
        assert len(chart.proto.alt) > 60
        assert re.search(r"\d", chart.proto.alt)
