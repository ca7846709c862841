"""The learned network as an integer program: thresholds frozen, lateral inhibition as a recurrent edge.

With S = (2^(bits-1) - 1) / (largest weight), the unit of the potential in integers a mV, a step of the program is::

    x      rate encoder of the run (its seed and table)
    d      spikes of the step before                                       delay
    pool   sum over the neurons of d                                       dense, weights 1: the inhibitory population
    lat    -round(inhibition S) pool [+ round(inhibition S) d]             dense and, without refractory steps, scale
    cur    round(w S) x + lat                                              dense, add
    s      lif: leak round(exp(-1/tau) 2^k) / 2^k, threshold round((threshold + theta) S), reset to zero, refractory
    score  integrates round(M R) s                                         dense and integrate, R the label readout

A neuron in its refractory steps takes no input, so what its own spike sends back through the pool changes nothing;
without refractory steps the term in brackets takes it away. The network is lowered as it is tested: every neuron that
crosses its threshold fires (winner = all). M makes R's largest entry 2^(bits-1) - 1, or 1 where R is of 0 and 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike import ir
from leanspike.core.errors import LoweringError
from leanspike.core.records import require
from leanspike.ir import Array, IntType, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted
from leanspike.ir.ops import Shape
from leanspike.plasticity.config import StdpConfig
from leanspike.plasticity.encoding import LEVELS, final_seed, table
from leanspike.plasticity.reference import Learned

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StdpLowering:
    """Attributes:
    weight_bits: of the input weights and of the readout, with sign.
    leak_bits: k.
    potential_bits: width in which potentials saturate.
    """

    weight_bits: int = 8
    leak_bits: int = 10
    potential_bits: int = 20

    def __post_init__(self) -> None:
        require(2 <= self.weight_bits <= 16, "weight_bits", self.weight_bits, "2 to 16")
        require(1 <= self.leak_bits <= 11, "leak_bits", self.leak_bits, "1 to 11")
        require(8 <= self.potential_bits <= 20, "potential_bits", self.potential_bits, "8 to 20")


def lower(
    config: StdpConfig,
    learned: Learned,
    readout: npt.NDArray[np.float64],
    sample: Shape,
    name: str,
    how: StdpLowering | None = None,
) -> ir.Program:
    """The program of a learned network.

    Args:
        readout: ``[neurons, K]``, 0 or more.
        sample: shape of a data set's sample, ``(C, H, W)`` or ``(F,)``.

    Raises:
        LoweringError: it resets to another potential than rest. ProgramError: a width does not suffice.
    """
    how = how or StdpLowering()
    if config.neuron.reset != 0:
        raise LoweringError(
            "a program's neurons reset to rest", where=f"neuron.reset = {config.neuron.reset:g}", remedy="learn with 0"
        )
    raw_shape = (*sample[1:], sample[0]) if len(sample) == 3 else sample
    made = _Made(learned.weights.shape[1], how)
    made.arrays["table"] = Array(IntType(16, False), table(config.rate))
    flat = Value("x", raw_shape, SPIKE)
    if len(raw_shape) > 1:
        made.put(ir.Reshape(Value("flat", (math.prod(raw_shape),), SPIKE), "x"))
    spikes = _excitatory(made, config, learned, "flat" if len(raw_shape) > 1 else "x")
    score = _readout(made, readout, spikes)
    raw = Value("raw", raw_shape, IntType(8, False))
    entry = ir.Input(flat, raw, LEVELS, ir.Rate(final_seed(config.seed), "table"))
    end = ir.Readout("membrane_last", score)
    program = ir.Program(name, config.steps, entry, tuple(made.states), tuple(made.operations), end, made.arrays)
    return ir.verify(fitted(program))


class _Made:
    """Operations, states and arrays as they come; widths are fitted at the end."""

    def __init__(self, neurons: int, how: StdpLowering) -> None:
        self.neurons, self.how = neurons, how
        self.operations: list[ir.Operation] = []
        self.states: list[ir.State] = []
        self.arrays: dict[str, Array] = {}

    def put(self, operation: ir.Operation) -> str:
        self.operations.append(operation)
        return operation.result.name

    def array(self, name: str, values: npt.ArrayLike) -> str:
        given: npt.NDArray[Any] = np.asarray(values, dtype=np.int64)
        self.arrays[name] = Array(IntType.holding(int(given.min()), int(given.max())), given)
        return name

    def state(self, name: str, kind: IntType, width: int) -> str:
        self.states.append(ir.State(name, (width,), kind))
        return name


def _excitatory(made: _Made, config: StdpConfig, learned: Learned, x: str) -> str:
    n, how, neuron = made.neurons, made.how, config.neuron
    most = (1 << (how.weight_bits - 1)) - 1
    scale = most / float(learned.weights.max())
    inhibition = round(neuron.inhibition * scale)

    def value(name: str, width: int = n) -> Value:
        return Value(name, (width,), SPIKE)  # fitted at the end

    d = made.put(ir.Delay(value("d"), "s", made.state("last", SPIKE, n)))
    pool = made.put(ir.Dense(value("pool", 1), d, made.array("ones", np.ones((n, 1)))))
    lateral = made.put(ir.Dense(value("lat"), pool, made.array("inhibition", np.full((1, n), -inhibition))))
    if not neuron.refractory:
        own = made.put(ir.Scale(value("own"), d, made.array("own.factor", [inhibition])))
        lateral = made.put(ir.Add(value("others"), lateral, own))
    weights = np.floor(learned.weights.astype(np.float64) * scale + 0.5)
    driven = made.put(ir.Dense(value("in"), x, made.array("w", weights)))
    current = made.put(ir.Add(value("cur"), driven, lateral))
    limit = np.floor((neuron.threshold + learned.theta.astype(np.float64)) * scale + 0.5)
    leak = round(math.exp(-1 / neuron.tau) * (1 << how.leak_bits))
    hold = made.state("hold", IntType.holding(0, neuron.refractory), n) if neuron.refractory else None
    state = made.state("v", IntType(how.potential_bits, True), n)
    leak_name, limit_name = made.array("leak", [[leak]]), made.array("limit", limit[None])
    silence = (neuron.refractory, hold)
    fire = ir.LIF(value("s"), current, state, leak_name, how.leak_bits, limit_name, None, "zero", *silence)
    return made.put(fire)


def _readout(made: _Made, readout: npt.NDArray[np.float64], spikes: str) -> str:
    classes, largest = readout.shape[1], float(readout.max())
    if largest == 0:
        raise LoweringError("no neuron has a label: all stayed silent", where="the network", remedy="train it longer")
    plain = set(np.unique(readout).tolist()) <= {0.0, 1.0}
    most = 1 if plain else (1 << (made.how.weight_bits - 1)) - 1
    weights = np.floor(readout * (most / largest) + 0.5)
    votes = made.put(ir.Dense(Value("votes", (classes,), SPIKE), spikes, made.array("labels", weights)))
    kind = IntType(32, True)
    state = made.state("score", kind, classes)
    return made.put(ir.Integrate(Value("u", (classes,), kind), votes, state, made.array("whole", [[1]]), 0))
