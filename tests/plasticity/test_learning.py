"""Learning over a data set: killed and resumed to the same bits, taught by samples alone, read by labels."""

from __future__ import annotations

import json
import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import DIGITS

from leanspike import data
from leanspike.core.errors import CheckpointError
from leanspike.data import Split, split
from leanspike.plasticity import Trained, answer, decide, encoding, fit, matrix
from leanspike.plasticity.train import rule_of
from leanspike.train import Progress

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["leanspike.plasticity", "sklearn.datasets"])


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


@pytest.fixture(scope="module")
def trained(digits: data.Dataset) -> Trained:
    return fit(DIGITS, digits.training_only(), split(digits, 0.0, 0)[0])


class Killed(Progress):
    """SIGKILL to the own process after so many samples."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGKILL)


def run(out: Path, after: int) -> None:
    found = data.load("digits")
    teaching = split(found, 0.0, 0)[0]
    fit(DIGITS, found.training_only(), teaching, out, progress=Killed(after), checkpoint_seconds=0.0)


def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(
    tmp_path: Path, digits: data.Dataset, trained: Trained
) -> None:
    for after in (300, 1, 600):
        process = PROCESSES.Process(target=run, args=(tmp_path, after))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    resumed = fit(DIGITS, digits.training_only(), split(digits, 0.0, 0)[0], tmp_path)
    assert np.array_equal(resumed.learned.weights, trained.learned.weights)
    assert np.array_equal(resumed.learned.theta, trained.learned.theta)
    assert resumed.history == trained.history


def test_the_samples_teach_and_their_labels_do_not(digits: data.Dataset, trained: Trained) -> None:
    teaching = split(digits, 0.0, 0)[0]
    wrong = Split(teaching.x, np.roll(teaching.y, 7), teaching.numbers)
    other = fit(DIGITS, digits.training_only(), wrong)
    assert np.array_equal(other.learned.weights, trained.learned.weights)
    assert [r.spikes for r in other.history] == [r.spikes for r in trained.history]


def test_the_network_reads_digits_it_was_never_told(digits: data.Dataset, trained: Trained) -> None:
    teaching, test = split(digits, 0.0, 0)[0], digits.test()
    labels = answer.label(DIGITS, trained.learned, teaching, 10, threads=2)
    spikes = answer.spikes(DIGITS, trained.learned, test, encoding.final_seed(0))
    for readout in ("assigned", "mean", "proportion"):
        accuracy = (decide(spikes, matrix(labels, readout)) == test.y).mean()
        assert accuracy > 0.6, readout
    blank = fit(replace(DIGITS, samples=1, passes=1), digits.training_only(), teaching).learned
    first = answer.spikes(DIGITS, blank, test, encoding.final_seed(0))
    blind = matrix(answer.label(DIGITS, blank, teaching, 10), "mean")
    assert (decide(first, blind) == test.y).mean() < 0.6


def test_the_history_tells_windows_with_their_accuracy(trained: Trained) -> None:
    assert trained.history[0].accuracy is None
    assert trained.history[-1].samples == DIGITS.passes * DIGITS.samples
    assert all(record.accuracy is not None for record in trained.history[1:])
    assert trained.history[-1].accuracy > 0.5
    assert all(record.spikes > 0 for record in trained.history)


def test_batches_sum_their_changes(digits: data.Dataset, trained: Trained) -> None:
    config = replace(DIGITS, batch=16, passes=1)
    found = fit(config, digits.training_only(), split(digits, 0.0, 0)[0])
    assert not np.array_equal(found.learned.weights, trained.learned.weights)
    assert found.learned.weights.mean() == pytest.approx(config.rule.mean_weight, rel=1e-3)


def test_rates_cool_from_pass_to_pass() -> None:
    rule = rule_of(replace(DIGITS, cooling=0.5), 2)
    assert rule.rate_post == pytest.approx(DIGITS.rule.rate_post / 4)
    assert rule.rate_pre == pytest.approx(DIGITS.rule.rate_pre / 4)


def test_a_folder_of_another_run_is_refused(tmp_path: Path, digits: data.Dataset) -> None:
    teaching = split(digits, 0.0, 0)[0]
    config = replace(DIGITS, samples=100, passes=1)
    fit(config, digits.training_only(), teaching, tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(CheckpointError, match="seed is 0 there and 1 now"):
        fit(replace(config, seed=1), digits.training_only(), teaching, tmp_path)
    assert (tmp_path / "config.json").read_bytes() == before
    page = json.loads((tmp_path / "checkpoint.json").read_text())
    (tmp_path / page["file"]).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        fit(config, digits.training_only(), teaching, tmp_path)


def test_levels_and_thresholds_are_those_of_the_rate_encoder() -> None:
    import torch

    from leanspike.encode.rate import thresholds16

    levels = torch.arange(256, dtype=torch.float32) / 255
    for rate in (0.064, 0.2, 1.0):
        assert np.array_equal(encoding.table(rate), thresholds16(levels.double(), rate).numpy())
    images = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    assert encoding.raw(images)[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert encoding.raw(images.astype(np.float32) / 255).tolist() == encoding.raw(images).tolist()


def test_orders_are_permutations_that_differ_by_pass_and_seed() -> None:
    orders = [encoding.order(seed, number, 50) for seed, number in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert not any(np.array_equal(orders[0], other) for other in orders[1:])
