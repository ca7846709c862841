"""Heart beats out of an endless ECG: record 100 of the MIT-BIH database as a stream of values, a decision every 33 ms.

    python recipes/ecg_stream.py --out runs/ecg

The first 20 minutes train a network to tell whether an R peak lies 33 to 133 ms before the end of a window of 400 ms;
the last 10 are one stream through ``leanspike run``, windows of 48 steps every 4, state carried. Decisions in a row for
"beat" are one beat; it is right where an annotated beat lies within 100 ms, each taken once. Needs LEANSPIKE_DATA with
mitdb-100/ (G. B. Moody and R. G. Mark, IEEE Eng. in Med. and Biol. 20(3), 2001). Expected: 758 of 759 beats and 133
that are none with seed 0.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.files import make_folder, write_json

HERTZ, EVERY, LENGTH, HOP = 360, 3, 48, 4
NEAREST, FURTHEST = 4, 16
SPLIT_SECONDS = 20 * 60
BEATS = (1, 5, 8)
"""Annotation codes of the record: normal, ventricular, atrial premature."""
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
_SETTINGS = ("model.hidden=[64]", "model.readout=membrane_last", "neuron.beta=0.8", "encoder.threshold=0.05")
OPTIONS = (
    *("--encoder", "delta", "--timesteps", str(LENGTH), "--epochs", "15"),
    *(word for setting in _SETTINGS for word in ("--set", setting)),
)


def record(folder: Path) -> tuple[Floats, Places]:
    """Lead MLII at 120 Hz in 0..1, and the places of its beats."""
    raw = np.fromfile(folder / "100.dat", np.uint8).reshape(-1, 3).astype(np.int64)
    lead = raw[:, 0] | (raw[:, 1] & 15) << 8
    lead = (lead - (lead > 2047) * 4096)[: len(lead) // EVERY * EVERY].reshape(-1, EVERY).mean(1)
    return ((lead - 800) / 600).clip(0, 1), beats(np.fromfile(folder / "100.atr", "<u2")) // EVERY


def beats(words: npt.NDArray[np.uint16]) -> Places:
    """Samples of the beats: words of 6 bits code and 10 bits time; 59 skips by the next two words, 60 to 63 mark."""
    at, time, found = 0, 0, []
    while at < len(words) and words[at]:
        code, value = int(words[at]) >> 10, int(words[at]) & 1023
        at += 1
        if code == 59:
            time += (int(words[at]) << 16) + int(words[at + 1])
            at += 2
        elif code == 63:
            at += (value + 1) // 2
        elif code < 59:
            time += value
            found += [time] if code in BEATS else []
    return np.array(found)


def windows(lead: Floats, peaks: Places, seed: int) -> tuple[Floats, Places]:
    """As many windows with a beat in their zone as without, ``[N, 1, 48]`` and labels."""
    random = np.random.default_rng(seed)
    ends = np.arange(LENGTH, len(lead))
    after = ends - peaks[np.searchsorted(peaks, ends - NEAREST, side="right").clip(1) - 1]
    inside = (after >= NEAREST) & (after < FURTHEST)
    count = min(4_000, int(inside.sum()))
    chosen = np.concatenate([random.choice(ends[inside], count, False), random.choice(ends[~inside], count, False)])
    x = lead[chosen[:, None] - LENGTH + np.arange(LENGTH)]
    return x[:, None], np.repeat([1, 0], count)


def matched(found: Floats, wanted: Places, within: float) -> int:
    """How many of the found have a wanted one within so many samples, each taken once; both in order."""
    hits = at = 0
    for one in found.tolist():
        while at < len(wanted) and wanted[at] < one - within:
            at += 1
        if at < len(wanted) and wanted[at] <= one + within:
            hits, at = hits + 1, at + 1
    return hits


def leanspike(*words: str) -> None:
    """One command; its failure ends the recipe."""
    done = subprocess.run([sys.executable, "-m", "leanspike", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def streamed(out: Path, lead: Floats, seed: int, *options: str) -> tuple[Floats, dict[str, Any]]:
    """Where the stream says that beats are, and its summary."""
    np.save(out / "stream.npy", lead[:, None])
    step = ("--step-us", str(round(1e6 * EVERY / HERTZ)))
    words = ["--input", str(out / "stream.npy"), "--stream", "values", "--window", str(LENGTH), *step, *options]
    leanspike("run", str(out / f"ecg-{seed}.lsp"), *words, "--out", str(out / "decisions.jsonl"))
    *told, last = [json.loads(line) for line in (out / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = np.array([one["step"] for one in told])
    says = np.array([one["class"] for one in told])
    parts = np.split(np.arange(len(says)), np.flatnonzero(np.diff(says)) + 1)
    middle = [steps[part].mean() - (NEAREST + FURTHEST) / 2 for part in parts if says[part[0]] == 1]
    return np.array(middle), last["summary"]


def one_seed(out: Path, lead: Floats, peaks: Places, seed: int) -> dict[str, Any]:
    """Train, lower, stream: sensitivity and precision."""
    border = SPLIT_SECONDS * HERTZ // EVERY
    if not (out / f"ecg-{seed}.lsp").exists():
        x, y = windows(lead[:border], peaks[peaks < border], seed)
        held = np.random.default_rng(seed).permutation(len(x)) < len(x) // 10
        np.savez(out / "windows.npz", x_train=x[~held], y_train=y[~held], x_test=x[held], y_test=y[held])
        leanspike("train", str(out / "windows.npz"), *OPTIONS, "--seed", str(seed), "--out", str(out / f"ecg-{seed}"))
        leanspike("lower", str(out / f"ecg-{seed}"), "-o", str(out / f"ecg-{seed}.lsp"))
    wanted = peaks[peaks >= border] - border
    told, summary = streamed(out, lead[border:], seed, "--hop", str(HOP))
    hits = matched(told, wanted, 0.1 * HERTZ / EVERY)
    found = {"seed": seed, "beats": len(wanted), "found": len(told), "right": hits, "summary": summary}
    return found | {"sensitivity": hits / len(wanted), "precision": hits / max(1, len(told))}


def main(words: list[str] | None = None) -> int:
    """Write ecg.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/ecg"), metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    args = parser.parse_args(words)
    out = make_folder(args.out).resolve()
    lead, peaks = record(Path(os.environ["LEANSPIKE_DATA"]) / "mitdb-100")
    rows = [one_seed(out, lead, peaks, seed) for seed in range(args.seeds)]
    write_json(out / "ecg.json", {"schema": 1, "options": OPTIONS, "window": LENGTH, "hop": HOP, "seeds": rows})
    for row in rows:
        print(f"seed {row['seed']}: {row['right']} of {row['beats']} beats, {row['found'] - row['right']} false")
    return 0


if __name__ == "__main__":
    sys.exit(main())
