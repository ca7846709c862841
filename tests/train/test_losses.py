from __future__ import annotations

import pytest
import torch
from torch.nn.functional import one_hot

from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.nn import Output
from leanspike.train import RunConfig
from leanspike.train.losses import classification, rate_penalty, tet

T, B, K = 5, 7, 3


@pytest.fixture
def output() -> Output:
    draws = torch.Generator().manual_seed(1)
    spikes = (torch.rand(T, B, K, generator=draws) < 0.4).double()
    return Output(spikes, torch.randn(T, B, K, generator=draws).double(), ())


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.arange(B) % K


PLAIN = with_settings(RunConfig(), ["train.label_smoothing=0.0", "train.loss=count", "model.readout=count"])


def by_hand(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    target = one_hot(labels, K) * (1 - smoothing) + smoothing / K
    return -(target * torch.log(logits.exp() / logits.exp().sum(-1, keepdim=True))).sum(-1).mean()


def test_count_loss_is_the_cross_entropy_of_spike_counts(output: Output, labels: torch.Tensor) -> None:
    found = classification(output, labels, "count", PLAIN)
    assert output.spikes is not None
    torch.testing.assert_close(found, by_hand(output.spikes.sum(0), labels))


def test_label_smoothing_mixes_in_the_uniform_target(output: Output, labels: torch.Tensor) -> None:
    found = classification(output, labels, "count", with_settings(PLAIN, ["train.label_smoothing=0.3"]))
    assert output.spikes is not None
    torch.testing.assert_close(found, by_hand(output.spikes.sum(0), labels, 0.3))


def test_membrane_loss_follows_the_readout(output: Output, labels: torch.Tensor) -> None:
    config = with_settings(PLAIN, ["train.loss=membrane"])
    u = output.potential
    for kind, logits in (
        ("count", u.mean(0)),
        ("membrane_mean", u.mean(0)),
        ("membrane_last", u[-1]),
        ("membrane_max", u.max(0).values),
    ):
        torch.testing.assert_close(classification(output, labels, kind, config), by_hand(logits, labels))


def test_tet_is_the_mean_over_steps_and_a_pull_to_the_threshold(output: Output, labels: torch.Tensor) -> None:
    u, weight, phi = output.potential, 0.2, 1.5
    entropy = sum(by_hand(step, labels) for step in u) / T
    expected = (1 - weight) * entropy + weight * ((u - phi) ** 2).mean()
    torch.testing.assert_close(tet(u, labels, phi, weight), expected)
    config = with_settings(PLAIN, ["train.loss=tet", "train.tet_lambda=0.2", "neuron.threshold=1.5"])
    torch.testing.assert_close(classification(output, labels, "count", config), expected)


def test_rate_penalty_is_the_mean_squared_distance_to_the_targets() -> None:
    rates = torch.tensor([0.2, 0.5])
    assert rate_penalty(rates, ()).item() == pytest.approx((0.04 + 0.25) / 2)
    assert rate_penalty(rates, (0.1,)).item() == pytest.approx((0.01 + 0.16) / 2)
    assert rate_penalty(rates, (0.1, 0.3)).item() == pytest.approx((0.01 + 0.04) / 2)
    with pytest.raises(ConfigError, match="3 targets for 2 spiking layers"):
        rate_penalty(rates, (0.1, 0.2, 0.3))
