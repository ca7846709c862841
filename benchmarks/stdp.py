"""Plasticity beside BindsNET: the same network and rule, equal on a small case, then speed in alternating rounds.

    python benchmarks/stdp.py --out results/plasticity/bindsnet.json     needs bindsnet 0.3.4 and MNIST; about 5 minutes

BindsNET's ``DiehlAndCook2015v2`` with the settings of its ``eth_mnist`` example (inhibition 120, 250 steps of 1 ms,
intensity 128) and ``PostPre``, run with ``one_step=True`` (a layer sees this step's input spikes), and this package's
kernel with the same constants. Agreement: both get the same input spikes, and where several neurons cross the threshold
in one step BindsNET's draw (``torch.multinomial``) is replaced by ours; nothing else of it is changed. Speed: BindsNET as it is, given spikes
that were encoded before the clock started, on one thread and on all; this package on one thread, its encoding inside the
clock. Both start from the same network that has learned 1,000 samples, and go on learning.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from leanspike import __version__, data
from leanspike.core import rng
from leanspike.core.errors import MissingTool
from leanspike.core.files import make_folder, write_json
from leanspike.core.native import level_of
from leanspike.plasticity import Learned, NeuronConfig, Presentation, RuleConfig, encoding, library, present
from leanspike.plasticity.reference import normalised

NEURON = NeuronConfig(
    threshold=13.0, reset=5.0, tau=100.0, refractory=5, theta_plus=0.05, theta_tau=1e7, inhibition=120.0, winner="one"
)  # -52, -60 and -65 mV of BindsNET, above rest
RULE = RuleConfig(rate_pre=1e-4, rate_post=1e-2, tau_pre=20.0, tau_post=20.0, mean_weight=0.1)
STEPS, RATE, SEED = 250, 0.128, 0
RATIOS = {1: 100, 32: 8}
"""The least factor over BindsNET by its batch size."""


@functools.cache
def bindsnet_models() -> Any:
    """``bindsnet.models`` without the rest of the package, whose plots and data sets need packages of their own."""
    spec = importlib.util.find_spec("bindsnet")
    if spec is None or spec.submodule_search_locations is None:
        raise MissingTool("bindsnet is not installed", remedy="pip install --no-deps bindsnet==0.3.4, and scipy")
    whole = types.ModuleType("bindsnet")
    whole.__path__ = list(spec.submodule_search_locations)
    sys.modules["bindsnet"] = whole
    importlib.import_module("bindsnet.network.nodes")
    return importlib.import_module("bindsnet.models")


class Peer:
    """BindsNET's network in a given state."""

    def __init__(self, learned: Learned) -> None:
        inputs, neurons = learned.weights.shape
        self.network = bindsnet_models().DiehlAndCook2015v2(
            n_inpt=inputs, n_neurons=neurons, inh=NEURON.inhibition, dt=1.0, nu=(RULE.rate_pre, RULE.rate_post),
            norm=RULE.mean_weight * inputs, theta_plus=NEURON.theta_plus, tc_theta_decay=NEURON.theta_tau,
        )  # fmt: skip
        self.layer = self.network.layers["Y"]
        self.weights = self.network.connections[("X", "Y")].w
        self.weights.copy_(torch.from_numpy(learned.weights))
        self.layer.theta.copy_(torch.from_numpy(learned.theta))
        self.spikes = 0

    def learn(self, spikes: torch.Tensor) -> None:
        """Learn one batch ``[T, B, inputs]``."""
        self.network.run(inputs={"X": spikes}, time=len(spikes), one_step=True)
        self.network.reset_state_variables()

    @property
    def learned(self) -> Learned:
        """Weights and thresholds."""
        return Learned(self.weights.numpy().copy(), self.layer.theta.numpy().copy())


def encoded(thresholds: np.ndarray, numbers: np.ndarray) -> torch.Tensor:
    """Input spikes ``[T, B, inputs]`` of our encoder."""
    keys = rng.key(SEED, numbers, np.arange(STEPS))
    return torch.from_numpy(np.stack([rng.draws16(key, thresholds.shape[1]) < thresholds for key in keys]))


@contextmanager
def our_draws(peer: Peer, numbers: np.ndarray, counts: np.ndarray) -> Iterator[None]:
    """BindsNET draws our winners, and its spikes ``[B, neurons]`` are counted."""
    keys = rng.key(Presentation(STEPS, seed=SEED).winner_seed, numbers, np.arange(STEPS))
    step, forward, draw = [-1], peer.layer.forward, torch.multinomial

    def counted(x: torch.Tensor) -> None:
        step[0] += 1
        forward(x)
        counts[...] += peer.layer.s.numpy()

    def ours(rows: torch.Tensor, _: int) -> torch.Tensor:
        chosen = []
        for b, row in zip(peer.layer.s.any(1).nonzero()[:, 0].tolist(), rows, strict=True):
            found = row.nonzero()[:, 0]
            word = int(rng.mix(keys[step[0], b])) >> 16
            chosen.append([int(found[len(found) * word >> 16])])
        return torch.tensor(chosen)

    peer.layer.forward, torch.multinomial = counted, ours
    try:
        yield
    finally:
        torch.multinomial = draw
        del peer.layer.forward


