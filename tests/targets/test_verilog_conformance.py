"""The emitted Verilog against the reference on random programs: every spike and potential, in Icarus."""

from __future__ import annotations

import pytest
from verilog_cases import need

from leanspike.targets.conformance import Conformance


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    need("icarus")


class TestVerilog(Conformance):
    target = "verilog"
    refused = frozenset({"matmul", "map", "adapt", "delay twice"})
    one_in = 2
