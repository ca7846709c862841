"""Whether a spiking network costs less than the ANN it is compared with: the honest comparison, and where it tips.

The opponents have the same topology and weights of the same bits, no states, and run once: one with 8-bit activations,
and the fair one of ``A = ceil(log2(T + 1))`` bits, which can tell as many values apart as a count of spikes can
(Z. Yan, Z. Bai and W.-F. Wong, arXiv:2409.08290). Pixels keep their bits where the SNN reads pixels, too.

    ANN, a layer       MACs (weight x activation bits), bias, a comparison (ReLU) and a requantising multiplication by
                       16 bits a neuron; reads of weights, inputs and biases, writes of activations
    E_SNN(r, T)        a + T (b + r c)       a: a constant input, once; b: updates of a step; c: its spikes at rate 1
    r*(T)              ((E_ANN(T) - a) / T - b) / c        below it the SNN costs less

Without states, sums, bias and a, and with one layer, r* T < (E_mac + E_w + E_in) / (E_add + E_w + 2 E_sum): the rule of
E. Lemaire et al., ICONIP 2022. Each ANN layer, and each layer of the SNN that reads pixels, takes the cheaper of both
dataflows of :mod:`leanspike.measure.traffic`; zeros among pixels are skipped if that is cheaper. Of its hidden
activations none is taken to be 0, although a ReLU makes many: that favours the SNN. Its spiking layers run event by
event even where the other dataflow would cost less (:mod:`leanspike.measure.overhead` tells). r is the share of the
connections of spiking synapses that an average step executes; at other rates it is the same in all of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from leanspike.ir import Program
from leanspike.ir.counts import multiplies, working
from leanspike.ir.encodings import Direct, Latency, Rate
from leanspike.ir.ops import Delay
from leanspike.measure.ann import layers
from leanspike.measure.energy import energy, models
from leanspike.measure.tally import Tally, uniform, whole
from leanspike.measure.traffic import traffic
from leanspike.measure.work import VARIANTS, Executed, Variant, arithmetic

ACTIVATION_BITS = 8
LONGEST = 64
Winner = Literal["SNN", "ANN"]


@dataclass(frozen=True)
class Opponent:
    """An ANN beside the SNN, by one energy model.

    Attributes:
        bits: of its activations.
        nanojoules: a sample.
        dataflow: of every synapse, the cheaper one.
        break_even_rate: below it the SNN of this T costs less: negative where no rate is low enough.
        break_even_steps: up to which T the SNN costs less at the rate it has, against this kind of opponent; 0: never.
    """

    bits: int
    nanojoules: float
    dataflow: Mapping[str, Variant]
    break_even_rate: float
    break_even_steps: int


@dataclass(frozen=True)
class Comparison:
    """The SNN against both opponents by one energy model.

    Attributes:
        nanojoules: of the SNN a sample.
        constant, update, spiking: a, b and c of the head of this module, in nJ.
        still: the dataflow of what reads pixels.
    """

    model: str
    nanojoules: float
    constant: float
    update: float
    spiking: float
    still: Variant
    equal_bits: Opponent
    fair: Opponent

    def winner(self, opponent: Opponent) -> Winner:
        """Who costs less."""
        return "SNN" if self.nanojoules < opponent.nanojoules else "ANN"


def incomparable(program: Program) -> str:
    """Why there is no ANN of the same topology that runs once; empty where there is one."""
    if not isinstance(program.input.encoding, Direct | Rate | Latency):
        return "its input is a series: an ANN that runs once would be another network"
    if any(isinstance(op, Delay) for op in program.operations):
        return "it is recurrent: an ANN that runs once would be another network"
    spiking = [op for op in working(program) if not multiplies(op, program)]
    return "" if spiking else "no synapse of it reads spikes"


def fair_bits(steps: int) -> int:
    """Bits of an activation that tells apart as many values as a count of 0 to T spikes."""
    return math.ceil(math.log2(steps + 1))


def effective_rate(program: Program, found: Tally) -> float:
    """Executed operations of synapses that read spikes, as a share of all that they could execute in the steps used."""
    spiking = [op for op in working(program) if not multiplies(op, program)]
    done = sum(float(found.operations[op.result.name].sum()) for op in spiking)
    return done / sum(whole(op, program)["operations"] * float(found.used.sum()) for op in spiking)


class Contest:
    """One program and its tally against ANNs, by one model; energies in nJ a sample."""

    def __init__(self, program: Program, found: Tally, model: str) -> None:
        self.program, self.found, self.model = program, found, model
        self.rate = effective_rate(program, found)
        self.still: Variant = min(VARIANTS, key=lambda still: self._of(found, still))
        self.own = self._of(found, self.still)
        one, two, full = ((0.0, 1), (0.0, 2), (1.0, 1))
        base, longer, firing = (self._of(uniform(program, r, t, found), self.still) for r, t in (one, two, full))
        self.update, self.spiking = longer - base, firing - base
        self.constant = base - self.update

    def _of(self, found: Tally, still: Variant) -> float:
        work = arithmetic(self.program, found, "event", still)
        told = energy(Executed(work, traffic(self.program, found, "event", still)), self.model).nanojoules
        assert told is not None, f"{self.model} prices every operation"
        return told

    def spiking_network(self, rate: float, steps: int) -> float:
        """E_SNN(r, T)."""
        return self.constant + steps * (self.update + rate * self.spiking)

    @functools.cache  # noqa: B019
    def ann(self, bits: int) -> tuple[float, dict[str, Variant]]:
        """The energy of the ANN with activations of ``bits``, and the dataflow of every synapse."""
        total, chosen = 0.0, {}
        for layer in layers(self.program, self.found, bits):
            told = {name: energy(executed, self.model).nanojoules or 0.0 for name, executed in layer.dataflows.items()}
            best = min(told, key=lambda name: told[name])
            total += told[best]
            if len(told) > 1:
                chosen[layer.name] = best
        return total, chosen

    def break_even_rate(self, steps: int, bits: int) -> float:
        """r*(T) against activations of ``bits``."""
        return ((self.ann(bits)[0] - self.constant) / steps - self.update) / self.spiking

    def opponent(self, bits: int, *, fair: bool) -> Opponent:
        """The SNN's T against an ANN of ``bits``; of the fair kind its bits go with T."""
        steps = self.program.steps
        wins = [
            t
            for t in range(1, LONGEST + 1)
            if self.spiking_network(self.rate, t) < self.ann(fair_bits(t) if fair else bits)[0]
        ]
        energy_, chosen = self.ann(bits)
        return Opponent(bits, energy_, chosen, self.break_even_rate(steps, bits), max(wins, default=0))


def compare(program: Program, found: Tally, model: str) -> Comparison:
    """The comparison by one arithmetic or memory model, of a program that :func:`incomparable` has nothing against."""
    contest = Contest(program, found, model)
    return Comparison(
        model,
        contest.own,
        contest.constant,
        contest.update,
        contest.spiking,
        contest.still,
        contest.opponent(ACTIVATION_BITS, fair=False),
        contest.opponent(fair_bits(program.steps), fair=True),
    )


def judges() -> tuple[str, ...]:
    """The models that price an ANN and an SNN alike: without memory, and with it."""
    return models("arithmetic", "memory")


def map_of(program: Program, found: Tally, model: str) -> dict[str, Any]:
    """Break-even rates over T = 1 .. ``LONGEST`` against both opponents, as drawn by the page."""
    contest = Contest(program, found, model)
    steps = range(1, LONGEST + 1)
    return {
        "timesteps": list(steps),
        "equal_bits": [contest.break_even_rate(t, ACTIVATION_BITS) for t in steps],
        "fair": [contest.break_even_rate(t, fair_bits(t)) for t in steps],
        "rate": contest.rate,
    }
