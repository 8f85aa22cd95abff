"""A line in one language: the patterns and words of a locale, made ready once, and nodes put into them.

Babel reads a pattern anew each time it formats; here each is taken apart once a locale, which makes a line
some ten times faster. Words, patterns, plural rules and separators are CLDR's, as Babel carries them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.core import get_global
from babel.dates import DateTimeFormat, tokenize_pattern
from babel.numbers import get_currency_precision

from lsn_core.data.cldr.plan import Node
from lsn_core.data.cldr.pools import unit_forms

# Zeros of the decimal numbering systems that are some locale's default; the other nine digits follow it.
_ZEROS = {
    "adlm": 0x1E950,
    "arab": 0x0660,
    "arabext": 0x06F0,
    "beng": 0x09E6,
    "cakm": 0x11136,
    "deva": 0x0966,
    "gujr": 0x0AE6,
    "guru": 0x0A66,
    "java": 0xA9D0,
    "khmr": 0x17E0,
    "knda": 0x0CE6,
    "laoo": 0x0ED0,
    "mlym": 0x0D66,
    "mtei": 0xABF0,
    "mymr": 0x1040,
    "nkoo": 0x07C0,
    "olck": 0x1C50,
    "orya": 0x0B66,
    "rohg": 0x10D30,
    "tamldec": 0x0BE6,
    "telu": 0x0C66,
    "thai": 0x0E50,
    "tibt": 0x0F20,
}

_Part = str | Callable[[datetime, str], str]


class View:
    """Renders nodes in one locale. Holds only what it read from CLDR and caches of it."""

    def __init__(self, locale: Locale) -> None:
        self.locale = locale
        data = locale._data
        system = locale.default_numbering_system
        if system != "latn" and system not in _ZEROS:
            system = "latn"
        zero = _ZEROS.get(system)
        self._digits = None if zero is None else {ord("0") + n: chr(zero + n) for n in range(10)}
        symbols = locale.number_symbols.get(system) or locale.number_symbols["latn"]
        latin = locale.number_symbols["latn"]
        self._decimal = symbols.get("decimal", latin.get("decimal", "."))
        self._group = symbols.get("group", latin.get("group", ","))
        percent_sign = symbols.get("percentSign", latin.get("percentSign", "%"))
        self._grouping = locale.decimal_formats[None].grouping
        percent = locale.percent_formats[None]
        self._percent_affixes = tuple(
            affix.replace("%", percent_sign) for affix in (percent.prefix[0], percent.suffix[0])
        )
        money = locale.currency_formats["standard"]
        self._money_affixes = (money.prefix[0], money.suffix[0])
        self._lists = {style: self._list_forms(style) for style in ("standard", "or")}
        self._glue = {
            width: str(locale.datetime_formats[width]).replace("'", "")
            for width in ("full", "long", "medium")
        }
        general = data["compound_unit_patterns"].get("per", {})
        per = {**general.get("short", {}), **general.get("long", {})}
        self._per = str(per.get("compound", "{0}/{1}"))
        self._aside = str(locale.zone_formats["fallback"])
        self._intervals = data["interval_formats"]
        self._between = str(self._intervals[None])
        self._names: dict[str, Any] = {
            "countries": locale.territories,
            "regions": locale.territories,
            "languages": locale.languages,
            "currencies": locale.currencies,
            "scripts": locale.scripts,
        }
        self._hour_skeleton = "hm" if "a" in locale.time_formats["short"].pattern.replace("'", "") else "Hm"
        self._render: dict[str, Callable[..., str]] = {
            "date": self._date,
            "time": self._time,
            "zoned": self._zoned,
            "at": self._at,
            "days": self._days,
            "hours": self._hours,
            "months": self._months,
            "month": self._month,
            "weekday": self._weekday,
            "quarter": self._quarter,
            "rel": self._rel,
            "qty": self._qty,
            "rate": self._rate,
            "money": self._money,
            "percent": self._percent,
            "big": self._big,
            "name": self._name,
            "list": self._list,
            "aside": self._in_brackets,
        }
        # One cache a view: the locale is part of what is cached.
        self._plural = lru_cache(maxsize=1 << 16)(self._plural_form)
        self._pattern = lru_cache(maxsize=None)(self._compile)
        self._unit = lru_cache(maxsize=None)(self._unit_forms)
        self._currency = lru_cache(maxsize=None)(self._currency_forms)
        self._relative = lru_cache(maxsize=None)(self._relative_forms)
        self._zone = lru_cache(maxsize=None)(self._zone_name)
        self._name_of = lru_cache(maxsize=None)(self._own_name)
        self._compact = lru_cache(maxsize=None)(self._compact_forms)

    def line(self, node: Node) -> str:
        """The node in the locale's words and digits."""
        text = self._render[node[0]](*node[1:])
        return text.translate(self._digits) if self._digits is not None else text

    def _node(self, node: Node) -> str:
        return self._render[node[0]](*node[1:])

    # Numbers. Digits stay ASCII until the line is whole.

    def _number(self, mantissa: int, decimals: int) -> str:
        if decimals:
            whole, fraction = divmod(mantissa, 10**decimals)
            return f"{self._integer(whole)}{self._decimal}{fraction:0{decimals}d}"
        return self._integer(mantissa)

    def _integer(self, value: int) -> str:
        digits = str(value)
        primary, secondary = self._grouping
        if len(digits) <= primary:
            return digits
        head, groups = digits[:-primary], [digits[-primary:]]
        while len(head) > secondary:
            head, group = head[:-secondary], head[-secondary:]
            groups.append(group)
        groups.append(head)
        return self._group.join(reversed(groups))

    def _plural_form(self, mantissa: int, decimals: int) -> str:
        value = Decimal(mantissa).scaleb(-decimals) if decimals else mantissa
        return str(self.locale.plural_form(value))

    def _counted(self, forms: dict[str, str], category: str, number: str) -> str:
        """``number`` in the form for a plural category; some forms ("يومان") say the number themselves."""
        return forms.get(category, forms["other"]).replace("{0}", number)

    def _unit_forms(self, unit: str, length: str) -> dict[str, str]:
        return unit_forms(self.locale, unit, length)

    def _qty(self, length: str, unit: str, mantissa: int, decimals: int) -> str:
        number = self._number(mantissa, decimals)
        return self._counted(self._unit(unit, length), self._plural(mantissa, decimals), number)

    def _rate(self, unit: str, per: str, mantissa: int, decimals: int) -> str:
        quantity = self._qty("long", unit, mantissa, decimals)
        forms = self._unit(per, "long")
        if "per" in forms:
            return forms["per"].replace("{0}", quantity)
        # Where a unit has no form of its own for "per", the general one takes the unit without its number.
        return _fill(self._per, quantity, forms["other"].replace("{0}", "").strip())

    def _rel(self, unit: str, sign: int, count: int) -> str:
        return self._counted(self._relative(unit, sign), self._plural(count, 0), self._integer(count))

    def _relative_forms(self, unit: str, sign: int) -> dict[str, str]:
        return {
            k: str(v) for k, v in self.locale._data["date_fields"][unit][("past", "future")[sign]].items()
        }

    def _money(self, style: str, currency: str, mantissa: int, decimals: int) -> str:
        if style == "name":
            category = self._plural(mantissa, decimals)
            names, patterns = self._currency(currency)
            number = self._number(mantissa, decimals)
            pattern = patterns.get(category, patterns["other"])
            return pattern.replace("{0}", number).replace("{1}", names.get(category, names["other"]))
        if decimals == 0 and get_currency_precision(currency):
            mantissa, decimals = mantissa * 100, 2
        symbol = str(self.locale.currency_symbols.get(currency, currency))
        before, after = self._money_affixes
        # A letter of the symbol never touches a digit (currencySpacing of CLDR's root).
        if before.endswith("¤") and symbol[-1].isalpha():
            before += "\xa0"
        if after.startswith("¤") and symbol[0].isalpha():
            after = "\xa0" + after
        return f"{before}{self._number(mantissa, decimals)}{after}".replace("¤", symbol)

    def _currency_forms(self, currency: str) -> tuple[dict[str, str], dict[str, str]]:
        data = self.locale._data
        # Without plural names, the plain name serves every plural category.
        names = {"other": self._name_of("currencies", currency)}
        names.update(data["currency_names_plural"].get(currency, {}))
        return names, {"other": "{0} {1}", **data["currency_unit_patterns"]}

    def _percent(self, mantissa: int, decimals: int) -> str:
        before, after = self._percent_affixes
        return f"{before}{self._number(mantissa, decimals)}{after}"

    def _big(self, significand: int, exponent: int) -> str:
        value = significand * 10**exponent
        magnitude = len(str(value)) - 1
        forms = self._compact(10**magnitude)
        zeros = forms.get("other", "0").count("0")
        shift = magnitude + 1 - zeros
        if forms.get("other", "0").strip("0") == "":
            return self._integer(value)
        if shift <= exponent:
            mantissa, decimals = significand * 10 ** (exponent - shift), 0
        else:
            mantissa, decimals = significand, shift - exponent
        form = forms.get(self._plural(mantissa, decimals), forms["other"])
        return form.replace("0" * zeros, self._number(mantissa, decimals), 1)

    def _compact_forms(self, magnitude: int) -> dict[str, str]:
        """Positive compact patterns at a power of ten, by plural category; a long one lies over a short."""
        forms: dict[str, str] = {}
        for length in ("short", "long"):
            for category, patterns in self.locale.compact_decimal_formats.get(length, {}).items():
                pattern = patterns.get(str(magnitude))
                if pattern is not None:
                    forms[category] = pattern.pattern.split(";")[0].replace("'", "")
        return forms

    # Names and how things are joined.

    def _name(self, pool: str, code: str) -> str:
        return self._name_of(pool, code)

    def _own_name(self, pool: str, code: str) -> str:
        name = self._names[pool].get(code)
        return str(name) if name and "∅" not in name else code

    def _list_forms(self, style: str) -> dict[str, str]:
        patterns = self.locale.list_patterns
        return {**patterns.get("standard", {}), **patterns.get(style, {})}

    def _list(self, style: str, nodes: tuple[Node, ...]) -> str:
        forms = self._lists[style]
        texts = [self._node(node) for node in nodes]
        if len(texts) == 2:
            return _fill(forms["2"], texts[0], texts[1])
        text = _fill(forms["start"], texts[0], texts[1])
        for middle in texts[2:-1]:
            text = _fill(forms["middle"], text, middle)
        return _fill(forms["end"], text, texts[-1])

    def _in_brackets(self, outer: Node, inner: Node) -> str:
        return self._aside % {"1": self._node(outer), "0": self._node(inner)}

    # Days and times.

    def _date(self, width: str, day: int) -> str:
        return self._pattern(self._date_pattern(width))(datetime.fromordinal(day), "")

    def _date_pattern(self, width: str) -> str:
        formats = self.locale.date_formats
        if width in formats:
            return str(formats[width].pattern)
        skeleton = self.locale.datetime_skeletons.get(width)
        return str((skeleton or formats["medium"]).pattern)

    def _time(self, width: str, hour: int, minute: int, second: int) -> str:
        pattern = self.locale.time_formats[width].pattern
        return self._pattern(pattern)(datetime(2000, 1, 1, hour, minute, second), "")

    def _zoned(self, hour: int, minute: int, second: int, zone: str) -> str:
        pattern = self.locale.time_formats["full"].pattern
        return self._pattern(pattern)(datetime(2000, 1, 1, hour, minute, second), self._zone(zone))

    def _zone_name(self, metazone: str) -> str:
        """The long standard name of a metazone; where there is none, "... time" of a city in it."""
        name = self.locale.meta_zones.get(metazone, {}).get("long", {}).get("standard", "")
        if name and "∅" not in name:
            return str(name)
        zone = min(zone for zone, meta in get_global("meta_zones").items() if meta == metazone)
        city = self.locale.time_zones.get(zone, {}).get("city") or zone.split("/")[-1].replace("_", " ")
        return str(self.locale.zone_formats["region"]) % city

    def _at(self, width: str, day: Node, clock: Node) -> str:
        return _fill(self._glue[width], self._node(clock), self._node(day))

    def _span(self, skeleton: str, field: str, first: datetime, last: datetime) -> str | None:
        """The interval by CLDR's own pattern for the largest field that differs, if there is one."""
        forms = self._intervals.get(skeleton)
        parts = forms.get(field) if forms else None
        if not parts or len(parts) != 2:
            return None
        return self._pattern(parts[0])(first, "") + self._pattern(parts[1])(last, "")

    def _days(self, skeleton: str, first_day: int, last_day: int) -> str:
        first, last = datetime.fromordinal(first_day), datetime.fromordinal(last_day)
        field = "y" if first.year != last.year else "M" if first.month != last.month else "d"
        text = self._span(skeleton, field, first, last)
        if text is None:
            text = _fill(self._between, self._date(skeleton, first_day), self._date(skeleton, last_day))
        return text

    def _hours(self, hour: int, minute: int, last_hour: int, last_minute: int) -> str:
        skeleton = self._hour_skeleton
        first = datetime(2000, 1, 1, hour, minute)
        last = datetime(2000, 1, 1, last_hour, last_minute)
        fields = ["m"] if hour == last_hour else [skeleton[0]]
        if skeleton == "hm" and (hour < 12) != (last_hour < 12):
            fields.insert(0, "a")
        for field in fields:
            text = self._span(skeleton, field, first, last)
            if text is not None:
                return text
        ends = (self._time("short", hour, minute, 0), self._time("short", last_hour, last_minute, 0))
        return _fill(self._between, *ends)

    def _month(self, year: int, month: int) -> str:
        return self._pattern(self._skeleton("yMMMM", "MMMM y"))(datetime(year, month, 1), "")

    def _weekday(self, number: int) -> str:
        # The form used within dates: the one that stands alone is an alias in CLDR's root for most locales, and
        # Babel answers it with the words of whichever locale asked first.
        return self._pattern("EEEE")(datetime(2001, 1, 1 + number), "")

    def _quarter(self, year: int, quarter: int) -> str:
        return self._pattern(self._skeleton("yQQQQ", "QQQQ y"))(datetime(year, 3 * quarter - 2, 1), "")

    def _skeleton(self, skeleton: str, otherwise: str) -> str:
        pattern = self.locale.datetime_skeletons.get(skeleton)
        return otherwise if pattern is None else str(pattern.pattern)

    def _months(self, year: int, month: int, last_year: int, last_month: int) -> str:
        field = "y" if year != last_year else "M"
        text = self._span("yMMMM", field, datetime(year, month, 1), datetime(last_year, last_month, 1))
        if text is None:
            text = _fill(self._between, self._month(year, month), self._month(last_year, last_month))
        return text

    def _compile(self, pattern: str) -> Callable[[datetime, str], str]:
        """A date or time pattern as a function of a moment and a zone name."""
        parts: list[_Part] = []
        for kind, value in tokenize_pattern(pattern):
            if kind == "field" and isinstance(value, tuple):
                parts.append(self._field(*value))
            else:
                parts.append(str(value))

        def render(moment: datetime, zone: str) -> str:
            return "".join([part if isinstance(part, str) else part(moment, zone) for part in parts])

        return render

    def _field(self, char: str, width: int) -> Callable[[datetime, str], str]:
        """One field of a pattern; names come from a table that Babel fills once."""
        field = char * width
        if char in "zv":
            return lambda _, zone: zone
        if char in "Ece" or (char in "MLQq" and width >= 3):
            by_day = char in "Ece"
            moments = [
                datetime(2001, 1, 1 + n) if by_day else datetime(2001, 1 + n, 1)
                for n in range(7 if by_day else 12)
            ]
            names = [self._by_babel(moment, field) for moment in moments]
            if by_day:
                return lambda moment, _: names[moment.weekday()]
            return lambda moment, _: names[moment.month - 1]
        if char == "a":
            halves = [self._by_babel(datetime(2001, 1, 1, hour), field) for hour in (0, 12)]
            return lambda moment, _: halves[moment.hour // 12]
        plain: dict[str, Callable[[datetime], int]] = {
            "d": lambda moment: moment.day,
            "M": lambda moment: moment.month,
            "L": lambda moment: moment.month,
            "H": lambda moment: moment.hour,
            "h": lambda moment: moment.hour % 12 or 12,
            "m": lambda moment: moment.minute,
            "s": lambda moment: moment.second,
        }
        if char in plain:
            number = plain[char]
            return lambda moment, _: f"{number(moment):0{width}d}"
        if char == "y" and width == 1:
            return lambda moment, _: str(moment.year)
        return lambda moment, _: self._by_babel(moment, field)

    def _by_babel(self, moment: datetime, field: str) -> str:
        return str(DateTimeFormat(moment, self.locale)[field])


def _fill(pattern: str, first: str, second: str) -> str:
    """``pattern`` with {0} and {1} put in; texts that hold braces themselves stay as they are."""
    before, _, rest = pattern.partition("{0}")
    if "{1}" in before:
        lead, _, middle = before.partition("{1}")
        return f"{lead}{second}{middle}{first}{rest}"
    middle, _, tail = rest.partition("{1}")
    return f"{before}{first}{middle}{second}{tail}"
