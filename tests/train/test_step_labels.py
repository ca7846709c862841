"""Labels of single steps: split, loss, counting, training, and the program that says the same in every step."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from leanspike import ir
from leanspike.core.errors import ConfigError, DataError, EncodingError
from leanspike.data import Dataset, split, whole_samples
from leanspike.encode import EncoderConfig
from leanspike.ir.fast import decisions
from leanspike.lower.runs import loss_of, lower_network
from leanspike.measure.program import measure
from leanspike.measure.quality import accuracy, confusion, correct, share_interval, wilson
from leanspike.models import ModelConfig
from leanspike.nn import NeuronConfig, Output
from leanspike.train import RunConfig, TrainConfig, evaluate, fit
from leanspike.train.losses import classification, per_step

STEPS, INPUTS, CLASSES = 24, 6, 3


def waves(count: int, seed: int) -> tuple[Any, Any]:
    """Spikes of one of three pairs of inputs at a time; its class is the label, and a quarter of the steps has none."""
    random = np.random.default_rng(seed)
    y = np.repeat(random.integers(0, CLASSES, (count, STEPS // 4)), 4, axis=1)
    rate = np.where(np.arange(INPUTS)[None, None] // 2 == y[..., None], 0.7, 0.05)
    x = (random.random((count, STEPS, INPUTS)) < rate) * np.uint8(255)
    return x[..., None, None], np.where(random.random(y.shape) < 0.25, -1, y).astype(np.int64)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    train, test = waves(96, 0), waves(24, 1)
    return Dataset("waves", *train, *test, ("a", "b", "c"), "events", "none", "made by the test")


def run(**train: Any) -> RunConfig:
    return RunConfig(
        dataset="waves",
        timesteps=STEPS,
        encoder=EncoderConfig(kind="frames"),
        neuron=NeuronConfig(beta=0.5, adapt_strength=0.3, adapt_decay=0.8),
        model=ModelConfig(hidden=(16,), readout="membrane_last"),
        train=TrainConfig(**({"epochs": 4, "batch_size": 16, "learning_rate": 2e-2, "validation": 0.25} | train)),
    )


def test_labels_belong_to_steps(dataset: Dataset) -> None:
    assert dataset.per_step
    training, validation = split(dataset, 0.25, seed=3)
    assert len(validation) == 24
    assert training.y.shape == (72, STEPS)
    with pytest.raises(DataError, match=r"y_train of shape \[96, 23\]"):
        dataclasses.replace(dataset, y_train=dataset.y_train[:, 1:])
    with pytest.raises(DataError, match="at least one of them known"):
        dataclasses.replace(dataset, y_train=np.full_like(dataset.y_train, -1))
    with pytest.raises(DataError, match=r"outside -1\.\.2"):
        dataclasses.replace(dataset, y_train=dataset.y_train - 1)
    with pytest.raises(DataError, match="labels are those of single steps, and this needs one a sample"):
        whole_samples(dataset)


def test_the_loss_leaves_unlabelled_steps_out_and_is_a_sum_over_samples() -> None:
    potential = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([[0, 1, -1, 2, 1], [-1, -1, -1, -1, 2], [0, 0, 0, 0, 0], [1, -1, 2, -1, 0]])
    steps = [
        cross_entropy(potential[t, b], labels[b, t], label_smoothing=0.1)
        for b in range(4) for t in range(5) if labels[b, t] >= 0
    ]  # fmt: skip
    loss = per_step(potential, labels, 0.1)
    torch.testing.assert_close(loss, torch.stack(steps).sum() / 20)
    halves = (per_step(potential[:, :2], labels[:2], 0.1) + per_step(potential[:, 2:], labels[2:], 0.1)) / 2
    torch.testing.assert_close(loss, halves)
    (grad,) = torch.autograd.grad(
        classification(Output(None, potential, ()), labels, "membrane_last", run()), potential
    )
    assert bool((grad.transpose(0, 1)[labels < 0] == 0).all())


def test_counting_leaves_unlabelled_steps_out() -> None:
    labels = np.array([[0, 1, -1], [2, -1, -1], [1, 1, 1]])
    predictions = np.array([[0, 0, 0], [2, 2, 2], [1, 1, 0]])
    assert correct(predictions, labels) == 4
    assert accuracy(predictions, labels) == 4 / 6
    assert confusion(predictions, labels, 3).tolist() == [[1, 0, 0], [2, 2, 0], [0, 0, 1]]
    low, high = share_interval(predictions, labels)
    assert 0 <= low < 4 / 6 < high <= 1
    assert share_interval(predictions[:, 0], labels[:, 0]) == wilson(3, 3)
    same = np.repeat(labels, 50, axis=0)
    assert share_interval(np.repeat(predictions, 50, axis=0), same)[0] > low


def test_a_network_learns_them_and_its_program_says_the_same(dataset: Dataset) -> None:
    config = run()
    trained = fit(config, dataset.training_only())
    found = evaluate(trained.network, dataset.test(), config, operations=True)
    assert found.logits.shape == (24, STEPS, CLASSES)
    assert found.accuracy == accuracy(found.predictions, found.labels) > 0.7
    assert trained.history[-1].accuracy > 0.6
    lowered = lower_network(trained.network, config, dataset)
    loss = loss_of(lowered, trained.network, config, dataset)
    assert abs(loss.float_accuracy - loss.program_accuracy) < 0.05
    assert loss.same > 0.9
    program = lowered.program
    raw, test = ir.raw_samples(program, dataset.x_test), dataset.test()
    said = decisions(program, raw, test.numbers, test.y)
    trace = ir.run(program, raw, record=True)
    assert np.array_equal(said, trace.step_states[program.operations[-1].state].argmax(-1).T)
    measured = measure(program, raw, test.y, test.numbers)
    assert measured.accuracy == accuracy(said, test.y)
    assert np.array_equal(measured.predictions, said)


def test_pieces_of_a_batch_give_the_same_training(dataset: Dataset) -> None:
    whole, cut = (fit(run(epochs=1, micro_batch=size), dataset.training_only()) for size in (16, 5))
    for a, b in zip(whole.network.parameters(), cut.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert whole.history[0].accuracy == pytest.approx(cut.history[0].accuracy, abs=0.02)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": ModelConfig(readout="membrane_mean")}, "model.readout: 'membrane_mean'"),
        ({"timesteps": 12}, "timesteps: 12 is not a possible value; 24"),
        ({"encoder": EncoderConfig(kind="direct")}, "encoder.kind"),
        ({"train": TrainConfig(loss="tet")}, "train.loss: 'tet'"),
    ],
)
def test_what_cannot_learn_them_is_refused(dataset: Dataset, change: dict[str, Any], told: str) -> None:
    config = dataclasses.replace(run(), **change)
    with pytest.raises((ConfigError, EncodingError), match=told):
        fit(config, dataset.training_only())
