"""One raw sample in, one class out: our engine, other runtimes of the same program, and frameworks on the same spikes.

784-400-10 at T=25 with random weights (Kaiming's bounds, a bias that lets about a tenth of the hidden neurons fire)
on the embedded digits, drawn on 28 x 28. The engine, onnxruntime and LiteRT take raw bytes and encode inside. The
frameworks run the same network in floats and are given the encoded spikes, for free. All take turns in one process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from leanspike import ir, targets
from leanspike.bench.candidates import CANDIDATES, Candidate
from leanspike.bench.results import Row, judge
from leanspike.bench.tables import Promise
from leanspike.bench.workloads import BETA, Layer, Workload, make_weights
from leanspike.core.errors import MissingTool
from leanspike.engine import Engine
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed

LEAK_BITS = 10
QUIET = 0.3
CALLS_A_TURN = {1: 200, 256: 3}
FRAMEWORK_CALLS_A_TURN = {1: 5, 256: 1}
FRAMEWORKS = tuple(one for one in CANDIDATES if one.family == "torch" and one.needs != "torch" and not one.compiled)
INEXACT = "its own floats"

Raw = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Setting:
    """One table."""

    name: str
    encoding: Literal["rate", "direct"]
    batch: int
    threads: int
    promises: tuple[Promise, ...]

    @property
    def title(self) -> str:
        """What is measured."""
        many = f"batch {self.batch}, {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"Inference, 784-400-10, int8 weights, T=25, {self.encoding} coding, {many}"


_ONE = (Promise(("litert",), 8), Promise(("torch",), 50), Promise(("onnxruntime",), None))
_MANY = (Promise(("onnxruntime",), 4), Promise(("torch",), None))
SETTINGS = (
    Setting("inference-rate-B1", "rate", 1, 1, _ONE),
    Setting("inference-direct-B1", "direct", 1, 1, _ONE),
    Setting("inference-rate-B256", "rate", 256, 2, _MANY),
    Setting("inference-direct-B256", "direct", 256, 2, _MANY),
)


def network(encoding: str, timesteps: int) -> tuple[Program, list[Layer]]:
    """The integer program, and its weights as floats for the frameworks."""
    first, second = make_weights(Workload("inference", timesteps, 1))
    floats = [replace(first, bias=first.bias - np.float32(QUIET)), second]
    arrays: dict[str, Array] = {"m": Array(IntType(LEAK_BITS, False), np.array([[round(BETA * (1 << LEAK_BITS))]]))}
    for i, layer in enumerate(floats):
        scale = 127 / float(np.abs(layer.weight).max())
        one = scale * (255 if encoding == "direct" and i == 0 else 1)
        arrays[f"w{i}"] = Array(IntType(8, True), np.round(layer.weight.T * scale).astype(np.int64))
        arrays[f"b{i}"] = Array(IntType(24, True), np.round(layer.bias * one).astype(np.int64)[None])
        arrays[f"t{i}"] = Array(IntType(24, False), np.array([[round(one)]]))
    raw, start = Value("raw", (784,), IntType(8, False)), Value("x", (784,), SPIKE)
    coding: ir.Encoding = ir.Direct()
    if encoding == "rate":
        arrays["table"] = Array(IntType(16, False), np.round(np.arange(256) * 65_535 / 255).astype(np.int64))
        coding = ir.Rate(7, "table")
    else:
        start = replace(start, type=raw.type)
    operations = (
        ir.Dense(Value("i0", (400,), SPIKE), "x", "w0"),
        ir.LIF(Value("s0", (400,), SPIKE), "i0", "v0", "m", LEAK_BITS, "t0", "b0"),
        ir.Dense(Value("i1", (10,), SPIKE), "s0", "w1"),
        ir.LIF(Value("s1", (10,), SPIKE), "i1", "v1", "m", LEAK_BITS, "t1", "b1"),
    )
    wide = IntType(32 - LEAK_BITS, True)
    states = (ir.State("v0", (400,), wide), ir.State("v1", (10,), wide))
    readout = ir.Readout("count", "s1")
    program = Program(encoding, timesteps, ir.Input(start, raw, 255, coding), states, operations, readout, arrays)
    return ir.verify(narrowed(fitted(program))), floats


def digits(count: int) -> Raw:
    """Digits ``[count, 784]``: 8 x 8 images at 20 x 20 in the middle of 28 x 28."""
    from sklearn.datasets import load_digits

    images = load_digits().images[np.arange(count) % 1797]
    place = np.arange(20) * 8 // 20
    large = np.pad(images[:, place][:, :, place], ((0, 0), (4, 4), (4, 4)))
    return np.asarray(np.round(large * 255 / 16), dtype=np.uint8).reshape(count, 784)


class _Turns:
    """Rows of a setting, each with the call that is timed; a call takes the index of the sample or batch."""

    def __init__(self, setting: Setting, quick: bool) -> None:
        self.setting, self.timesteps = setting, 3 if quick else 25
        self.program, self.floats = network(setting.encoding, self.timesteps)
        self.raw = digits(64 if setting.batch == 1 else setting.batch)
        self.expected = ir.run_fast(self.program, self.raw)
        self.rows: list[Row] = []
        self.calls: dict[str, Callable[[int], Any]] = {}

    def add(self, name: str, family: str, semantics: str, make: Callable[[], Callable[[int], Any]]) -> None:
        """A candidate; its row says why, where it cannot take part."""
        row = Row(name, family, semantics)
        self.rows.append(row)
        try:
            call = make()
        except (MissingTool, ImportError) as error:
            row.reason = str(error)
            return
        row.agreement = INEXACT if family == "torch" else self._agreement(call)
        self.calls[name] = call

    def _agreement(self, call: Callable[[int], Any]) -> str:
        ones = self.setting.batch == 1
        found = np.array([call(i) for i in range(len(self.raw))]) if ones else np.asarray(call(0))
        wrong = int((found != self.expected.predictions).sum())
        return f"DIFFERS: {wrong} of {len(found)} classes" if wrong else f"same {len(found)} classes"

    def engine(self) -> Callable[[int], Any]:
        ready = Engine(self.program, threads=self.setting.threads)
        if self.setting.batch == 1:
            return lambda i: ready.classify(self.raw[i], i)
        return lambda _: ready.predict(self.raw)

    def runtime(self, name: str, folder: Path) -> Callable[[int], Any]:
        artefact = targets.emit(name, self.program, folder / name)
        ready = targets.target(name).prepare(artefact, threads=self.setting.threads)  # type: ignore[attr-defined]
        if self.setting.batch == 1:
            return lambda i: ready.classify(self.raw[i], i)
        return lambda _: ready.predict(self.raw)

    def framework(self, candidate: Candidate) -> Callable[[int], Any]:
        import torch

        stepper: Any = candidate.prepare(Workload("inference", self.timesteps, self.setting.batch))
        stepper.load(self.floats)
        spikes = ir.encode(self.program, self.raw).astype(np.float32)
        x = torch.from_numpy(spikes / np.float32(255 if self.setting.encoding == "direct" else 1))

        def call(i: int) -> Any:
            if stepper.reset is not None:
                stepper.reset()
            with torch.no_grad():
                part = x[:, i : i + 1] if self.setting.batch == 1 else x
                return stepper.network(part).sum(0).argmax(1)

        return call

    def turn(self) -> None:
        """Every candidate's calls, after one untimed call each."""
        for row in self.rows:
            if row.candidate in self.calls:
                per = FRAMEWORK_CALLS_A_TURN if row.family == "torch" else CALLS_A_TURN
                call, count = self.calls[row.candidate], per[self.setting.batch]
                call(0)
                row.add([_microseconds(call, i % len(self.raw)) for i in range(count)])


