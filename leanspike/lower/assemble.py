"""Integer stages as a program: operations, states and arrays with names that say their stage."""

from __future__ import annotations

import numpy as np

from leanspike.ir import (
    LIF,
    Array,
    Conv2d,
    Dense,
    Exit,
    Integrate,
    IntType,
    MaxPool,
    Operation,
    Program,
    Readout,
    Reshape,
    State,
    SumPool,
    Value,
)
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.program import ReadoutKind
from leanspike.ir.ranges import fitted
from leanspike.lower.config import LowerConfig
from leanspike.lower.draft import Flat, Pool, Stage
from leanspike.lower.quantise import IntegerStage
from leanspike.lower.source import Source


class _Assembly:
    def __init__(self, source: Source, config: LowerConfig) -> None:
        self.config, self.arrays = config, dict(source.arrays)
        self.operations: list[Operation] = []
        self.states: list[State] = []
        self.last = source.input.result

    def put(self, operation: Operation) -> None:
        self.operations.append(operation)
        self.last = operation.result

    def array(self, name: str, values: Ints, kind: IntType | None = None) -> str:
        self.arrays[name] = Array(kind or IntType.holding(int(values.min()), int(values.max())), values)
        return name

    def stage(self, stage: IntegerStage) -> None:
        n = stage.of.number
        for place, before in enumerate(stage.of.before):
            self._before(before, f"{n}" if len(stage.of.before) < 2 else f"{n}{'abcdefgh'[place % 8]}")
        self._synapse(stage)
        state, multiplier = f"v{n}", self.array(f"m{n}", stage.multiplier)
        bias = self.array(f"b{n}", stage.bias) if stage.bias.any() else None
        potential = IntType(self.config.state_bits(int(stage.multiplier.max())), True)
        current, shape, shift = self.last, self.last.shape, self.config.leak_bits
        self.states.append(State(state, shape, potential, stage.codec))
        if stage.threshold is None:
            self.put(Integrate(Value(f"u{n}", shape, potential), current.name, state, multiplier, shift, bias))
            return
        hold = None
        if stage.of.refractory:
            hold = f"h{n}"
            self.states.append(State(hold, shape, IntType.holding(0, stage.of.refractory)))
        threshold, spikes = self.array(f"t{n}", stage.threshold), Value(f"s{n}", shape, SPIKE)
        reset_by = None if stage.reset_by is None else self.array(f"r{n}", stage.reset_by)
        rest = (bias, stage.of.reset, stage.of.refractory, hold, reset_by)
        self.put(LIF(spikes, current.name, state, multiplier, shift, threshold, *rest))

    def _before(self, operation: Pool | Flat, tag: str) -> None:
        x = self.last
        if isinstance(operation, Flat):
            if len(x.shape) > 1:
                self.put(Reshape(Value(f"f{tag}", (int(np.prod(x.shape)),), x.type), x.name))
            return
        size, pool = operation.size, MaxPool if operation.kind == "max" else SumPool
        shape = (x.shape[0] // size, x.shape[1] // size, x.shape[2])
        self.put(pool(Value(f"p{tag}", shape, x.type), x.name, size))

    def _synapse(self, stage: IntegerStage) -> None:
        x, name = self.last, f"i{stage.of.number}"
        bits = stage.weight_bits or self.config.weight_bits
        weight = self.array(f"w{stage.of.number}", stage.weight, IntType(bits, True))
        if stage.weight.ndim == 2:
            self.put(Dense(Value(name, (stage.weight.shape[1],), SPIKE), x.name, weight))
            return
        shape = _sides(x.shape, stage.of)
        self.put(Conv2d(Value(name, shape, SPIKE), x.name, weight, stage.of.stride, stage.of.padding))


def _sides(shape: tuple[int, ...], stage: Stage) -> tuple[int, ...]:
    kernel = stage.weight.shape
    sides = ((shape[i] + 2 * stage.padding - kernel[i]) // stage.stride + 1 for i in (0, 1))
    return (*sides, kernel[3])


def assembled(
    name: str,
    source: Source,
    timesteps: int,
    stages: tuple[IntegerStage, ...],
    readout: ReadoutKind,
    config: LowerConfig,
) -> Program:
    """The program, every exact value in its narrowest type, potentials as wide as the configuration allows."""
    assembly = _Assembly(source, config)
    for stage in stages:
        assembly.stage(stage)
    exit_ = Exit(config.exit_margin) if config.exit_margin else None
    states, operations = tuple(assembly.states), tuple(assembly.operations)
    end = Readout(readout, assembly.last.name, exit_)
    return fitted(Program(name, timesteps, source.input, states, operations, end, assembly.arrays))
