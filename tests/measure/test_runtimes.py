"""Runtimes side by side: every one right on every sample, timed, and told in one table."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest

from leanspike import ir
from leanspike.core.errors import TargetError
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted
from leanspike.measure.latency import time_in_turn
from leanspike.measure.runtimes import RUNTIMES, compare, table


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    wanted = ("onnx", "onnxruntime", "ai_edge_litert", "flatbuffers")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        message = f"needs {', '.join(missing)} (pip install 'leanspike[test]')"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


def small() -> Program:
    """Nine inputs, coded by rate, to four neurons whose spikes are counted."""
    random = np.random.default_rng(0)
    raw, potential = IntType(8, False), IntType(16, True)
    arrays = {
        "table": Array(IntType(16, False), np.arange(256) * 257),
        "w": Array(IntType(4, True), random.integers(-7, 8, (9, 4))),
        "m": Array(IntType(3, False), [[7]]),
        "t": Array(IntType(4, False), [[9]]),
    }
    start = ir.Input(Value("x", (9,), SPIKE), Value("raw", (9,), raw), 255, ir.Rate(3, "table"))
    operations = (
        ir.Dense(Value("i", (4,), SPIKE), "x", "w"),
        ir.LIF(Value("s", (4,), SPIKE), "i", "v", "m", 3, "t"),
    )
    states = (ir.State("v", (4,), potential),)
    return fitted(Program("small", 6, start, states, operations, ir.Readout("count", "s"), arrays))


def test_every_runtime_agrees_and_is_timed() -> None:
    program, random = small(), np.random.default_rng(1)
    raw = random.integers(0, 256, (12, 9)).astype(np.uint8)
    numbers = np.arange(50, 62)
    labels = ir.run(program, raw, numbers).predictions
    rows = compare(RUNTIMES, program, raw, labels, numbers, calls=100)
    assert [row.name for row in rows] == list(RUNTIMES)
    for row in rows:
        assert (row.samples, row.accuracy, row.differing) == (12, 1.0, 0)
        assert 0 < row.latency.p50 <= row.latency.p99
        assert row.file_bytes > 0
    told = table(rows).splitlines()
    assert len(told) == 4
    assert len(set(map(len, told))) == 1


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(TargetError, match=r"'nir' is no runtime here; there are engine, onnx, tflite"):
        compare(["nir"], small(), np.zeros((1, 9), dtype=np.uint8), np.zeros(1, dtype=np.int64))


def test_candidates_take_turns() -> None:
    seen: list[str] = []
    calls = {name: (lambda i, name=name: seen.append(f"{name}{i}")) for name in "ab"}
    found = time_in_turn(calls, calls=100, warm_up=0, block=50)
    assert found.keys() == {"a", "b"}
    assert [seen[0], seen[50], seen[100], seen[199]] == ["a0", "b0", "a50", "b99"]
