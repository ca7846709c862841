"""Lowering as a list of named steps, each with a check; a check that fails raises.

    read            the network's layers as stages of float64 arrays     same scores as the network (float32)
    fold norms      norms become weights, biases, leaks, thresholds      same scores in float64
    quantise        scales a channel; integers for every array           every weight within half a step of its float
    assemble        operations, states, arrays                           the verifier; same scores as the integer stages
    fields          of population coding: its fields as neurons          the same scores on the check samples
    compact         neurons that change no score go                      the same scores on the check samples
    narrow          potentials to the width their sums need              the same trace on the check samples
    store           weights sparse where that is smaller                 the entries give the weights

From float to integer the difference is measured; from the integer stages on it is equality. A quantised network
(:mod:`leanspike.compress`) has its integers already: in place of the first three steps they are taken as they are, and
what "assemble" is checked against is the network itself:

    take            the integers of every stage, as the network computes with them
    assemble        operations, states, arrays                           the verifier; scores equal the network's

:mod:`leanspike.lower.shrink` has the last three steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from leanspike.compress import integer_scores, is_quantised
from leanspike.core.errors import LoweringError
from leanspike.ir import LIF, Integrate, Program, Readout, run_fast, verify
from leanspike.ir.encodings import encode
from leanspike.ir.inttype import Ints
from leanspike.lower.assemble import assembled
from leanspike.lower.config import LowerConfig
from leanspike.lower.draft import Draft, Floats, Stage
from leanspike.lower.fields import bands, encoded_spikes, with_fields
from leanspike.lower.fold import fold_norms
from leanspike.lower.quantise import IntegerStage, quantised
from leanspike.lower.quantised import taken
from leanspike.lower.read import read
from leanspike.lower.shrink import StepReport, shrunk
from leanspike.lower.simulate import simulate
from leanspike.lower.source import Encoded, Source, source
from leanspike.nn import Network, readout

CHECK_SAMPLES = 32
_SEED = 20_261_121
_FLOAT32, _FLOAT64 = (1e-3, 0.25), (1e-9, 0.05)
"""Largest relative difference of scores, and the share of samples that may exceed it: rounding may flip a spike."""


@dataclass(frozen=True)
class Lowered:
    """A verified program and the way to it; ``score_unit`` is what 1 of its scores stands for in the network's."""

    program: Program
    steps: tuple[StepReport, ...]
    score_unit: float


@dataclass(frozen=True, eq=False)
class _Samples:
    """Check samples: raw, encoded as integers ``[T, B, ...]``, and what 1 of those stands for."""

    raw: Ints
    integers: Floats
    unit: float

    @staticmethod
    def draw(source: Source, encoded: Encoded, raw: Ints | None) -> _Samples:
        kind = source.input.raw
        if raw is None:
            random = np.random.default_rng(_SEED)
            raw = random.integers(0, kind.type.highest + 1, (CHECK_SAMPLES, *kind.shape))
        shell = Program("check", encoded.timesteps, source.input, (), (), Readout("count", "x"), source.arrays)
        return _Samples(raw, encode(shell, raw).astype(np.float64), source.unit)

    @property
    def encoded(self) -> Floats:
        """The floats that the integers stand for."""
        floats: Floats = self.integers * self.unit
        return floats


def lower(
    network: Network,
    encoded: Encoded,
    config: LowerConfig | None = None,
    *,
    name: str = "network",
    samples: Ints | None = None,
) -> Lowered:
    """A trained network as a verified program.

    Args:
        network: in evaluation the function that is lowered; it is not changed.
        encoded: what a sample is and how it enters.
        name: one word.
        samples: raw samples for the checks, ``[B, *raw shape]`` integers, images channels last; random if None.

    Raises:
        LoweringError: a layer that a program does not express, or a step whose check failed.
        ProgramError: the program breaks a rule.
    """
    config = config or LowerConfig()
    start = source(encoded, config.input_bits)
    check = _Samples.draw(start, encoded, _as_spikes(encoded, samples, config))
    steps: list[StepReport] = []
    draft = read(network)
    if is_quantised(network):
        return _lowered_as_is(network, draft, start, check, encoded, config, name, samples)
    folded = fold_norms(draft, encoded.timesteps)
    read_scores, expected = simulate(draft, check.encoded), simulate(folded, check.encoded)
    steps.append(_same_scores("read", _network_scores(network, check), read_scores, _FLOAT32))
    steps.append(_same_scores("fold norms", read_scores, expected, _FLOAT64))
    stages = quantised(folded, start.unit, config)
    steps.append(_within_half_a_step(stages, config))
    program = verify(assembled(name, start, encoded.timesteps, stages, draft.readout, config))
    steps.append(_same_integers(program, replace(draft, stages=_as_stages(stages, config)), check, expected))
    program, last = _finished(program, check, encoded, config, samples)
    return Lowered(program, (*steps, *last), float(stages[-1].unit[0]) if draft.stages[-1].threshold is None else 1.0)


