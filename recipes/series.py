"""Networks of series at one size: 21 UCR sets, and spoken digits with known and unknown speakers: results/series.

    python recipes/series.py --out runs/series                  all three in turn; each goes on after a kill
    python recipes/series.py --out runs/series --only digits    one of ucr, digits, speakers

ucr       21 sets x LIF, ALIF, LSTM, GRU, 1-NN DTW; 2,000 parameters, at most 40 steps, 200 updates, 5 seeds
digits    spoken digits, official split; LIF and GRU of 20,000 parameters, 40 steps, 600 updates, 5 seeds
speakers  each of the six speakers left out; the same two, 500 updates, 2 seeds

Every study writes results.json and report.html to its folder; --results DIR keeps of each the figures of every seed,
the means of the costs and the ranks in DIR/NAME.json.

Expected, test accuracy in %: digits LIF 99.33 +- 0.65 (177k operations), GRU 98.93 +- 0.19 (765k); speakers left out,
mean of six, LIF 73.7, GRU 80.2; ucr, mean of 21 sets, LIF 75.4, ALIF 74.4, LSTM 75.2, GRU 79.7, 1-NN DTW 85.3.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leanspike import cli
from leanspike.core.files import make_folder, write_json
from leanspike.measure.records import TrialRecord, load
from leanspike.report.comparison import Survey, ranked, survey

SETS = (
    *("arrowhead", "bme", "chinatown", "coffee", "distalphalanxtw", "dodgerloopday", "ecg200", "ecgfivedays"),
    *("gesturepebblez1", "gunpoint", "insectepgregulartrain", "italypowerdemand", "lightning2", "medicalimages"),
    *("motestrain", "osuleaf", "smoothsubspace", "sonyaiborobotsurface1", "syntheticcontrol", "toesegmentation1"),
    "umd",
)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SOUND = ["--models", "lif,gru", "--size", "20000", "--timesteps", "40", "--set", "train.batch_size=64"]
SOUND += ["--set", "train.augment_shift=3", "--set", "train.augment_bands=1"]
STUDIES: dict[str, list[str]] = {
    "digits": ["fsdd", *SOUND, "--updates", "600", "--trials", "2", "--seeds", "5"],
    "speakers": [
        ",".join(f"fsdd-without-{who}" for who in SPEAKERS),
        *(*SOUND, "--updates", "500", "--trials", "1", "--seeds", "2"),
    ],
    "ucr": [
        ",".join(SETS),
        *("--models", "lif,alif,lstm,gru,1nn-dtw", "--size", "2000", "--timesteps", "40"),
        *("--updates", "200", "--tuning-share", "0.25", "--trials", "2", "--seeds", "5"),
    ],
}


COSTS = ("params", "macs", "acs", "spikes_per_sample", "memory_bytes")


def summary(folder: Path) -> dict[str, Any]:
    """What a comparison found, without its tuning: every seed's accuracy, mean costs, what was chosen, ranks."""
    study = load(folder)
    found, order = survey(study), ranked(survey(study))
    facts = {key: getattr(study, key) for key in ("command", "config_hash", "created", "split", "machine", "planned")}
    sets = {
        name: {m: _cell(found, name, m) for m in found.models if (name, m) in found.cells} for name in found.datasets
    }
    rank = None if order is None else asdict(order)
    finished = len(study.trials)
    return {"schema": 1, "kind": "comparison", **facts, "finished": finished, "ranking": rank, "sets": sets}


def _cell(found: Survey, name: str, model: str) -> dict[str, Any]:
    cell = found.cells[name, model]
    first = cell.trials[0]
    energies = sorted({key for trial in cell.trials for key in trial.energy_nj or {}})
    return {
        "accuracies": [trial.accuracy for trial in cell.trials],
        "wilson95": [list(trial.accuracy_ci95 or ()) for trial in cell.trials],
        "timesteps": first.timesteps,
        "chosen": dict(first.parameters),
        "latency_us": None if first.latency_us is None else asdict(first.latency_us),
        **{key: cell.mean(lambda trial, key=key: getattr(trial, key)) for key in COSTS},
        "energy_nj": {key: cell.mean(lambda trial, key=key: _energy(trial, key)) for key in energies},
    }


def _energy(trial: TrialRecord, model: str) -> float | None:
    return (trial.energy_nj or {}).get(model)


def main() -> None:
    """The studies; finished trials are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/series"), help="folder of the studies")
    parser.add_argument("--only", choices=sorted(STUDIES), help="one of them")
    parser.add_argument("--workers", default="2", help="processes; 0: this one")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write DIR/NAME.json of every study")
    args = parser.parse_args()
    for name in [args.only] if args.only else STUDIES:
        code = cli.main(["study", *STUDIES[name], "--workers", args.workers, "--out", str(args.out / name)])
        if code:
            sys.exit(code)
        if args.results:
            write_json(make_folder(args.results) / f"{name}.json", summary(args.out / name))


if __name__ == "__main__":
    main()
