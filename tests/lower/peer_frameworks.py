"""What the tests of the importers share: the frameworks they need, inputs, and the comparison."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from leanspike.lower.importers import LayerAgreement, verify_import
from leanspike.nn import Network

STEPS, BATCH = 20, 12
INPUTS = ("gaussian", "spikes")


def need(*packages: str) -> None:
    """Skip by name where a package is missing; fail in CI."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        message = f"needs {', '.join(missing)} (pip install 'leanspike[interop]')"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message, allow_module_level=True)


def quietly_imported(name: str) -> Any:
    """A module of a framework that warns of its own deprecations where it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def sample(kind: str, *shape: int) -> Tensor:
    """``[T, B, *shape]`` of Gaussian values or of spikes, in float64: in float32 sums of another order may tie."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(STEPS, BATCH, *shape, generator=generator).double()
    return 1.5 * x if kind == "gaussian" else (x > 0.3).double()


def lively(model: nn.Module, seed: int = 0) -> nn.Module:
    """In float64, with random weights, biases and statistics, large enough that every layer fires."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                fan = module.weight[0].numel()
                module.weight.normal_(0.02, 2.5 / fan**0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0.1, 0.2, generator=generator)
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.weight.normal_(1.5, 0.3, generator=generator)
                module.bias.normal_(0.5, 0.3, generator=generator)
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
    return model.double()


def assert_same_spikes(
    theirs: nn.Module, ours: Network, x: Tensor, run: Callable[[Tensor], Any] | None = None
) -> list[LayerAgreement]:
    """Every layer fires, and at the same places in both."""
    found = verify_import(theirs, ours, x, run)
    for layer in found:
        if layer.differing is None:
            assert layer.potential_difference is not None
            assert layer.potential_difference < 1e-4
            continue
        assert layer.spikes_theirs
        assert layer.spikes_theirs == layer.spikes_ours
        assert layer.differing == 0, f"{layer}"
    return found