def _as_spikes(encoded: Encoded, samples: Ints | None, config: LowerConfig) -> Ints | None:
    """Raw samples as a network's program takes them before its fields are neurons."""
    if samples is None or encoded.encoder.kind != "population":
        return samples
    return encoded_spikes(samples, bands(encoded.encoder, (1 << (8 if encoded.exact_bytes else config.input_bits)) - 1))


def _finished(
    program: Program, check: _Samples, encoded: Encoded, config: LowerConfig, samples: Ints | None
) -> tuple[Program, list[StepReport]]:
    """The last steps: fields as neurons where the encoder has some, then those of :mod:`leanspike.lower.shrink`."""
    if encoded.encoder.kind != "population":
        return shrunk(program, check.raw)
    program, raw, step = with_fields(program, encoded, config.input_bits, samples)
    program, last = shrunk(program, raw)
    return program, [step, *last]


def _lowered_as_is(
    network: Network,
    draft: Draft,
    start: Source,
    check: _Samples,
    encoded: Encoded,
    config: LowerConfig,
    name: str,
    samples: Ints | None,
) -> Lowered:
    stages, config = taken(network, draft, start, config)
    bits = ", ".join(f"{stage.of.number}: {stage.weight_bits}" for stage in stages)
    steps = [StepReport("take", f"the network's own integers; bits of the weights {bits}")]
    program = verify(assembled(name, start, encoded.timesteps, stages, draft.readout, config))
    trace = run_fast(replace(program, readout=replace(program.readout, exit=None)), check.raw)
    wrong = (trace.scores != integer_scores(network, _as_tensor(check))).any(1).mean()
    if wrong:
        what = f"scores of {wrong:.0%} of the check samples are not the quantised network's"
        raise LoweringError(what, where="step assemble")
    told = f"{len(program.operations)} operations; scores of {len(check.raw)} check samples equal the network's"
    steps.append(StepReport("assemble", told))
    program, last = _finished(program, check, encoded, config, samples)
    return Lowered(program, (*steps, *last), float(stages[-1].unit[0]) if draft.stages[-1].threshold is None else 1.0)


def _as_tensor(check: _Samples) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(check.encoded)).float()
    return x.permute(0, 1, 4, 2, 3) if x.dim() == 5 else x


def _network_scores(network: Network, check: _Samples) -> Floats:
    x = _as_tensor(check)
    device, training = next(network.parameters()).device, network.training
    network.eval()
    with torch.no_grad():
        scores = readout(network(x.to(device)), network.readout).double().cpu().numpy()
    network.train(training)
    steps = len(check.encoded) if network.readout == "membrane_mean" else 1
    return scores * steps


def _same_scores(step: str, before: Floats, after: Floats, allowed: tuple[float, float]) -> StepReport:
    tolerance, share = allowed
    size = max(float(np.abs(before).max()), 1e-12)
    far = 1 - (np.abs(after - before).max(1) / size <= tolerance).mean()
    if far > share:
        raise LoweringError(f"scores of {far:.0%} of the check samples changed", where=f"step {step}")
    return StepReport(step, f"scores of {1 - far:.0%} of {len(before)} check samples within {tolerance:g}")


def _within_half_a_step(stages: tuple[IntegerStage, ...], config: LowerConfig) -> StepReport:
    errors = []
    most = (1 << (config.weight_bits - 1)) - 1
    pairs = [(stage.of.number, synapse) for stage in stages for synapse in stage.synapses]
    for number, synapse in pairs:
        error = np.abs(synapse.of.weight / synapse.scale - synapse.weight)
        inside = np.broadcast_to(synapse.of.one_to_one | (np.abs(synapse.weight) < most), error.shape)
        if (error[inside] > 0.5 + 1e-6).any():
            raise LoweringError("a weight is more than half a step off", where=f"step quantise, stage {number}")
        errors.append(f"{1 - inside.mean():.2%}")
    return StepReport("quantise", f"{config.weight_bits}-bit weights; at the end of the range: {', '.join(errors)}")


def _as_stages(stages: tuple[IntegerStage, ...], config: LowerConfig) -> tuple[Stage, ...]:
    return tuple(stage.as_stage(config.leak_bits) for stage in stages)


def _same_integers(program: Program, draft: Draft, check: _Samples, floats: Floats) -> StepReport:
    """The program against its own stages in another implementation, float64 that holds integers; no early exit."""
    states, fires = program.state, [op for op in program.operations if isinstance(op, LIF | Integrate)]
    expected = simulate(draft, check.integers, tuple(states[op.state] for op in fires))
    trace = run_fast(replace(program, readout=replace(program.readout, exit=None)), check.raw)
    wrong = (trace.scores != expected).any(1).mean()
    if wrong:
        raise LoweringError(f"scores of {wrong:.0%} of the check samples are not the stages'", where="step assemble")
    same = (trace.predictions == floats.argmax(1)).mean()
    told = f"{len(program.operations)} operations; scores equal those of the integer stages"
    return StepReport("assemble", f"{told}; same decision as floats: {same:.0%} of checks")
