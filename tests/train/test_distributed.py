from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch.optim.optimizer import register_optimizer_step_pre_hook
from training_processes import PROCESSES

from leanspike import data, train
from leanspike.core.records import with_settings
from leanspike.train import RunConfig

CASES = {
    "plain": [],
    "uneven": ["train.batch_size=101"],
    "micro": ["train.micro_batch=19"],
    "penalty": ["train.rate_penalty=2.0", "train.target_rates=[0.1]", "train.batch_size=101"],
    "rate": ["encoder.kind=rate", "train.loss=tet", "train.augment_shift=1"],
}
Tensors = dict[str, torch.Tensor]


def _rank(rank: int, processes: int, port: int, out: Path) -> None:
    """One process of a run as torchrun starts it: first gradients, final weights and figures of every case."""
    torch.set_num_threads(1)
    ranks = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {name: str(value) for name, value in (ranks | master).items()}
    fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp")
    fabric.launch()
    training = data.load("digits").training_only()
    tensors: Tensors = {}
    case = ""

    def keep(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        grads = [weight.grad.flatten() for group in optimizer.param_groups for weight in group["params"]]
        tensors.setdefault(f"{case}.gradient", torch.cat(grads).clone())

    register_optimizer_step_pre_hook(keep)
    base = ["timesteps=4", "model.hidden=[32]", "model.readout=count", "train.loss=count", "train.label_smoothing=0.0"]
    base += ["train.epochs=2", "train.learning_rate=5e-3", "train.schedule=none"]
    for case, settings in CASES.items():
        result = train.fit(with_settings(RunConfig(), base + settings), training, out / case, fabric=fabric)
        tensors[f"{case}.weights"] = torch.cat([weight.detach().flatten() for weight in result.network.parameters()])
        last = result.history[-1]
        figures = [last.loss, last.accuracy, last.validation_loss, last.validation_accuracy, *last.rates]
        tensors[f"{case}.figures"] = torch.tensor(figures, dtype=torch.float64)
    safetensors.torch.save_file(tensors, out / f"rank{rank}.safetensors")
    torch.distributed.destroy_process_group()


def trained(processes: int, out: Path) -> list[Tensors]:
    out.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = [PROCESSES.Process(target=_rank, args=(rank, processes, port, out)) for rank in range(processes)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
    assert [process.exitcode for process in ranks] == [0] * processes
    return [safetensors.torch.load_file(out / f"rank{rank}.safetensors") for rank in range(processes)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensors, Tensors, Tensors]:
    folder = tmp_path_factory.mktemp("distributed")
    (one,), (first, second) = trained(1, folder / "one"), trained(2, folder / "two")
    return one, first, second


@pytest.mark.parametrize("case", CASES)
def test_two_processes_take_the_step_of_one_with_the_joined_batch(
    runs: tuple[Tensors, Tensors, Tensors], case: str
) -> None:
    one, first, second = (run[f"{case}.gradient"] for run in runs)
    assert torch.equal(first, second)
    assert float((first - one).norm() / one.norm()) < 1e-6


@pytest.mark.parametrize("case", CASES)
def test_the_ranks_end_in_the_same_weights_and_figures(runs: tuple[Tensors, Tensors, Tensors], case: str) -> None:
    one, first, second = runs
    for what in ("weights", "figures"):
        assert torch.equal(first[f"{case}.{what}"], second[f"{case}.{what}"])
    assert float((first[f"{case}.weights"] - one[f"{case}.weights"]).norm() / one[f"{case}.weights"].norm()) < 0.05
    torch.testing.assert_close(first[f"{case}.figures"], one[f"{case}.figures"], rtol=0.1, atol=0.02)
