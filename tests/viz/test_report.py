"""The report as a file: what is in it, in which order, and that nothing in it is markup but the software's own."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pandas as pd
import pytest

from lsn_core import __version__
from lsn_core.analysis.provenance import Origin, TicketOrigin
from lsn_core.viz.described import Described
from lsn_core.viz.report import SHOWN_ROWS, Exhibit, figure_html, report_html
from lsn_core.viz.theme import DARK, LIGHT, drawing

MADE = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
EVIL = "</script></title><script>alert('x')</script><img src=x onerror=\"alert(1)\">"
TABLE = pd.DataFrame({"language": ["en", "sw"], "value": [0.123456789, float("nan")]})
ORIGIN = Origin(
    "made-up",
    "tiny, revision 1",
    ("mlm",),
    ("imp",),
    (("Learning rate", "0.0002"),),
    (TicketOrigin("mlm-en-imp-s0", "ab" * 32, "cd" * 32),),
)


class Elements(HTMLParser):
    """The elements of a page with their attributes and, for each kind, the text inside."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page.decode())
        self.close()
        assert self.inside == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.inside.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.inside):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def exhibit(name: str = "first", dark: bool = False, **others: object) -> Exhibit:
    fig = drawing(DARK if dark else LIGHT, 300).figure()
    fig.add_scatter(y=[1, 3, 2], name=name)
    about = Described(name, f"alt of {name}", f"how of {name}", TABLE)
    return Exhibit.of(fig, f"Title of {name}", about, **others)


def test_everything_is_there_in_order() -> None:
    shown = [
        exhibit("first", sentence="Now **0.94** here.", caption="One\ntwo\n\nthree", origin=ORIGIN),
        exhibit("second", link="https://example.org/overlap?a=1&b=2", origin=ORIGIN),
    ]
    page = Elements(report_html("My report", "Hello.", shown, MADE))
    assert page.texts["title"] == page.texts["h1"] == ["My report"]
    assert page.texts["h2"][:2] == ["Figure 1. Title of first", "Figure 2. Title of second"]
    assert page.all("html")[0]["lang"] == "en"
    assert page.texts["li"] == ["Title of first: One", "Title of second: alt of second"]
    assert [chart["aria-label"] for chart in page.all("div") if chart.get("class") == "chart"] == [
        "alt of first", "alt of second"
    ]  # fmt: skip
    assert "how of first" in page.texts["figcaption"][0]
    assert "Onetwothree" in page.texts["figcaption"][0]
    assert page.texts["strong"] == ["0.94"]
    assert len([head for head in page.texts["h3"] if "made-up" in head]) == 1
    everything = page.texts["main"][0]
    assert all(
        word in everything
        for word in ("0.0002", "ab" * 32, "cd" * 32, "Neutrality", __version__, "2026-11-25")
    )
    assert "@inproceedings{foroutan-etal-2022-discovering" in everything
    assert "7560--7575" in everything
    assert "https://example.org/overlap?a=1&b=2" in [link["href"] for link in page.all("a")]
    names = {attributes["id"] for _, attributes in page.found if "id" in attributes}
    inner = [link["href"] for link in page.all("a") if (link["href"] or "").startswith("#")]
    assert inner
    assert {link[1:] for link in inner if link} <= names


def test_figures_come_back_as_they_were() -> None:
    fig = drawing(LIGHT, 300).figure()
    fig.add_scatter(y=[1, 3, 2], text=["<b>a</b>", "</script>", "&"])
    shown = Exhibit.of(fig, "Title")
    fig.data[0].y = [0, 0, 0]
    page = Elements(report_html("", "", [shown], MADE))
    (spec,) = [
        text
        for text, attributes in zip(page.texts["script"], page.all("script"), strict=True)
        if attributes.get("type") == "application/json"
    ]
    trace = json.loads(spec)["figure"]["data"][0]
    assert trace["y"] == [1, 3, 2]
    assert trace["text"] == ["<b>a</b>", "</script>", "&"]


def test_what_people_write_is_text() -> None:
    clean = Elements(report_html("T", "I", [exhibit(caption="c", sentence="s", origin=ORIGIN)], MADE))
    about = Described(EVIL, EVIL, EVIL, pd.DataFrame({EVIL: [EVIL, "x"], "v": [1.0, 2.0]}))
    facts = replace(ORIGIN, atlas=EVIL, model=EVIL, tasks=(EVIL,), methods=(EVIL,), facts=((EVIL, EVIL),))
    fig = drawing(LIGHT, 300).figure()
    fig.add_scatter(y=[1], name=EVIL)
    shown = Exhibit.of(fig, EVIL, about, caption=EVIL, sentence=EVIL, origin=facts)
    page = Elements(report_html(EVIL, EVIL, [shown], MADE))
    assert [tag for tag, _ in page.found] == [tag for tag, _ in clean.found]
    assert page.texts["h1"] == [EVIL]
    assert EVIL in page.texts["figcaption"][0]
    alone = Elements(figure_html(shown))
    assert len(alone.all("script")) == 3
    assert not alone.all("img")


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "/overlap?a=1", "file:///etc"])
def test_only_web_addresses_are_links(link: str) -> None:
    page = Elements(report_html("", "", [exhibit(link=link)], MADE))
    assert link not in [found["href"] for found in page.all("a")]
    assert link in page.texts["main"][0]


def test_table_is_shown_short_and_saved_whole() -> None:
    long = pd.DataFrame({"n": range(SHOWN_ROWS + 50), "x": [0.1] * (SHOWN_ROWS + 50)})
    shown = [exhibit(), replace(exhibit(), about=Described("long", "", "", long))]
    page = Elements(report_html("", "", shown, MADE))
    cells = page.texts["td"]
    assert cells[:4] == ["en", "0.123457", "sw", "–"]
    assert len(page.texts["tr"]) == 3 + 1 + SHOWN_ROWS
    assert all(head["scope"] == "col" for head in page.all("th"))
    saved = [link for link in page.all("a") if "download" in link]
    assert [link["download"] for link in saved] == ["first.csv", "long.csv"]
    for link, table in zip(saved, (TABLE, long), strict=True):
        start, _, data = (link["href"] or "").partition(";base64,")
        assert start == "data:text/csv;charset=utf-8"
        pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(base64.b64decode(data))), table)


@pytest.mark.parametrize(
    ("dark", "background"),
    [((False, False), LIGHT), ((True, False), LIGHT), ((True, True), DARK), ((), LIGHT)],
)
def test_page_is_dark_only_with_dark_figures_alone(dark: tuple[bool, ...], background: object) -> None:
    page = report_html("", "", [exhibit(str(place), each) for place, each in enumerate(dark)], MADE).decode()
    assert f"body {{ background: {background.background};" in page  # type: ignore[attr-defined]


def test_file_may_fetch_nothing() -> None:
    for page in (report_html("", "", [exhibit()], MADE), figure_html(exhibit())):
        found = Elements(page)
        policy = next(meta["content"] for meta in found.all("meta") if "http-equiv" in meta)
        assert (policy or "").startswith("default-src 'none'")
        assert not [attributes for _, attributes in found.found if "src" in attributes]
        assert not found.all("link")
        assert page.count(b"plotly.js v") == 1


def test_figure_of_a_notebook_needs_nothing_but_itself() -> None:
    page = Elements(report_html("", "", [Exhibit.of(drawing(LIGHT, 300).figure(), "Mine")], MADE))
    assert page.texts["h1"] == ["Language sub-networks"]
    assert page.texts["h2"][0] == "Figure 1. Mine"
    assert not page.all("details")
