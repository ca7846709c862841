"""What networks without spikes execute, priced like a program."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from leanspike.measure import rivals
from leanspike.measure.energy import energies, energy
from leanspike.models.sequence import KINDS, SequenceKind, SequenceNetwork, closest


@pytest.mark.parametrize("kind", KINDS)
def test_multiplications_are_those_that_the_layers_do(kind: SequenceKind) -> None:
    """Every weight of a matrix or a kernel is used once a step (a convolution's padding counts)."""
    network = SequenceNetwork(kind, 3, 4, 11, 6)
    weights = [w.numel() for name, w in network.named_parameters() if w.dim() > 1 and not name.startswith("head")]
    assert network.multiplications().macs == 11 * sum(weights) + 6 * 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_series_is_brought_to_the_steps_and_normed(kind: SequenceKind) -> None:
    network = SequenceNetwork(kind, 2, 3, 8, 5).eval()
    x = torch.rand(6, 2, 16)
    network.fit_norm(x)
    halved = x.unflatten(2, (8, 2)).mean(-1)
    assert torch.allclose(network(x), network(halved), atol=1e-6)
    scaled = SequenceNetwork(kind, 2, 3, 8, 5).eval()
    scaled.load_state_dict(network.state_dict())
    scaled.fit_norm(3 * x + 1)
    assert torch.allclose(network(x), scaled(3 * x + 1), atol=1e-4)


def test_a_gru_is_torchs() -> None:
    network = SequenceNetwork("gru", 2, 3, 7, 4).eval()
    x = torch.rand(5, 2, 7)
    assert isinstance(network.body, nn.GRU)
    hidden, _ = network.body(x.transpose(1, 2))
    assert torch.allclose(network(x), network.head(hidden.mean(1)))


def test_the_width_closest_to_a_size() -> None:
    assert closest(100, lambda width: width * width) == 10
    assert closest(109, lambda width: width * width) == 10
    assert closest(111, lambda width: width * width) == 11
    assert closest(1, lambda width: 50 * width) == 1


def test_energy_is_count_times_price() -> None:
    done = rivals.network({"input": 1000}, 10, parameters=500, values=64)
    found = energy(done, "arithmetic-45nm")
    each = found.lines[0].picojoules
    assert each is not None
    assert found.nanojoules == pytest.approx(1010 * each / 1000, rel=1e-6)
    told = energies(done)
    assert told["loihi-sop"] is None, "a chip that adds spikes has no price for a multiplication"
    arithmetic, memory = told["arithmetic-45nm"], told["memory-45nm"]
    assert arithmetic is not None
    assert memory is not None
    assert memory > arithmetic


def test_neighbours_cost_grows_with_the_training_set() -> None:
    small, large = (energies(rivals.neighbour(300, 1, count, 30))["memory-45nm"] for count in (20, 200))
    assert small is not None
    assert large is not None
    assert large >= 10 * small
