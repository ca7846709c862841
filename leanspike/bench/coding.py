"""Rate coding alone, as each framework does it: values ``[B, F]`` in [0, 1] become T steps of spikes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from leanspike.bench.candidates import Passes
from leanspike.bench.workloads import Batch, Layer, Workload
from leanspike.encode.rate import rate_reference, thresholds16
from leanspike.nn import rate_spikes

Coder = Callable[[Tensor, int], Any]


def _ours() -> Coder:
    def coded(x: Tensor, timesteps: int) -> Any:
        thresholds, numbers = thresholds16(x, 1.0), torch.arange(len(x))
        spikes = rate_spikes(thresholds, numbers, timesteps, seed=0)
        return rate_reference(thresholds, numbers, timesteps, seed=0) if spikes is None else spikes

    return coded


def _snntorch() -> Coder:
    spikegen = importlib.import_module("snntorch.spikegen")
    return lambda x, timesteps: spikegen.rate(x, num_steps=timesteps)


def _spikingjelly() -> Coder:
    encoder = importlib.import_module("spikingjelly.activation_based.encoding").PoissonEncoder(step_mode="m")
    return lambda x, timesteps: encoder(x.expand(timesteps, *x.shape))


def _norse() -> Coder:
    functional = importlib.import_module("norse.torch.functional.encode")
    return lambda x, timesteps: functional.poisson_encode(x, timesteps, f_max=1000, dt=1e-3)


def _rand() -> Coder:
    return lambda x, timesteps: (torch.rand(timesteps, *x.shape) < x).float()


def _bernoulli() -> Coder:
    return lambda x, timesteps: torch.bernoulli(x.expand(timesteps, *x.shape))


CODERS: dict[str, Callable[[], Coder]] = {
    "leanspike": _ours,
    "torch.rand < p": _rand,
    "torch.bernoulli": _bernoulli,
    "snntorch.spikegen.rate": _snntorch,
    "spikingjelly PoissonEncoder": _spikingjelly,
    "norse poisson_encode": _norse,
}


class CodingStepper:
    """A coder as a :class:`~leanspike.bench.candidates.Stepper` without weights."""

    def __init__(self, coder: Coder, timesteps: int) -> None:
        self.coder, self.timesteps = coder, timesteps

    def load(self, weights: list[Layer]) -> None:
        """There are none."""

    def batch(self, batch: Batch) -> Tensor:
        """The values; RuntimeError if the coder's mean rate is off by more than 5 %."""
        x = torch.from_numpy(batch.x)
        coded = self.coder(x, self.timesteps)
        rate = coded.density if hasattr(coded, "density") else float(coded.mean())
        if abs(rate / float(x.mean()) - 1) > 0.05:
            raise RuntimeError(f"the mean rate is {rate:.4f} instead of {float(x.mean()):.4f}")
        return x

    def step(self, batch: Tensor) -> float:
        self.coder(batch, self.timesteps)
        return 0.0

    def passes(self, batch: Tensor) -> Passes:
        raise NotImplementedError("a coder has no backward pass")


def prepare(work: Workload, mode: str) -> CodingStepper:
    """Mode: a key of ``CODERS``."""
    return CodingStepper(CODERS[mode](), work.timesteps)
