"""Small plastic networks for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.plasticity import Learned, NeuronConfig, Presentation, RuleConfig, StdpConfig

DIGITS = StdpConfig(
    dataset="digits",
    neurons=40,
    passes=2,
    steps=50,
    rate=0.3,
    samples=600,
    neuron=NeuronConfig(inhibition=60.0, refractory=2, theta_tau=2e5, theta_plus=0.2),
    rule=RuleConfig(rate_post=0.03, tau_pre=8.0, tau_post=8.0, mean_weight=0.3),
)
TOML = """
neurons = 40
passes = 2
steps = 50
rate = 0.3
samples = 600
[neuron]
inhibition = 60.0
refractory = 2
theta_tau = 2e5
theta_plus = 0.2
[rule]
rate_post = 0.03
tau_pre = 8.0
tau_post = 8.0
mean_weight = 0.3
"""


def settings(folder: Path) -> Path:
    """``DIGITS`` as a file."""
    path = folder / "stdp.toml"
    path.write_text(TOML)
    return path


def random_case(
    seed: int,
) -> tuple[NeuronConfig, RuleConfig, Presentation, Learned, npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    """A network of any rule with samples that make it fire."""
    draw = np.random.default_rng(seed)
    inputs, neurons = int(draw.integers(1, 60)), int(draw.integers(1, 140))
    neuron = NeuronConfig(
        threshold=float(draw.uniform(0.5, 3)),
        reset=float(draw.choice([0.0, 0.3])),
        winner=draw.choice(["one", "all"]).item(),
        inhibition=float(draw.uniform(0, 3)),
        theta_plus=0.1,
        theta_tau=1000.0,
        refractory=int(draw.integers(0, 4)),
    )
    rule = RuleConfig(
        kind=draw.choice(["pair", "triplet"]).item(),
        traces=draw.choice(["nearest", "all"]).item(),
        bounds=draw.choice(["additive", "multiplicative"]).item(),
        rate_pre=0.01,
        rate_post=0.05,
        target=float(draw.choice([0.0, 0.3])),
        pair_up=0.3,
        triplet_down=float(draw.choice([0.0, 0.5])),
        highest=0.8,
        mean_weight=float(draw.choice([0.0, 0.1, 0.5])),
    )
    shown = Presentation(20, int(draw.choice([1, 3, 4])), int(draw.integers(0, 2**31)))
    learned = Learned(draw.random((inputs, neurons), dtype=np.float32), draw.random(neurons, dtype=np.float32))
    thresholds = (draw.integers(0, 30000, (7, inputs)) * (draw.random((7, inputs)) < 0.7)).astype(np.uint16)
    return neuron, rule, shown, learned, thresholds, draw.permutation(100)[:7].astype(np.int64)
