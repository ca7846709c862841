"""TFLite against the reference on random programs: both models, every spike and potential."""

from __future__ import annotations

import pytest
from edge_networks import need

from leanspike.targets.conformance import Conformance


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    need("ai_edge_litert", "flatbuffers")


class TestTFLite(Conformance):
    target = "tflite"
    refused = frozenset({"matmul"})
