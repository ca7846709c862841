"""snnTorch models and the networks made from them: equal spikes in every layer, or a refusal that names the reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peer_frameworks import INPUTS, assert_same_spikes, lively, need, sample
from torch import Tensor, nn

from leanspike.core.errors import ModelImportError
from leanspike.lower.importers import from_snntorch
from leanspike.nn import LIF, Network, SumPool2d

need("snntorch")
import snntorch as snn  # noqa: E402


def step(x: Tensor) -> Tensor:
    """snnTorch's own surrogates give float32 whatever they are given."""
    return (x > 0).to(x.dtype)


def leaky(**settings: Any) -> nn.Module:
    return snn.Leaky(**{"beta": 0.85, "init_hidden": True, "spike_grad": step} | settings)


def dense(**settings: Any) -> nn.Module:
    parts = [nn.Linear(40, 60), leaky(**settings), nn.Dropout(0.3), nn.Linear(60, 10), leaky(beta=0.7, **settings)]
    return lively(nn.Sequential(*parts))


def convolutional(**settings: Any) -> nn.Module:
    parts = [
        nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), leaky(**settings), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, padding="valid"), leaky(**settings), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(8, 20), nn.BatchNorm1d(20), leaky(**settings), nn.Linear(20, 10), leaky(**settings),
    ]  # fmt: skip
    return lively(nn.Sequential(*parts))


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_dense_models_one_step_late(reset: str, kind: str) -> None:
    model = dense(reset_mechanism=reset)
    network = from_snntorch(model, input_shape=(40,))
    assert_same_spikes(model, network, sample(kind, 40))


@pytest.mark.parametrize("kind", INPUTS)
def test_a_zero_reset_at_once(kind: str) -> None:
    model = dense(reset_mechanism="zero", reset_delay=False)
    assert_same_spikes(model, from_snntorch(model, input_shape=(40,)), sample(kind, 40))


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_convolutional_models(reset: str, kind: str) -> None:
    model = convolutional(reset_mechanism=reset)
    network = from_snntorch(model, input_shape=(2, 12, 12))
    assert any(isinstance(layer, SumPool2d) for layer in network.layers)
    assert_same_spikes(model, network, sample(kind, 2, 12, 12))


def test_learned_beta_and_threshold_of_every_neuron() -> None:
    generator = torch.Generator().manual_seed(1)
    own = {
        "beta": 0.5 + 0.6 * torch.rand(60, generator=generator),
        "threshold": 0.5 + torch.rand(60, generator=generator),
        "learn_beta": True,
        "learn_threshold": True,
    }
    model = lively(nn.Sequential(nn.Linear(40, 60), leaky(**own), nn.Linear(60, 10), leaky()))
    network = from_snntorch(model, input_shape=(40,))
    neurons = network.layers[1]
    assert isinstance(neurons, LIF)
    assert neurons.reset_by is not None
    assert neurons.reset_by.shape == neurons.beta.shape == (60,)
    assert_same_spikes(model, network, sample("gaussian", 40))


def test_a_late_subtract_reset_is_one_of_theta_over_beta_at_once() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), leaky(beta=0.5, threshold=1.0))
    network = from_snntorch(model, input_shape=(1,))
    neurons = network.layers[1]
    assert isinstance(neurons, LIF)
    assert neurons.reset_by is not None
    assert neurons.reset_by.item() == 2.0
    nn.init.ones_(model[0].weight)  # type: ignore[arg-type]
    x = torch.tensor([1.5, 1.5, 0.0, 4.0, 4.0, 0.25]).view(-1, 1, 1)
    network = from_snntorch(model, input_shape=(1,))
    assert_same_spikes(model, network, x)
    ((_, potential),) = network.trace(x)
    assert potential.flatten().tolist() == [1.5, 1.25, -0.375, 3.8125, 4.90625, 1.703125]


def test_a_potential_at_the_threshold_does_not_fire() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), leaky(reset_mechanism="zero"))
    nn.init.ones_(model[0].weight)  # type: ignore[arg-type]
    x = torch.tensor([1.0, 0.0, 1.0000001]).view(-1, 1, 1)
    ((spikes, _),) = from_snntorch(model, input_shape=(1,)).trace(x)
    assert spikes.flatten().tolist() == [0, 0, 1]


