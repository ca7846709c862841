"""What a detector shows on the test windows, as a document: quality of its three forms, equality, cost, pictures.

The program's scores must be the quantised network's, window for window; then its boxes are. Cost is counted on the
program. Fields are described in docs/how-to/detect.md.
"""

from __future__ import annotations

import io
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from leanspike import __version__
from leanspike.core.errors import LoweringError
from leanspike.core.files import write_bytes, write_json
from leanspike.core.records import content_hash, to_dict
from leanspike.detect import windows
from leanspike.detect.boxes import Boxes
from leanspike.detect.coco import IOUS, Quality, measured
from leanspike.detect.config import DetectConfig
from leanspike.detect.decode import detections
from leanspike.detect.evaluate import float_scores, head_of, program_scores, quantised_scores
from leanspike.detect.run import Detector, detector, prepare
from leanspike.detect.windows import Samples
from leanspike.engine import Engine
from leanspike.ir import Program
from leanspike.ir import content_hash as program_hash
from leanspike.measure.account import layers
from leanspike.measure.energy import energies
from leanspike.measure.footprint import footprint
from leanspike.measure.latency import time_calls
from leanspike.measure.overhead import executed
from leanspike.measure.tally import tally
from leanspike.train import Progress

PAGE, PICTURES = "detection.json", "pictures.npz"
COUNTED = 100
SHOWN = 6
CURVES = (0.5, 0.75, 0.9)
Pictures = npt.NDArray[np.uint8]


def complete(
    folder: Path, config: DetectConfig, out: Path, *, command: str = "", progress: Progress | None = None
) -> dict[str, Any]:
    """Train on ``folder``, lower, test, and write OUT/detection.json and OUT/pictures.npz; what the former says.

    Raises:
        DataError, ConfigError, CheckpointError, OutputError, Diverged, LoweringError, MissingTool: as the parts.
    """
    names = windows.classes_of(folder)
    made = detector(prepare(folder, config), config, out, progress)
    test = windows.load(folder / "test", config.windows, len(names))
    facts = {"schema": 1, "kind": "detection", "leanspike": __version__, "command": command, "data": folder.name}
    facts |= {"config": to_dict(config), "config_hash": content_hash(config), "versions": _versions()}
    found = facts | outcome(made, test, names, config)
    packed = io.BytesIO()
    np.savez_compressed(packed, events=pictures(test))
    write_bytes(out / PICTURES, packed.getvalue())
    write_json(out / PAGE, found)
    return found


def outcome(made: Detector, test: Samples, names: Sequence[str], config: DetectConfig) -> dict[str, Any]:
    """Quality, equality and cost on the test windows; looked at once, at the end.

    Raises:
        LoweringError: the program's scores are not the quantised network's. MissingTool: pycocotools, or the engine.
    """
    head, program, unit = head_of(config.model, test, len(names)), made.lowered.program, made.lowered.score_unit
    given, answered = quantised_scores(made.quantised.network, test), program_scores(program, test)
    wrong = int((given != answered).any(1).sum())
    if wrong:
        raise LoweringError(f"scores of {wrong} of {len(test)} test windows differ", where="the detector's program")
    floats = detections(float_scores(made.trained.network, test), 1.0, head, config.decode)
    lean, found = (detections(scores, unit, head, config.decode) for scores in (given, answered))
    forms = {"float": floats, "quantised": lean, "program": found}
    quality = {form: measured(boxes, test.boxes, len(names)) for form, boxes in forms.items()}
    return {
        "classes": list(names),
        "windows": len(test),
        "true_boxes": sum(map(len, test.boxes)),
        "quality": {form: _quality(one, names) for form, one in quality.items()},
        "curves": {f"{iou:.2f}": _numbers(quality["program"].curve(iou)) for iou in CURVES},
        "equality": equality(lean, found),
        "training": {"float": _history(made.trained.history), "lean": _history(made.quantised.history)},
        "program": costs(program, test),
        "pictures": [_picture(i, test.boxes[i], found[i]) for i in range(min(SHOWN, len(test)))],
    }


def equality(mine: Sequence[Boxes], theirs: Sequence[Boxes]) -> dict[str, int]:
    """How many windows have the same boxes, labels and scores to the last bit, and of how many boxes that is told."""
    same = sum(a.equals(b) for a, b in zip(mine, theirs, strict=True))
    return {"windows": len(mine), "equal": same, "boxes": sum(map(len, mine))}


def costs(program: Program, test: Samples) -> dict[str, Any]:
    """What the program does for a window, counted on the first of the test windows."""
    raw = test.raw(slice(0, COUNTED)).astype(np.int64)
    _, found = tally(program, raw)
    done = executed(program, found)
    rates = {op.result.name: found.nonzero[op.result.name] for op in program.spiking}
    sizes = {op.result.name: math.prod(op.result.shape) for op in program.spiking}
    rows = layers(program, found)
    engine = Engine(program)
    timed = time_calls(lambda i: engine.classify(raw[i % len(raw)].astype(np.uint8)))
    return {
        "sha256": program_hash(program),
        "steps": program.steps,
        "counted_windows": len(raw),
        "footprint": asdict(footprint(program)),
        "spikes": float(sum(count.sum() for count in rates.values())),
        "input_events": float(found.nonzero[program.input.result.name].sum()),
        "firing_rate": {name: float(count.sum()) / (sizes[name] * program.steps) for name, count in rates.items()},
        "layers": [{key: row[key] for key in ("layer", "kind", "connections", "operations")} for row in rows],
        "operations": sum(row["operations"] for row in rows),
        "energy_nj": energies(done),
        "engine_us": {"p50": timed.p50, "p99": timed.p99},
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def pictures(test: Samples) -> Pictures:
    """Events of the shown windows, ``[n, 2, H, W]``: in how many of the T frames a pixel had one, OFF and ON."""
    counts: Pictures = test.frames(slice(0, SHOWN)).sum(1, dtype=np.uint8)
    return counts


def _quality(quality: Quality, names: Sequence[str]) -> dict[str, Any]:
    both = zip(names, quality.by_class(), quality.by_class(IOUS[0]), strict=True)
    classes = [{"class": name, "map": every, "ap50": at_half} for name, every, at_half in both]
    return {"map": quality.map, "ap50": quality.ap50, "ap75": quality.ap75, "classes": classes}


def _history(records: Sequence[Any]) -> list[dict[str, Any]]:
    return [to_dict(record) for record in records]


def _picture(number: int, true: Boxes, found: Boxes) -> dict[str, Any]:
    return {"window": number, "true": _boxes(true), "found": _boxes(found[found.scores >= 0.3])}


def _boxes(boxes: Boxes) -> list[dict[str, Any]]:
    return [
        {"corners": _numbers(corners), "label": int(label), "score": round(float(score), 4)}
        for corners, label, score in zip(boxes.corners, boxes.labels, boxes.scores, strict=True)
    ]


def _numbers(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 5) for value in values]
