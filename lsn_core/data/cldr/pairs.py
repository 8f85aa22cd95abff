"""What a pair of phrases says: a premise, a hypothesis, and whether the one follows from the other.

Both are about one unnamed thing, and every phrase is read in one way:

* A moment or a span of time says that the thing lies within it. "May 2023" follows from "17 May 2023"; a span
  follows from any span inside it, contradicts those apart from it, and is left open by one that sticks out.
* "A, B, or C" says that it is one of them and nothing else: true of "A or B", false of "C or D".
* An amount in a currency or a unit is its only amount of that currency or of that dimension ("3 km" contradicts
  "5 km", "3 kg" does not). Words in brackets say this of the country before them.

The five sorts of pairs are built so that neither phrase alone tells the label: within a sort, premises come from
one distribution whatever the label, and so do hypotheses; the label lies in how the two relate. Three items in a
row, from a multiple of three, are of one sort and have one label each. Days are Gregorian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from lsn_core.data.cldr.plan import Draw, Fact, FactDraw, Node, facts, node_id, set_fact, tag
from lsn_core.data.cldr.pools import Pools
from lsn_core.data.source import NLI_LABELS

PLAN_VERSION = 1
"""Raised whenever the same number would give another pair with the same CLDR."""

SORTS: dict[str, int] = {"calendar": 3, "span": 1, "choice": 2, "amount": 2, "bound": 2}
"""Sorts of pairs and their shares (of 10)."""

_DATE_FORMS = ("weekday", "month", "month", "quarter", "date")
_MINUTES = 24 * 60
# Of ISO 639-3, those that other languages of the pool belong to.
_MACROLANGUAGES = frozenset(["ar", "cr", "hai", "iu", "ku", "kv", "luy", "ms", "no", "oj", "sh", "zh"])

# A quantity without its number: ("qty", unit), ("money", currency), ("when", form of the claim).
_Measure = tuple[str, str]
# What a phrase can claim of it: a number (mantissa, decimals), or a day number.
_Value = tuple[int, ...]


@dataclass(frozen=True)
class PairPlan:
    """A pair apart from any language: its sort, both nodes (see :mod:`.plan`) and the label."""

    sort: str
    premise: Node
    hypothesis: Node
    label: str

    @property
    def item_id(self) -> str:
        """A name without spaces; two pairs have the same one only if they say the same."""
        return f"{node_id(self.premise)}>{node_id(self.hypothesis)}"

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts that both phrases state; each of them is in the pair's split only."""
        return _stated(self.premise) + _stated(self.hypothesis)


def _stated(node: Node) -> tuple[Fact, ...]:
    # Beside the set of its countries, a list of countries with brackets states what is in the brackets.
    bracketed = [member[2] for member in node[2] if member[0] == "aside"] if node[0] == "list" else []
    return facts(node) + tuple(fact for inner in bracketed for fact in facts(inner))