class Looped(nn.Module):
    """The shape of snnTorch's tutorials: states passed by hand, a pool used twice, a flatten that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(36, 10)
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 9, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.lif1, self.lif2, self.lif3 = (snn.Leaky(beta, spike_grad=step) for beta in (0.9, 0.8, 0.7))

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        spikes = []
        for step in x:
            s, first = self.lif1(self.conv1(step), first)
            s, second = self.lif2(self.conv2(self.pool(s)), second)
            s, third = self.lif3(self.fc(self.pool(s).flatten(1)), third)
            spikes.append(s)
        return torch.stack(spikes)


def test_a_model_of_ones_own_is_read_from_a_run_on_an_example() -> None:
    model, x = lively(Looped()), sample("gaussian", 1, 8, 8)
    network = from_snntorch(model, input_shape=(1, 8, 8), example=x)
    assert_same_spikes(model, network, x, run=model)


def test_a_membrane_readout_of_neurons_that_do_not_reset_and_of_bare_currents() -> None:
    ends: list[list[nn.Module]] = [[leaky(reset_mechanism="none", output=True)], []]
    for end in ends:
        model = lively(nn.Sequential(nn.Linear(40, 60), leaky(), nn.Linear(60, 10), *end))
        network = from_snntorch(model, input_shape=(40,), readout="membrane_mean")
        x = sample("gaussian", 40)
        theirs = []
        model.eval()
        for part in model:
            if isinstance(part, snn.Leaky):
                part.reset_mem()
        with torch.no_grad():
            for step in x:
                result = model(step)
                theirs.append(result[1] if isinstance(result, tuple) else result)
            ours = network(x).potential
        torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-4, atol=1e-4)


def refusal(model: nn.Module, shape: tuple[int, ...] = (40,), **settings: Any) -> str:
    with pytest.raises(ModelImportError) as caught:
        from_snntorch(model, input_shape=shape, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("neurons", "reason"),
    [
        (lambda: snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True), "a synaptic current"),
        (lambda: snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True), "a synaptic current"),
        (lambda: snn.RLeaky(beta=0.9, linear_features=60, init_hidden=True), "recurrent"),
        (lambda: snn.Lapicque(beta=0.9, init_hidden=True), "RC circuit"),
        (lambda: leaky(reset_delay=False), "reset_delay=False"),
        (lambda: leaky(beta=0.0), "beta = 0"),
        (lambda: leaky(graded_spikes_factor=2.0), "graded"),
        (lambda: leaky(state_quant=lambda x: x), "quantised state"),
        (lambda: leaky(spike_grad=lambda x: x.sigmoid()), "no step"),
        (lambda: leaky(threshold=-0.5), "threshold -0.5"),
    ],
)  # fmt: skip
def test_neurons_that_cannot_be_expressed_are_refused_by_name(neurons: Any, reason: str) -> None:
    told = refusal(nn.Sequential(nn.Linear(40, 60), neurons(), nn.Linear(60, 10), leaky()))
    assert told.startswith("layer 1: ")
    assert reason in told


def test_every_refused_layer_is_named_at_once() -> None:
    parts = [nn.Linear(40, 60), leaky(reset_delay=False), nn.LayerNorm(60), nn.Linear(60, 10), leaky(beta=0.0)]
    told = refusal(nn.Sequential(*parts))
    assert all(f"layer {name}: " in told for name in (1, 2, 4))
    assert "LayerNorm" in told


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([nn.Conv2d(2, 4, (3, 5)), leaky()], "kernel (3, 5)"),
        ([nn.Conv2d(2, 4, 3, groups=2), leaky()], "groups 2"),
        ([nn.Conv2d(2, 4, 3, dilation=2), leaky()], "dilation (2, 2)"),
        ([nn.Conv2d(2, 4, 3, padding_mode="reflect", padding=1), leaky()], "reflect"),
        ([nn.Conv2d(2, 4, 3), leaky(), nn.MaxPool2d(3, stride=2)], "stride 2"),
        ([nn.Conv2d(2, 4, 3), leaky(), nn.BatchNorm2d(4)], "behind no synapse"),
        ([nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), leaky()], "running statistics"),
        ([nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3), leaky()], "a synapse behind a synapse"),
        ([leaky(), nn.Conv2d(2, 4, 3)], "no synapse feeds"),
        ([nn.Flatten(), nn.Linear(100, 10), leaky()], "takes 100 features, and [288] arrive"),
        ([nn.Conv2d(2, 4, 3), leaky()], "does not end in neurons"),
        ([nn.Flatten(), nn.Linear(288, 10)], "cannot count"),
    ],
)  # fmt: skip
def test_layers_that_cannot_be_expressed_are_refused_with_the_reason(parts: list[nn.Module], reason: str) -> None:
    assert reason in refusal(nn.Sequential(*parts), (2, 12, 12))


def test_a_membrane_readout_of_neurons_that_reset_is_refused() -> None:
    assert "reset" in refusal(dense(), readout="membrane_max")


def test_a_model_of_ones_own_needs_an_example_and_only_modules() -> None:
    assert "example=" in refusal(Looped(), (1, 8, 8))

    class Doubled(Looped):
        def forward(self, x: Tensor) -> Tensor:
            s, _ = self.lif1(2 * self.conv1(x[0]))
            return s

    told = refusal(Doubled().double(), (1, 8, 8), example=sample("gaussian", 1, 8, 8))
    assert "between conv1 and lif1" in told


def test_a_layer_that_only_derives_from_a_known_one_is_refused() -> None:
    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    assert "Scaled" in refusal(nn.Sequential(Scaled(40, 10), leaky()))


def test_the_model_is_left_as_it_was() -> None:
    model = dense().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = from_snntorch(model, input_shape=(40,))
    assert isinstance(network, Network)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
