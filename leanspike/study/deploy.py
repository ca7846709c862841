"""A trial's network as the program that is deployed, and what that program does with the test set.

Accuracy, spikes, operations and memory of a record are the program's. Where a network cannot become a program (layers
of one's own), they are the float network's, and the record says so.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from leanspike import ir
from leanspike.core.errors import LoweringError, ProgramError
from leanspike.core.records import content_hash, to_dict
from leanspike.data import Dataset, Split
from leanspike.lower import Lowered
from leanspike.lower.runs import lower_network
from leanspike.measure.exits import anytime, exit_curve
from leanspike.measure.program import Measurement, measure
from leanspike.measure.quality import confusion
from leanspike.measure.records import TrialRecord
from leanspike.nn import Network
from leanspike.study.details import layer_names
from leanspike.train import RunConfig

PROGRAM = "program.lsp"


def lowered(network: Network, config: RunConfig, data: Dataset) -> Lowered | None:
    """The network's program; None where it cannot become one."""
    try:
        return lower_network(network, config, data)
    except (LoweringError, ProgramError):
        return None


def program_record(
    record: TrialRecord,
    found: Lowered,
    network: Network,
    config: RunConfig,
    test: Split,
    classes: tuple[str, ...],
    folder: Path,
) -> tuple[TrialRecord, Measurement]:
    """``record`` with what the program does on the test set; the program is written to the trial's folder.

    Args:
        classes: names of the classes.

    Raises:
        OutputError: the folder cannot be written.
    """
    program = found.program
    origin = {
        "dataset": config.dataset,
        "config": to_dict(config),
        "config_hash": content_hash(config),
        "classes": list(classes),
    }
    ir.save(program, folder / PROGRAM, origin)
    raw = ir.raw_samples(program, test.x)
    measured = measure(program, raw, test.y, test.numbers)
    logits = _logits(found, raw, test)
    spiking = [op.result.name for op in program.spiking]
    own = layer_names(network)
    extra = [f"encoder {i + 1}" for i in range(len(spiking) - len(own))]  # population coding: its fields are neurons
    names = dict(zip(spiking, [*extra, *own], strict=True))
    return dataclasses.replace(
        record,
        measured_on="program",
        accuracy=measured.accuracy,
        accuracy_ci95=measured.accuracy_ci95,
        confusion=tuple(map(tuple, confusion(measured.predictions, test.y, len(classes)).tolist())),
        spikes_per_sample=measured.spikes_per_sample,
        firing_rate={names[name]: rate for name, rate in measured.firing_rate.items()},
        sparsity=measured.sparsity,
        macs=measured.macs,
        acs=measured.acs,
        synapses=measured.footprint.synapses,
        energy_nj=measured.energy_nj,
        memory_bytes=measured.footprint.array_bytes + measured.footprint.state_bytes,
        anytime=anytime(logits, test.y),
        exit_curve=exit_curve(logits, test.y),
    ), measured


def _logits(found: Lowered, raw: np.ndarray, test: Split) -> np.ndarray:
    """The program's scores after every step in the units of the network's, ``[T, N, K]``."""
    scores = ir.step_scores(found.program, raw, test.numbers) * found.score_unit
    if found.program.readout.kind == "membrane_mean":
        scores = scores / np.arange(1, len(scores) + 1)[:, None, None]
    return scores.astype(np.float32)
