"""Trained in snnTorch, SpikingJelly or Norse, imported, lowered, deployed: the way of a user who brings a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peer_frameworks import need, quietly_imported
from torch import Tensor, nn

from leanspike import data, ir, targets
from leanspike.core.trace import mismatches
from leanspike.encode import EncoderConfig
from leanspike.lower import Encoded, lower
from leanspike.lower.importers import from_norse, from_snntorch, from_spikingjelly, verify_import
from leanspike.nn import Network

STEPS = 5
SHAPE = (1, 8, 8)


def step(x: Tensor) -> Tensor:
    """snnTorch's own surrogates give float32 whatever they are given; this is what they do in evaluation."""
    return (x > 0).to(x.dtype)


def over_time(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x).expand(STEPS, *x.shape).contiguous()


def trained(model: nn.Module, run: Callable[[Tensor], Tensor], epochs: int) -> nn.Module:
    """Adam on the spike counts of 960 digits."""
    digits, optimizer = data.load("digits"), torch.optim.Adam(model.parameters(), lr=6e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for index in torch.randperm(960, generator=order).split(32):
            counts = run(over_time(digits.x_train[index.numpy()])).sum(0)
            loss = nn.functional.cross_entropy(counts, torch.from_numpy(digits.y_train[index.numpy()]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def deployed(model: nn.Module, imported: Callable[..., Network], tmp_path: Path) -> None:
    """The network has the model's spikes, the program its accuracy, and the NIR file its every spike."""
    test = data.load("digits").test()
    x = over_time(test.x)
    exact = model.double()  # in float32, sums of another order may tie
    for layer in verify_import(exact, imported(exact, input_shape=SHAPE), x.double()):
        assert layer.spikes_theirs
        assert layer.differing == 0
    network = imported(model.float(), input_shape=SHAPE)
    with torch.no_grad():
        right = (network(x).spikes.sum(0).argmax(1).numpy() == test.y).mean()
    assert right > 0.85
    encoded = Encoded(EncoderConfig(kind="direct"), SHAPE, STEPS, exact_bytes=False)
    program = lower(network, encoded, name="imported").program
    raw = ir.raw_samples(program, test.x)
    found = ir.run_fast(program, raw)
    assert (found.predictions == test.y).mean() > right - 0.02
    artefact = targets.emit("nir", program, tmp_path)
    assert not any(mismatches(found, targets.run(artefact, raw)).values())


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(1)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_snntorch(reset: str, tmp_path: Path) -> None:
    need("snntorch")
    snn: Any = quietly_imported("snntorch")

    def leaky() -> nn.Module:
        return snn.Leaky(beta=0.8, learn_beta=True, learn_threshold=True, init_hidden=True, reset_mechanism=reset)

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), leaky(), nn.Linear(64, 10), leaky())

    def run(x: Tensor) -> Tensor:
        for part in model:
            if isinstance(part, snn.Leaky):
                part.reset_mem()
        return torch.stack([model(step) for step in x])

    trained(model, run, epochs=3)
    assert from_snntorch(model, input_shape=SHAPE).layers[2].beta.item() != pytest.approx(0.8, abs=1e-6)
    for part in model:
        if isinstance(part, snn.Leaky):
            part.spike_grad = step
    deployed(model, from_snntorch, tmp_path)


def test_spikingjelly(tmp_path: Path) -> None:
    need("spikingjelly")
    layer: Any = quietly_imported("spikingjelly.activation_based.layer")
    neuron: Any = quietly_imported("spikingjelly.activation_based.neuron")
    functional: Any = quietly_imported("spikingjelly.activation_based.functional")
    model = nn.Sequential(
        layer.Conv2d(1, 8, 3, padding=1, bias=False), layer.BatchNorm2d(8), neuron.LIFNode(detach_reset=True),
        layer.AvgPool2d(2), layer.Flatten(), layer.Linear(128, 10), neuron.ParametricLIFNode(v_reset=None),
    )  # fmt: skip
    functional.set_step_mode(model, "m")

    def run(x: Tensor) -> Tensor:
        functional.reset_net(model)
        result: Tensor = model(x)
        return result

    trained(model, run, epochs=3)
    deployed(model, from_spikingjelly, tmp_path)


def test_norse(tmp_path: Path) -> None:
    need("norse")
    norse: Any = quietly_imported("norse.torch")

    def box() -> nn.Module:
        p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(300.0), v_th=torch.tensor(0.3), alpha=torch.tensor(20.0))
        return norse.LIFBoxCell(p)

    model = norse.SequentialState(nn.Flatten(), nn.Linear(64, 64), box(), nn.Linear(64, 10), box())

    def run(x: Tensor) -> Tensor:
        state, found = None, []
        for step in x:
            spikes, state = model(step, state)
            found.append(spikes)
        return torch.stack(found)

    trained(model, run, epochs=3)
    deployed(model, from_norse, tmp_path)
