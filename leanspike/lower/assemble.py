"""Integer stages as a program: operations, states and arrays with names that say their stage."""

from __future__ import annotations

from typing import Any

from leanspike.ir import (
    LIF,
    Add,
    Array,
    Conv2d,
    Delay,
    Dense,
    Exit,
    Integrate,
    IntType,
    Operation,
    Program,
    Readout,
    Scale,
    State,
    Value,
)
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted
from leanspike.ir.ops import Shape
from leanspike.ir.program import ReadoutKind
from leanspike.lower.config import LowerConfig
from leanspike.lower.draft import Synapse
from leanspike.lower.expressed import expressed, parts
from leanspike.lower.quantise import IntegerStage, IntegerSynapse
from leanspike.lower.signals import Delayed, Fired, Flat, Late, Signal
from leanspike.lower.source import Source


class _Assembly:
    def __init__(self, source: Source, config: LowerConfig) -> None:
        self.config, self.arrays = config, dict(source.arrays)
        self.operations: list[Operation] = []
        self.states: list[State] = []
        self.made: dict[Signal, Value] = {Fired(0): source.input.result}
        self.last = source.input.result

    def put(self, operation: Operation) -> Value:
        self.operations.append(operation)
        self.last = operation.result
        return self.last

    def array(self, name: str, values: Ints, kind: IntType | None = None) -> str:
        self.arrays[name] = Array(kind or IntType.holding(int(values.min()), int(values.max())), values)
        return name

    def stage(self, stage: IntegerStage) -> None:
        n = stage.of.number
        current = self._currents(stage)
        state, multiplier = f"v{n}", self.array(f"m{n}", stage.multiplier)
        bias = self.array(f"b{n}", stage.bias) if stage.bias.any() else None
        potential = IntType(self.config.state_bits(int(stage.multiplier.max())), True)
        shape, shift = current.shape, self.config.leak_bits
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
        rest: tuple[Any, ...] = (
            bias,
            stage.of.reset,
            stage.of.refractory,
            hold,
            reset_by,
            *self._adaptation(stage, shape),
        )
        self.made[Fired(n)] = self.put(LIF(spikes, current.name, state, multiplier, shift, threshold, *rest))

    def _adaptation(self, stage: IntegerStage, shape: Shape) -> tuple[Any, ...]:
        """The settings of thresholds that adapt, in the order of :class:`leanspike.ir.LIF`."""
        n, own = stage.of.number, stage.adaptation
        if own is None:
            return ()
        one, decay, jump = 1 << self.config.leak_bits, own.multiplier, own.jump
        top = int(jump.max()) * one // (one - int(decay.max()))
        self.states.append(State(f"a{n}", shape, IntType.holding(0, max(1, top))))
        names = self.array(f"n{n}", decay), self.array(f"j{n}", jump)
        return f"a{n}", names[0], self.config.leak_bits, names[1], own.fraction

    def _currents(self, stage: IntegerStage) -> Value:
        """The sum of the currents of all synapses; what they read comes first."""
        signals = [synapse.of.source for synapse in stage.synapses]
        missing = list(dict.fromkeys(part for signal in signals for part in parts(signal) if part not in self.made))
        tags = _tags(stage.of.number, len(missing))
        looped = [signal for signal in missing if isinstance(signal, Delayed)]
        for signal, tag in zip(missing, tags, strict=True):
            if signal not in looped:
                self._make(signal, tag)
        total: Value | None = None
        for synapse, tag in zip(stage.synapses, _tags(stage.of.number, len(stage.synapses)), strict=True):
            if synapse.of.source in looped:
                assert total is not None
                self._delay(synapse.of.source, stage.of.number, total.shape)
            current = self._synapse(synapse, tag, stage.weight_bits or self.config.weight_bits)
            if total is not None:
                current = self.put(Add(Value(f"c{tag}", current.shape, SPIKE), total.name, current.name))
            total = current
        assert total is not None
        return total

    def _make(self, signal: Signal, tag: str) -> None:
        if isinstance(signal, Late):
            x, state = self.made[signal.before], f"q{tag}"
            self.states.append(State(state, x.shape, x.type))
            self.made[signal] = self.put(Delay(Value(f"l{tag}", x.shape, x.type), x.name, state))
            return
        operations = expressed(signal, self.made, tag)
        for operation in operations:
            self.put(operation)
        if operations:
            self.made[signal] = operations[-1].result
        else:
            assert isinstance(signal, Flat)
            self.made[signal] = self.made[signal.of]

    def _delay(self, signal: Signal, number: int, shape: Shape) -> None:
        state = State(f"z{number}", shape, SPIKE)
        self.states.append(state)
        self.made[signal] = self.put(Delay(Value(f"d{number}", shape, SPIKE), f"s{number}", state.name))

    def _synapse(self, synapse: IntegerSynapse, tag: str, bits: int) -> Value:
        x, of = self.made[synapse.of.source], synapse.of
        if of.one_to_one:
            return self._scale(x, f"i{tag}", f"f{tag}.factor", synapse.weight)
        name, weight = f"i{tag}", self.array(f"w{tag}", synapse.weight, IntType(bits, True))
        if of.weight.ndim == 2:
            current = self.put(Dense(Value(name, (of.weight.shape[1],), SPIKE), x.name, weight))
        else:
            shape = _sides(x.shape, of)
            current = self.put(Conv2d(Value(name, shape, SPIKE), x.name, weight, of.stride, of.padding))
        return current if synapse.factor is None else self._scale(current, f"k{tag}", f"k{tag}.factor", synapse.factor)

    def _scale(self, x: Value, name: str, array: str, factor: Ints) -> Value:
        if (factor == 1).all():
            return x
        uniform = factor[:1] if (factor == factor[0]).all() else factor
        return self.put(Scale(Value(name, x.shape, SPIKE), x.name, self.array(array, uniform)))


def _tags(number: int, count: int) -> list[str]:
    """``3`` of one, else ``3a``, ``3b``, ..."""
    return [f"{number}"] if count == 1 else [f"{number}{_letters(i)}" for i in range(count)]


def _letters(i: int) -> str:
    return (_letters(i // 26 - 1) if i > 25 else "") + "abcdefghijklmnopqrstuvwxyz"[i % 26]


def _sides(shape: Shape, synapse: Synapse) -> Shape:
    kernel = synapse.weight.shape
    sides = ((shape[i] + 2 * synapse.padding - kernel[i]) // synapse.stride + 1 for i in (0, 1))
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
