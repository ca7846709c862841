"""The reference of programs says what the code says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from leanspike.ir.encodings import ENCODINGS
from leanspike.ir.ops import MOST_AXES, OPERATIONS
from leanspike.ir.program import READOUTS
from leanspike.ir.shapes import MOST_STRIDE
from leanspike.ir.store import FORMAT, MOST_BYTES
from leanspike.ir.text import MOST_CHARACTERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "program.md").read_text(encoding="utf-8")
GOLDEN = (ROOT / "tests" / "golden" / "every-operation.txt").read_text(encoding="utf-8")


def test_the_example_is_the_golden_text() -> None:
    assert f"```text\n{GOLDEN}```" in PAGE


@pytest.mark.parametrize("keyword", [*OPERATIONS, *ENCODINGS, *READOUTS])
def test_every_operation_encoding_and_readout_has_its_row(keyword: str) -> None:
    assert re.search(rf"^\| [^|]*`{keyword}`[^|]*\|", PAGE, re.M)


def test_the_limits_are_those_of_the_verifier() -> None:
    modules = map(importlib.import_module, ("leanspike.ir.verify", "leanspike.ir.neuron_rules"))
    limits = {name: value for found in modules for name, value in vars(found).items() if name.startswith("MOST_")}
    del limits["MOST_BITS"], limits["MOST_STATES"]
    expected = {*limits.values(), MOST_AXES, MOST_STRIDE, MOST_CHARACTERS, MOST_BYTES}
    rows = PAGE.partition("## Limits")[2].partition("##")[0]
    assert {int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+) \|", rows)} == expected


def test_the_file_is_named_as_it_is() -> None:
    assert f"`{FORMAT}`" in PAGE
