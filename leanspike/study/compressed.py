"""A compressed network as the program that is deployed, and what it does with the test set beside what it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from leanspike import __version__, ir
from leanspike.compress import Compressed, LeanRun
from leanspike.core.records import content_hash, to_dict
from leanspike.data import Dataset
from leanspike.encode import encoded_shape
from leanspike.ir.counts import synapses
from leanspike.lower.runs import lower_network
from leanspike.measure.program import Measurement, measure
from leanspike.nn.synapses import Synapses
from leanspike.train import evaluate

PROGRAM = "program.lsp"


def compressed_result(found: Compressed, before: LeanRun, dataset: Dataset, folder: Path | None) -> dict[str, Any]:
    """The figures of a compression; accuracy, activity, operations and bytes are the program's.

    Args:
        before: what was compressed; its network is evaluated as it is.
        folder: where ``program.lsp`` is written; None writes nothing.

    Raises:
        LoweringError, ProgramError: the network cannot become a program. OutputError: the folder cannot be written.
    """
    test = dataset.test()
    lowered = lower_network(found.network, found.run, dataset)
    program = lowered.program
    if folder:
        ir.save(program, folder / PROGRAM, _origin(found, dataset))
    measured = measure(program, ir.raw_samples(program, test.x), test.y, test.numbers)
    return {
        "schema": 1,
        "measured_on": "program",
        "dataset": found.run.dataset,
        "timesteps": found.run.timesteps,
        "seed": found.run.seed,
        **_figures(measured, program),
        "test_samples": len(test),
        "program": PROGRAM if folder else None,
        "sha256": ir.content_hash(program),
        "before": _before(before, dataset),
        "validation_accuracy": found.trained.validation_accuracy,
        "best_epoch": found.trained.best_epoch,
        "epochs": len(found.trained.history),
        "train_seconds": found.trained.seconds,
        "config_hash": content_hash(to_dict(found.lineage)),
        "versions": {"leanspike": __version__, "torch": torch.__version__, "numpy": np.__version__},
        "history": [to_dict(record) for record in found.trained.history],
    }


def _origin(found: Compressed, dataset: Dataset) -> dict[str, Any]:
    return {
        "leanspike": __version__,
        "dataset": found.run.dataset,
        "config": to_dict(found.run),
        "config_hash": content_hash(found.run),
        "compress": to_dict(found.lineage)["steps"],
        "classes": list(dataset.classes),
    }


def _figures(measured: Measurement, program: ir.Program) -> dict[str, Any]:
    stored = measured.footprint
    weights = {op.weight for op in synapses(program)}
    return {
        "accuracy": measured.accuracy,
        "accuracy_ci95": list(measured.accuracy_ci95),
        "spikes_per_sample": measured.spikes_per_sample,
        "firing_rate": measured.firing_rate,
        "macs": measured.macs,
        "acs": measured.acs,
        "energy_nj": measured.energy_nj,
        "synapses": stored.synapses,
        "weight_bytes": sum(-(-program.arrays[name].stored_bits // 8) for name in weights),
        "array_bytes": stored.array_bytes,
        "state_bytes": stored.state_bytes,
        "memory_bytes": stored.array_bytes + stored.state_bytes,
    }


def _before(start: LeanRun, dataset: Dataset) -> dict[str, Any]:
    """What was compressed, on the same samples; its bytes are those of float32 weights and potentials."""
    run, network = start.run, start.network
    sample = torch.zeros(1, 1, *encoded_shape(dataset.shape, run.encoder, run.timesteps))
    neurons = sum(potential.numel() for _, potential in network.trace(sample))
    weights = [part.weight for part in network.modules() if isinstance(part, Synapses)]
    return {
        "accuracy": evaluate(network, dataset.test(), run).accuracy,
        "timesteps": run.timesteps,
        "weight_bytes": 4 * sum(weight.numel() for weight in weights),
        "array_bytes": 4 * sum(weight.numel() for weight in network.parameters()),
        "state_bytes": 4 * neurons,
    }
