"""Plasticity beside BindsNET: the same network and rule, equal on a small case, then speed in alternating rounds.

    python benchmarks/stdp.py --out results/plasticity/bindsnet.json     needs bindsnet 0.3.4 and MNIST; about 5 minutes

BindsNET's ``DiehlAndCook2015v2`` with the settings of its ``eth_mnist`` example (inhibition 120, 250 steps of 1 ms,
intensity 128) and ``PostPre``, run with ``one_step=True`` (a layer sees this step's input spikes), and this package's
kernel with the same constants.

Agreement: both get the same input spikes, and where several neurons cross the threshold in one step BindsNET's draw
(``torch.multinomial``) is replaced by ours; nothing else of it is changed.

Speed: BindsNET as it is, given spikes that were encoded before the clock started; this package, its encoding inside the
clock; one thread each. Both go on learning from the same network, which has learned 1,000 samples. A round takes every
candidate once; its ratio is by the wall clock. On a busy machine that counts the neighbours, too, and the ratio by
processor time stands beside it. With --all-threads BindsNET runs on all of the machine's as well, and the ratio is to
the faster.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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
AT_LEAST = {1: 100, 32: 8}
"""The least factor over BindsNET by batch size."""
ONE, ALL, OURS = "bindsnet_one_thread", "bindsnet_all_threads", "leanspike"
SAMPLES = {1: {ONE: 10, ALL: 10, OURS: 1000}, 32: {ONE: 64, ALL: 64, OURS: 1024}}
Levels = npt.NDArray[np.uint8]


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


def timed(call: Callable[[], Any], samples: int) -> tuple[float, float]:
    """Samples a second by the wall clock, and by the processor time of this process."""
    since, used = time.perf_counter(), time.process_time()
    call()
    return samples / (time.perf_counter() - since), samples / (time.process_time() - used)


def rounds(levels: Levels, neurons: int, batch: int, threads: Mapping[str, int], count: int) -> dict[str, Any]:
    """Alternating rounds at one batch size; ``threads`` by candidate."""
    thresholds = encoding.thresholds(levels, RATE)
    learned, _ = present(NEURON, RULE, Presentation(STEPS, 1, SEED), start(neurons), thresholds[:1000], np.arange(1000))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in threads}
    for _ in range(count):
        for name, used_threads in threads.items():
            torch.set_num_threads(used_threads)
            learn = _kernel(levels, learned, batch) if name == OURS else _peer(thresholds, learned, batch)
            found[name].append(timed(learn(SAMPLES[batch][name]), SAMPLES[batch][name]))
        torch.set_num_threads(1)
        print(
            f"batch {batch}: " + "  ".join(f"{key} {value[-1][0]:,.1f}/s" for key, value in found.items()), flush=True
        )
    wall = {name: np.array([speed for speed, _ in values]) for name, values in found.items()}
    used = {name: np.array([speed for _, speed in values]) for name, values in found.items()}
    ratios = wall[OURS] / np.max([values for name, values in wall.items() if name != OURS], axis=0)
    return {
        "neurons": neurons,
        "batch": batch,
        "samples_per_second": {name: float(np.median(values)) for name, values in wall.items()},
        "samples_per_processor_second": {name: float(np.median(used[name])) for name in (ONE, OURS)},
        "ratio": float(np.median(ratios)),
        "ratio_lowest": float(ratios.min()),
        "ratio_highest": float(ratios.max()),
        "ratio_of_processor_time": float(np.median(used[OURS] / used[ONE])),
        "rounds": count,
        "at_least": AT_LEAST[batch],
    }


Learn = Callable[[int], Callable[[], None]]


def _peer(thresholds: npt.NDArray[np.uint16], learned: Learned, batch: int) -> Learn:
    """BindsNET with so many samples encoded, ready to learn them."""

    def ready(samples: int) -> Callable[[], None]:
        peer = Peer(learned)
        given = [encoded(thresholds[i : i + batch], np.arange(i, i + batch)) for i in range(0, samples, batch)]

        def learn() -> None:
            for spikes in given:
                peer.learn(spikes)

        return learn

    return ready


def _kernel(levels: Levels, learned: Learned, batch: int) -> Learn:
    def ready(samples: int) -> Callable[[], None]:
        def learn() -> None:
            given = encoding.thresholds(levels[:samples], RATE)
            present(NEURON, RULE, Presentation(STEPS, batch, SEED), learned, given, np.arange(samples))

        return learn

    return ready


def main() -> int:
    """Compare, measure, print, and write the figures; exit 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/stdp.json"), metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--all-threads", action="store_true", help="BindsNET on all threads of the machine, too")
    args = parser.parse_args()
    make_folder(args.out.parent)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    levels = encoding.raw(data.load("mnist").training_only().x[:1024])
    thresholds = encoding.thresholds(levels, RATE)
    alike = [agreement(thresholds, 40, 30, 1), agreement(thresholds, 40, 32, 8)]
    for case in alike:
        print(", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in case.items()), flush=True)
    threads = {ONE: 1, **({ALL: os.cpu_count() or 1} if args.all_threads else {}), OURS: 1}
    speed = [rounds(levels, 400, batch, threads, args.rounds) for batch in SAMPLES]
    versions = {
        "leanspike": __version__, "bindsnet": importlib.metadata.version("bindsnet"), "torch": torch.__version__,
        "numpy": np.__version__, "python": platform.python_version(), "level": level_of(library.load()),
        "cores": os.cpu_count(), "load_average": os.getloadavg()[0],
    }  # fmt: skip
    write_json(args.out, {"schema": 1, "agreement": alike, "speed": speed, "versions": versions})
    for case in speed:
        print(
            f"batch {case['batch']}: {case['ratio']:.0f} times BindsNET ({case['ratio_lowest']:.0f} to "
            f"{case['ratio_highest']:.0f} in {case['rounds']} rounds; at least {case['at_least']}); by processor time "
            f"{case['ratio_of_processor_time']:.0f} times"
        )
    same = all(case["spike_counts_that_differ"] == 0 and case["largest_weight_difference"] < 1e-4 for case in alike)
    return 0 if same and all(case["ratio"] >= case["at_least"] for case in speed) else 1


if __name__ == "__main__":
    raise SystemExit(main())
