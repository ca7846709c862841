"""Networks of series at one size: 21 UCR sets, and spoken digits with known and unknown speakers: results/series.

    python recipes/series.py --out runs/series                  all three in turn; each goes on after a kill
    python recipes/series.py --out runs/series --only digits    one of ucr, digits, speakers

ucr       21 sets x LIF, ALIF, LSTM, GRU, 1-NN DTW; 2,000 parameters, at most 40 steps, 200 updates, 5 seeds
digits    spoken digits, official split; LIF and GRU of 20,000 parameters, 40 steps, 600 updates, 5 seeds
speakers  each of the six speakers left out; the same two, 500 updates, 2 seeds

Every study writes results.json and report.html to its folder. Expected: see section 18 of results/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from leanspike import cli

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


def main() -> None:
    """The studies; finished trials are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/series"), help="folder of the studies")
    parser.add_argument("--only", choices=sorted(STUDIES), help="one of them")
    parser.add_argument("--workers", default="2", help="processes; 0: this one")
    args = parser.parse_args()
    for name in [args.only] if args.only else STUDIES:
        code = cli.main(["study", *STUDIES[name], "--workers", args.workers, "--out", str(args.out / name)])
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
