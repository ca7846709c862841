"""A detector from a folder of recordings to a tested program. Read :func:`detect`.

    OUT/float     the training            OUT/lean     norms folded, weights in few bits, fine-tuned
    OUT/detector.lsp                      its program
    OUT/detection.json, OUT/pictures.npz  what the test windows showed; written last

Every step goes on where it was cut off, or finds that it is done.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from leanspike.compress import CompressConfig
from leanspike.compress.quantise import quantise
from leanspike.core.errors import CheckpointError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import to_dict
from leanspike.detect import windows
from leanspike.detect.config import DetectConfig
from leanspike.detect.fit import Fitted, Windows, fit
from leanspike.detect.model import build
from leanspike.detect.windows import Samples
from leanspike.encode import EncoderConfig
from leanspike.ir import save
from leanspike.lower import Encoded, LowerConfig, Lowered, lower
from leanspike.nn import Network
from leanspike.train import Progress, RunConfig
from leanspike.train.checkpoint import differences

FRAMES = EncoderConfig(kind="frames")
PROGRAM = "detector.lsp"
CHECKED = 32


@dataclass(frozen=True)
class Detector:
    """A detector in its three forms."""

    trained: Fitted
    quantised: Fitted
    lowered: Lowered


def prepare(folder: Path, config: DetectConfig) -> Windows:
    """The windows that a training sees: those of ``train`` and ``val``.

    Raises:
        DataError: see :func:`leanspike.detect.windows.load`.
    """
    count = len(windows.classes_of(folder))
    training, validation = (windows.load(folder / part, config.windows, count) for part in ("train", "val"))
    return Windows(training, validation, count)


def detector(data: Windows, config: DetectConfig, out: Path, progress: Progress | None = None) -> Detector:
    """Train, quantise, fine-tune and lower.

    Raises:
        ConfigError: a field that the grid does not fit. CheckpointError, Diverged, OutputError, MissingTool: as
        :func:`leanspike.detect.fit.fit`. LoweringError: a step of lowering whose check failed.
    """
    claim(out, config)
    steps, _, height, width = data.training.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(config.model, height, width, data.classes, steps)
    trained = fit(network, data, config, config.train, out / "float", progress=progress)
    lean = integers(trained.network, config, steps)
    quantised = fit(lean, data, config, config.lean.train, out / "lean", progress=progress)
    lowered = as_program(quantised.network, data.validation)
    save(lowered.program, out / PROGRAM)
    return Detector(trained, quantised, lowered)


def claim(out: Path, config: DetectConfig) -> None:
    """Write what ``out`` will hold, or check that it is what is asked for.

    Raises:
        CheckpointError: it holds another run. OutputError: it cannot be written.
    """
    path, asked = make_folder(out) / "config.json", to_dict(config)
    if not path.exists():
        write_json(path, asked)
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError("is damaged", where=path, remedy="remove the folder to train anew") from error
    found = differences(there, asked)
    if found:
        what = "holds a run of another configuration: " + ", ".join(found)
        raise CheckpointError(what, where=out, remedy="choose another --out, or repeat that run's settings")


def integers(network: Network, config: DetectConfig, timesteps: int) -> Network:
    """A copy of a trained detector that computes in integers: norms folded, weights in few bits."""
    plain = RunConfig(dataset="detection", timesteps=timesteps, encoder=FRAMES, seed=config.seed)
    return quantise(copy.deepcopy(network), CompressConfig(weights=config.lean.weights), plain, None)


def as_program(network: Network, samples: Samples) -> Lowered:
    """The program of a quantised detector, checked on the first of these windows.

    Raises:
        LoweringError: a step whose check failed.
    """
    encoded = Encoded(FRAMES, samples.shape, samples.shape[0])
    raw = samples.raw(slice(0, CHECKED)).astype(np.int64)
    return lower(network, encoded, LowerConfig(), name="detector", samples=raw)
