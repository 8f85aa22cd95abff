"""What the dashboard keeps: as much as fits, made once however many ask for it at the same time."""

from __future__ import annotations

import threading

import pytest

from lsn_core.ui.kept import Kept


def test_what_was_asked_for_last_stays_as_far_as_it_fits() -> None:
    made: list[str] = []

    def make(name: str) -> bytes:
        made.append(name)
        return bytes(10)

    kept: Kept[bytes] = Kept(25, len)
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, lambda name=name: make(name))  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]


def test_one_too_large_is_kept_until_another_is_asked_for() -> None:
    kept: Kept[bytes] = Kept(5, len)
    first = kept.get("a", lambda: bytes(10))
    assert kept.get("a", lambda: bytes(10)) is first
    kept.get("b", lambda: bytes(10))
    assert kept.get("a", lambda: bytes(10)) is not first


def test_visitors_wait_for_one_who_makes_it() -> None:
    kept: Kept[object] = Kept(100, lambda _: 1)
    begun, go_on = threading.Event(), threading.Event()
    made, got = [], []

    def make() -> object:
        begun.set()
        go_on.wait(30)
        made.append(object())
        return made[-1]

    visitors = [threading.Thread(target=lambda: got.append(kept.get("a", make))) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    begun.wait(30)
    assert kept.get("b", lambda: "another thing does not wait") == "another thing does not wait"
    go_on.set()
    for visitor in visitors:
        visitor.join(30)
    assert len(made) == 1
    assert got == made * 4


def test_what_fails_is_not_kept() -> None:
    kept: Kept[str] = Kept(100, len)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: str(1 / 0))
    assert kept.get("a", lambda: "made") == "made"
