from __future__ import annotations

import ctypes
import dataclasses
import gc
import math
import mmap
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from training_processes import PROCESSES

from leanspike import data, models, nn, train
from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.data import Dataset, TrainingData
from leanspike.train import RunConfig, TrainResult
from leanspike.train.optimizer import learning_rate


def weights(result: TrainResult) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in result.network.state_dict().values()]


def same(one: TrainResult, other: TrainResult) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def first_gradient(config: RunConfig, training: TrainingData) -> torch.Tensor:
    """Of the only step of a run with one batch, as the loop hands it to the optimizer."""
    config = with_settings(config, ["train.epochs=1", "train.batch_size=4000", "train.validation=0.0"])
    found: list[torch.Tensor] = []

    def keep(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        grads = [weight.grad.flatten() for group in optimizer.param_groups for weight in group["params"]]
        found.append(torch.cat(grads).clone())

    handle = register_optimizer_step_pre_hook(keep)
    try:
        train.fit(config, training)
    finally:
        handle.remove()
    (gradient,) = found
    return gradient


def test_a_run_learns_digits(training: TrainingData, digits: Dataset) -> None:
    config = with_settings(RunConfig(), ["train.epochs=8", "train.learning_rate=5e-3", "train.schedule=cosine"])
    result = train.fit(config, training)
    found = train.evaluate(result.network, digits.test(), config)
    assert found.accuracy > 0.95
    assert result.validation_accuracy is not None
    assert abs(result.validation_accuracy - found.accuracy) < 0.05


def test_equal_configurations_give_equal_weights_and_other_seeds_others(
    config: RunConfig, training: TrainingData
) -> None:
    first = train.fit(config, training)
    torch.rand(7)
    assert same(first, train.fit(config, training))
    assert not same(first, train.fit(dataclasses.replace(config, seed=1), training))


def test_training_leaves_the_callers_random_numbers_alone(config: RunConfig, training: TrainingData) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train.fit(config, training)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    "setting",
    [
        "train.optimizer=sgd",
        "train.clip_norm=0.05",
        "train.loss=membrane",
        "train.loss=tet",
        "train.label_smoothing=0.1",
        "train.ema=0.9",
        "train.augment_shift=1",
        "train.augment_flip=true",
        "train.weight_decay=0.01",
        "train.optimizer=adamw train.weight_decay=0.01",
        "train.rate_penalty=5.0",
        "train.schedule=cosine",
        "encoder.kind=rate",
        "model.dropout=0.2",
        "model.norm=batch",
        "train.precision=bf16-mixed",
    ],
)
def test_every_setting_trains_and_changes_the_result(config: RunConfig, training: TrainingData, setting: str) -> None:
    config = with_settings(config, ["train.epochs=2"])
    changed = train.fit(with_settings(config, setting.split()), training)
    assert changed.history[-1].loss < changed.history[0].loss
    plain = train.fit(config, training)
    assert not torch.equal(weights(plain)[0], weights(changed)[0])


def test_learning_rates_are_torchs_own() -> None:
    for setting, schedule in (
        ("step", lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 12)),
        ("none", lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
    ):
        config = with_settings(
            RunConfig(), ["train.epochs=12", f"train.schedule={setting}", "train.step_size=3", "train.gamma=0.5"]
        ).train
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.learning_rate)
        theirs = schedule(optimizer)
        for epoch in range(12):
            assert learning_rate(config, epoch) == pytest.approx(theirs.get_last_lr()[0])
            optimizer.step()
            theirs.step()


@pytest.mark.parametrize("setting", ["train.loss=count", "train.loss=tet", "encoder.kind=rate"])
def test_micro_batches_sum_to_the_gradient_of_the_whole_batch(
    config: RunConfig, training: TrainingData, setting: str
) -> None:
    config = with_settings(config, [setting])
    whole = first_gradient(with_settings(config, ["train.micro_batch=4000"]), training)
    cut = first_gradient(with_settings(config, ["train.micro_batch=77"]), training)
    assert float((whole - cut).norm() / whole.norm()) < 1e-6


@pytest.mark.parametrize("setting", ["train.rate_penalty=1.0", "model.norm=batch"])
def test_a_loss_that_is_not_a_sum_over_samples_is_not_cut(
    config: RunConfig, training: TrainingData, setting: str
) -> None:
    config = with_settings(config, [setting])
    whole = first_gradient(config, training)
    assert torch.equal(whole, first_gradient(with_settings(config, ["train.micro_batch=77"]), training))


def test_the_rate_penalty_moves_the_rates_to_their_targets(config: RunConfig, training: TrainingData) -> None:
    settings = ["train.epochs=6", "train.rate_penalty=300.0", "train.target_rates=[0.3, 0.1]"]
    rates = train.fit(with_settings(config, settings), training).history[-1].rates
    assert rates == pytest.approx((0.3, 0.1), abs=0.03)


def test_the_best_validation_epoch_is_kept(config: RunConfig, training: TrainingData) -> None:
    config = with_settings(config, ["train.epochs=6", "train.learning_rate=0.05"])
    result = train.fit(config, training)
    accuracies = [record.validation_accuracy for record in result.history]
    assert accuracies[result.best_epoch - 1] == max(accuracies)
    _, validation = data.split(training, config.train.validation, config.seed)
    found = train.evaluate(result.network, validation, config)
    assert found.accuracy == pytest.approx(result.validation_accuracy)
    assert found.loss == pytest.approx(result.history[result.best_epoch - 1].validation_loss)


