from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")
Tensors = dict[str, torch.Tensor]


def trained(processes: int, out: Path) -> list[Tensors]:
    out.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, SCRIPT, str(processes), out], check=True, timeout=200, env=environment)
    return [safetensors.torch.load_file(out / f"rank{rank}.safetensors") for rank in range(processes)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensors, Tensors, Tensors]:
    folder = tmp_path_factory.mktemp("distributed")
    (one,), (first, second) = trained(1, folder / "one"), trained(2, folder / "two")
    return one, first, second


CASES = ("plain", "uneven", "micro", "penalty", "rate")


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
