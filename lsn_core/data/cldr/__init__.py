"""Embedded data: parallel lines, tagged words and pairs of phrases in any locale, composed at run time from the CLDR data inside Babel.

Line ``i`` of a split says the same thing in every language: a day, an amount of money, a list of countries,
three facts in a row. What it says is drawn from ``i`` alone (:mod:`.plan`); a locale's own words, order,
plural forms and digits say it (:mod:`.view`). Train, dev and test are split by fact, so no twin of a line,
in another language or another wording, is in another split. Days are Gregorian in every locale.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import astuple
from functools import lru_cache
from typing import Literal, overload

import babel
from babel import Locale, UnknownLocaleError
from babel.core import get_cldr_version
from babel.localedata import locale_identifiers

from lsn_core.data.cldr import pairs
from lsn_core.data.cldr.pairs import PairPlan, PairPlanner
from lsn_core.data.cldr.plan import KINDS, Fact, Node, Planner, facts, node_id
from lsn_core.data.cldr.pools import pools
from lsn_core.data.cldr.view import View
from lsn_core.data.source import NLI_LABELS, SPLITS, Pair, check_kind, check_split, line_number
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES

__all__ = ["CldrCorpus", "CldrSource", "PairCorpus"]

LENGTHS = {"train": 2_000_000, "dev": 20_000, "test": 20_000}
# Threefold, for as many pairs of each label.
PAIRS = {"train": 3_000_000, "dev": 21_000, "test": 21_000}

# Raised whenever the same number would give another item with the same CLDR.
_PLAN_VERSIONS = {"text": 1, "nli": pairs.PLAN_VERSION}
_SAMPLED = 300


class CldrCorpus:
    """Lines of one language and split, made when asked for; any number, in any order, in any process."""

    def __init__(self, language: str, split: str, view: View, planner: Planner) -> None:
        self.language = language
        self.split = split
        self._view = view
        self._planner = planner
        self._length = LENGTHS[split]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of lines there are."""
        return tuple(KINDS)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int, /) -> str:
        """Line ``index``. Raises IndexError outside the corpus."""
        return self._view.line(self.node(index))

    def __reduce__(self) -> tuple[object, ...]:
        # Sent to another process by name: a view holds compiled patterns, which are made anew there.
        return _corpus, (self._planner.seed, self.language, self.split)

    def kind(self, index: int) -> str:
        """The kind of line ``index``."""
        return self._planner.plan(line_number(index, self._length))[0]

    def node(self, index: int) -> Node:
        """What line ``index`` says, apart from any language (see :mod:`lsn_core.data.cldr.plan`)."""
        return self._planner.plan(line_number(index, self._length))[1]

    def item_id(self, index: int) -> str:
        """The name of what line ``index`` says: the same in every language, another for another line."""
        return node_id(self.node(index))

    def facts(self, index: int) -> tuple[Fact, ...]:
        """The facts that line ``index`` states; each of them is in this split only."""
        return facts(self.node(index))


class PairCorpus:
    """Pairs of phrases of one language and split (see :mod:`lsn_core.data.cldr.pairs`), made when asked for."""

    def __init__(self, language: str, split: str, view: View, planner: PairPlanner) -> None:
        self.language = language
        self.split = split
        self._view = view
        self._planner = planner
        self._length = PAIRS[split]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int, /) -> Pair:
        """Pair ``index``. Raises IndexError outside the corpus."""
        plan = self.plan(index)
        return Pair(self._view.line(plan.premise), self._view.line(plan.hypothesis), plan.label)

    def __reduce__(self) -> tuple[object, ...]:
        return _corpus, (self._planner.seed, self.language, self.split, "nli")

    def plan(self, index: int) -> PairPlan:
        """What pair ``index`` says, apart from any language."""
        return self._planner.plan(line_number(index, self._length))

    def item_id(self, index: int) -> str:
        """The name of what pair ``index`` says: the same in every language, another for another pair."""
        return self.plan(index).item_id

    def facts(self, index: int) -> tuple[Fact, ...]:
        """The facts that pair ``index`` states; each of them is in this split only."""
        return self.plan(index).facts


AnyCorpus = CldrCorpus | PairCorpus


class CldrSource:
    """The embedded text. ``seed`` chooses another drawing of the same splits (facts keep their split)."""

    name = "cldr"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def languages(self, kind: str = "text") -> tuple[str, ...]:
        """The paper's eleven first, then every other locale that Babel knows."""
        others = sorted(set(locale_identifiers()) - set(PAPER_LANGUAGES) - {"root"})
        return (*PAPER_LANGUAGES, *others)

    @overload
    def corpus(self, language: str, split: str, kind: Literal["text"] = "text") -> CldrCorpus: ...
    @overload
    def corpus(self, language: str, split: str, kind: Literal["nli"]) -> PairCorpus: ...
    @overload
    def corpus(self, language: str, split: str, kind: str = "text") -> AnyCorpus: ...
    def corpus(self, language: str, split: str, kind: str = "text") -> AnyCorpus:
        """The items of a locale ("sw", "pt_BR", "pt-BR") in a split.

        Raises LsnError for a locale that Babel does not know, for a split that there is not and for a kind
        that is not embedded.
        """
        check_split(split)
        check_kind(kind, tuple(_PLAN_VERSIONS), self.name)
        view = _view(_identifier(language))
        if kind == "nli":
            return PairCorpus(language, split, view, PairPlanner(pools(), split, self.seed))
        return CldrCorpus(language, split, view, Planner(pools(), split, self.seed))

    def labels(self, kind: str) -> tuple[str, ...]:
        """The labels of pairs; LsnError for a kind without labels."""
        labels = {"nli": NLI_LABELS}
        return labels[check_kind(kind, tuple(labels), self.name)]

    def fingerprint(self, language: str, kind: str = "text") -> str:
        """sha256 (hex) over the versions of Babel and CLDR and the first few hundred items of each split."""
        check_kind(kind, tuple(_PLAN_VERSIONS), self.name)
        digest = hashlib.sha256()
        head = (
            # Text was there first, and its digests must stay.
            "lsn cldr" if kind == "text" else f"lsn cldr {kind}",
            _PLAN_VERSIONS[kind],
            babel.__version__,
            get_cldr_version(),
            self.seed,
            _identifier(language),
        )
        digest.update(repr(head).encode())
        for split in SPLITS:
            corpus = self.corpus(language, split, kind)
            for index in range(_SAMPLED):
                digest.update(f"{corpus.item_id(index)}\t{_as_line(corpus[index])}\n".encode())
        return digest.hexdigest()


def _as_line(item: str | Pair) -> str:
    return item if isinstance(item, str) else repr(astuple(item))


def _corpus(seed: int, language: str, split: str, kind: str = "text") -> AnyCorpus:
    return CldrSource(seed).corpus(language, split, kind)


@lru_cache(maxsize=64)
def _view(identifier: str) -> View:
    return View(Locale.parse(identifier))


def _identifier(language: str) -> str:
    """Babel's spelling of a locale; LsnError with close matches when there is none."""
    code = language.replace("-", "_")
    try:
        if code and code != "root":
            return str(Locale.parse(code))
    except (UnknownLocaleError, ValueError):
        pass
    known = [*PAPER_LANGUAGES, *locale_identifiers()]
    close = difflib.get_close_matches(code, list(dict.fromkeys(known)), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"try one of {', '.join(PAPER_LANGUAGES)}."
    raise LsnError(f"The embedded text has no language {language!r}; {hint}")