def start(neurons: int) -> Learned:
    """Random normalised weights."""
    weights = encoding.first_weights(SEED, 784, neurons, 0.3)
    columns = np.ones(neurons, dtype=bool)
    return Learned(normalised(weights, RULE.mean_weight, columns), np.zeros(neurons, dtype=np.float32))


def agreement(thresholds: np.ndarray, neurons: int, samples: int, batch: int) -> dict[str, Any]:
    """Both learn the same samples from the same weights: spikes counted, weights and thresholds compared."""
    learned = start(neurons)
    peer, numbers = Peer(learned), np.arange(samples)
    theirs = np.zeros((samples, neurons), dtype=np.int64)
    for first in range(0, samples, batch):
        part = slice(first, first + batch)
        with our_draws(peer, numbers[part], theirs[part]):
            peer.learn(encoded(thresholds[part], numbers[part]))
    ours, counts = present(NEURON, RULE, Presentation(STEPS, batch, SEED), learned, thresholds[:samples], numbers)
    return {
        "neurons": neurons,
        "samples": samples,
        "batch": batch,
        "spikes": int(counts.sum()),
        "spike_counts_that_differ": int((counts != theirs).sum()),
        "largest_weight_change": float(abs(ours.weights - learned.weights).max()),
        "largest_weight_difference": float(abs(ours.weights - peer.learned.weights).max()),
        "largest_threshold_difference": float(abs(ours.theta - peer.learned.theta).max()),
    }


def timed(call: Callable[[], Any], samples: int) -> float:
    """Samples a second."""
    since = time.perf_counter()
    call()
    return samples / (time.perf_counter() - since)


def rounds(thresholds: np.ndarray, neurons: int, batch: int, samples: tuple[int, int], count: int) -> dict[str, Any]:
    """Alternating rounds at one batch size; ``samples`` a round are BindsNET's and ours."""
    learned, _ = present(NEURON, RULE, Presentation(STEPS, 1, SEED), start(neurons), thresholds[:1000], np.arange(1000))
    theirs, ours = samples
    given = [encoded(thresholds[i : i + batch], np.arange(i, i + batch)) for i in range(0, theirs, batch)]
    found: dict[str, list[float]] = {"bindsnet_one_thread": [], "bindsnet_all_threads": [], "leanspike": []}
    numbers = np.arange(ours)

    def peer_learns(peer: Peer) -> None:
        for spikes in given:
            peer.learn(spikes)

    def kernel_learns() -> None:
        given = encoding.thresholds(LEVELS[:ours], RATE)
        present(NEURON, RULE, Presentation(STEPS, batch, SEED), learned, given, numbers)

    for _ in range(count):
        for name, threads in (("bindsnet_one_thread", 1), ("bindsnet_all_threads", os.cpu_count() or 1)):
            torch.set_num_threads(threads)
            peer = Peer(learned)
            found[name].append(timed(lambda peer=peer: peer_learns(peer), theirs))
        torch.set_num_threads(1)
        found["leanspike"].append(timed(kernel_learns, ours))
        print(f"batch {batch}: " + "  ".join(f"{key} {value[-1]:,.1f}/s" for key, value in found.items()), flush=True)
    best = np.maximum(found["bindsnet_one_thread"], found["bindsnet_all_threads"])
    ratios = np.array(found["leanspike"]) / best
    return {
        "neurons": neurons,
        "batch": batch,
        "samples_per_second": {name: float(np.median(values)) for name, values in found.items()},
        "ratio": float(np.median(ratios)),
        "ratio_lowest": float(ratios.min()),
        "ratio_highest": float(ratios.max()),
        "rounds": count,
        "at_least": RATIOS[batch],
    }


LEVELS = np.zeros((0, 784), dtype=np.uint8)


def main() -> int:
    """Compare, measure, print, and write the figures; exit 1 if a bar is missed."""
    global LEVELS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/stdp.json"), metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    make_folder(args.out.parent)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    LEVELS = encoding.raw(data.load("mnist").training_only().x[:4000])
    thresholds = encoding.thresholds(LEVELS, RATE)
    alike = [agreement(thresholds, 40, 30, 1), agreement(thresholds, 40, 32, 8)]
    for case in alike:
        print(", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in case.items()), flush=True)
    speed = [rounds(thresholds, 400, 1, (10, 500), args.rounds), rounds(thresholds, 400, 32, (64, 1024), args.rounds)]
    versions = {
        "leanspike": __version__, "bindsnet": importlib.metadata.version("bindsnet"), "torch": torch.__version__,
        "numpy": np.__version__, "python": platform.python_version(), "level": level_of(library.load()),
        "cores": os.cpu_count(),
    }  # fmt: skip
    write_json(args.out, {"schema": 1, "agreement": alike, "speed": speed, "versions": versions})
    for case in speed:
        print(
            f"batch {case['batch']}: {case['ratio']:.0f} times BindsNET ({case['ratio_lowest']:.0f} to "
            f"{case['ratio_highest']:.0f} in {case['rounds']} rounds; at least {case['at_least']})"
        )
    same = all(case["spike_counts_that_differ"] == 0 and case["largest_weight_difference"] < 1e-4 for case in alike)
    return 0 if same and all(case["ratio"] >= case["at_least"] for case in speed) else 1


if __name__ == "__main__":
    raise SystemExit(main())
