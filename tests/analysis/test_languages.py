from __future__ import annotations

import pytest

from lsn_core.languages import FAMILY_TREE, PAPER_LANGUAGES, Nested, family_tree, language, leaves


def test_the_papers_languages_are_known_by_name() -> None:
    assert len(PAPER_LANGUAGES) == 11
    for code in PAPER_LANGUAGES:
        about = language(code)
        assert about.code == code
        assert about.family != "unknown"
        assert about.direction == ("rtl" if about.script == "Arabic" else "ltr")
    assert len({language(code).own_name for code in PAPER_LANGUAGES}) == 11


def test_other_languages_are_not_an_error() -> None:
    about = language("tlh")
    assert (about.code, about.name, about.own_name, about.family) == ("tlh", "tlh", "tlh", "unknown")


def test_the_family_tree_holds_each_language_once_under_its_family() -> None:
    assert sorted(leaves(FAMILY_TREE)) == sorted(PAPER_LANGUAGES)
    for child in FAMILY_TREE:
        assert len({language(code).family for code in leaves(child)}) == 1
    indo_european = FAMILY_TREE[0]
    for child in indo_european:
        assert len({language(code).branch for code in leaves(child)}) == 1


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (("en", "fr", "sw", "zh"), (("en", "fr"), "zh", "sw")),
        (("en", "de", "fr"), (("en", "de"), "fr")),
        (("hi", "ur", "fa"), ("fa", ("ur", "hi"))),
        (("hi", "ur"), ("ur", "hi")),
        (("hi", "fa", "ru"), ("ru", ("fa", "hi"))),
        (("en", "de", "xx"), (("en", "de"), "xx")),
        (("ar", "xx", "sw"), ("ar", "sw", "xx")),
        (("xx", "yy"), ("xx", "yy")),
        (("en",), ("en",)),
        ((), ()),
        (PAPER_LANGUAGES, FAMILY_TREE),
    ],
)
def test_the_tree_is_cut_down_to_the_languages_at_hand(languages: tuple[str, ...], expected: Nested) -> None:
    assert family_tree(languages) == expected
