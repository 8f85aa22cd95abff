"""What a line says, apart from any language: facts drawn from numbers, and how they are put together.

A line is a *node*: a tuple that starts with what it is and goes on with codes, numbers or further nodes.

===========  =================================================  ============================================
node         fields                                             says
===========  =================================================  ============================================
``date``     width, day number (``date.toordinal``) a day
``time``     width, hour, minute, second                        a time of day
``zoned``    hour, minute, second, metazone                     a time of day in a time zone
``at``       width, node of a day, node of a time               both, by the locale's date-time pattern
``days``     skeleton, first day number, last day number        from a day to a day
``hours``    hour, minute, hour, minute                         from a time to a time
``months``   year, month, year, month                           from a month to a month
``month``    year, month                                        a month
``weekday``  number, Monday is 0                                a day of the week
``quarter``  year, quarter                                      a quarter
``rel``      unit, sign, count                                  "in 3 days", "3 days ago"
``qty``      length, unit, mantissa, decimals                   a quantity
``rate``     unit, per unit, mantissa, decimals                 a quantity for each of another unit
``money``    style, currency, mantissa, decimals                an amount of money
``percent``  mantissa, decimals                                 a percentage
``big``      significand, power of ten                          "3 million"
``name``     pool, code                                         the name of a country, a language, ...
``list``     style, nodes                                       a list, joined by "and" or by "or"
``aside``    node, node                                         the second in brackets after the first
===========  =================================================  ============================================

Numbers are mantissa / 10**decimals. Every draw depends on integers only (no ``hash``, no floating point),
so it is the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from lsn_core.data.cldr.pools import RELATIVE_UNITS, Pools

Node = tuple[Any, ...]
Fact = tuple[str | int, ...]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15

# A fact belongs to test, dev or train by its hash modulo ten.
_BUCKETS = ("test", "dev", *["train"] * 8)

# Pools that lists of names are drawn from, each as often as it stands here.
_NAME_POOLS = (
    *("countries",) * 4,
    *("languages",) * 3,
    *("currencies",) * 2,
    "regions",
    "scripts",
)

_FIRST_DAY = date(1900, 1, 1).toordinal()
_LAST_DAY = date(2099, 12, 31).toordinal()
_FIRST_YEAR, _YEARS = 1800, 400


def mix(value: int) -> int:
    """A 64-bit integer to a well-mixed one, one to one (the finaliser of SplitMix64, Steele et al. 2014)."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


