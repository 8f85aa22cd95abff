"""The address as a plain object, with dictionaries for the session and the browser."""

from __future__ import annotations

from typing import Any

import pytest

from lsn_core.ui.address import Address

MEASURES = {"jaccard": "J", "neutrality": "N"}
LANGUAGES = {code: code for code in ("en", "fr", "sw")}


def begin(session: dict[str, Any], arrived: dict[str, str], page: str = "overlap") -> Address:
    """A run with a shared control, a shared choice of several and a control of the page's own, up to its end."""
    address = Address(session, arrived, page)
    address.choose("measure", MEASURES, "neutrality", "the measure")
    address.choose_many("languages", LANGUAGES, "the languages")
    address.enter()
    if page == "overlap":
        address.choose("by", {"total": "total", "layer": "layer"}, "total", "the part")
    else:
        address.choose("cell", {"none": None, "en.sw": ("en", "sw")}, "none", "the cell")
    return address


def visit(
    session: dict[str, Any], arrived: dict[str, str], page: str = "overlap"
) -> tuple[Address, dict[str, str] | None]:
    """One run to its end."""
    address = begin(session, arrived, page)
    return address, address.settle()


def test_bare_address_gives_defaults_and_is_left_alone() -> None:
    session: dict[str, Any] = {}
    address, written = visit(session, {})
    assert written is None
    assert address.notes == []
    assert (session["measure"], session["languages"], session["by"]) == ("N", [], "total")
    assert visit(session, {})[1] is None


def test_link_restores_every_control() -> None:
    session: dict[str, Any] = {}
    first = {"v": "1", "measure": "jaccard", "languages": "sw.en", "by": "layer"}
    address, written = visit(session, first)
    assert written is None
    assert (session["measure"], session["languages"], session["by"]) == ("J", ["sw", "en"], "layer")
    assert address.link("overlap") == first
    assert visit(session, first)[1] is None


def test_moved_control_is_written_with_all_the_others() -> None:
    session: dict[str, Any] = {}
    visit(session, {})
    session["measure"] = "J"
    _, written = visit(session, {})
    assert written == {"v": "1", "measure": "jaccard", "languages": "all", "by": "total"}
    assert visit(session, written)[1] is None


def test_way_back_follows_the_older_address() -> None:
    session: dict[str, Any] = {}
    visit(session, {})
    session["measure"] = "J"
    visit(session, {})
    assert visit(session, {})[1] is None
    assert session["measure"] == "N"


def test_link_that_is_followed_before_the_run_has_ended_is_not_lost() -> None:
    session: dict[str, Any] = {}
    visit(session, {})
    session["measure"] = "J"
    link = begin(session, {}).link("overlap") | {"by": "layer"}  # and no settling: the page was still drawn
    visit(session, link)
    assert (session["measure"], session["by"]) == ("J", "layer")


def test_link_to_another_page_is_followed_whatever_moves() -> None:
    session: dict[str, Any] = {}
    address, _ = visit(session, {})
    session["by"] = "layer"  # a control that changes by itself while its page is left
    link = address.link("transfer") | {"cell": "en.sw"}
    assert visit(session, link, "transfer")[1] is None
    assert session["cell"] == ("en", "sw")


def test_link_that_was_drawn_before_a_control_was_moved_does_not_move_it_back() -> None:
    session: dict[str, Any] = {}
    address, _ = visit(session, {})
    link = address.link("transfer") | {"cell": "en.sw", "languages": "en"}
    session["measure"] = "J"
    begin(session, {})  # and no settling
    _, written = visit(session, link, "transfer")
    assert (session["measure"], session["languages"], session["cell"]) == ("J", ["en"], ("en", "sw"))
    assert written == link | {"measure": "jaccard"}
    assert visit(session, written, "transfer")[1] is None


def test_what_the_page_before_wrote_is_taken_off_the_address_again() -> None:
    """The browser has followed a link when what the last page wrote for it arrives."""
    session: dict[str, Any] = {}
    visit(session, {})
    session["by"] = "layer"
    address, astray = visit(session, {})
    assert astray is not None
    link = address.link("transfer") | {"cell": "en.sw"}
    visit(session, link, "transfer")
    _, written = visit(session, astray, "transfer")
    assert session["cell"] == ("en", "sw")
    assert written == link
    assert visit(session, link, "transfer")[1] is None
    assert visit(session, astray)[1] is None  # the way back to that page
    assert session["by"] == "layer"


