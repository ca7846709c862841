from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import pytest
import torch
from training_processes import PROCESSES, digest, kill_after

from leanspike import data, train
from leanspike.core.errors import CheckpointError
from leanspike.core.records import with_settings
from leanspike.data import TrainingData
from leanspike.train import Progress, RunConfig
from leanspike.train.checkpoint import Checkpoint, load, pack, read, save, unpack


class Heard(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def saved(folder: Path, epochs: int) -> None:
    for epoch in range(1, epochs + 1):
        save(folder, Checkpoint({"w": torch.full((100,), float(epoch))}, {"epoch": epoch}), epoch, 0)


def last_file(folder: Path) -> Path:
    return folder / json.loads((folder / "checkpoint.json").read_text())["file"]


def test_what_is_packed_comes_back_and_equal_content_gives_equal_bytes() -> None:
    tensors = {"a": torch.randn(3, 4).t(), "b": torch.arange(5), "c": torch.tensor(2.0, dtype=torch.float64)}
    content = pack(tensors, {"epoch": 3, "history": [{"x": 1.5}]})
    back = unpack(content)
    assert back.facts == {"epoch": 3, "history": [{"x": 1.5}]}
    assert back.tensors.keys() == tensors.keys()
    assert all(torch.equal(back.tensors[name], tensors[name]) for name in tensors)
    assert pack(dict(reversed(tensors.items())), {"history": [{"x": 1.5}], "epoch": 3}) == content


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    assert load(tmp_path) == (None, None)
    saved(tmp_path, 4)
    (tmp_path / ".checkpoint.json.k1lled").write_text("left by a killed process")
    saved(tmp_path, 4)
    found, warning = load(tmp_path)
    assert found is not None
    assert (found.facts, warning) == ({"epoch": 4}, None)
    names = {path.name for path in tmp_path.iterdir()}
    files = {f"checkpoint-0000{epoch}-0000000.safetensors" for epoch in (3, 4)}
    assert names == {"checkpoint.json", "checkpoint-previous.json", *files}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "page", "empty page"])
def test_a_damaged_checkpoint_is_replaced_by_the_one_before_with_a_word(tmp_path: Path, damage: str) -> None:
    saved(tmp_path, 2)
    path, page = last_file(tmp_path), tmp_path / "checkpoint.json"
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "truncated":
        path.write_bytes(content[:middle])
    elif damage == "flipped":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "missing":
        path.unlink()
    else:
        page.write_text("{" if damage == "page" else "")
    found, warning = load(tmp_path)
    assert found is not None
    assert found.facts == {"epoch": 1}
    assert warning is not None
    assert "going on from the checkpoint before it" in warning
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"is damaged.*remove .* to train anew"):
        load(tmp_path)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    config: RunConfig, training: TrainingData, tmp_path: Path
) -> None:
    train.fit(config, training, tmp_path)
    expected = digest(tmp_path / "network.safetensors")
    (tmp_path / "network.safetensors").unlink()
    last_file(tmp_path).write_bytes(b"no checkpoint")
    heard = Heard()
    train.fit(config, training, tmp_path, progress=heard)
    assert digest(tmp_path / "network.safetensors") == expected
    (warning,) = heard.said
    assert "is damaged" in warning
    assert last_file(tmp_path).name == "checkpoint-00003-0000000.safetensors"


def test_a_finished_run_is_not_trained_again(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    first = train.fit(config, training, tmp_path)
    again = train.fit(config, training, tmp_path)
    assert again.history == first.history
    assert again.best_epoch == first.best_epoch


def test_another_configuration_is_refused_by_name(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    train.fit(config, training, tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    other = with_settings(config, ["train.epochs=4", "neuron.beta=0.5"])
    with pytest.raises(CheckpointError) as caught:
        train.fit(other, training, tmp_path)
    line = caught.value.line()
    assert "neuron.beta is 0.9 there and 0.5 now, train.epochs is 3 there and 4 now" in line
    assert "choose another --out" in line
    assert (tmp_path / "config.json").read_bytes() == before


def test_other_data_are_refused(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    train.fit(config, training, tmp_path)
    other = data.split(training, 0.5, 0)[0]
    changed = TrainingData("digits", other.x, other.y, training.classes, "image", "", "")
    with pytest.raises(CheckpointError, match=r"data\.crc32 is"):
        train.fit(config, changed, tmp_path)


def test_weights_of_another_network_are_refused(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    train.fit(config, training, tmp_path)
    other = train.build_network(with_settings(config, ["model.hidden=[5]"]), training.shape, 10)
    with pytest.raises(CheckpointError, match="another network"):
        train.load_network(tmp_path, other)


def test_a_folder_without_a_finished_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"network\.json"):
        train.load_network(tmp_path)


def _run(config: RunConfig, out: Path) -> None:
    torch.set_num_threads(1)
    train.fit(config, data.load("digits").training_only(), out, checkpoint_seconds=0.0)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.dropout=0.3", "train.ema=0.9", "train.schedule=cosine", "encoder.kind=rate"],
        ["train.optimizer=sgd", "model.norm=batch", "train.augment_shift=1"],
    ],
    ids=["plain", "random", "norm"],
)
def test_killed_at_any_moment_and_resumed_gives_the_same_bytes(
    config: RunConfig, tmp_path: Path, settings: list[str]
) -> None:
    config = with_settings(config, settings)
    _run(config, tmp_path / "whole")
    draws, out, places = random.Random(5), tmp_path / "killed", []
    for _ in range(100):
        process = PROCESSES.Process(target=_run, args=(config, out))
        process.start()
        kill_after(process, out / "checkpoint.json", draws.randrange(9), draws.uniform(0.0, 0.02))
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        if (out / "checkpoint.json").exists():
            page = json.loads((out / "checkpoint.json").read_text())
            places.append((page["epoch"], page["step"]))
    assert process.exitcode == 0
    assert len(places) >= 3, "the run was not killed often enough to show anything"
    assert any(step for _, step in places), "no kill fell within an epoch"
    assert digest(out / "network.safetensors") == digest(tmp_path / "whole" / "network.safetensors")
    whole, resumed = load(tmp_path / "whole")[0], load(out)[0]
    assert whole is not None
    assert resumed is not None
    assert all(torch.equal(tensor, resumed.tensors[name]) for name, tensor in whole.tensors.items())
    timeless = ("loss", "accuracy", "validation_loss", "validation_accuracy", "rates", "learning_rate")
    for one, other in zip(whole.facts["history"], resumed.facts["history"], strict=True):
        assert [one[key] for key in timeless] == [other[key] for key in timeless]


def test_a_missing_page_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not here") as caught:
        read(tmp_path / "nowhere", "network.json")
    assert "remove" not in caught.value.line()
