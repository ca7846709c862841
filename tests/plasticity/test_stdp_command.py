"""``leanspike stdp``: what it writes, what it tells, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import settings

from leanspike import cli, ir
from leanspike.plasticity import NeuronConfig
from leanspike.train.checkpoint import read

FILES = {
    "config.json", "checkpoint.json", "network.json", "network.safetensors", "results.json", "report.html", "net.lsp",
    "receptive-fields.png", "labels.png", "confusion.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stdp") / "run"
    arguments = ["--config", str(settings(out.parent)), "--set", "validation=0.1"]
    assert cli.main(["stdp", "digits", "--out", str(out), *arguments]) == 0
    return out


def test_a_run_leaves_results_a_page_pictures_and_a_program(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= FILES
    found = json.loads((folder / "results.json").read_text())
    assert found["accuracy"] > 0.6
    assert found["validation_accuracy"] > 0.6
    assert found["program"]["same"] > 0.95
    assert found["accuracy_ci95"][0] < found["accuracy"] < found["accuracy_ci95"][1]
    assert np.sum(found["confusion"]) == found["test_samples"]
    assert np.trace(found["confusion"]) == round(found["accuracy"] * found["test_samples"])
    assert found["program"]["sha256"] == ir.content_hash(ir.load(folder / "net.lsp"))
    assert read(folder, "network.json").tensors["weights"].shape == (64, 40)
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64") == 3
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_program_is_checked_and_measured_like_any_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(folder / "net.lsp"), "--target", "engine", "--samples", "20"]) == 0
    capsys.readouterr()
    assert cli.main(["measure", str(folder / "net.lsp"), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    expected = json.loads((folder / "results.json").read_text())["program"]["accuracy"]
    assert measured["accuracy"] == pytest.approx(expected)


def test_a_finished_run_is_told_again_and_another_one_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "results.json").read_bytes()
    again = ["stdp", "digits", "--out", str(folder), "--config", str(folder / "config.json")]
    assert cli.main(again) == 0
    assert "finished; nothing was learned" in capsys.readouterr().err
    assert cli.main([*again, "--seed", "1"]) == 2
    assert "another configuration: seed is 0 there and 1 now" in capsys.readouterr().err
    assert (folder / "results.json").read_bytes() == before


def test_without_rest_as_reset_there_is_no_program_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["--config", str(settings(tmp_path)), "--samples", "50", "--passes", "1"]
    assert cli.main(["stdp", "digits", "--out", str(out), *arguments, "--set", "neuron.reset=5.0"]) == 0
    assert "none: neuron.reset is not 0" in capsys.readouterr().out
    assert not (out / "net.lsp").exists()
    assert json.loads((out / "results.json").read_text())["program"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["digits", "--neurons", "0"], "neurons: 0 is not a possible value"),
        (["digits", "--rule", "hebb"], "one of pair, triplet"),
        (["digits", "--set", "rule.nu=1"], "unknown configuration key"),
        (["digits", "--threads", "0"], "--threads"),
        (["digits", "--config", "missing.toml"], "cannot be read"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stdp", *arguments, "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_samples_that_are_no_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = np.zeros((8, 1, 12), dtype=np.float32), np.arange(8) % 2
    np.savez(tmp_path / "series.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert cli.main(["stdp", str(tmp_path / "series.npz"), "--out", str(tmp_path / "run")]) == 2
    assert "series samples" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_out_of_files_reach_the_network(folder: Path) -> None:
    kept = json.loads((folder / "config.json").read_text())
    assert NeuronConfig(**kept["neuron"]).inhibition == 60.0