def test_late_address_does_not_undo_a_moved_control() -> None:
    session: dict[str, Any] = {}
    visit(session, {})
    session["measure"] = "J"
    visit(session, {})
    session["by"] = "layer"
    _, written = visit(session, {})
    assert (session["measure"], session["by"]) == ("J", "layer")
    assert written is not None
    assert written["by"] == "layer"


@pytest.mark.parametrize(
    ("arrived", "named", "measure", "languages"),
    [
        ({"measure": "nonsense"}, "nonsense", "N", []),
        ({"measure": "<script>"}, "<script>", "N", []),
        ({"languages": "en.zz"}, "zz", "N", ["en"]),
        ({"languages": ""}, "the languages", "N", []),
        ({"v": "99", "measure": "jaccard"}, "99", "J", []),
    ],
)
def test_what_cannot_be_followed_is_told_until_something_moves(
    arrived: dict[str, str], named: str, measure: str, languages: list[str]
) -> None:
    session: dict[str, Any] = {}
    address, _ = visit(session, arrived)
    assert len(address.notes) == 1
    assert named in address.notes[0]
    assert (session["measure"], session["languages"]) == (measure, languages)
    assert visit(session, arrived)[0].notes == address.notes
    session["by"] = "layer"
    visit(session, arrived)
    assert visit(session, session["address_seen"])[0].notes == []


def test_value_that_is_no_longer_offered_falls_back_to_the_default() -> None:
    session: dict[str, Any] = {
        "address_seen": {},
        "address_meant": {},
        "address_values": {},
        "address_at": "overlap",
    }
    session["measure"] = "gone"
    session["languages"] = ["en", "gone"]
    visit(session, {})
    assert (session["measure"], session["languages"]) == ("N", ["en"])


def test_other_pages_keep_their_own_controls() -> None:
    session: dict[str, Any] = {}
    visit(session, {"by": "layer"})
    address = Address(session, {"v": "1", "measure": "jaccard", "languages": "all"}, "tree")
    address.choose("measure", MEASURES, "neutrality", "the measure")
    address.choose_many("languages", LANGUAGES, "the languages")
    address.enter()
    address.choose("linkage", {"average": "average"}, "average", "the linkage")
    assert address.link("overlap") == {
        "v": "1", "measure": "jaccard", "languages": "all", "by": "layer"
    }  # fmt: skip
    assert address.link("tree")["linkage"] == "average"
    assert "by" not in address.link("tree")


def test_some_text_and_a_number_are_kept_as_they_are() -> None:
    def run(session: dict[str, Any], arrived: dict[str, str]) -> tuple[list[Any], Address]:
        address = Address(session, arrived, "discover")
        address.enter()
        found = [
            address.some("codes", LANGUAGES, ("en", "sw"), "the languages"),
            address.text("name", "mine", "the name"),
            address.number("steps", 30, 1, 99, "steps"),
        ]
        return found, address

    session: dict[str, Any] = {}
    assert run(session, {})[0] == [["en", "sw"], "mine", 30]
    session = {}
    link = {"v": "1", "codes": "none", "name": "", "steps": "7"}
    found, address = run(session, link)
    assert found == [[], "", 7]
    assert address.link("discover") == link
    assert address.settle() is None
    session |= {"codes": ["fr"], "name": "ours/../x", "steps": 99}
    found, address = run(session, link)
    assert found == [["fr"], "ours/../x", 99]
    assert address.settle() == {"v": "1", "codes": "fr", "name": "ours/../x", "steps": "99"}


@pytest.mark.parametrize(
    ("arrived", "told"),
    [
        ({"codes": "en.xx"}, "“xx”"),
        ({"name": "a\tb"}, "no line of text"),
        ({"name": "a" * 81}, "no line of text"),
        ({"steps": "100"}, "not from 1 to 99"),
        ({"steps": "-1"}, "not from 1 to 99"),
        ({"steps": "²"}, "not from 1 to 99"),
        ({"steps": "9" * 5000}, "not from 1 to 99"),
    ],
)
def test_what_a_link_cannot_ask_for_is_told(arrived: dict[str, str], told: str) -> None:
    address = Address({}, arrived, "discover")
    address.enter()
    assert set(address.some("codes", LANGUAGES, ("en",), "the languages")) == {"en"}
    assert address.text("name", "mine", "the name") == "mine"
    assert address.number("steps", 30, 1, 99, "steps") == 30
    (note,) = address.notes
    assert told in note
