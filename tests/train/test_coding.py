"""Packed coding gives the very spikes that the encoder defines."""

from __future__ import annotations

import pytest
import torch

from leanspike.encode import EncoderConfig, encode
from leanspike.models import ModelConfig
from leanspike.nn import Flatten, NeuronConfig, Spikes
from leanspike.nn.kernels import cpu
from leanspike.train import RunConfig
from leanspike.train.batches import scaled
from leanspike.train.coding import coded
from leanspike.train.networks import build_network

SHAPES = [((1, 9, 7), "mlp", True), ((50,), "mlp", True), ((3, 8, 8), "mlp", True), ((1, 8, 8), "convnet", False)]


@pytest.mark.skipif(not cpu.loaded(), reason="the C kernels were not built (no C compiler)")
@pytest.mark.parametrize(("shape", "kind", "packs"), SHAPES, ids=str)
def test_packed_coding_equals_the_encoder(shape: tuple[int, ...], kind: str, packs: bool) -> None:
    config = RunConfig(encoder=EncoderConfig(kind="rate"), model=ModelConfig(kind=kind), neuron=NeuronConfig())
    network = build_network(config, shape, 4)
    x = torch.randint(0, 256, (6, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers = torch.tensor([3, 1, 4, 15, 92, 65])
    spikes = coded(x, numbers, network, config, seed=8)
    expected = encode(scaled(x), numbers, config.encoder, config.timesteps, 8)
    assert isinstance(spikes, Spikes) is packs
    if isinstance(spikes, Spikes):
        assert torch.equal(spikes.dense(), Flatten()(expected))
    else:
        assert torch.equal(spikes, expected)
