"""Scores of a network and of its program on the same windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from leanspike.compress import integer_scores
from leanspike.detect.boxes import Floats
from leanspike.detect.decode import Head
from leanspike.detect.model import ModelConfig
from leanspike.detect.windows import Samples
from leanspike.engine import Engine
from leanspike.ir import Program
from leanspike.nn import Network, readout

AT_ONCE = 32
Ints = npt.NDArray[np.int64]


def head_of(config: ModelConfig, samples: Samples, classes: int) -> Head:
    """The head of a detector on these windows."""
    _, _, height, width = samples.shape
    return Head(height // config.stride, width // config.stride, config.stride, config.anchor, classes)


def float_scores(network: Network, samples: Samples) -> Floats:
    """Scores ``[N, K]`` of a network in evaluation mode, float64."""
    training = network.training
    network.eval()
    with torch.no_grad():
        found = _in_parts(samples, lambda x: readout(network(x), network.readout).double().numpy())
    network.train(training)
    return found


def quantised_scores(network: Network, samples: Samples) -> Ints:
    """Scores ``[N, K]`` of a quantised network as the integers that a program has."""
    return _in_parts(samples, lambda x: integer_scores(network, x))


def program_scores(program: Program, samples: Samples) -> Ints:
    """Scores ``[N, K]`` of a program, on the engine."""
    engine = Engine(program)
    starts = range(0, len(samples), AT_ONCE)
    return np.concatenate([engine.run(samples.raw(slice(start, start + AT_ONCE))).scores for start in starts])


def batch_of(samples: Samples, chosen: npt.NDArray[np.int64] | slice) -> torch.Tensor:
    """Frames ``[T, B, 2, H, W]`` as a network reads them."""
    return torch.from_numpy(samples.frames(chosen)).movedim(1, 0).float()


def _in_parts(samples: Samples, scores: Callable[[torch.Tensor], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    starts = range(0, len(samples), AT_ONCE)
    return np.concatenate([scores(batch_of(samples, slice(start, start + AT_ONCE))) for start in starts])
