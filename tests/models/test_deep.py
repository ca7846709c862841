"""The deep networks have the sizes of the papers, train, and refuse what they cannot take."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from leanspike import models, train
from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.data import load
from leanspike.models import ModelConfig
from leanspike.nn import BatchNorm, Network, NeuronConfig, RecurrentLIF, Residual

CIFAR = (3, 32, 32)


def built(kind: str, shape: tuple[int, ...] = CIFAR, **settings: Any) -> Network:
    torch.manual_seed(0)
    return models.build(ModelConfig(kind=kind, **settings), NeuronConfig(), shape, 10, 4)  # type: ignore[arg-type]


def parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_resnet19_has_the_published_size() -> None:
    """12.63 M: table 3 of arXiv:2209.15425 for arXiv:2011.05280; a stem of 64 channels, dense layers with biases."""
    assert parameters(built("resnet19")) == 12_630_858


def test_spikformer_4_256_has_the_published_size() -> None:
    """4.15 M: table 3 of arXiv:2209.15425; its layer norms, which no forward pass uses, are not there."""
    assert parameters(built("spikformer")) == 4_155_178


def test_vgg9_has_the_size_of_its_layers() -> None:
    """No paper states a count: convolutions without biases, 4,096 to 1,024 to 10, two numbers a normed channel."""
    channels = [3, 64, 64, 128, 128, 256, 256, 256]
    weights = sum(9 * a * b for a, b in pairwise(channels)) + 4096 * 1024 + 1024 * 10
    assert parameters(built("vgg9")) == weights + 2 * (sum(channels[1:]) + 1024) + 10 == 5_943_242


def test_a_recurrent_layer_has_all_to_all_feedback() -> None:
    """700-128-20 of arXiv:1910.07407 with biases here: 700 128 + 128 128 + 128 20, and one a neuron."""
    network = models.build(ModelConfig(kind="recurrent", hidden=(128,)), NeuronConfig(), (700,), 20, 4)
    assert parameters(network) == 700 * 128 + 128 * 128 + 128 * 20 + 128 + 20
    assert isinstance(network.neurons[0], RecurrentLIF)


def test_norms_that_meet_start_at_less_than_the_threshold() -> None:
    network = models.build(ModelConfig(kind="resnet19", width=1 / 16), NeuronConfig(threshold=0.5), CIFAR, 10, 4)
    block = next(layer for layer in network.layers if isinstance(layer, Residual) and len(layer.shortcut))
    starts = [float(layer.norm.weight.detach()[0]) for layer in block.modules() if isinstance(layer, BatchNorm)]
    assert starts == pytest.approx([0.5, 0.5 / 2**0.5, 0.5 / 2**0.5])


@pytest.mark.parametrize(
    ("kind", "shape", "settings", "told"),
    [
        ("vgg9", (64,), {}, "vgg9 needs images"),
        ("vgg9", (1, 6, 8), {}, "8 x 8 or more"),
        ("resnet19", (1, 8, 12), {}, "resnet19 needs square images"),
        ("spikformer", (1, 28, 28), {"width": 1 / 32, "heads": 3}, "8 channels in 3 heads"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, shape: tuple[int, ...], settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        built(kind, shape, **settings)


SMALL = {
    "recurrent": ["model.hidden=[32]"],
    "vgg9": ["model.width=0.125"],
    "resnet19": ["model.width=0.125", "neuron.beta=0.5", "neuron.threshold=0.5"],
    "spikformer": ["model.width=0.125", "model.depth=1", "model.heads=4", "neuron.beta=0.5"],
}


@pytest.mark.parametrize("kind", SMALL)
def test_a_small_one_learns_the_digits(kind: str) -> None:
    settings = ["dataset=digits", "timesteps=2", f"model.kind={kind}", "train.epochs=6", "train.learning_rate=0.005"]
    run = with_settings(train.RunConfig(), [*settings, "train.batch_size=64", *SMALL[kind]])
    result = train.fit(run, load("digits").training_only())
    assert (result.history[-1].validation_accuracy or 0) > 0.85


@pytest.mark.parametrize("kind", ["recurrent", "resnet19", "spikformer"])
def test_quantising_a_network_with_synapses_inside_of_layers_is_refused(kind: str) -> None:
    from leanspike.compress import CompressConfig
    from leanspike.compress.quantise import quantise

    network = built(kind, (1, 8, 8), width=1 / 16, depth=1, heads=4)
    config = with_settings(CompressConfig(), ["weights.bits=4"])
    with pytest.raises(ConfigError, match="holds synapses of its own"):
        quantise(network, config, train.RunConfig(), None)