def _microseconds(call: Callable[[int], Any], i: int) -> float:
    start = time.perf_counter_ns()
    call(i)
    return (time.perf_counter_ns() - start) / 1e3


def measure(name: str, rounds: int, quick: bool) -> dict[str, Any]:
    """One table as JSON, times in microseconds a call."""
    setting = next(setting for setting in SETTINGS if setting.name == name)
    turns = _Turns(setting, quick)
    with tempfile.TemporaryDirectory() as folder:
        turns.add("leanspike engine", "ours", "the program", turns.engine)
        turns.add("onnxruntime", "onnxruntime", "the program", lambda: turns.runtime("onnx", Path(folder)))
        if setting.batch == 1:
            turns.add("LiteRT", "litert", "the program", lambda: turns.runtime("tflite", Path(folder)))
    for candidate in FRAMEWORKS:
        turns.add(candidate.name, "torch", candidate.semantics, lambda one=candidate: turns.framework(one))  # type: ignore[misc]
    for _ in range(rounds):
        turns.turn()
    hidden = turns.expected.spikes["s0"].mean() / (400 * turns.timesteps)
    return {
        "name": setting.name,
        "group": "inference",
        "kind": "inference",
        "title": setting.title + (" [--quick: T=3]" if quick else ""),
        "unit": "us",
        "hidden_density": [float(hidden)],
        "rows": [row.to_dict(turns.rows[0].median) for row in turns.rows],
        "promises": [] if quick else [judge(promise, turns.rows) for promise in setting.promises],
    }
