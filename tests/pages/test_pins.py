"""Pins without a page: a visitor's board, and the shelf where boards wait for their visitors."""

from __future__ import annotations

import pandas as pd
import pytest

from lsn_core.ui import pins
from lsn_core.ui.pins import IDLE_SECONDS, MOST_BYTES, MOST_PINS, Board, Pin, Shelf
from lsn_core.viz.described import Described
from lsn_core.viz.report import Exhibit


def pin(name: str, size: int = 0) -> Pin:
    about = Described(name, "alt", "how", pd.DataFrame({"value": [1.0]}))
    return Pin.of("chart", Exhibit(f'{{"data": "{"x" * size}"}}', about, name))


def names(board: Board) -> str:
    return "".join(each.exhibit.title for each in board.pins)


def filled(letters: str) -> Board:
    board = Board()
    for letter in letters:
        assert board.add(pin(letter)) is None
    return board


def test_pins_stay_in_the_order_they_are_put_in() -> None:
    board = filled("abc")
    board.move(pin("c").id, -1)
    assert names(board) == "acb"
    board.move(pin("a").id, -1)
    board.move(pin("b").id, +1)
    assert names(board) == "acb"
    board.remove(pin("c").id)
    board.remove(pin("c").id)
    board.move(pin("c").id, 1)
    assert names(board) == "ab"


def test_same_figure_is_pinned_once_and_another_is_another() -> None:
    board = filled("a")
    assert board.add(pin("a")) is None
    assert names(board) == "a"
    assert pin("a").id != Pin.of("other chart", pin("a").exhibit).id
    assert pin("a").id != pin("a", size=1).id


def test_caption_does_not_change_which_pin_it_is() -> None:
    board = filled("ab")
    board.caption(pin("b").id, "Look here")
    assert [each.exhibit.caption for each in board.pins] == ["", "Look here"]
    assert board.add(pin("b")) is None
    board.remove(pin("b").id)
    assert names(board) == "a"


def test_full_board_says_so() -> None:
    board = filled("abcdefghijklmnopqrstuvwxyz"[:MOST_PINS])
    assert str(MOST_PINS) in (board.add(pin("?")) or "")
    assert len(board.pins) == MOST_PINS
    heavy = Board()
    assert heavy.add(pin("a", MOST_BYTES // 2)) is None
    assert "16 MB" in (heavy.add(pin("b", MOST_BYTES // 2)) or "")
    assert names(heavy) == "a"
    assert MOST_BYTES / 2 < heavy.size < MOST_BYTES


def test_board_takes_over_what_another_tab_had() -> None:
    first, second = filled("ab"), filled("bc")
    second.title = "Second"
    first.take_over(second)
    assert names(first) == "abc"
    assert first.title == "Second"


def test_shelf_gives_each_token_its_own_board() -> None:
    shelf = Shelf()
    mine, yours = filled("a"), filled("b")
    shelf.put("mine", mine)
    shelf.put("yours", yours)
    assert shelf.get("mine") is mine
    assert shelf.get("yours") is yours
    assert shelf.get("nobody's") is None


def test_shelf_forgets_who_stays_away() -> None:
    now = [0.0]
    shelf = Shelf(clock=lambda: now[0])
    shelf.put("stays", filled("a"))
    shelf.put("leaves", filled("b"))
    now[0] = IDLE_SECONDS - 1
    shelf.put("stays", filled("a"))
    now[0] = IDLE_SECONDS + 1
    assert shelf.get("leaves") is None
    assert shelf.get("stays") is not None


def test_shelf_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "SHELF_BOARDS", 2)
    monkeypatch.setattr(pins, "SHELF_BYTES", 1000)
    shelf = Shelf()
    for token in ("first", "second", "third"):
        shelf.put(token, filled("a"))
    assert [shelf.get(token) is None for token in ("first", "second", "third")] == [True, False, False]
    heavy = Board()
    heavy.add(pin("heavy", 2000))
    shelf.put("fourth", heavy)
    assert shelf.get("third") is None
    assert shelf.get("fourth") is heavy
