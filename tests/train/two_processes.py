"""Run by test_distributed, as one process or two: first gradients and final weights of every case, a file a rank."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch.optim.optimizer import register_optimizer_step_pre_hook

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


def main(processes: int, out: Path) -> None:
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto")
    fabric.launch()
    training = data.load("digits").training_only()
    tensors: dict[str, torch.Tensor] = {}
    case = ""

    def keep(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        grads = [weight.grad.flatten() for group in optimizer.param_groups for weight in group["params"]]
        tensors.setdefault(f"{case}.gradient", torch.cat(grads).clone())

    register_optimizer_step_pre_hook(keep)
    base = ["timesteps=4", "model.hidden=[32]", "train.epochs=2", "train.learning_rate=5e-3"]
    for name, settings in CASES.items():
        case = name
        config = with_settings(RunConfig(), base + settings)
        result = train.fit(config, training, out / name, fabric=fabric)
        tensors[f"{case}.weights"] = torch.cat([weight.detach().flatten() for weight in result.network.parameters()])
        last = result.history[-1]
        figures = [last.loss, last.accuracy, last.validation_loss, last.validation_accuracy, *last.rates]
        tensors[f"{case}.figures"] = torch.tensor(figures, dtype=torch.float64)
    safetensors.torch.save_file(tensors, out / f"rank{fabric.global_rank}.safetensors")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
