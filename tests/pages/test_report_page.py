"""Pinning figures and the Report page, without a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.masks.atlas import Atlas
from lsn_core.ui import pins
from lsn_core.ui.pins import Board
from tests.pages.conftest import FEW, Visit, charts, plain, said


def board(app: AppTest) -> Board:
    found: Board = app.session_state["pins"]
    return found


def pin(app: AppTest, key: str) -> AppTest:
    return app.button(key=f"pin_{key}").click().run()


def figure(app: AppTest, key: str) -> dict[str, Any]:
    return next(json.loads(chart.proto.spec) for chart in charts(app) if chart.key == key)


def to(app: AppTest, page: str) -> AppTest:
    return app.switch_page(f"pages/{page}.py").run()


def test_nothing_pinned_says_what_to_do(visit: Visit) -> None:
    app = visit("report")
    assert not app.exception
    assert app.title[0].value == "Report"
    assert "Nothing pinned yet" in said(app)
    assert "**Pin**" in said(app)
    assert [link.proto.page for link in app.main.get("page_link")] == ["overlap"]


def test_no_link_pretends_to_lead_to_the_pins(visit: Visit) -> None:
    app = visit("overlap")
    assert len(app.code) == 2
    assert app.code[1].value == f"{app.code[0].value}&embed=true"
    assert not to(pin(app, "overlap_map"), "report").code


def test_report_needs_no_atlas(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSN_MASKS", str(tmp_path))
    app = visit("report")
    assert not app.exception
    assert "Nothing pinned yet" in said(app)


def test_pin_keeps_the_figure_as_it_was(visit: Visit, atlases: Path) -> None:
    app = visit("overlap")
    before = figure(app, "overlap_map")
    sentence = next(m.value for m in app.markdown if m.value.startswith("With 50"))
    pin(app, "overlap_map")
    assert app.button(key="pin_overlap_map").label == "Pinned"
    app.select_slider(key="sparsity").set_value(0.8).run()
    assert app.button(key="pin_overlap_map").label == "Pin"
    to(app, "report")
    assert not app.exception
    (held,) = board(app).pins
    shown = figure(app, f"pinned_{held.id}")
    assert [trace.get("z") for trace in shown["data"]] == [trace.get("z") for trace in before["data"]]
    can_be_clicked = {"clickmode": "event+select", "dragmode": "pan"}
    assert before["layout"].items() >= can_be_clicked.items()
    assert shown["layout"] | can_be_clicked == before["layout"]
    assert plain(sentence) in said(app)
    exhibit = held.exhibit
    assert exhibit.title == "Overlap"
    assert exhibit.sentence == sentence
    assert len(exhibit.about.table) == len(FEW) * (len(FEW) + 1) // 2
    assert exhibit.link.endswith(
        "overlap?v=1&atlas=demo&task=mlm&method=imp&sparsity=50&seeds=all&languages=all&measure=neutrality"
        "&by=total&order=cluster&pair=none"
    )
    assert exhibit.origin is not None
    stamps = Atlas.open(atlases / "demo").stamps()
    assert {ticket.stem: ticket.content_hash for ticket in exhibit.origin.tickets} == {
        stem: stamps[stem] for stem in stamps if stem == "base" or "-imp-" in stem
    }
    assert "Report (1)" in [link.proto.label for link in app.get("page_link")]


def test_pinned_figure_can_be_unpinned_where_it_is(visit: Visit) -> None:
    app = pin(visit("overlap"), "ranking")
    assert app.button(key="pin_ranking").label == "Pinned"
    assert app.button(key="pin_overlap_map").label == "Pin"
    pin(app, "ranking")
    assert app.button(key="pin_ranking").label == "Pin"
    assert board(app).pins == ()


def test_pins_of_several_pages_and_atlases_are_put_in_order(visit: Visit) -> None:
    app = pin(pin(visit("overlap"), "overlap_map"), "ranking")
    pin(to(app, "tree"), "language_tree")
    app.selectbox(key="atlas").set_value("two-stacks").run()
    pin(to(app, "overlap"), "overlap_map")
    to(app, "report")
    assert "**4 figures** of 2 atlases" in said(app)
    first, second, third, fourth = board(app).pins
    assert app.button(key=f"up_{first.id}").disabled
    assert app.button(key=f"down_{fourth.id}").disabled
    app.button(key=f"up_{third.id}").click().run()
    app.button(key=f"remove_{first.id}").click().run()
    assert board(app).pins == (third, second, fourth)
    headings = [heading.value for heading in app.header]
    assert headings == ["Figure 1. Language tree", "Figure 2. Overlap", "Figure 3. Overlap"]


def test_what_was_written_stays_when_other_pages_are_shown(visit: Visit) -> None:
    app = to(pin(visit("overlap"), "overlap_map"), "report")
    (held,) = board(app).pins
    app.text_input(key="report_title").set_value("Mine").run()
    app.text_area(key="report_introduction").set_value("First of all").run()
    app.text_area(key=f"caption_{held.id}").set_value("<script>alert(1)</script>").run()
    to(to(app, "tree"), "report")
    assert app.text_input(key="report_title").value == "Mine"
    assert app.text_area(key="report_introduction").value == "First of all"
    assert app.text_area(key=f"caption_{held.id}").value == "<script>alert(1)</script>"
    assert (board(app).title, board(app).introduction) == ("Mine", "First of all")
    assert board(app).pins[0].exhibit.caption == "<script>alert(1)</script>"


def test_full_report_is_told_under_the_figure(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "MOST_PINS", 1)
    app = pin(pin(visit("overlap"), "overlap_map"), "ranking")
    assert len(board(app).pins) == 1
    assert app.warning[0].value.startswith("Your report holds 1 figures, which is as many as it can.")
    assert not app.run().warning


def test_visitors_do_not_see_each_others_pins(visit: Visit) -> None:
    mine = pin(visit("overlap"), "overlap_map")
    yours = visit("report")
    assert "Nothing pinned yet" in said(yours)
    assert yours.session_state["pins"] is not mine.session_state["pins"]
    assert mine.session_state["pins_token"] not in yours.session_state


def test_pin_with_a_pair_has_the_sentence_of_the_pair(visit: Visit) -> None:
    app = pin(visit("overlap", pair="en.sw"), "pair_layers")
    (held,) = board(app).pins
    assert held.exhibit.sentence.startswith("English and Swahili have a neutrality of")
    assert held.exhibit.link.endswith("&pair=en.sw")


@pytest.mark.parametrize("page", ["core", "transfer", "tree"])
def test_every_page_lets_its_figures_be_pinned(visit: Visit, page: str) -> None:
    app = visit(page)
    for chart in charts(app):
        if chart.key != "unseen":
            pin(app, chart.key)
            assert app.button(key=f"pin_{chart.key}").label == "Pinned"
    assert not app.exception
    assert not to(app, "report").exception
