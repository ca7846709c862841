"""Detection on composed scenes of N-MNIST digits: results/detection/detection.json.

    python recipes/detection.py --work runs/detection --seeds 0 --results results/detection/detection.json

Scenes of seed 0: 6,000 to train, 300 to validate, 500 to test. For every seed a detector is trained, quantised to 8-bit
weights, fine-tuned, lowered and tested (about 9 minutes of one core); what is there is not done again. Then the
program runs as C and as ONNX on the first 100 test windows, every score compared. Expected of seed 0: AP50 0.911 and
mAP 0.422 of the program, equal to the quantised network's in all windows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from leanspike import engine, ir, targets
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import from_dict
from leanspike.detect import windows
from leanspike.detect.config import DetectConfig
from leanspike.measure.quality import mean_interval

COMPARED = 100
TARGETS = ("c", "onnx")
FIGURES = ("map", "ap50", "ap75")


def leanspike(*words: str) -> None:
    """Run a command; what it says where it fails ends the recipe."""
    command = [sys.executable, "-m", "leanspike", *words]
    if subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode:
        raise SystemExit(" ".join(command[2:]))


def tested(seed: int, scenes: Path, run: Path) -> dict[str, Any]:
    """The figures of a seed, its pictures left out."""
    leanspike("detect", "train", str(scenes), "--out", str(run), "--seed", str(seed))
    found: dict[str, Any] = json.loads((run / "detection.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in found.items() if key not in ("pictures", "command", "data")}
    return {"seed": seed, **kept, "scores_differing": compared(run, scenes, from_dict(DetectConfig, found["config"]))}


def compared(run: Path, scenes: Path, config: DetectConfig) -> dict[str, int]:
    """Of the first windows, how many get other scores from a target than from the engine."""
    program = ir.load(run / "detector.lsp")
    count = len(windows.classes_of(scenes))
    raw = windows.load(scenes / "test", config.windows, count).raw(slice(0, COMPARED))
    expected, differing = engine.run(program, raw).scores, {}
    for name in TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            found = targets.run(targets.emit(name, program, Path(folder)), raw)
        differing[name] = int((found.scores != expected).any(1).sum())
    return differing


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds, with 95 % intervals where there are several."""
    found: dict[str, Any] = {}
    for form in ("float", "quantised", "program"):
        for figure in FIGURES:
            mean = mean_interval([row["quality"][form][figure] for row in rows])
            found[f"{form}_{figure}"] = {"mean": mean.mean, "ci95": None if mean.lo is None else [mean.lo, mean.hi]}
    return found


def main() -> None:
    """Compose, train, test, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the scenes and runs")
    parser.add_argument("--seeds", default="0", help="whole numbers, as in 0,1,2")
    parser.add_argument("--results", type=Path, required=True, help="the figures, as JSON")
    args = parser.parse_args()
    scenes = make_folder(args.work) / "scenes"
    if not (scenes / windows.PAGE).exists():
        leanspike("detect", "scenes", "--out", str(scenes))
    page = json.loads((scenes / windows.PAGE).read_text(encoding="utf-8"))
    rows = [tested(int(seed), scenes, args.work / f"run-{seed}") for seed in args.seeds.split(",")]
    make_folder(args.results.parent)
    facts = {"command": "python recipes/detection.py", "scenes": page, "compared_windows": COMPARED}
    write_json(args.results, {**facts, "summary": summary(rows), "rows": rows})


if __name__ == "__main__":
    main()
