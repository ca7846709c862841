"""The cross-entropy of spike counts in one call of C: loss, hits and gradients are autograd's, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from leanspike.nn import LIF, CountCrossEntropy, Flatten, Linear, Network, NeuronConfig, Output, readout
from leanspike.nn.kernels import library

pytestmark = pytest.mark.skipif(library.load() is None, reason="the C kernels were not built (no C compiler)")

LABELS = torch.arange(13) * 7 % 5


def network(config: NeuronConfig, *sizes: int) -> Network:
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [Linear(before, after), LIF(config, after)]
    with torch.no_grad():
        for layer in layers[::2]:
            assert isinstance(layer, Linear)
            layer.weight.mul_(4)
    return Network(layers)


def spikes(inputs: int) -> Tensor:
    return (torch.rand((6, 13, inputs), generator=torch.Generator().manual_seed(1)) < 0.3).float()


def analogue(inputs: int) -> Tensor:
    return torch.randn((6, 13, inputs), generator=torch.Generator().manual_seed(2)) * 0.5


def the_same_at_every_step(inputs: int) -> Tensor:
    return analogue(inputs)[0].expand(6, 13, inputs)


def gradients(net: Network, loss: Tensor) -> list[Tensor]:
    net.zero_grad()
    loss.backward()
    return [weight.grad for weight in net.parameters() if weight.grad is not None]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("piece", [13, 5])
@pytest.mark.parametrize(
    "config",
    [
        NeuronConfig(beta=0.8),
        NeuronConfig(beta=0.8, reset="zero", detach_reset=False),
        NeuronConfig(beta=0.8, learn_beta=True, learn_threshold=True, surrogate="sigmoid"),
    ],
)
@pytest.mark.parametrize("sizes", [(40, 5), (70, 290, 33, 5)])
@pytest.mark.parametrize("source", [spikes, analogue, the_same_at_every_step])
def test_it_is_the_loss_of_autograd(
    source: Callable[[int], Tensor],
    sizes: tuple[int, ...],
    config: NeuronConfig,
    piece: int,
    smoothing: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, x, share, hits = network(config, *sizes), source(sizes[0]), 0.5, torch.zeros(())
    monkeypatch.setattr("leanspike.nn.network.piece_size", lambda *_: piece)

    def by_autograd(output: Output, samples: slice) -> Tensor:
        counts, own = readout(output, "count"), LABELS[samples]
        hits.add_((counts.argmax(-1) == own).sum())
        return cross_entropy(counts, own, label_smoothing=smoothing) * (share * len(own) / len(LABELS))

    assert net.cuts_batches
    expected = by_autograd(net(x), slice(0, 13))
    wanted = gradients(net, expected)
    counted = CountCrossEntropy(LABELS, share, smoothing)
    found = net.loss(x, counted)
    torch.testing.assert_close(found, expected)
    assert int(counted.right) == int(hits)
    given = gradients(net, found)
    assert len(given) == len(list(net.parameters()))
    assert all(grad.ne(0).any() for grad in given)
    for grad, want in zip(given, wanted, strict=True):
        torch.testing.assert_close(grad, want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("sizes", [(40, 37), (40, 290, 37)])
@pytest.mark.parametrize("source", [spikes, analogue, the_same_at_every_step])
def test_any_other_loss_sees_the_output_layer_and_has_the_gradients_of_autograd(
    source: Callable[[int], Tensor], sizes: tuple[int, ...], learns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = network(NeuronConfig(beta=0.8, learn_beta=learns, learn_threshold=learns), *sizes), source(40)
    monkeypatch.setattr("leanspike.nn.network.piece_size", lambda *_: 5)
    weights, seen = torch.randn((6, 13, 37), generator=torch.Generator().manual_seed(3)), list[Output]()

    def loss_of(output: Output, samples: slice) -> Tensor:
        assert output.spikes is not None
        seen.append(output)
        own = weights[:, samples]
        return (output.potential * own).sum() + (output.spikes * own).square().sum()

    expected = loss_of(net(x), slice(0, 13))
    wanted = gradients(net, expected)
    found = net.loss(x, loss_of)
    torch.testing.assert_close(found, expected)
    whole, *pieces = seen
    assert len(pieces) == (1 if source is analogue else 3)
    assert not any(piece.hidden for piece in pieces)
    for shown in ("potential", "spikes"):
        joined = torch.cat([getattr(piece, shown) for piece in pieces], dim=1)
        torch.testing.assert_close(joined, getattr(whole, shown), rtol=1e-5, atol=1e-5)
    for grad, want in zip(gradients(net, found), wanted, strict=True):
        torch.testing.assert_close(grad, want, rtol=1e-4, atol=1e-5)
    kept = [piece.potential.clone() for piece in pieces]
    net.loss(x, loss_of)
    for piece, before in zip(pieces, kept, strict=True):
        assert torch.equal(piece.potential, before)


def test_images_are_flattened_on_the_way_in() -> None:
    torch.manual_seed(0)
    config = NeuronConfig(beta=0.8)
    net = Network([Flatten(), Linear(32, 20), LIF(config, 20), Linear(20, 5), LIF(config, 5)])
    images = torch.rand((13, 2, 4, 4)) * 3
    for x in (images.expand(6, *images.shape), torch.rand((6, *images.shape)) * 3):
        expected = cross_entropy(readout(net(x), "count"), LABELS)
        wanted = gradients(net, expected)
        found = net.loss(x, CountCrossEntropy(LABELS))
        torch.testing.assert_close(found, expected)
        for grad, want in zip(gradients(net, found), wanted, strict=True):
            torch.testing.assert_close(grad, want, rtol=1e-5, atol=1e-7)


def test_where_no_kernel_serves_it_is_a_loss_like_any_other() -> None:
    net, x = network(NeuronConfig(beta=0.8, refractory=1), 40, 5), spikes(40)
    counted = CountCrossEntropy(LABELS)
    loss = net.loss(x, counted)
    counts = readout(net(x), "count")
    torch.testing.assert_close(loss, cross_entropy(counts, LABELS))
    assert int(counted.right) == int((counts.argmax(-1) == LABELS).sum())


def test_a_label_that_is_no_class_is_named() -> None:
    net = network(NeuronConfig(), 40, 5)
    with pytest.raises(ValueError, match="labels are 0 to 4, not 1 to 5"):
        net.loss(spikes(40), CountCrossEntropy(torch.arange(13) % 5 + 1))


def test_a_batch_without_a_label_for_every_sample_is_refused() -> None:
    net = network(NeuronConfig(), 40, 5)
    with pytest.raises(ValueError, match=r"labels are int64 \[13\], not torch.int64 \[12\]"):
        net.loss(spikes(40), CountCrossEntropy(LABELS[:12]))


@pytest.mark.parametrize("features", [37, 290])
@pytest.mark.parametrize("source", [spikes, analogue, the_same_at_every_step])
def test_a_batch_of_no_samples_has_gradients_of_0(source: Callable[[int], Tensor], features: int) -> None:
    net, nobody = network(NeuronConfig(), 40, 290, features), slice(0, 0)

    def loss_of(output: Output, _: slice) -> Tensor:
        return output.potential.sum()

    for loss in (CountCrossEntropy(LABELS[nobody]), loss_of):
        found = net.loss(source(40)[:, nobody], loss)
        assert float(found.detach()) == 0
        assert not any(grad.any() for grad in gradients(net, found))
