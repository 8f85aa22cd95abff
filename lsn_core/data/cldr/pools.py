"""What the embedded text can speak of: countries, languages, currencies, units, ... as CLDR codes.

A code belongs to a pool only where every one of the paper's languages has its own name for it, so that a
line that exists in one of them exists in all. The pools are alike for every locale: a locale outside the
paper's eleven that lacks a name falls back by CLDR's own inheritance, down to the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from babel import Locale
from babel.core import get_global
from babel.languages import get_official_languages

from lsn_core.languages import PAPER_LANGUAGES

# Codes that name no place and no language: "unknown region", pseudo-locales, "no linguistic content",
# "unknown currency".
_NO_PLACE = frozenset({"ZZ", "XA", "XB", "QO", "EU", "EZ", "UN"})
_NO_LANGUAGE = frozenset({"und", "zxx", "mul", "mis", "root"})
_NO_CURRENCY = frozenset({"XXX", "XTS"})

# Nouns that date_fields counts: "in 3 weeks", "2 Mondays ago".
RELATIVE_UNITS = (
    *("year", "quarter", "month", "week", "day", "hour", "minute", "second"),
    *("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
)

# Units of daily life, drawn as often as all the others together.
_EVERYDAY = frozenset(
    ["duration-" + unit for unit in ("year", "month", "week", "day", "hour", "minute", "second")]
    + ["length-" + unit for unit in ("kilometer", "meter", "centimeter", "millimeter", "mile", "foot")]
    + ["mass-" + unit for unit in ("gram", "kilogram", "tonne", "pound")]
    + ["volume-" + unit for unit in ("liter", "milliliter", "cup", "tablespoon", "cubic-meter")]
    + ["area-square-meter", "area-hectare", "area-square-kilometer", "speed-kilometer-per-hour"]
    + ["temperature-celsius", "concentr-percent", "digital-gigabyte", "energy-kilowatt-hour", "power-watt"]
)


# CLDR's root names these units by another's name; Babel's data leaves the reference out.
_SAME_IN_ROOT = {
    "energy-foodcalorie": "energy-kilocalorie",
    "graphics-dot-per-centimeter": "graphics-pixel-per-centimeter",
    "graphics-dot-per-inch": "graphics-pixel-per-inch",
}


@dataclass(frozen=True)
class Pools:
    """Codes by what they name, each tuple sorted. ``spoken`` holds (country, its official languages)."""

    countries: tuple[str, ...]
    regions: tuple[str, ...]
    languages: tuple[str, ...]
    currencies: tuple[str, ...]
    scripts: tuple[str, ...]
    zones: tuple[str, ...]
    units: tuple[str, ...]
    everyday_units: tuple[str, ...]
    per_units: tuple[str, ...]
    spoken: tuple[tuple[str, tuple[str, ...]], ...]

    def names(self, pool: str) -> tuple[str, ...]:
        """The codes of a pool of proper names: countries, regions, languages, currencies or scripts."""
        codes: tuple[str, ...] = getattr(self, pool)
        return codes


def unit_forms(locale: Locale, unit: str, length: str) -> dict[str, str]:
    """Patterns of a unit by plural category (and ``per``), ``length`` "long" or "short".

    CLDR drops a long form that equals the short one, category by category, so the short ones lie below.
    """
    # Babel offers unit patterns only already formatted; formatting each anew costs a parse a line.
    widths = locale._data["unit_patterns"].get(unit, {})
    forms = dict(widths.get("short", {}))
    if length == "long":
        forms.update(widths.get("long", {}))
    if "other" not in forms and unit in _SAME_IN_ROOT:
        return unit_forms(locale, _SAME_IN_ROOT[unit], length)
    return {category: str(pattern) for category, pattern in forms.items() if isinstance(pattern, str)}


def _shared(codes_of: Callable[[Locale], Iterable[str]], locales: list[Locale]) -> tuple[str, ...]:
    sets = [set(codes_of(locale)) for locale in locales]
    return tuple(sorted(set.intersection(*sets)))


def _named(table: Callable[[Locale], Mapping[str, str]]) -> Callable[[Locale], Iterable[str]]:
    return lambda locale: (code for code, name in table(locale).items() if name and name != code)


@lru_cache(maxsize=1)
def pools() -> Pools:
    """The pools of the installed CLDR, shared by the paper's eleven languages."""
    locales = [Locale.parse(code) for code in PAPER_LANGUAGES]
    territories = _shared(_named(lambda locale: locale.territories), locales)
    countries = tuple(c for c in territories if c.isalpha() and c not in _NO_PLACE)
    languages = _shared(_named(lambda locale: locale.languages), locales)
    languages = tuple(c for c in languages if c not in _NO_LANGUAGE)
    known = set(languages)
    in_use = set(get_global("meta_zones").values())
    units = _shared(
        lambda locale: (u for u in locale._data["unit_patterns"] if "other" in unit_forms(locale, u, "long")),
        locales,
    )
    spoken = []
    for country in countries:
        official = tuple(c for c in get_official_languages(country, de_facto=True) if c in known)[:3]
        if official:
            spoken.append((country, official))
    return Pools(
        countries=countries,
        regions=tuple(c for c in territories if c.isdigit()),
        languages=languages,
        currencies=tuple(
            code
            for code in _shared(_named(lambda locale: locale.currencies), locales)
            if code not in _NO_CURRENCY
        ),
        # Codes in Z name no script: "symbols", "unwritten", "unknown".
        scripts=tuple(
            code for code in _shared(_named(lambda locale: locale.scripts), locales) if code[0] != "Z"
        ),
        zones=_shared(
            lambda locale: (
                zone
                for zone, info in locale.meta_zones.items()
                if zone in in_use and info.get("long", {}).get("standard", "").strip("∅")
            ),
            locales,
        ),
        units=units,
        everyday_units=tuple(unit for unit in units if unit in _EVERYDAY),
        per_units=_shared(
            lambda locale: (u for u in units if "per" in unit_forms(locale, u, "long")),
            locales,
        ),
        spoken=tuple(spoken),
    )
