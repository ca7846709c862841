"""Figures as people read them. ``None`` is always the words "not measured"."""

from __future__ import annotations

from leanspike.measure.quality import Mean

NOT_MEASURED = "not measured"
MINUS = "\N{MINUS SIGN}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share 0..1 as ``98.43 %``."""
    return NOT_MEASURED if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 2) -> str:
    """A difference of two shares in percentage points, with its sign: ``+0.12``."""
    rounded = round(100 * difference, digits)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else "±"
    return f"{sign}{abs(rounded):.{digits}f}"


def interval(mean: Mean) -> str:
    """A mean of shares with its 95 % interval: ``98.43 ± 0.12 %``; the bare mean of a single run."""
    if mean.hi is None:
        return percent(mean.mean)
    return f"{100 * mean.mean:.2f} ± {100 * (mean.hi - mean.mean):.2f} %"


def number(value: float | None) -> str:
    """A count with three significant digits: ``12.3k``, ``4.57M``; small whole numbers stay whole."""
    if value is None:
        return NOT_MEASURED
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size)}{unit}"
    return f"{value:.0f}" if value == round(value) else significant(value)


def significant(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    if 0 < abs(value) < 0.0995:
        return f"{value:.2g}"
    return f"{value:.{digits}f}"


def microseconds(value: float | None) -> str:
    """A time given in microseconds, in the unit that suits it."""
    if value is None:
        return NOT_MEASURED
    if value >= 999.5e3:
        return f"{significant(value / 1e6)} s"
    return f"{significant(value / 1e3)} ms" if value >= 999.5 else f"{significant(value)} µs"


def seconds(value: float | None) -> str:
    """A time given in seconds: ``34.1 s``, ``5 min 02 s``."""
    if value is None:
        return NOT_MEASURED
    if round(value) < 100:
        return f"{significant(value)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def part_of(value: float, whole: float) -> str:
    """How much of ``whole`` a ``value`` is, in words that are true as they stand: ``about 1/9 of``, ``73 % of``."""
    if whole <= 0:
        return f"{number(value)} against {number(whole)}:"
    if value > 0 and whole / value >= 2.5:
        times = whole / value
        return f"{'' if abs(times - round(times)) < 0.005 else 'about '}1/{round(times)} of"
    return f"{100 * value / whole:.0f} % of"


def plural(n: int, word: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
