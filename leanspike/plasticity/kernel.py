"""The C kernel behind the signature of :func:`leanspike.plasticity.reference.present`; equal to it to the last bit.

Learning runs on one thread, since a sample sees what the one before taught; without learning, samples run on as many
threads as asked, and the answer does not depend on their number.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_double, c_float, c_int64, c_void_p

import numpy as np

from leanspike.core.records import require
from leanspike.plasticity import library
from leanspike.plasticity.config import NeuronConfig, RuleConfig
from leanspike.plasticity.reference import U16, Floats, Ints, Learned, Presentation, amplitudes, leak

_SIZES = "inputs neurons steps samples batch learn one refractory adding weak seed winner_seed"
_POINTERS = "weights theta thresholds numbers counts"
_FLOATS = (
    "leak reset threshold theta_plus theta_leak inhibition rate_pre rate_post target pre_leak post_leak pre_slow_leak "
    "post_slow_leak pair_up triplet_up pair_down triplet_down lowest highest"
)
MOST_THREADS = 256


class _Job(ctypes.Structure):
    """The record of csrc/stdp.h."""

    _fields_ = [
        *((name, c_int64) for name in _SIZES.split()),
        *((name, c_void_p) for name in _POINTERS.split()),
        *((name, c_float) for name in _FLOATS.split()),
        ("norm", c_double),
    ]


def present(
    neuron: NeuronConfig,
    rule: RuleConfig,
    shown: Presentation,
    learned: Learned,
    thresholds: U16,
    numbers: Ints,
    *,
    threads: int = 1,
    level: str | None = None,
) -> tuple[Learned, Ints]:
    """See :func:`leanspike.plasticity.reference.present`.

    Args:
        threads: used where ``shown.learn`` is false.
        level: an instruction set (plain, avx2, avx512) other than the best one of this processor.

    Raises:
        MissingTool: the kernel was not built.
        ConfigError: no such level here, or no such number of threads.
        MemoryError: there is not enough of it for the batch.
    """
    require(1 <= threads <= MOST_THREADS, "threads", threads, f"1 to {MOST_THREADS}")
    call = library.load(level).leanspike_stdp_present
    inputs, neurons = learned.weights.shape
    if thresholds.shape[1:] != (inputs,) or numbers.shape != (len(thresholds),) or learned.theta.shape != (neurons,):
        raise ValueError(f"{thresholds.shape} thresholds and {numbers.shape} numbers for {inputs} x {neurons} weights")
    job = _record(neuron, rule, shown)
    if shown.learn:
        learned = Learned(_own(learned.weights), _own(learned.theta))
    weights, theta = np.ascontiguousarray(learned.weights), np.ascontiguousarray(learned.theta)
    given, order = np.ascontiguousarray(thresholds), np.ascontiguousarray(numbers)
    counts = np.zeros((len(given), neurons), dtype=np.int64)
    job.inputs, job.neurons, job.norm = inputs, neurons, rule.mean_weight * inputs
    job.weights, job.theta = weights.ctypes.data, theta.ctypes.data

    def part(samples: slice) -> None:
        mine = _Job.from_buffer_copy(job)
        mine.samples = len(order[samples])
        mine.thresholds, mine.numbers = given[samples].ctypes.data, order[samples].ctypes.data
        mine.counts = counts[samples].ctypes.data
        if call(ctypes.addressof(mine)):
            raise MemoryError("not enough memory for a batch of the plasticity kernel")

    if shown.learn or threads == 1:
        part(slice(0, len(order)))
    else:
        _on_threads(part, len(order), threads)
    return learned, counts


def _on_threads(part: Callable[[slice], None], samples: int, threads: int) -> None:
    size = max(1, -(-samples // threads))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, [slice(start, start + size) for start in range(0, samples, size)]))


def _own(array: Floats) -> Floats:
    return np.array(array, dtype=np.float32, order="C")


def _record(neuron: NeuronConfig, rule: RuleConfig, shown: Presentation) -> _Job:
    pair_up, triplet_up, pair_down, triplet_down = amplitudes(rule)
    return _Job(
        steps=shown.steps, batch=shown.batch, learn=shown.learn, one=neuron.winner == "one",
        refractory=neuron.refractory, adding=rule.traces == "all", weak=rule.bounds == "multiplicative",
        seed=shown.seed, winner_seed=shown.winner_seed,
        leak=leak(neuron.tau), reset=neuron.reset, threshold=neuron.threshold, theta_plus=neuron.theta_plus,
        theta_leak=leak(neuron.theta_tau), inhibition=neuron.inhibition,
        rate_pre=rule.rate_pre, rate_post=rule.rate_post, target=rule.target,
        pre_leak=leak(rule.tau_pre), post_leak=leak(rule.tau_post),
        pre_slow_leak=leak(rule.tau_pre_slow), post_slow_leak=leak(rule.tau_post_slow),
        pair_up=pair_up, triplet_up=triplet_up, pair_down=pair_down, triplet_down=triplet_down,
        lowest=rule.lowest, highest=rule.highest,
    )  # fmt: skip
