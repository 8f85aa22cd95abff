"""Which words of a line name something: facts in a row, some of them entities and some not.

Entities are territories, languages, currencies, amounts of money and dates. What surrounds them looks alike:
quantities and rates beside amounts of money, times of day, relative times and time zones beside dates and
territories; any of them stands in any place of the same frames. An entity belongs to one split: a territory, a
currency (by itself or in amounts) or a day is in the training set or in the test set, never in both. Varieties
of a language ("British English") go with the language.
"""

from __future__ import annotations

from collections.abc import Callable

from lsn_core.data.cldr.plan import Draw, Fact, FactDraw, Node, facts, tag
from lsn_core.data.cldr.pools import Pools
from lsn_core.data.cldr.view import View, split_marks
from lsn_core.data.cldr.words import word_spans
from lsn_core.data.source import Tagged

PLAN_VERSION = 1
"""Raised whenever the same number would give another line with the same CLDR."""

TYPES = ("TERRITORY", "LANGUAGE", "CURRENCY", "MONEY", "DATE")
LABELS = ("O", *(f"{place}-{name}" for name in TYPES for place in "BI"))

# Pools of names, with the type of entity and what the fact of such an entity starts with.
_NAMED = {
    "countries": ("TERRITORY", "territory"),
    "regions": ("TERRITORY", "territory"),
    "languages": ("LANGUAGE", "language"),
    "currencies": ("CURRENCY", "currency"),
}


def entity(name: str, node: Node) -> Node:
    """The node as an entity of this type, one of ``TYPES``."""
    return ("marked", TYPES.index(name), node)


def entity_facts(node: Node) -> tuple[Fact, ...]:
    """What a line with entities states: each entity, and each fact that is none."""
    kind = node[0]
    if kind == "marked":
        inner = node[2]
        if inner[0] == "name":
            return (_name_fact(inner[1], inner[2]),)
        return (("currency", inner[2]),) if inner[0] == "money" else facts(inner)
    if kind == "list":
        return tuple(fact for member in node[2] for fact in entity_facts(member))
    if kind == "aside":
        return entity_facts(node[1]) + entity_facts(node[2])
    if kind == "at":
        return entity_facts(node[2]) + entity_facts(node[3])
    return facts(node)


def _name_fact(pool: str, code: str) -> Fact:
    return (_NAMED[pool][1], code.split("_")[0])


class EntityPlanner(FactDraw):
    """Draws the lines of one split: :meth:`plan` maps a number to a node, always the same."""

    def __init__(self, pools: Pools, split: str, seed: int) -> None:
        super().__init__(pools, split, seed)
        self._entities: tuple[Callable[[Draw], Node], ...] = (
            *(lambda draw: self._named(draw, "countries"),) * 4,
            *(lambda draw: self._named(draw, "languages"),) * 3,
            *(lambda draw: self._named(draw, "currencies"),) * 3,
            lambda draw: self._named(draw, "regions"),
            *(self._priced,) * 4,
            *(self._on_a_day,) * 2,
        )
        self._others: tuple[Callable[[Draw], Node], ...] = (
            *(self._rel,) * 3,
            *(self._qty,) * 4,
            self._rate,
            *(self._clock,) * 2,
            self._opening,
            self._percent,
            self._big,
        )

    def plan(self, index: int) -> Node:
        """Line ``index``."""
        draw = Draw(self.seed, tag("ner"), self._split_tag, index)
        form = draw.below(10)
        if form < 4:
            return self._row(draw, draw.pick((2, 3, 3, 4)), lambda: self._part(draw))
        if form < 6:
            return self._row(draw, draw.pick((2, 2, 3)), lambda: self._pair(draw))
        if form < 8:
            return self._pair(draw)
        if form < 9:
            return self._moment(draw)
        # Several of one sort: what the connectors stand between does not tell whether it is an entity.
        build = draw.pick(self._entities if draw.below(2) else self._others)
        return self._row(draw, draw.pick((2, 3, 4)), lambda: build(draw))

    def _row(self, draw: Draw, count: int, build: Callable[[], Node]) -> Node:
        members: list[Node] = []
        # A small split may not have so many different ones.
        for _ in range(8 * count):
            member = build()
            if member not in members:
                members.append(member)
            if len(members) == count:
                break
        if len(members) == 1:
            return members[0]
        return ("list", "or" if draw.below(4) == 0 else "standard", tuple(members))

    def _pair(self, draw: Draw) -> Node:
        return ("aside", self._part(draw), self._part(draw))

    def _part(self, draw: Draw) -> Node:
        form = draw.below(12)
        if form == 0:
            return self._moment(draw)
        return draw.pick(self._entities if form < 6 else self._others)(draw)

    def _moment(self, draw: Draw) -> Node:
        """A day, which is an entity, and a time of day, which is none."""
        width = draw.pick(("full", "long", "medium"))
        day = entity("DATE", ("date", width, self._day_number(draw)))
        return ("at", width, day, self._opening(draw) if draw.below(4) == 0 else self._clock(draw))

    # Entities.

    def _named(self, draw: Draw, pool: str) -> Node:
        names = self._pools.names(pool)
        while True:
            code = draw.pick(names)
            if self._mine(_name_fact(pool, code)):
                return entity(_NAMED[pool][0], ("name", pool, code))

    def _priced(self, draw: Draw) -> Node:
        style = "symbol" if draw.below(4) == 0 else "name"
        while True:
            currency = draw.pick(self._pools.currencies)
            if self._mine(("currency", currency)):
                return entity("MONEY", ("money", style, currency, *self._price(draw)))

    def _on_a_day(self, draw: Draw) -> Node:
        form = draw.below(6)
        if form == 0:
            return entity("DATE", ("month", *self._year_month(draw)))
        if form == 1:
            first, last = sorted((self._day_number(draw), self._day_number(draw)))
            # Far apart or the same day, two ends make no span that one would tell.
            if 0 < last - first < 4000:
                return entity("DATE", ("days", draw.pick(("full", "yMMMEd", "yMMMd")), first, last))
        return entity("DATE", self._day(draw))

    # No entities.

    def _opening(self, draw: Draw) -> Node:
        """From a time of day to a time of day."""
        start, end = sorted((self._hour_minute(draw), self._hour_minute(draw)))
        return ("hours", *start, *end) if start != end else ("time", "short", *start, 0)


def tagged(view: View, node: Node) -> Tagged:
    """The line in words (see :mod:`.words`) with BIO tags.

    A word belongs to an entity when a part of it does: in Arabic "and" is written as one word with what follows.
    """
    text, spans = split_marks(view.line(node))
    words, tags = [], []
    last: tuple[int, int, int] | None = None
    for start, end in word_spans(text):
        here = next((span for span in spans if span[0] < end and start < span[1]), None)
        words.append(text[start:end])
        tags.append("O" if here is None else f"{'I' if here == last else 'B'}-{TYPES[here[2]]}")
        last = here
    return Tagged(tuple(words), tuple(tags))
