"""What comes back from a NIR file, on random programs: every spike and potential, and the identical hash."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from edge_networks import need
from hypothesis import HealthCheck, assume, given, settings

from leanspike import ir, targets
from leanspike.targets.conformance import COUNT, Case, Conformance, cases, expressed
from leanspike.targets.nir import load


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    need("nir")


REFUSED = frozenset({"scale", "matmul", "delay", "adapt"})


class TestNir(Conformance):
    target = "nir"
    refused = REFUSED


@settings(max_examples=COUNT, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_the_identical_program_comes_back(case: Case) -> None:
    assume(not REFUSED & {keyword for keyword, _ in expressed(case.program)})
    with tempfile.TemporaryDirectory() as folder:
        artefact = targets.emit("nir", case.program, Path(folder))
        again = load(Path(folder) / artefact.files[0])
    assert again == case.program
    assert ir.content_hash(again) == ir.content_hash(case.program)
