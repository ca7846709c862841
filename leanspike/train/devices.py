"""Where a run computes: Lightning Fabric on the GPU or the CPU, and what its processes tell each other."""

from __future__ import annotations

from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from leanspike.core.records import require
from leanspike.train.config import RunConfig


def make_fabric(config: RunConfig, devices: int = 1, nodes: int = 1) -> Fabric:
    """A launched Fabric: the GPU where there is one, else the CPU; several devices train as processes (DDP).

    Raises:
        ConfigError: a precision that the device has not.
    """
    accelerator, precision = "cuda" if torch.cuda.is_available() else "cpu", config.train.precision
    possible = accelerator == "cuda" or precision != "16-mixed"
    require(possible, "train.precision", precision, "16-mixed needs a CUDA device; a CPU has bf16-mixed and 32-true")
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision)
    fabric.launch()
    return fabric


def reduce(fabric: Fabric, value: Tensor, how: Literal["sum", "mean"]) -> Tensor:
    """The sum or mean of all processes' values; ``value`` itself is left alone."""
    reduced = fabric.all_reduce(value.clone(), reduce_op=how)
    assert isinstance(reduced, Tensor)
    return reduced


def generator_of(device: torch.device) -> torch.Generator:
    """Where layers on this device draw from."""
    return torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator
