"""The definition of the plastic network, in NumPy. The C kernel equals it to the last bit.

A presentation runs T steps of B samples at once; all numbers are float32. At a presentation's start potentials v,
holds, traces and last spikes are 0. With input spikes ``S[b, i]`` (:mod:`leanspike.core.rng`, as the rate encoder), the
spikes ``s`` of the step before, the adaptive thresholds ``theta[j]`` and weights ``w[i, j]``, a step is::

    I[b, j]  = (sum over i, ascending, of S[b, i] w[i, j]) - inhibition (sum over k of s[b, k] - s[b, j])
    u        = v leak;  u += I where hold = 0;  hold = max(hold - 1, 0)
    fired    = u >= threshold + theta[j];  v = reset and hold = refractory where fired, else v = u
    theta    = theta theta_leak (before the comparison), + theta_plus (sum over b of fired)         learning only
    s        = fired, or (winner = one) the one of a sample's n fired neurons with number floor(n draw / 2^16)

    p = p leak_pre, p = 1 (nearest) or p + 1 (all) where S          P likewise with the slow leak   traces of inputs
    q = q leak_post, q = 1 or q + 1 where s                         Q likewise                      traces of outputs

    w[i, j] -= rate_pre q[b, j] (A2- + A3- P'[b, i]) [w[i, j] - lowest]      where S[b, i], for b = 0, 1, ..
    w[i, j] += rate_post (p[b, i] - target) (A2+ + A3+ Q'[b, j]) [highest - w[i, j]]     where s[b, j], for b = 0, 1, ..
    w        = clip(w, lowest, highest)                                                             learning only

P' and Q' are the slow traces without this step's spikes; factors in [brackets] are those of multiplicative bounds;
leaks are exp(-1/tau). After the last step of a batch the weights of every neuron that sent a spike, and of those with a
weight outside the bounds when the batch began, are multiplied by mean_weight inputs / (their sum, in float64).

Sources: Diehl & Cook, Unsupervised learning of digit recognition using STDP, Front. Comput. Neurosci. 9:99, 2015
(network, normalisation, thresholds); Morrison, Diesmann & Gerstner, Biol. Cybern. 98:459, 2008 (traces, bounds);
Pfister & Gerstner, J. Neurosci. 26:9673, 2006 (triplets).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core import rng
from leanspike.plasticity.config import NeuronConfig, RuleConfig

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
U16 = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]

_WINNER = 0x5717
"""The label under which the seed of the winners' draws is derived."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What learning changes: weights ``[inputs, neurons]`` and adaptive thresholds ``[neurons]``, float32."""

    weights: Floats
    theta: Floats


@dataclass(frozen=True)
class Presentation:
    """How samples are shown: steps, samples at once, the seed of their spikes, and whether the network learns."""

    steps: int
    batch: int = 1
    seed: int = 0
    learn: bool = True

    @property
    def winner_seed(self) -> int:
        """Seed of the draws among neurons that fire in one step."""
        return rng.derive(self.seed, _WINNER)


@dataclass(frozen=True, eq=False)
class _Layer:
    """Potentials, holds, spikes and traces of a batch; float32, ``[B, neurons]`` and ``[B, inputs]``."""

    v: Floats
    hold: Ints
    spikes: Bools
    p: Floats
    p_slow: Floats
    q: Floats
    q_slow: Floats


@dataclass(frozen=True, eq=False)
class Step:
    """What the rule reads in a step: spikes of inputs ``[B, inputs]`` and neurons ``[B, neurons]``, their traces with
    these spikes (p, q), and the slow ones without them."""

    inputs: Bools
    spikes: Bools
    p: Floats
    p_slow: Floats
    q: Floats
    q_slow: Floats


def leak(tau: float) -> np.float32:
    """exp(-1/tau), rounded to float32."""
    return np.float32(math.exp(-1.0 / tau))


def amplitudes(rule: RuleConfig) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """A2+, A3+, A2-, A3-."""
    if rule.kind == "pair":
        return np.float32(1), np.float32(0), np.float32(1), np.float32(0)
    up, down = (rule.pair_up, rule.triplet_up), (rule.pair_down, rule.triplet_down)
    return np.float32(up[0]), np.float32(up[1]), np.float32(down[0]), np.float32(down[1])


def present(
    neuron: NeuronConfig, rule: RuleConfig, shown: Presentation, learned: Learned, thresholds: U16, numbers: Ints
) -> tuple[Learned, Ints]:
    """Show samples, batch after batch.

    Args:
        thresholds: ``[N, inputs]`` firing thresholds on 16-bit draws.
        numbers: ``[N]`` the samples' numbers: stream of their random draws.

    Returns:
        What is learned then (of equal value if not ``shown.learn``), and spikes ``[N, neurons]``.
    """

    def clipped(weights: Floats, step: Step) -> Floats:
        return np.clip(changed(rule, weights, step), np.float32(rule.lowest), np.float32(rule.highest))

    counts = np.zeros((len(thresholds), len(learned.theta)), dtype=np.int64)
    for start in range(0, len(thresholds), shown.batch):
        part = slice(start, start + shown.batch)
        low, high = learned.weights.min(axis=0), learned.weights.max(axis=0)
        outside = (low < np.float32(rule.lowest)) | (high > np.float32(rule.highest))
        after, counts[part] = present_batch(neuron, rule, shown, learned, thresholds[part], numbers[part], clipped)
        if shown.learn:
            touched = outside | (counts[part].sum(axis=0) > 0)
            weights = normalised(after.weights, rule.mean_weight, touched) if rule.mean_weight else after.weights
            learned = Learned(weights, after.theta)
    return learned, counts


