"""Compression of a trained network: passes that change its structure, then one fine-tuning. Read :func:`compress`.

    network   --passes-->   the same function or nearly so, lean layers   --fine-tuning-->   weights that suit them

Every pass is a function of (network, configuration, calibration data), so a compressed network is rebuilt from its
lineage: the run that was built, and the compressions since, in order. A folder of a compressed run is a run's, and

    RUN/compress.json     the lineage, and the SHA-256 of the weights that the fine-tuning started from
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from leanspike.compress.config import CompressConfig, compressed_run
from leanspike.compress.constraints import constraint_for, with_thresholds
from leanspike.compress.quantise import quantise
from leanspike.core.errors import CheckpointError, ConfigError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import from_dict, to_dict
from leanspike.data import TrainingData
from leanspike.nn import Network
from leanspike.train import Progress, RunConfig, TrainResult, build_network, fit, load_network
from leanspike.train.checkpoint import differences, pack, read
from leanspike.train.networks import PAGE as NETWORK_PAGE

PAGE = "compress.json"


@dataclass(frozen=True)
class Lineage:
    """What a network was made from: the run whose model was built, and every compression since, in order."""

    run: RunConfig
    steps: tuple[CompressConfig, ...] = ()


@dataclass(frozen=True)
class Compressed:
    """A compressed network, after its fine-tuning."""

    network: Network
    run: RunConfig
    lineage: Lineage
    trained: TrainResult


@dataclass(frozen=True)
class LeanRun:
    """A finished run, compressed or not, as :func:`load` finds it."""

    network: Network
    run: RunConfig
    lineage: Lineage


Pass = Callable[[Network, CompressConfig, RunConfig, TrainingData | None], Network]
"""Changes a network (it may change what it is given) for a configuration that asks for it. Without data its
structure alone has to be right: stored tensors are loaded into it."""

PASSES: tuple[Pass, ...] = (with_thresholds, quantise)


def prepared(network: Network, config: CompressConfig, run: RunConfig, data: TrainingData | None) -> Network:
    """A copy of the network after all passes; ``run`` is that of the fine-tuning."""
    lean = copy.deepcopy(network)
    for change in PASSES:
        lean = change(lean, config, run, data)
    return lean


def compress(
    network: Network,
    run: RunConfig,
    config: CompressConfig,
    data: TrainingData,
    out: Path | None = None,
    *,
    lineage: Lineage | None = None,
    fabric: Fabric | None = None,
    progress: Progress | None = None,
    checkpoint_seconds: float = 60.0,
) -> Compressed:
    """Compress a trained network, or go on where a compression in ``out`` was cut off.

    Args:
        network: trained by ``run``; it is not changed.
        data: ``dataset.training_only()`` of the run's data set.
        out: folder of the compressed run; None writes nothing.
        lineage: of a network that :func:`load` found; None if ``run`` built it.

    Raises:
        ConfigError: settings that do not fit each other, the network or the data.
        CheckpointError: ``out`` holds another run.
        OutputError: ``out`` cannot be written.
    """
    lineage = lineage or Lineage(run)
    tuned = compressed_run(run, config)
    grown = replace(lineage, steps=(*lineage.steps, config))
    if out:
        claim(out, grown, network)
    lean = prepared(network, config, tuned, data)
    trained = fit(
        tuned,
        data,
        out,
        network=lean,
        constraint=constraint_for(lean, config, tuned, data),
        fabric=fabric,
        progress=progress,
        checkpoint_seconds=checkpoint_seconds,
    )
    assert isinstance(trained.network, Network)
    return Compressed(trained.network.eval(), tuned, grown, trained)


def load(folder: Path) -> LeanRun:
    """The network of a finished run, compressed or not, in evaluation mode.

    Raises:
        CheckpointError: no finished run, or a damaged file. ConfigError: no spiking network.
    """
    lineage = _lineage(folder)
    if lineage is None:
        run, network = load_network(folder)
        return LeanRun(_spiking(network, folder), run, Lineage(run))
    facts = read(folder, NETWORK_PAGE).facts["data"]
    with torch.random.fork_rng(devices=[]):
        built = build_network(lineage.run, tuple(facts["shape"]), len(facts["classes"]))
    run = lineage.run
    for step in lineage.steps:
        run = compressed_run(run, step)
        built = prepared(built, step, run, None)
    run, network = load_network(folder, built)
    return LeanRun(_spiking(network, folder), run, lineage)


def _spiking(network: torch.nn.Module, folder: Path) -> Network:
    if not isinstance(network, Network):
        raise ConfigError("is no spiking network", where=folder, remedy="take a run of leanspike train")
    return network


def claim(out: Path, lineage: Lineage, network: Network) -> None:
    """Write what ``out`` will hold before anything else is, or check that it is what is asked for now.

    Args:
        lineage: the compression that is asked for last.
        network: what it starts from.

    Raises:
        CheckpointError: ``out`` holds another run. OutputError: it cannot be written.
    """
    digest = hashlib.sha256(pack(network.state_dict(), {})).hexdigest()
    asked = {"schema": 1, **to_dict(lineage), "started_from": digest}
    there = _page(make_folder(out))
    if there is None:
        if any((out / name).exists() for name in ("checkpoint.json", NETWORK_PAGE)):
            raise CheckpointError("holds a run that is no compression", where=out, remedy="choose another --out")
        write_json(out / PAGE, asked)
        return
    found = differences(there, asked)
    if found:
        what = "holds another compression: " + ", ".join(found)
        raise CheckpointError(what, where=out, remedy="choose another --out, or repeat its settings")


def _lineage(folder: Path) -> Lineage | None:
    page = _page(folder)
    return None if page is None else from_dict(Lineage, {key: page.get(key) for key in ("run", "steps")})


def _page(folder: Path) -> dict[str, Any] | None:
    path = folder / PAGE
    if not path.exists():
        return None
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(page, dict) or page["schema"] != 1:
            raise KeyError("schema")
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError("is damaged: no page of a compression", where=path, remedy="compress again") from error
    return page
