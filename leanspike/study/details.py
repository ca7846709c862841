"""A network's layers by name, its connections, and rasters and membrane traces of a few real samples."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from leanspike.core.files import write_bytes
from leanspike.core.rng import derive
from leanspike.data import Split
from leanspike.nn import LIF, Conv2d, Linear, Network, Spikes
from leanspike.train import RunConfig
from leanspike.train.batches import Draw, scaled
from leanspike.train.coding import coded

MOST_NEURONS = 100  # whose spikes are kept, a layer
MOST_TRACES = 10  # potentials that are kept, a layer
MOST_SAMPLES = 10
Array = npt.NDArray[Any]


def encoded(x: Tensor, numbers: Tensor, network: Network, config: RunConfig) -> Tensor | Spikes:
    """Samples ``[B, ...]`` as the network's input ``[T, B, ...]``, the same as in every evaluation of this run."""
    return coded(x, numbers, network, config, derive(config.seed, Draw.ENCODE_EVALUATION))


def layer_names(network: Network) -> list[str]:
    """Names of the layers of neurons that spike, in order: ``hidden 1``, ..., ``output``."""
    return [name for name, layer in _neurons(network) if isinstance(layer, LIF)]


def connections(network: nn.Module, x: Array, config: RunConfig) -> int:
    """Synapses: pairs of a neuron (or an input) and a neuron that it drives; a convolution's padding counts, too.

    Args:
        x: ``[1, ...]`` any one sample.
    """
    counts: list[int] = []

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        places = math.prod(output.shape[-2:]) if isinstance(layer, Conv2d | nn.Conv2d) else 1
        counts.append(layer.get_parameter("weight").numel() * places)

    kinds = Linear | Conv2d | nn.Linear | nn.Conv2d
    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, kinds)]
    training, sample = network.training, torch.from_numpy(x)
    network.eval()
    with torch.no_grad():
        if isinstance(network, Network):
            network.operations(
                encoded(sample, torch.zeros(1, dtype=torch.int64), network, config)
            )  # layer by layer, none fused
        else:
            network(scaled(sample))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def write_details(path: Path, network: Network, test: Split, predictions: Array, config: RunConfig) -> None:
    """Write spikes ``[T, S, n]`` and potentials ``[T, S, m]`` of every layer for the first samples of every class and
    the first two that are read wrongly; at most 100 neurons' spikes and 10 neurons' potentials a layer.
    """
    chosen = _choose(test.y, predictions)
    x, numbers = torch.from_numpy(test.x[chosen]), torch.from_numpy(test.numbers[chosen])
    arrays: dict[str, Array] = {
        "images": scaled(x).numpy(),
        "labels": test.y[chosen],
        "predictions": predictions[chosen],
        "layer_names": np.array([name for name, _ in _neurons(network)]),
    }
    network.eval()
    for i, (spikes, potential) in enumerate(network.trace(encoded(x, numbers, network, config))):
        if isinstance(_neurons(network)[i][1], LIF):
            arrays[f"spikes_{i}"] = spikes.flatten(2)[:, :, :MOST_NEURONS].to(torch.uint8).numpy()
        arrays[f"potential_{i}"] = potential.flatten(2)[:, :, :MOST_TRACES].float().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def _neurons(network: Network) -> list[tuple[str, nn.Module]]:
    layers = network.neurons
    names = [f"hidden {i + 1}" for i in range(len(layers) - 1)]
    return list(zip([*names, "output"], layers, strict=True))


def _choose(labels: Array, predictions: Array) -> Array:
    firsts = np.unique(labels, return_index=True)[1][:MOST_SAMPLES]
    wrong = np.flatnonzero(labels != predictions)[:2]
    return np.array(list(dict.fromkeys([*firsts.tolist(), *wrong.tolist()])))
