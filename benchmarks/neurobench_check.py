"""NeuroBench's figures beside ours, of the same integer network: ``python benchmarks/neurobench_check.py NET.lsp ...``

Needs its own environment, because NeuroBench pins much: ``pip install neurobench==2.3.0 torch==2.13.0 snntorch`` beside
leanspike. The twin is a torch model of Linear and snnTorch neurons that computes the program's integers (weights as
float32, potentials as int64), so that the spikes are the program's; NeuroBench's hooks see a usual model.
Exit 1 where a difference is not explained; ``--out`` writes the table as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import snntorch
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics import static, workload
from neurobench.models import SNNTorchModel

from leanspike import ir
from leanspike.cli.programs import load_samples
from leanspike.core.files import write_json
from leanspike.ir import intmath
from leanspike.ir.encodings import encode
from leanspike.ir.ops import LIF, Dense, Integrate
from leanspike.ir.reference import row
from leanspike.measure.neurobench import by_their_rules, check, ours, rows, unexplained

BATCH = 100


class IntegerNeuron(snntorch.Leaky):
    """A neuron of the program behind snnTorch's face: ``mem`` is its integer potential; it gives spikes, or ``mem``."""

    def __init__(self, op: LIF | Integrate, program: ir.Program) -> None:
        super().__init__(beta=0.5, init_hidden=True, output=isinstance(op, Integrate))
        for name in [name for name, _ in self.named_buffers()]:
            delattr(self, name)
        self.op, self.program, self.kind = op, program, program.state[op.state].type
        self.mem, self.t = torch.zeros(1, dtype=torch.int64), 0

    def start(self, batch: int) -> None:
        """Before a sample."""
        self.mem, self.t = torch.zeros(batch, *self.op.result.shape, dtype=torch.int64), 0

    def _parameter(self, name: str | None) -> torch.Tensor:
        return torch.from_numpy(row(self.program, name, self.t))

    def forward(self, current: torch.Tensor) -> Any:
        """One step: spikes, or of an integrator its potential."""
        op = self.op
        leak, bias = self._parameter(op.leak), self._parameter(op.bias)
        u = intmath.integrate(self.mem, current.long(), bias, leak, op.shift, self.kind)
        if isinstance(op, Integrate):
            self.mem, self.t = u, self.t + 1
            return u, u
        fired = intmath.fire(u, self._parameter(op.threshold))
        after = intmath.reset(u, fired, self._parameter(op.amount), op.reset)
        self.mem = intmath.stored(after, self.program.state[op.state].codec)
        self.t += 1
        return fired.float()


class Twin(torch.nn.Module):
    """A fully connected program as torch users write such a network."""

    def __init__(self, program: ir.Program) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = [torch.nn.Flatten()]
        for op in program.operations:
            if isinstance(op, Dense):
                weight = torch.from_numpy(program.array(op.weight).T.astype(np.float32))
                linear = torch.nn.Linear(*reversed(weight.shape), bias=False)
                linear.weight = torch.nn.Parameter(weight, requires_grad=False)
                layers.append(linear)
            elif isinstance(op, LIF | Integrate):
                layers.append(IntegerNeuron(op, program))
        self.layers = torch.nn.Sequential(*layers)
        self.batch = 1

    def reset(self) -> None:
        """Every neuron before a batch."""
        for layer in self.layers:
            if isinstance(layer, IntegerNeuron):
                layer.start(self.batch)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """One step of a batch."""
        out = self.layers(x)
        return (out[0] if isinstance(out, tuple) else out).float(), None


class Wrapped(SNNTorchModel):
    """NeuroBench's model, told the size of each batch."""

    def __call__(self, data: torch.Tensor) -> torch.Tensor:
        self.net.batch = len(data)
        found: torch.Tensor = super().__call__(data)
        return found


def theirs(program: ir.Program, raw: Any, labels: Any, numbers: Any) -> tuple[dict[str, float], int]:
    """NeuroBench's figures under our names, and the twin's bytes."""
    twin = Twin(program)
    x = torch.from_numpy(np.moveaxis(encode(program, raw, numbers), 0, 1).astype(np.float32))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.from_numpy(labels)), batch_size=BATCH)
    fixed = [static.Footprint, static.ConnectionSparsity]
    run = [workload.ClassificationAccuracy, workload.ActivationSparsity, workload.SynapticOperations]
    metrics = [fixed, [*run, workload.MembraneUpdates]]
    decide = [lambda scores: scores.sum(1).argmax(-1)]
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        told = Benchmark(Wrapped(twin), loader, [], decide, metrics).run(quiet=True)
    synops = told["SynapticOperations"]
    figures = {
        "effective_macs": synops["Effective_MACs"],
        "effective_acs": synops["Effective_ACs"],
        "dense_synops": synops["Dense"],
        "membrane_updates": told["MembraneUpdates"],
        "activation_sparsity": told["ActivationSparsity"],
        "connection_sparsity": told["ConnectionSparsity"],
        "footprint_bytes": told["Footprint"],
        "accuracy": told["ClassificationAccuracy"],
    }
    return {key: float(value) for key, value in figures.items()}, int(told["Footprint"])


def main() -> int:
    """Compare every program; 1 where something is not explained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", type=Path)
    parser.add_argument("--data", default=None)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found, failed = [], False
    for path in args.programs:
        program, origin = ir.load_with_origin(path)
        check(program)
        samples = load_samples(program, origin, args.data, args.samples)
        given = samples.raw, samples.labels, samples.numbers
        told, held = theirs(program, *given)
        table = rows(ours(program, *given), by_their_rules(program, *given, BATCH, held), told)
        print(f"{path.stem}, {len(samples)} samples of {samples.dataset}")
        for line in table:
            mark = "" if line.is_explained else "   NOT EXPLAINED"
            print(f"  {line.metric:<20} {line.ours:>16,.4f} {line.by_their_rules:>16,.4f} {line.theirs:>16,.4f}{mark}")
        failed |= bool(unexplained(table))
        facts = {"name": path.stem, "sha256": ir.content_hash(program), "samples": len(samples)}
        found.append({**facts, "timesteps": program.steps, "rows": [asdict(line) for line in table]})
    if args.out:
        versions = {"neurobench": "2.3.0", "torch": torch.__version__, "snntorch": snntorch.__version__}
        write_json(args.out, {"schema": 1, "kind": "neurobench", "versions": versions, "programs": found})
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
