from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from leanspike import train
from leanspike.data import Dataset
from leanspike.encode import EncoderConfig
from leanspike.models import ModelConfig, build_ann
from leanspike.train import RunConfig


@pytest.fixture
def network(config: RunConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    return train.build_network(config, (1, 8, 8), 10)


@pytest.mark.parametrize("kind", ["direct", "rate"])
def test_the_batch_size_does_not_change_the_answers(
    config: RunConfig, digits: Dataset, network: torch.nn.Module, kind: str
) -> None:
    config = dataclasses.replace(config, encoder=EncoderConfig(kind=kind))
    whole = train.evaluate(network, digits.test(), config, steps=True, operations=True)
    parts = train.evaluate(network, digits.test(), config, steps=True, operations=True, batch_size=100)
    np.testing.assert_array_equal(whole.logits, parts.logits)
    np.testing.assert_array_equal(whole.step_predictions, parts.step_predictions)
    assert whole.spikes == pytest.approx(parts.spikes)
    assert (whole.macs, whole.acs) == pytest.approx((parts.macs, parts.acs))
    assert whole.loss == pytest.approx(parts.loss)
    for one, other in zip(whole.rates, parts.rates, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_the_parts_of_an_evaluation_agree(config: RunConfig, digits: Dataset, network: torch.nn.Module) -> None:
    split = digits.test()
    found = train.evaluate(network, split, config, steps=True)
    assert found.step_logits is not None
    assert found.step_logits.shape == (4, len(split), 10)
    np.testing.assert_array_equal(found.step_logits[-1], found.logits)
    assert found.accuracy == float((found.predictions == split.y).mean())
    assert [rates.shape for rates in found.rates] == [(32,), (10,)]
    spikes = [rate * 4 * neurons for rate, neurons in zip(found.layer_rates, (32, 10), strict=True)]
    assert found.spikes == pytest.approx(spikes, rel=1e-4)
    assert found.spikes[1] == pytest.approx(found.logits.sum(-1).mean())


def test_evaluation_keeps_the_mode_and_leaves_no_gradient(
    config: RunConfig, digits: Dataset, network: torch.nn.Module
) -> None:
    network.train()
    train.evaluate(network, digits.test(), config)
    assert network.training
    assert all(weight.grad is None for weight in network.parameters())


def test_an_artificial_network_has_one_step_and_no_spikes(config: RunConfig, digits: Dataset) -> None:
    found = train.evaluate(build_ann(ModelConfig(hidden=(16,)), (1, 8, 8), 10), digits.test(), config, steps=True)
    assert found.step_predictions.shape == (1, len(digits.test()))
    assert (found.spikes, found.rates, found.macs) == ((), (), None)


def test_scores_of_every_step_are_kept_only_on_demand(
    config: RunConfig, digits: Dataset, network: torch.nn.Module
) -> None:
    with pytest.raises(ValueError, match="steps=True"):
        _ = train.evaluate(network, digits.test(), config).step_predictions
