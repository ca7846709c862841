"""A compression is a run: stored, loaded, refused where it is another one, and taken further."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from leanspike import compress, data, train
from leanspike.compress import CompressConfig
from leanspike.core.errors import CheckpointError
from leanspike.models import ModelConfig
from leanspike.nn import Network
from leanspike.train import RunConfig, TrainConfig

SHORT = TrainConfig(epochs=1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("base") / "run"
    config = RunConfig(timesteps=3, model=ModelConfig(hidden=(16,)), train=TrainConfig(epochs=1))
    train.fit(config, data.load("digits").training_only(), out)
    return out


def same(a: Network, b: Network) -> bool:
    there = b.state_dict()
    return all(torch.equal(tensor, there[name]) for name, tensor in a.state_dict().items())


def test_a_compression_is_stored_loaded_and_compressed_further(base: Path, tmp_path: Path) -> None:
    digits, start = data.load("digits").training_only(), compress.load(base)
    first = compress.compress(start.network, start.run, CompressConfig(train=SHORT), digits, tmp_path / "a")
    found = compress.load(tmp_path / "a")
    assert same(found.network, first.network)
    assert found.lineage == first.lineage
    config = CompressConfig(timesteps=2, train=SHORT)
    second = compress.compress(found.network, found.run, config, digits, tmp_path / "b", lineage=found.lineage)
    again = compress.load(tmp_path / "b")
    assert same(again.network, second.network)
    assert again.run.timesteps == 2
    assert again.lineage.steps == (CompressConfig(train=SHORT), config)
    assert again.lineage.run == start.run


def test_another_compression_in_the_folder_is_refused(base: Path, tmp_path: Path) -> None:
    digits, start = data.load("digits").training_only(), compress.load(base)
    compress.compress(start.network, start.run, CompressConfig(train=SHORT), digits, tmp_path / "a")
    with pytest.raises(CheckpointError, match="timesteps is 0 there and 2 now"):
        compress.compress(start.network, start.run, CompressConfig(2, train=SHORT), digits, tmp_path / "a")
    with pytest.raises(CheckpointError, match="no compression"):
        compress.compress(start.network, start.run, CompressConfig(train=SHORT), digits, base)
    for name in ("weight", "bias"):
        getattr(start.network.layers[1], name).data += 1
    with pytest.raises(CheckpointError, match="started_from"):
        compress.compress(start.network, start.run, CompressConfig(train=SHORT), digits, tmp_path / "a")
