"""What is computed: networks, inputs and weights as plain numpy arrays, the same for every candidate."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

BETA = 0.9
THRESHOLD = 1.0
LEARNING_RATE = 1e-3
ATAN_SCALE = 2.0


@dataclass(frozen=True)
class Workload:
    """One training step of one network on one kind of input.

    Attributes:
        network: ``mlp`` (linear + LIF, for each pair of ``sizes``), or ``convnet`` (3x3 convolution + LIF + 2x2 max
            pooling for each of ``channels``, then linear + LIF to ``sizes[-1]``; padding 1, input 1x28x28).
        coding: ``binary`` zeros and ones with ``density`` ones; ``direct`` values in [0, 1], the same at every
            step; ``gaussian`` standard normal values.
        loss: cross-entropy on the spike counts, or the sum of all output spikes.
    """

    name: str
    timesteps: int
    batch: int
    coding: Literal["binary", "direct", "gaussian"] = "binary"
    density: float = 0.09
    network: Literal["mlp", "convnet"] = "mlp"
    sizes: tuple[int, ...] = (784, 400, 10)
    channels: tuple[int, ...] = (32, 64)
    side: int = 28
    loss: Literal["cross_entropy", "sum"] = "cross_entropy"
    seed: int = 0

    @property
    def sample(self) -> tuple[int, ...]:
        """Shape of one input sample at one step."""
        return (1, self.side, self.side) if self.network == "convnet" else (self.sizes[0],)

    @property
    def flat(self) -> int:
        """Inputs of the last linear layer of a convnet."""
        return self.channels[-1] * (self.side >> len(self.channels)) ** 2

    def to_dict(self) -> dict[str, Any]:
        """The workload as JSON."""
        return dataclasses.asdict(self)

    def resized(self, timesteps: int, batch: int) -> Workload:
        """The same work with another number of steps and samples."""
        return dataclasses.replace(self, timesteps=timesteps, batch=batch)


@dataclass(frozen=True)
class Layer:
    """Weights of a synapse: ``[out, in]`` or ``[out, in, 3, 3]``, and ``bias`` ``[out]``."""

    weight: F32
    bias: F32


@dataclass(frozen=True)
class Batch:
    """Input ``x`` ``[T, B, ...]`` (``[B, ...]`` for direct coding) and labels ``y`` ``[B]`` int64."""

    x: F32
    y: npt.NDArray[np.int64]
    constant: bool
    timesteps: int

    def repeated(self) -> F32:
        """The input of every step, ``[T, B, ...]``, contiguous."""
        return (
            np.ascontiguousarray(np.broadcast_to(self.x, (self.timesteps, *self.x.shape))) if self.constant else self.x
        )


def make_batch(work: Workload) -> Batch:
    """The seeded input of ``work``."""
    random = np.random.default_rng(work.seed)
    shape = (work.batch, *work.sample)
    constant = work.coding == "direct"
    if constant:
        x = random.random(shape, np.float32)
    elif work.coding == "gaussian":
        x = random.standard_normal((work.timesteps, *shape), np.float32)
    else:
        x = (random.random((work.timesteps, *shape), np.float32) < work.density).astype(np.float32)
    return Batch(x, random.integers(0, work.sizes[-1], work.batch), constant, work.timesteps)


def make_weights(work: Workload) -> list[Layer]:
    """Seeded weights: Kaiming's uniform bound sqrt(6 / fan-in), small biases; hidden neurons fire at about 10 %."""
    random = np.random.default_rng(work.seed + 1)

    def layer(*shape: int) -> Layer:
        bound = np.sqrt(6 / np.prod(shape[1:]))
        weight = random.uniform(-bound, bound, shape).astype(np.float32)
        return Layer(weight, random.uniform(-0.05, 0.05, shape[0]).astype(np.float32))

    if work.network == "convnet":
        planes = (1, *work.channels)
        convolutions = [layer(after, before, 3, 3) for before, after in itertools.pairwise(planes)]
        return [*convolutions, layer(work.sizes[-1], work.flat)]
    return [layer(after, before) for before, after in itertools.pairwise(work.sizes)]
