"""The learned network as a program: what it says, and that every target says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import DIGITS

from leanspike import data, engine, ir
from leanspike.core.errors import ConfigError, LoweringError
from leanspike.core.trace import mismatches
from leanspike.data import split
from leanspike.plasticity import Learned, StdpLowering, answer, decide, encoding, fit, lower, matrix
from leanspike.targets import base


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


@pytest.fixture(scope="module")
def learned(digits: data.Dataset) -> Learned:
    return fit(DIGITS, digits.training_only(), split(digits, 0.0, 0)[0]).learned


@pytest.fixture(scope="module")
def readout(digits: data.Dataset, learned: Learned) -> np.ndarray:
    return matrix(answer.label(DIGITS, learned, split(digits, 0.0, 0)[0], 10), "mean")


@pytest.fixture(scope="module")
def program(digits: data.Dataset, learned: Learned, readout: np.ndarray) -> ir.Program:
    return lower(DIGITS, learned, readout, digits.shape, "digits-stdp")


def test_the_program_decides_as_the_network_does(
    digits: data.Dataset, learned: Learned, readout: np.ndarray, program: ir.Program
) -> None:
    test = digits.test()
    spikes = answer.spikes(DIGITS, learned, test, encoding.final_seed(0))
    found = engine.run(program, ir.raw_samples(program, test.x), test.numbers)
    assert (found.predictions == decide(spikes, readout)).mean() > 0.95
    assert found.spikes["s"].sum() == pytest.approx(spikes.sum(), rel=0.05)


@pytest.mark.parametrize("target", ["engine", "c", "onnx"])
def test_targets_agree_with_the_reference_in_every_spike(
    target: str, digits: data.Dataset, program: ir.Program, tmp_path: Path
) -> None:
    test = digits.test()
    raw, numbers = ir.raw_samples(program, test.x)[:12], test.numbers[:12]
    found = base.run(base.emit(target, program, tmp_path), raw, numbers)
    counted = mismatches(ir.run(program, raw, numbers), found)
    assert len(counted) >= 6
    assert not any(counted.values()), counted


def test_without_refractory_steps_a_neuron_does_not_inhibit_itself(
    digits: data.Dataset, learned: Learned, readout: np.ndarray
) -> None:
    config = replace(DIGITS, neuron=replace(DIGITS.neuron, refractory=0))
    found = lower(config, learned, readout, digits.shape, "digits-stdp")
    assert [op.result.name for op in found.operations if isinstance(op, ir.Scale)] == ["own"]
    test = digits.test()
    spikes = answer.spikes(config, learned, test, encoding.final_seed(0))
    predictions = engine.run(found, ir.raw_samples(found, test.x), test.numbers).predictions
    assert (predictions == decide(spikes, readout)).mean() > 0.95


def test_what_a_program_cannot_say_is_refused(digits: data.Dataset, learned: Learned, readout: np.ndarray) -> None:
    config = replace(DIGITS, neuron=replace(DIGITS.neuron, reset=5.0))
    with pytest.raises(LoweringError, match="reset to rest"):
        lower(config, learned, readout, digits.shape, "x")
    with pytest.raises(LoweringError, match="no neuron has a label"):
        lower(DIGITS, learned, np.zeros_like(readout), digits.shape, "x")
    with pytest.raises(ConfigError, match="2 to 16"):
        StdpLowering(weight_bits=1)
