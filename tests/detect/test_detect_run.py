"""A whole run on tiny scenes: the program is the quantised network, a kill costs nothing, targets agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_scenes
import torch
from tiny_scenes import TINY

from leanspike import ir, targets
from leanspike.core.errors import CheckpointError, LoweringError
from leanspike.core.trace import mismatches
from leanspike.detect import complete, outcome, windows
from leanspike.detect.evaluate import float_scores, program_scores, quantised_scores
from leanspike.detect.fit import Windows, fit, learning_rate
from leanspike.detect.model import build
from leanspike.detect.run import as_program, integers
from leanspike.nn import Network
from leanspike.train import Progress

pytestmark = pytest.mark.usefixtures("coco")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_scenes.write(tmp_path_factory.mktemp("scenes") / "scenes")


@pytest.fixture(scope="module")
def data(folder: Path) -> Windows:
    training, validation = (windows.load(folder / part, TINY.windows, 10) for part in ("train", "val"))
    return Windows(training, validation, 10)


@pytest.fixture(scope="module")
def quantised(data: Windows) -> Network:
    network = detector()
    fit(network, data, TINY, TINY.train)
    return integers(network, TINY, 3).eval()


def detector() -> Network:
    torch.manual_seed(0)
    return build(TINY.model, 48, 48, 10, 3)


class Killed(Progress):
    """Stops a training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_killed_training_ends_in_the_same_weights(data: Windows, tmp_path: Path) -> None:
    whole, cut = detector(), detector()
    expected = fit(whole, data, TINY, TINY.train)
    for steps in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            fit(detector(), data, TINY, TINY.train, tmp_path, progress=Killed(steps), checkpoint_seconds=0.0)
    found = fit(cut, data, TINY, TINY.train, tmp_path)
    assert [record.loss for record in found.history] == [record.loss for record in expected.history]
    for name, tensor in expected.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_folder_of_another_training_is_refused(data: Windows, tmp_path: Path) -> None:
    fit(detector(), data, TINY, replace(TINY.train, epochs=1), tmp_path)
    with pytest.raises(CheckpointError, match=r"train\.batch_size is 8 there and 4 now"):
        fit(detector(), data, TINY, replace(TINY.train, epochs=1, batch_size=4), tmp_path)


def test_training_lowers_the_loss(data: Windows) -> None:
    longer = replace(TINY.train, epochs=6, learning_rate=5e-3)
    history = fit(detector(), data, TINY, longer).history
    assert history[-1].loss < 0.9 * history[0].loss


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(TINY.train, step, 3) for step in range(6)]
    assert rates[0] == pytest.approx(TINY.train.learning_rate / 2)
    assert max(rates) == rates[1]
    assert rates[-1] < 0.1 * rates[1]
    again = replace(TINY.train, cycles=2)
    assert [learning_rate(again, step, 3) for step in range(4, 6)] == [rates_of_a_cycle(step) for step in (1, 2)]


def rates_of_a_cycle(step: int) -> float:
    return TINY.train.learning_rate * 0.5 * (1 + np.cos(np.pi * step / 3))


def test_the_program_gives_the_quantised_networks_integers(quantised: Network, data: Windows) -> None:
    lowered = as_program(quantised, data.validation)
    expected, found = quantised_scores(quantised, data.training), program_scores(lowered.program, data.training)
    np.testing.assert_array_equal(found, expected)
    assert expected.shape == (len(data.training), 12 * 12 * 15)
    floats = float_scores(quantised, data.training)
    np.testing.assert_allclose(floats, expected * lowered.score_unit, rtol=1e-4, atol=1e-4)


def test_a_detector_of_floats_lowers_too(data: Windows) -> None:
    network = detector()
    fit(network, data, TINY, replace(TINY.train, epochs=1))
    lowered = as_program(network, data.validation)
    found, expected = program_scores(lowered.program, data.validation), float_scores(network, data.validation)
    apart = np.abs(found * lowered.score_unit - expected).mean()
    assert apart < 0.05 * np.abs(expected).mean()


@pytest.mark.parametrize("name", ["engine", "c", "onnx", "tflite"])
def test_targets_give_the_programs_map_of_scores(quantised: Network, data: Windows, name: str, tmp_path: Path) -> None:
    program = as_program(quantised, data.validation).program
    raw = data.validation.raw(slice(0, 4))
    found = targets.run(targets.emit(name, program, tmp_path), raw, record=True)
    wrong = mismatches(ir.run(program, raw, record=True), found)
    assert not any(wrong.values()), wrong


def test_a_whole_run_is_tested_and_written(folder: Path, tmp_path: Path) -> None:
    found = complete(folder, TINY, tmp_path / "run", command="again")
    assert found["equality"] == {"windows": 10, "equal": 10, "boxes": found["equality"]["boxes"]}
    assert found["quality"]["program"] == found["quality"]["quantised"]
    assert 0 <= found["quality"]["float"]["map"] <= found["quality"]["float"]["ap50"] <= 1
    assert json.loads((tmp_path / "run" / "detection.json").read_text()) == found
    program = ir.load(tmp_path / "run" / "detector.lsp")
    assert ir.content_hash(program) == found["program"]["sha256"]
    assert found["program"]["operations"] > 0
    assert complete(folder, TINY, tmp_path / "run")["quality"] == found["quality"]
    with pytest.raises(CheckpointError, match="seed is 0 there and 1 now"):
        complete(folder, replace(TINY, seed=1), tmp_path / "run")


def test_a_program_that_differs_is_an_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "program_scores", lambda program, test: program_scores(program, test) + 1)
    with pytest.raises(LoweringError, match="scores of 10 of 10 test windows differ"):
        complete(folder, TINY, tmp_path / "run")
    assert not (tmp_path / "run" / "detection.json").exists()