def test_early_stopping_waits_as_many_epochs_as_asked(config: RunConfig, training: TrainingData) -> None:
    config = with_settings(config, ["train.epochs=40", "train.patience=2", "train.learning_rate=0.05"])
    result = train.fit(config, training)
    assert len(result.history) == result.best_epoch + 2 < 40


def test_without_validation_the_last_epoch_is_kept(config: RunConfig, training: TrainingData) -> None:
    result = train.fit(with_settings(config, ["train.validation=0.0"]), training)
    assert result.best_epoch == 3
    assert result.validation_accuracy is None


def test_a_loss_that_is_not_finite_is_an_error(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    config = with_settings(config, ["train.loss=membrane", "train.learning_rate=1e38", "train.optimizer=sgd"])
    with pytest.raises(ConfigError, match=r"train\.learning_rate: the loss is (nan|inf) in epoch 1; lower it"):
        train.fit(config, training, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_an_artificial_network_trains_in_the_same_loop(training: TrainingData, digits: Dataset) -> None:
    config = with_settings(RunConfig(), ["train.epochs=8", "train.learning_rate=5e-3"])
    torch.manual_seed(0)
    result = train.fit(config, training, network=models.build_ann(config.model, training.shape, 10))
    assert train.evaluate(result.network, digits.test(), config).accuracy > 0.93


def test_a_network_of_ones_own_trains_and_is_loaded_again(training: TrainingData, tmp_path: Path) -> None:
    def network() -> nn.Network:
        neuron = nn.NeuronConfig(beta=0.8)
        hidden = [nn.Flatten(), nn.Linear(64, 30), nn.LIF(neuron, 30)]
        return nn.Network([*hidden, nn.Linear(30, 10), nn.LeakyIntegrator(neuron, 10)], readout="membrane_max")

    config = with_settings(
        RunConfig(), ["train.epochs=3", "train.loss=membrane", "train.learning_rate=5e-3", "train.schedule=none"]
    )
    result = train.fit(config, training, tmp_path, network=network())
    assert result.validation_accuracy is not None
    assert result.validation_accuracy > 0.7
    loaded_config, loaded = train.load_network(tmp_path, network())
    assert loaded_config == config
    for a, b in zip(loaded.parameters(), result.network.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device has half precision")
def test_half_precision_without_a_gpu_is_an_error(training: TrainingData) -> None:
    with pytest.raises(ConfigError, match=r"train\.precision.*needs a CUDA device"):
        train.fit(with_settings(RunConfig(), ["train.precision=16-mixed"]), training)


def test_counting_spikes_that_an_own_network_has_not_is_an_error(config: RunConfig, training: TrainingData) -> None:
    neuron = nn.NeuronConfig()
    network = nn.Network([nn.Flatten(), nn.Linear(64, 10), nn.LeakyIntegrator(neuron, 10)], readout="membrane_last")
    with pytest.raises(ConfigError, match=r"train\.loss.*no output spikes"):
        train.fit(config, training, network=network)


def test_the_test_set_cannot_be_reached_from_what_training_is_given(digits: Dataset) -> None:
    with pytest.raises(TypeError, match="training_only"):
        train.fit(RunConfig(), digits)  # type: ignore[arg-type]
    given = digits.training_only()
    seen, front = set(), [given]
    while front:
        thing = front.pop()
        if id(thing) not in seen and not isinstance(thing, type):
            seen.add(id(thing))
            front += gc.get_referents(thing)
            base = getattr(thing, "base", None)
            front += [base] if isinstance(thing, np.ndarray) and base is not None else []
    assert id(given.x) in seen
    for forbidden in (digits, digits.x_test, digits.y_test):
        assert id(forbidden) not in seen
        assert not any(np.shares_memory(forbidden, kept) for kept in (given.x, given.y) if forbidden is not digits)


def _forbidden(array: np.ndarray) -> tuple[np.ndarray, Any]:
    """A copy of the array in pages of its own, and a function that makes any look at them end the process."""
    pages = mmap.mmap(-1, max(1, array.nbytes))
    copy = np.frombuffer(pages, array.dtype).reshape(array.shape)
    copy[...] = array
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return copy, lambda: libc.mprotect(copy.ctypes.data, math.ceil(array.nbytes / mmap.PAGESIZE) * mmap.PAGESIZE, 0)


def _train_beside_a_forbidden_test_set(config: RunConfig, out: Path, then_test: bool) -> None:
    torch.set_num_threads(1)
    plain = data.load("digits")
    (x, forbid_x), (y, forbid_y) = _forbidden(plain.x_test), _forbidden(plain.y_test)
    dataset = dataclasses.replace(plain, x_test=x, y_test=y)
    assert (forbid_x(), forbid_y()) == (0, 0)
    result = train.fit(config, dataset.training_only(), out)
    if then_test:
        train.evaluate(result.network, dataset.test(), config)


def test_training_never_looks_at_the_test_set(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    for name, then_test, expected in (("fit", False, 0), ("evaluate", True, -signal.SIGSEGV)):
        arguments = (config, tmp_path / name, then_test)
        process = PROCESSES.Process(target=_train_beside_a_forbidden_test_set, args=arguments)
        process.start()
        process.join(60)
        assert process.exitcode == expected
    _, trained = train.load_network(tmp_path / "fit")
    for a, b in zip(trained.parameters(), train.fit(config, training).network.parameters(), strict=True):
        assert torch.equal(a, b)