def present_batch(
    neuron: NeuronConfig,
    rule: RuleConfig,
    shown: Presentation,
    learned: Learned,
    thresholds: U16,
    numbers: Ints,
    update: Callable[[Floats, Step], Floats],
) -> tuple[Learned, Ints]:
    """All steps of one batch; ``update`` gives the weights after a step, without normalisation."""
    layer = _at_rest(len(thresholds), *learned.weights.shape)
    counts = np.zeros(layer.v.shape, dtype=np.int64)
    keys = rng.key(shown.seed, numbers, np.arange(shown.steps))
    winner_keys = rng.key(shown.winner_seed, numbers, np.arange(shown.steps))
    for t in range(shown.steps):
        spikes_in = rng.draws16(keys[t], thresholds.shape[1]) < thresholds
        if shown.learn:
            learned = replace(learned, theta=learned.theta * leak(neuron.theta_tau))
        layer, fired = _neurons(neuron, layer, learned, spikes_in)
        if neuron.winner == "one":
            layer = replace(layer, spikes=_one(layer.spikes, winner_keys[t]))
        counts += layer.spikes
        if shown.learn:
            layer, step = _traced(rule, layer, spikes_in)
            theta = learned.theta + np.float32(neuron.theta_plus) * fired.sum(axis=0).astype(np.float32)
            learned = Learned(update(learned.weights, step), theta)
    return learned, counts


def changed(rule: RuleConfig, weights: Floats, step: Step) -> Floats:
    """The weights after a step, not yet clipped."""
    pair_up, triplet_up, pair_down, triplet_down = amplitudes(rule)
    down, up = np.float32(rule.rate_pre), np.float32(rule.rate_post)
    lowest, highest = np.float32(rule.lowest), np.float32(rule.highest)
    weak = rule.bounds == "multiplicative"
    new = weights.copy()
    for b, active in enumerate(step.inputs):
        rows = np.flatnonzero(active)
        change = (down * step.q[b])[None] * (pair_down + triplet_down * step.p_slow[b, rows])[:, None]
        new[rows] -= change * (new[rows] - lowest) if weak else change
    for b, active in enumerate(step.spikes):
        for j in np.flatnonzero(active):
            change = (up * (pair_up + triplet_up * step.q_slow[b, j])) * (step.p[b] - np.float32(rule.target))
            new[:, j] += change * (highest - new[:, j]) if weak else change
    return new


def _at_rest(batch: int, inputs: int, neurons: int) -> _Layer:
    here, there = np.zeros((batch, neurons), dtype=np.float32), np.zeros((batch, inputs), dtype=np.float32)
    silent = np.zeros(here.shape, dtype=bool)
    return _Layer(here, np.zeros(here.shape, dtype=np.int64), silent, there, there, here, here)


def _neurons(neuron: NeuronConfig, layer: _Layer, learned: Learned, spikes_in: Bools) -> tuple[_Layer, Bools]:
    lateral = layer.spikes.sum(axis=1, keepdims=True) - layer.spikes.astype(np.int64)
    current = np.zeros_like(layer.v)
    for b, active in enumerate(spikes_in):
        for i in np.flatnonzero(active):
            current[b] += learned.weights[i]
    current -= np.float32(neuron.inhibition) * lateral.astype(np.float32)
    u = layer.v * leak(neuron.tau)
    u = np.where(layer.hold == 0, u + current, u)
    fired = u >= np.float32(neuron.threshold) + learned.theta
    hold = np.where(fired, neuron.refractory, np.maximum(layer.hold - 1, 0))
    return replace(layer, v=np.where(fired, np.float32(neuron.reset), u), hold=hold, spikes=fired), fired


def _one(fired: Bools, keys: rng.U32) -> Bools:
    chosen = np.zeros_like(fired)
    for b, row in enumerate(fired):
        found = np.flatnonzero(row)
        if len(found):
            chosen[b, found[len(found) * int(rng.mix(keys[b]) >> np.uint32(16)) >> 16]] = True
    return chosen


def _traced(rule: RuleConfig, layer: _Layer, spikes_in: Bools) -> tuple[_Layer, Step]:
    def after(trace: Floats, spikes: Bools) -> Floats:
        raised = trace + np.float32(1) if rule.traces == "all" else np.float32(1)
        return np.where(spikes, raised, trace)

    p_slow, q_slow = layer.p_slow * leak(rule.tau_pre_slow), layer.q_slow * leak(rule.tau_post_slow)
    p = after(layer.p * leak(rule.tau_pre), spikes_in)
    q = after(layer.q * leak(rule.tau_post), layer.spikes)
    slow = after(p_slow, spikes_in), after(q_slow, layer.spikes)
    traced = replace(layer, p=p, q=q, p_slow=slow[0], q_slow=slow[1])
    return traced, Step(spikes_in, layer.spikes, p, p_slow, q, q_slow)


def normalised(weights: Floats, mean: float, columns: npt.NDArray[Any]) -> Floats:
    """Weights whose chosen columns sum to ``mean`` times the inputs; a column of zeros stays.

    Args:
        columns: ``[neurons]`` bool.
    """
    found = np.flatnonzero(columns)
    sums = np.add.accumulate(weights[:, found], axis=0, dtype=np.float64)[-1]
    scale = (mean * len(weights) / np.where(sums == 0, 1.0, sums)).astype(np.float32)
    new = weights.copy()
    new[:, found] *= np.where(sums == 0, np.float32(1), scale)
    return new
