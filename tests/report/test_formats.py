"""Figures as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanspike.measure.quality import Mean
from leanspike.report import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not measured"),
        (0, "0"),
        (7, "7"),
        (59.53, "59.5"),
        (999.6, "1.00k"),
        (12_345, "12.3k"),
        (4.567e6, "4.57M"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@given(st.floats(1, 1e12))
def test_numbers_keep_three_digits(value: float) -> None:
    text = formats.number(value)
    scale = {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1.0)
    assert float(text.rstrip("kMG")) * scale == pytest.approx(value, rel=0.0051)


def test_times() -> None:
    assert formats.microseconds(12.34) == "12.3 µs"
    assert formats.microseconds(1234) == "1.23 ms"
    assert formats.microseconds(2.5e6) == "2.50 s"
    assert formats.seconds(302) == "5 min 02 s"
    assert formats.seconds(None) == formats.microseconds(None) == "not measured"


def test_differences_carry_their_sign() -> None:
    assert [formats.points(value) for value in (0.0012, -0.0012, 0.00001)] == ["+0.12", f"{formats.MINUS}0.12", "±0.00"]


def test_intervals() -> None:
    assert formats.interval(Mean(0.984, 0.982, 0.986, 3)) == "98.40 ± 0.20 %"
    assert formats.interval(Mean(0.984, None, None, 1)) == "98.40 %"


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_a_fraction_is_true_as_it_stands(value: float, whole: float) -> None:
    text = formats.part_of(value, whole).removesuffix(" of").removeprefix("about ")
    told = 1 / int(text[2:]) if text.startswith("1/") else float(text.removesuffix(" %")) / 100
    assert told == pytest.approx(value / whole, rel=0.21, abs=0.006)