def date_claim(form: str, day: int) -> Node:
    """What is true of a day number: its weekday, month, quarter, or the day itself ("date")."""
    moment = date.fromordinal(day)
    if form == "weekday":
        return ("weekday", moment.weekday())
    if form == "month":
        return ("month", moment.year, moment.month)
    if form == "quarter":
        return ("quarter", moment.year, (moment.month + 2) // 3)
    return ("date", "long", day)


def _dimension(measure: _Measure) -> tuple[str, str]:
    """What there can be only one value of."""
    sort, what = measure
    if sort == "qty":
        return sort, what.split("-")[0]
    return (sort, what) if sort == "money" else (sort, "")


class PairPlanner(FactDraw):
    """Draws the pairs of one split: :meth:`plan` maps a number to a pair, always the same."""

    def __init__(self, pools: Pools, split: str, seed: int) -> None:
        super().__init__(pools, split, seed)
        # "British English" is English too, as a language is that a further name stands for.
        languages = tuple(c for c in pools.languages if "_" not in c and c not in _MACROLANGUAGES)
        self._choices = {
            "countries": pools.countries,
            "languages": languages,
            "currencies": pools.currencies,
        }
        self._menu: tuple[tuple[str, Callable[[Draw, str], tuple[Node, Node]]], ...] = tuple(
            (name, getattr(self, f"_{name}_pair")) for name, weight in SORTS.items() for _ in range(weight)
        )

    def plan(self, index: int) -> PairPlan:
        """Pair ``index``."""
        three, place = divmod(index, 3)
        shared = Draw(self.seed, tag("nli"), self._split_tag, three)
        sort, build = shared.pick(self._menu)
        label = shared.sample(NLI_LABELS, 3)[place]
        premise, hypothesis = build(Draw(self.seed, tag("nli item"), self._split_tag, index), label)
        return PairPlan(sort, premise, hypothesis, label)

    # Days of the week, months and times of day: the premise gives two of the three, the hypothesis one.

    def _calendar_pair(self, draw: Draw, label: str) -> tuple[Node, Node]:
        fields = draw.sample(("weekday", "month", "time"), 3)
        asked = fields[0]
        stated = set(fields[1:]) if label == "neutral" else set(fields[:2])
        form = draw.pick(("month", "month", "quarter"))
        # Alike for each label, so that the premise does not show which claims can be made of it.
        shown = ("date",) if stated == {"weekday", "month"} else ("month",) if "month" in stated else ()
        day = self._dated(draw, (*shown, form))
        weekday, clock = ("weekday", date.fromordinal(day).weekday()), self._hour_minute(draw)
        if stated == {"weekday", "month"}:
            premise: Node = ("date", "full", day)
        elif "weekday" in stated:
            premise = ("at", draw.pick(("full", "long")), weekday, ("time", "short", *clock, 0))
        else:
            premise = ("aside", date_claim("month", day), ("time", "short", *clock, 0))
        right = label == "entailment"
        if asked == "month":
            return premise, date_claim(form, day) if right else self._other_claim(draw, form, day)
        if asked == "weekday":
            return premise, weekday if right else ("weekday", (weekday[1] + 1 + draw.below(6)) % 7)
        return premise, ("time", "short", *(clock if right else self._other_minute(draw, clock)), 0)

    def _other_minute(self, draw: Draw, clock: tuple[int, int]) -> tuple[int, int]:
        """Another time of day; often one in the same hour or at the same minute."""
        while True:
            hour, minute = draw.below(24), draw.below(60)
            near = draw.below(4)
            other = (clock[0], minute) if near == 0 else (hour, clock[1]) if near == 1 else (hour, minute)
            if other != clock and self._mine(("time", *other)):
                return other

    def _dated(self, draw: Draw, forms: tuple[str, ...]) -> int:
        """A day number of which all these claims are in the split."""
        while True:
            day = self._any_day(draw)
            if all(self._is_ours(date_claim(form, day)) for form in forms):
                return day

    def _any_day(self, draw: Draw) -> int:
        year = 1900 + draw.below(200)
        return date(year, 1, 1).toordinal() + draw.below(365)

    def _other_claim(self, draw: Draw, form: str, day: int) -> Node:
        """A claim of this form that is false of a day; half the time about the same year."""
        while True:
            other = self._any_day(draw)
            if draw.below(2):
                moment = date.fromordinal(other)
                # 28 days are in every month of every year.
                other = date(date.fromordinal(day).year, moment.month, min(moment.day, 28)).toordinal()
            claim = date_claim(form, other)
            if self._is_ours(claim) and claim != date_claim(form, day):
                return claim

    def _is_ours(self, node: Node) -> bool:
        return all(self._mine(fact) for fact in facts(node))

    # Spans: the hypothesis is always the longer one, and where it lies makes the label.

    def _span_pair(self, draw: Draw, label: str) -> tuple[Node, Node]:
        form = draw.below(5)
        if form < 3:
            inner, outer = self._two_spans(
                draw,
                label,
                draw.pick((30, 200, 2000)),
                lambda: self._day_number(draw),
                lambda n: self._mine(("date", n)),
            )
            widths = ("full", "yMMMEd", "yMMMd")
            return ("days", draw.pick(widths), *inner), ("days", draw.pick(widths), *outer)
        if form < 4:
            inner, outer = self._two_spans(
                draw,
                label,
                draw.pick((30, 100)),
                lambda: _in_row(self._year_month(draw)),
                lambda n: self._mine(("month", *_month_of(n))),
            )
            return _months(inner), _months(outer)
        inner, outer = self._two_spans(
            draw,
            label,
            60,
            # Clear of midnight: what is near it could lie on one side only.
            lambda: 500 + draw.below(_MINUTES - 1000),
            lambda n: 0 <= n < _MINUTES and self._mine(("time", *divmod(n, 60))),
        )
        day = self._day_number(draw)
        return _hours(draw, day, inner), _hours(draw, day, outer)

    def _two_spans(
        self,
        draw: Draw,
        label: str,
        reach: int,
        start: Callable[[], int],
        ours: Callable[[int], bool],
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """(first, last) twice, the second span longer, with all four ends in the split."""
        while True:
            first = start()
            last = first + 1 + draw.below(reach)
            if not (ours(first) and ours(last)):
                continue
            # A split may have no fitting ends near here: then elsewhere.
            for _ in range(200):
                length = last - first + 1 + draw.below(2 * (last - first) + 9)
                if label == "entailment":
                    begin = last - length + draw.below(length - (last - first) + 1)
                elif label == "neutral":
                    begin = first + 1 + draw.below(last - first)
                    if draw.below(2):
                        begin = first + last - begin - length
                else:
                    gap = 1 + draw.below(length)
                    begin = last + gap if draw.below(2) else first - gap - length
                if ours(begin) and ours(begin + length):
                    return (first, last), (begin, begin + length)

    # Choices: one of a few names, and one of a few more.

    def _choice_pair(self, draw: Draw, label: str) -> tuple[Node, Node]:
        pool = draw.pick((*("countries",) * 2, "languages", "currencies"))
        names = self._choices[pool]
        count, more = 2 + draw.below(2), 1 + draw.below(2)
        while True:
            few = draw.sample(names, count)
            if self._mine(set_fact(pool, few)):
                break
        kept = {"entailment": count, "neutral": 1 + draw.below(count - 1), "contradiction": 0}[label]
        while True:
            many = few[:kept]
            others = draw.sample(names, count + more)
            many += [name for name in others if name not in few][: count + more - kept]
            if len(many) == count + more and self._mine(set_fact(pool, many)):
                return _one_of(draw, pool, few), _one_of(draw, pool, many)

    # Amounts: two in the premise, one in the hypothesis.

    def _amount_pair(self, draw: Draw, label: str) -> tuple[Node, Node]:
        first, second, third = self._measures(draw, (draw.pick(("qty", "money")),), 3)
        asked = third if label == "neutral" else first
        # Mostly the number of one amount with the measure of another, so that its words tell little.
        moved = draw.below(4) > 0
        one = self._value(draw, (first, asked) if label == "neutral" and moved else (first,))
        two = self._value(draw, (second, asked) if label == "contradiction" and moved else (second,), one)
        if label == "entailment":
            claimed = one
        elif moved:
            claimed = one if label == "neutral" else two
        else:
            claimed = self._value(draw, (asked,), one)
        members = [_phrase(draw, first, one), _phrase(draw, second, two)]
        premise = ("list", "standard", tuple(draw.sample(tuple(members), 2)))
        return premise, _phrase(draw, asked, claimed)

    # Countries, each with something in brackets: the words of the premise, bound in another way.

    def _bound_pair(self, draw: Draw, label: str) -> tuple[Node, Node]:
        shared, single = self._measures(draw, ("qty", "money", "when", "when"), 2)
        one = self._value(draw, (shared,))
        two = self._value(draw, (shared,), one)
        three = self._value(draw, (single,))
        while True:
            places = draw.sample(self._pools.countries, 3)
            if self._mine(set_fact("countries", places)):
                break
        told = [(places[0], shared, one), (places[1], shared, two), (places[2], single, three)]
        if label == "entailment":
            place, measure, value = draw.pick(tuple(told))
        elif label == "contradiction":
            place, measure, value = draw.pick(((places[0], shared, two), (places[1], shared, one)))
        else:
            place, measure, value = draw.pick(
                (
                    *((place, single, three) for place in places[:2]),
                    *((places[2], shared, value) for value in (one, two)),
                )
            )
        members = tuple(_about(where, _full(draw, what, n)) for where, what, n in draw.sample(tuple(told), 3))
        return ("list", "standard", members), _about(place, _phrase(draw, measure, value))

    def _measures(self, draw: Draw, sorts: tuple[str, ...], count: int) -> list[_Measure]:
        """Measures that do not exclude one another."""
        chosen: list[_Measure] = []
        while len(chosen) < count:
            measure = self._measure(draw, draw.pick(sorts))
            if _dimension(measure) not in map(_dimension, chosen):
                chosen.append(measure)
        return chosen

    def _measure(self, draw: Draw, sort: str) -> _Measure:
        if sort == "when":
            return sort, draw.pick(_DATE_FORMS)
        if sort == "money":
            return sort, draw.pick(self._pools.currencies)
        return sort, draw.pick(self._pools.everyday_units if draw.below(2) else self._pools.units)

    def _value(self, draw: Draw, measures: tuple[_Measure, ...], unlike: _Value | None = None) -> _Value:
        """A value that is in the split under each of the measures, and whose claim is false of ``unlike``."""
        sort, form = measures[0]
        while True:
            if sort == "when":
                value: _Value = (self._dated(draw, ("date", form)),)
                if unlike is None or date_claim(form, *value) != date_claim(form, *unlike):
                    return value
                continue
            value = self._price(draw) if sort == "money" else self._number(draw)
            if value != unlike and all(self._mine((*measure, *value)) for measure in measures):
                return value


def _phrase(draw: Draw, measure: _Measure, value: _Value) -> Node:
    """A value as a hypothesis claims it."""
    return date_claim(measure[1], *value) if measure[0] == "when" else _full(draw, measure, value)


def _full(draw: Draw, measure: _Measure, value: _Value) -> Node:
    """A value with all that is known of it."""
    sort, what = measure
    if sort == "when":
        return ("date", "full", *value)
    styles = ("name", "symbol") if sort == "money" else ("long", "short")
    return (sort, styles[draw.below(4) == 0], what, *value)


def _about(country: str, node: Node) -> Node:
    return ("aside", ("name", "countries", country), node)


def _one_of(draw: Draw, pool: str, codes: list[str]) -> Node:
    return ("list", "or", tuple(("name", pool, code) for code in draw.sample(tuple(codes), len(codes))))


def _in_row(month: tuple[int, int]) -> int:
    return month[0] * 12 + month[1] - 1


def _month_of(number: int) -> tuple[int, int]:
    return number // 12, number % 12 + 1


def _months(span: tuple[int, int]) -> Node:
    return ("months", *_month_of(span[0]), *_month_of(span[1]))


def _hours(draw: Draw, day: int, span: tuple[int, int]) -> Node:
    width = draw.pick(("full", "long"))
    return ("at", width, ("date", width, day), ("hours", *divmod(span[0], 60), *divmod(span[1], 60)))