@cache
def tag(text: str) -> int:
    """A 64-bit integer for a short text (codes and names of nodes: a few thousand at most)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


@cache
def _head(kind: str) -> int:
    """The hash of a fact so far, after its first part."""
    return mix(_STEP + tag(kind))


def fact_hash(fact: Fact) -> int:
    """A 64-bit hash of a fact, equal on every machine: :func:`mix` over its parts, one after another."""
    value = _head(str(fact[0]))
    for part in fact[1:]:
        # mix() written out: a line of dev or test hashes some twenty facts before one is in its split.
        value = (value + _STEP + (part if isinstance(part, int) else tag(part))) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        value ^= value >> 31
    return value


def fact_split(fact: Fact) -> str:
    """The split a fact belongs to: 80 % train, 10 % dev, 10 % test."""
    return _BUCKETS[fact_hash(fact) % 10]


def set_fact(pool: str, codes: Iterator[str] | tuple[str, ...] | list[str]) -> Fact:
    """The fact that a list of names states: which names, whatever their order."""
    return ("set", pool, *sorted(codes))


class Draw:
    """A stream of random integers, SplitMix64 started from a seed."""

    __slots__ = ("_state",)

    def __init__(self, *seeds: int) -> None:
        state = 0
        for seed in seeds:
            state = mix(state + _STEP + seed)
        self._state = state

    def below(self, bound: int) -> int:
        """An integer in 0..bound-1."""
        self._state = value = (self._state + _STEP) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((value ^ (value >> 31)) * bound) >> 64

    def pick(self, options: tuple[Any, ...]) -> Any:
        """One of the options."""
        return options[self.below(len(options))]

    def sample(self, options: tuple[Any, ...], count: int) -> list[Any]:
        """``count`` different options in random order; ``count`` is small beside their number."""
        chosen: list[Any] = []
        while len(chosen) < count:
            option = self.pick(options)
            if option not in chosen:
                chosen.append(option)
        return chosen


def facts(node: Node) -> tuple[Fact, ...]:
    """The facts a node states, each of which belongs to one split; names beside facts are only words."""
    kind = node[0]
    if kind == "date":
        return (("date", node[2]),)
    if kind == "time":
        return (("time", node[2], node[3]),)
    if kind == "zoned":
        return (("time", node[1], node[2]),)
    if kind == "days":
        return (("date", node[2]), ("date", node[3]))
    if kind == "hours":
        return (("time", node[1], node[2]), ("time", node[3], node[4]))
    if kind == "months":
        return (("month", node[1], node[2]), ("month", node[3], node[4]))
    if kind in ("month", "quarter", "rel", "rate", "percent", "big"):
        return (node,)
    if kind in ("qty", "money"):
        return ((kind, *node[2:]),)
    if kind == "at":
        return facts(node[2]) + facts(node[3])
    if kind in ("name", "weekday"):
        return ()
    if kind == "aside":
        return facts(node[1]) + facts(node[2])
    members: tuple[Node, ...] = node[2]
    if all(member[0] == "name" for member in members):
        return (set_fact(members[0][1], [member[2] for member in members]),)
    if all(member[0] == "aside" and member[1][0] == "name" for member in members):
        return (set_fact(members[0][1][1], [member[1][2] for member in members]),)
    return tuple(fact for member in members for fact in facts(member))


def node_id(node: Node) -> str:
    """A node as a short text without spaces; two nodes have the same one only if they are equal."""
    parts = (node_id(p) if isinstance(p, tuple) else str(p) for p in node)
    return "(" + ",".join(parts) + ")"


class FactDraw:
    """Draws facts of one split; whoever puts them together is a subclass."""

    def __init__(self, pools: Pools, split: str, seed: int) -> None:
        self.split = split
        self.seed = seed
        self._pools = pools
        self._split_tag = tag(split)

    def _mine(self, fact: Fact) -> bool:
        return fact_split(fact) == self.split

    # Each is drawn anew until it belongs to the split.

    def _day_number(self, draw: Draw) -> int:
        while True:
            day = _FIRST_DAY + draw.below(_LAST_DAY - _FIRST_DAY + 1)
            if self._mine(("date", day)):
                return day

    def _hour_minute(self, draw: Draw) -> tuple[int, int]:
        while True:
            hour, minute = divmod(draw.below(24 * 60), 60)
            if self._mine(("time", hour, minute)):
                return hour, minute

    def _year_month(self, draw: Draw) -> tuple[int, int]:
        while True:
            year, month = divmod(draw.below(_YEARS * 12), 12)
            if self._mine(("month", _FIRST_YEAR + year, month + 1)):
                return _FIRST_YEAR + year, month + 1

    def _number(self, draw: Draw) -> tuple[int, int]:
        """(mantissa, decimals): often small, seldom large, sometimes with a decimal."""
        form = draw.below(20)
        if form < 7:
            return 1 + draw.below(20), 0
        if form < 13:
            return 1 + draw.below(1000), 0
        if form < 16:
            return 1000 + draw.below(99_000), 0
        if form == 16:
            return 10 * (1000 + draw.below(99_000)), 0
        tenths = draw.below(1000)
        return 10 * (tenths // 9) + 1 + tenths % 9, 1

    def _price(self, draw: Draw) -> tuple[int, int]:
        """(mantissa, decimals) of an amount of money: whole, or with two decimals."""
        mantissa, decimals = self._number(draw)
        if decimals or draw.below(4) == 0:
            return 100 * draw.below(1000) + 1 + draw.below(99), 2
        return mantissa, decimals

    def _day(self, draw: Draw, widths: tuple[str, ...] = ("full", "full", "long", "medium")) -> Node:
        return ("date", draw.pick(widths), self._day_number(draw))

    def _clock(self, draw: Draw) -> Node:
        hour, minute = self._hour_minute(draw)
        form = draw.below(10)
        if form < 5:
            return ("time", "short", hour, minute, 0)
        if form < 7:
            return ("time", "medium", hour, minute, draw.below(60))
        return ("zoned", hour, minute, draw.below(60), draw.pick(self._pools.zones))

    def _rel(self, draw: Draw) -> Node:
        while True:
            unit = draw.pick(RELATIVE_UNITS[:8]) if draw.below(10) < 7 else draw.pick(RELATIVE_UNITS)
            count = 1 + draw.below(20) if draw.below(2) else 1 + draw.below(500)
            node = ("rel", unit, draw.below(2), count)
            if self._mine(node):
                return node

    def _qty(self, draw: Draw) -> Node:
        length = "short" if draw.below(5) == 0 else "long"
        while True:
            unit = draw.pick(self._pools.everyday_units if draw.below(2) else self._pools.units)
            mantissa, decimals = self._number(draw)
            if self._mine(("qty", unit, mantissa, decimals)):
                return ("qty", length, unit, mantissa, decimals)

    def _rate(self, draw: Draw) -> Node:
        while True:
            unit, per = draw.pick(self._pools.units), draw.pick(self._pools.per_units)
            node = ("rate", unit, per, *self._number(draw))
            # "per" within a unit that says "per" itself is no quantity; neither is a day per day.
            if "-per-" not in unit and unit != per and self._mine(node):
                return node

    def _amount(self, draw: Draw) -> Node:
        style = "symbol" if draw.below(5) == 0 else "name"
        while True:
            currency = draw.pick(self._pools.currencies)
            mantissa, decimals = self._price(draw)
            if self._mine(("money", currency, mantissa, decimals)):
                return ("money", style, currency, mantissa, decimals)

    def _percent(self, draw: Draw) -> Node:
        while True:
            decimals = draw.below(2)
            mantissa = 10 * draw.below(100) + 1 + draw.below(9) if decimals else 1 + draw.below(200)
            node = ("percent", mantissa, decimals)
            if self._mine(node):
                return node

    def _big(self, draw: Draw) -> Node:
        while True:
            node = ("big", 1 + draw.below(99), 3 + draw.below(8))
            if node[1] % 10 and self._mine(node):
                return node

    def _quarter(self, draw: Draw) -> Node:
        while True:
            node = ("quarter", _FIRST_YEAR + draw.below(_YEARS), 1 + draw.below(4))
            if self._mine(node):
                return node

    def _name_set(self, draw: Draw, pool: str, count: int) -> Node:
        style = "or" if draw.below(5) == 0 else "standard"
        while True:
            codes = draw.sample(self._pools.names(pool), count)
            if self._mine(set_fact(pool, codes)):
                return ("list", style, tuple(("name", pool, code) for code in codes))

    def _several(self, draw: Draw, build: Any, counts: tuple[int, ...]) -> Node:
        count = draw.pick(counts)
        style = "or" if draw.below(5) == 0 else "standard"
        members: list[Node] = []
        while len(members) < count:
            member = build(draw)
            if member not in members:
                members.append(member)
        return members[0] if count == 1 else ("list", style, tuple(members))


class Planner(FactDraw):
    """Draws the lines of one split: :meth:`plan` maps a number to a node, always the same."""

    def __init__(self, pools: Pools, split: str, seed: int) -> None:
        super().__init__(pools, split, seed)
        self._menu = tuple(
            (name, getattr(self, "_" + name)) for name, weight in KINDS.items() for _ in range(weight)
        )

    def plan(self, index: int) -> tuple[str, Node]:
        """Kind and node of line ``index``."""
        draw = Draw(self.seed, self._split_tag, index)
        kind, build = draw.pick(self._menu)
        return kind, build(draw)

    # Kinds of lines.

    def _moment(self, draw: Draw) -> Node:
        """A day and a time of day, seldom a day alone."""
        if draw.below(8) == 0:
            return self._day(draw, ("full", "long", "medium", "yMMMEd"))
        width = draw.pick(("full", "full", "long", "medium"))
        return ("at", width, ("date", width, self._day_number(draw)), self._clock(draw))

    def _interval(self, draw: Draw) -> Node:
        """From a day to a day, from a month to a month, or some hours of a day."""
        form = draw.below(10)
        if form < 2:
            first, last = sorted([self._year_month(draw), self._year_month(draw)])
            return ("months", *first, *last) if first != last else ("month", *first)
        if form < 5:
            start, end = sorted([self._hour_minute(draw), self._hour_minute(draw)])
            day = self._day(draw, ("full", "long"))
            return (
                "at",
                day[1],
                day,
                ("hours", *start, *end) if start != end else ("time", "short", *start, 0),
            )
        skeleton = draw.pick(("full", "yMMMEd", "yMMMd", "yMMMd"))
        first_day = self._day_number(draw)
        reach = draw.pick((12, 60, 400, 4000))
        while True:
            last_day = first_day + 1 + draw.below(reach)
            if self._mine(("date", last_day)):
                return ("days", skeleton, first_day, last_day)
            # A short reach may hold no day of the split at all.
            reach += 1

    def _relative(self, draw: Draw) -> Node:
        """Times told from now, one to four."""
        return self._several(draw, self._rel, (1, *(2,) * 4, *(3,) * 7, *(4,) * 4))

    def _quantity(self, draw: Draw) -> Node:
        """Quantities with their units, one to four."""
        if draw.below(4) == 0:
            return self._several(draw, self._rate, (1, 1, 2))
        return self._several(draw, self._qty, (1, 2, 2, 3, 3, 4))

    def _money(self, draw: Draw) -> Node:
        """Amounts of money, one to three."""
        return self._several(draw, self._amount, (1, 2, 2, 3))

    def _names(self, draw: Draw) -> Node:
        """Lists of countries, languages, currencies, parts of the world or scripts."""
        pool = draw.pick(
            ("countries",) * 4 + ("languages",) * 3 + ("currencies",) * 2 + ("regions", "scripts")
        )
        return self._name_set(draw, pool, draw.pick((2, 3, 3, 4, 4, 5, 6)))

    def _place(self, draw: Draw) -> Node:
        """Countries, each with its official languages in brackets."""
        count = draw.pick((2, 3, 3, 3))
        while True:
            chosen = draw.sample(self._pools.spoken, count)
            if self._mine(set_fact("countries", [country for country, _ in chosen])):
                break
        members = []
        for country, languages in chosen:
            named = tuple(("name", "languages", code) for code in languages)
            inner = named[0] if len(named) == 1 else ("list", "standard", named)
            members.append(("aside", ("name", "countries", country), inner))
        return ("list", "standard", tuple(members))

    def _record(self, draw: Draw) -> Node:
        """Two to four facts of different sorts, listed or one in brackets after the other."""
        builders = (
            lambda: self._day(draw, ("full", "long")),
            lambda: self._moment_short(draw),
            lambda: self._rel(draw),
            lambda: self._qty(draw),
            lambda: self._rate(draw),
            lambda: self._amount(draw),
            lambda: self._percent(draw),
            lambda: self._big(draw),
            lambda: self._quarter(draw),
            lambda: ("month", *self._year_month(draw)),
            lambda: ("name", "countries", draw.pick(self._pools.countries)),
            lambda: ("name", "languages", draw.pick(self._pools.languages)),
            lambda: ("name", "regions", draw.pick(self._pools.regions)),
        )
        form = draw.below(10)
        if form < 3:
            pool = draw.pick(("countries", "countries", "regions", "languages"))
            head = ("name", pool, draw.pick(self._pools.names(pool)))
            return (
                "aside",
                head,
                self._several(draw, draw.pick((self._qty, self._rel, self._amount)), (1, 2)),
            )
        if form < 5:
            return ("aside", draw.pick(builders[:10])(), draw.pick(builders[:10])())
        count = draw.pick((2, 3, 3, 4))
        members = tuple(build() for build in draw.sample(builders, count))
        if all(member[0] == "name" for member in members):
            members = (*members, self._qty(draw))
        return ("list", "or" if draw.below(6) == 0 else "standard", members)

    def _moment_short(self, draw: Draw) -> Node:
        hour, minute = self._hour_minute(draw)
        return ("at", "long", self._day(draw, ("long",)), ("time", "short", hour, minute, 0))


# Kinds of lines and their shares (of 20).
KINDS: dict[str, int] = {
    "moment": 3,
    "interval": 2,
    "relative": 2,
    "quantity": 3,
    "money": 2,
    "names": 3,
    "place": 1,
    "record": 4,
}


def walk(node: Node) -> Iterator[Node]:
    """The node and every node within it."""
    yield node
    for part in node:
        if isinstance(part, tuple):
            if part and isinstance(part[0], tuple):
                for member in part:
                    yield from walk(member)
            else:
                yield from walk(part)
