"""SpikingJelly models, step by step and all steps at once, and the networks made from them: equal spikes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peer_frameworks import INPUTS, assert_same_spikes, lively, need, sample
from torch import Tensor, nn

from leanspike.core.errors import ModelImportError
from leanspike.lower.importers import from_spikingjelly

need("spikingjelly")
from spikingjelly.activation_based import functional, layer, neuron, surrogate  # noqa: E402

NEURONS: dict[str, Any] = {
    "if": lambda: neuron.IFNode(),
    "if subtract": lambda: neuron.IFNode(v_reset=None, v_threshold=1.5),
    "lif": lambda: neuron.LIFNode(tau=2.0),
    "lif subtract": lambda: neuron.LIFNode(tau=3.0, v_reset=None, v_threshold=0.6),
    "lif whole input": lambda: neuron.LIFNode(tau=1.7, decay_input=False, surrogate_function=surrogate.ATan()),
    "lif reset to -0.2": lambda: neuron.LIFNode(tau=2.5, v_reset=-0.2, v_threshold=0.5),
    "lif whole input, reset to 0.1": lambda: neuron.LIFNode(tau=2.5, v_reset=0.1, decay_input=False),
    "plif": lambda: neuron.ParametricLIFNode(init_tau=2.2),
    "plif subtract": lambda: neuron.ParametricLIFNode(init_tau=1.6, v_reset=None, decay_input=False),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", NEURONS)
def test_dense_models(name: str, kind: str) -> None:
    parts = [nn.Linear(40, 60), NEURONS[name](), nn.Dropout(0.5), nn.Linear(60, 10), NEURONS[name]()]
    model = lively(nn.Sequential(*parts))
    assert_same_spikes(model, from_spikingjelly(model, input_shape=(40,)), sample(kind, 40))


def convolutional(mode: str) -> nn.Module:
    first = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False), layer.BatchNorm2d(6), neuron.LIFNode(tau=2.0), layer.AvgPool2d(2)
    )
    second = nn.Sequential(layer.Conv2d(6, 8, 3, padding="same"), layer.AvgPool2d(2), neuron.ParametricLIFNode(1.5))
    norm = layer.BatchNorm2d(8) if mode == "s" else layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 8)
    third = [layer.Conv2d(8, 8, 3, padding=1), norm, neuron.IFNode()]
    last = [layer.AdaptiveAvgPool2d(1), layer.Flatten(), layer.Dropout(), layer.Linear(8, 10), neuron.IFNode()]
    model = lively(nn.Sequential(first, second, *third, *last))
    functional.set_step_mode(model, mode)
    return model


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("mode", ["s", "m"])
def test_convolutional_models_in_both_step_modes(mode: str, kind: str) -> None:
    model = convolutional(mode)
    network = from_spikingjelly(model, input_shape=(2, 12, 12))
    assert_same_spikes(model, network, sample(kind, 2, 12, 12))


@pytest.mark.parametrize("container", [layer.MultiStepContainer, layer.SeqToANNContainer])
def test_containers_over_time(container: Any) -> None:
    model = lively(nn.Sequential(container(nn.Linear(40, 60)), neuron.LIFNode(step_mode="m"),
                                 container(nn.Linear(60, 10)), neuron.LIFNode(step_mode="m")))  # fmt: skip
    network = from_spikingjelly(model, input_shape=(40,))
    assert_same_spikes(model, network, sample("gaussian", 40))


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = layer.Linear(72, 10)
        self.conv = layer.Conv2d(2, 8, 3, stride=2)
        self.lif, self.out = neuron.LIFNode(), neuron.IFNode()
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.head(self.lif(self.conv(x)).flatten(2)))


def test_a_model_of_ones_own_is_read_from_a_run_on_an_example() -> None:
    model, x = lively(Own()), sample("gaussian", 2, 7, 7)
    network = from_spikingjelly(model, input_shape=(2, 7, 7), example=x)
    functional.reset_net(model)
    assert_same_spikes(model, network, x)


@pytest.mark.parametrize("last", ["currents", "if", "lif"])
def test_membrane_readouts(last: str) -> None:
    ends = {"currents": [], "if": [neuron.NonSpikingIFNode()], "lif": [neuron.NonSpikingLIFNode(tau=3.0)]}
    model = lively(nn.Sequential(layer.Linear(40, 60), neuron.LIFNode(), layer.Linear(60, 10), *ends[last]))
    functional.set_step_mode(model, "m")
    network = from_spikingjelly(model, input_shape=(40,), readout="membrane_last")
    assert_same_spikes(model, network, sample("gaussian", 40))


def test_a_potential_at_the_threshold_fires() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), neuron.IFNode())
    nn.init.ones_(model[0].weight)  # type: ignore[arg-type]
    x = torch.tensor([1.0, 0.5, 0.25, 0.25]).view(-1, 1, 1)
    network = from_spikingjelly(model, input_shape=(1,))
    assert network.trace(x)[0][0].flatten().tolist() == [1, 0, 0, 1]
    assert_same_spikes(model, network, x)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (lambda: neuron.QIFNode(), "QIFNode"),
        (lambda: neuron.EIFNode(), "EIFNode"),
        (lambda: neuron.KLIFNode(), "KLIFNode"),
        (lambda: neuron.LIFNode(surrogate_function=surrogate.Sigmoid(spiking=False)), "no step"),
        (lambda: neuron.IFNode(v_threshold=0.0), "threshold 0"),
        (lambda: layer.SynapseFilter(tau=10.0), "SynapseFilter"),
        (lambda: layer.WSLinear(60, 60), "WSLinear"),
        (lambda: layer.TemporalEffectiveBatchNorm1d(4, 60), "TemporalEffectiveBatchNorm1d"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(node: Any, reason: str) -> None:
    model = nn.Sequential(nn.Linear(40, 60), node(), nn.Linear(60, 10), neuron.LIFNode())
    with pytest.raises(ModelImportError, match=reason) as caught:
        from_spikingjelly(model, input_shape=(40,))
    assert str(caught.value).startswith("layer 1: ")
