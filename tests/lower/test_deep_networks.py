"""Networks with junctions and recurrent edges become programs that every target executes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leanspike import ir, models, targets
from leanspike.core.errors import LoweringError
from leanspike.core.trace import mismatches
from leanspike.encode import EncoderConfig
from leanspike.lower import Encoded, LowerConfig, Lowered, lower
from leanspike.models import ModelConfig
from leanspike.nn import (
    LIF,
    BatchNorm,
    BatchNormThroughTime,
    Conv2d,
    Flatten,
    LeakyIntegrator,
    Linear,
    Network,
    NeuronConfig,
    RecurrentLIF,
    Residual,
)

STEPS, SHAPE, IMAGE = 3, (12,), (2, 8, 8)
NEURON = NeuronConfig(beta=0.75, threshold=0.5)
SMALL: dict[str, dict[str, Any]] = {
    "recurrent": {"hidden": (16, 10)},
    "vgg9": {"width": 1 / 16},
    "resnet19": {"width": 1 / 16},
    "spikformer": {"width": 1 / 16, "depth": 2, "heads": 4},
}


def samples(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.rand((STEPS, 16, *shape), generator=torch.Generator().manual_seed(seed))


def settled(network: Network, shape: tuple[int, ...]) -> Network:
    """After three training steps, with norms whose statistics are those of the weights."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for seed in range(3):
        out = network.train()(samples(shape, seed))
        loss = out.potential.mean(0).logsumexp(1).mean() + sum((s.rate() - 0.3) ** 2 for s in out.hidden)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        optimizer.step()
    norms = [layer for layer in network.modules() if isinstance(layer, BatchNorm)]
    for layer in norms:
        layer.norm.momentum = 0.5
    with torch.no_grad():
        for seed in range(10):
            network(samples(shape, seed))
    return network.eval()


def built(kind: str, **other: Any) -> tuple[Network, tuple[int, ...]]:
    torch.manual_seed(0)
    shape = SHAPE if kind == "recurrent" else IMAGE
    config = ModelConfig(kind=kind, **SMALL[kind], **other)  # type: ignore[arg-type]
    return settled(models.build(config, NEURON, shape, 5, STEPS), shape), shape


def lowered(network: Network, shape: tuple[int, ...], encoder: str = "direct", **config: Any) -> Lowered:
    return lower(network, Encoded(EncoderConfig(kind=encoder), shape, STEPS), LowerConfig(**config))  # type: ignore[arg-type]


def assert_executed(program: ir.Program, folder: Path, *names: str) -> None:
    """Every target does what the reference does, and every layer fires."""
    random = np.random.default_rng(0)
    raw = random.integers(0, 256, (5, *program.input.raw.shape)).astype(program.input.raw.type.dtype)
    expected = ir.run(program, raw, record=True)
    assert all(count.sum() > 0 for count in expected.spikes.values())
    assert not any(mismatches(expected, ir.run_fast(program, raw)).values())
    for name in names:
        found = targets.run(targets.emit(name, program, folder / name), raw, np.arange(5), record=True)
        assert not any(mismatches(expected, found).values()), name


@pytest.mark.parametrize("encoder", ["direct", "rate"])
@pytest.mark.parametrize("kind", SMALL)
def test_every_target_executes_the_program(kind: str, encoder: str, tmp_path: Path) -> None:
    network, shape = built(kind)
    found = lowered(network, shape, encoder)
    assert "scores equal those of the integer stages" in next(s.seen for s in found.steps if s.step == "assemble")
    assert_executed(found.program, tmp_path, "engine", "c", "onnx")


def test_a_recurrent_input_layer_aligns_the_units_of_input_and_spikes() -> None:
    """Bytes beside spikes: the coarser currents are whole multiples of the finer."""
    network, shape = built("recurrent")
    program = lowered(network, shape).program
    scale = next(op for op in program.operations if isinstance(op, ir.Scale))
    assert scale.source == "i1b"
    assert program.array(scale.factor).min() >= 1
    assert sum(isinstance(op, ir.Delay) for op in program.operations) == 2
    assert not any(isinstance(op, ir.Scale) for op in lowered(network, shape, "rate").program.operations)


def test_a_shortcut_of_spikes_is_one_to_one(tmp_path: Path) -> None:
    torch.manual_seed(1)
    block = Residual([Conv2d(3, 3, bias=False), BatchNorm(3)])
    rest = [Flatten(), Linear(192, 4), LeakyIntegrator(NEURON, 4)]
    network = settled(Network([Conv2d(2, 3), LIF(NEURON, 3), block, LIF(NEURON, 3), *rest], "membrane_mean"), IMAGE)
    program = lowered(network, IMAGE).program
    scale = next(op for op in program.operations if isinstance(op, ir.Scale))
    unit = 0.5 / program.array("t2")
    assert np.allclose(program.array(scale.factor), 1 / unit[0], rtol=0.02)
    assert_executed(program, tmp_path, "engine", "c", "tflite")


def test_spikes_that_are_added_are_small_integers() -> None:
    network, shape = built("spikformer")
    program = lowered(network, shape).program
    sums = [op for op in program.operations if isinstance(op, ir.Add) and op.result.name.startswith("a")]
    assert [op.result.type.highest for op in sums] == [3, 3, 7, 7, 7]
    assert sum(isinstance(op, ir.Matmul) for op in program.operations) == 4


def refused(network: Network, shape: tuple[int, ...], **config: Any) -> str:
    with pytest.raises(LoweringError) as caught:
        lowered(network, shape, **config)
    return caught.value.line()


def test_what_a_program_does_not_express_is_refused_by_its_place() -> None:
    end = [Linear(12, 3), LeakyIntegrator(NEURON, 3)]
    norms = BatchNormThroughTime(12, STEPS)
    through_time = Network([Linear(12, 12), norms, RecurrentLIF(NEURON, 12), *end], "membrane_mean").eval()
    assert "cannot be folded where several synapses meet" in refused(through_time, SHAPE)
    twice = Network([Linear(12, 12), Residual([LIF(NEURON, 12)]), *end], "membrane_mean").eval()
    assert refused(twice, SHAPE).startswith("layer 1: cannot stand here: Residual")
    inner = Network([Residual([Linear(12, 12), LIF(NEURON, 12), LIF(NEURON, 12)]), *end], "membrane_mean").eval()
    assert refused(inner, SHAPE).startswith("layer 0.branch.2: cannot stand here: LIF")
    mixed = Network([Residual([Linear(12, 12), LIF(NEURON, 12)]), *end], "membrane_mean").eval()
    assert "a sum of values whose units are" in refused(mixed, SHAPE)
