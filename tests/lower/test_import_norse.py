"""Norse models and the networks made from them: equal spikes in every layer, or a refusal that names the reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peer_frameworks import INPUTS, assert_same_spikes, lively, need, quietly_imported, sample
from torch import nn

from leanspike.core.errors import ModelImportError
from leanspike.lower.importers import from_norse

need("norse")
norse = quietly_imported("norse.torch")
reset_subtract = norse.functional.reset.reset_subtract


def box(**settings: Any) -> nn.Module:
    values = {key: torch.tensor(value) if isinstance(value, float) else value for key, value in settings.items()}
    return norse.LIFBoxCell(norse.LIFBoxParameters(**{"tau_mem_inv": torch.tensor(250.0)} | values))


NEURONS: dict[str, Any] = {
    "lif": lambda: box(v_th=0.3),
    "lif subtract": lambda: box(v_th=0.25, reset_method=reset_subtract),
    "lif at rest elsewhere": lambda: box(v_th=0.2, v_leak=-0.1, v_reset=-0.1),
    "lif subtract at rest elsewhere": lambda: box(v_th=0.2, v_leak=-0.1, reset_method=reset_subtract),
    "iaf": lambda: norse.IAFCell(),
    "iaf reset to -0.5": lambda: norse.IAFCell(norse.IAFParameters(v_reset=torch.tensor(-0.5))),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", NEURONS)
def test_dense_models(name: str, kind: str) -> None:
    model = lively(norse.SequentialState(nn.Linear(40, 60), NEURONS[name](), nn.Linear(60, 10), NEURONS[name]()))
    assert_same_spikes(model, from_norse(model, input_shape=(40,)), sample(kind, 40))


@pytest.mark.parametrize("kind", INPUTS)
def test_convolutional_models(kind: str) -> None:
    parts = [
        nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), box(v_th=0.3), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.AvgPool2d(2), box(v_th=0.1),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 10), box(v_th=0.1),
    ]  # fmt: skip
    model = lively(norse.SequentialState(*parts))
    assert_same_spikes(model, from_norse(model, input_shape=(2, 10, 10)), sample(kind, 2, 10, 10))


def test_lifted_models_over_all_steps() -> None:
    model = lively(norse.SequentialState(norse.Lift(nn.Linear(40, 60)), norse.IAF(), norse.Lift(nn.Linear(60, 10)),
                                         norse.IAF()))  # fmt: skip
    assert_same_spikes(model, from_norse(model, input_shape=(40,)), sample("gaussian", 40), run=model)


def test_a_membrane_readout() -> None:
    model = lively(norse.SequentialState(nn.Linear(40, 60), box(v_th=0.3), nn.Linear(60, 10), norse.LIBoxCell()))
    network = from_norse(model, input_shape=(40,), readout="membrane_max")
    assert_same_spikes(model, network, sample("gaussian", 40))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (lambda: norse.LIFCell(), "a synaptic current"),
        (lambda: norse.LIF(), "a synaptic current"),
        (lambda: norse.LIFAdExCell(), "LIFAdExCell"),
        (lambda: box(v_reset=-0.1), "rests at"),
        (lambda: box(tau_mem_inv=1500.0), "keeps -0.5"),
        (lambda: box(reset_method=torch.where), "the reset method where"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(node: Any, reason: str) -> None:
    model = norse.SequentialState(nn.Linear(40, 60), node(), nn.Linear(60, 10), box())
    with pytest.raises(ModelImportError, match=reason) as caught:
        from_norse(model, input_shape=(40,))
    assert str(caught.value).startswith("layer 1: ")
