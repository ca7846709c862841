"""The tables of results/lean: each row is a road of trainings and compressions, measured on the program it ends in.

    python recipes/lean_tables.py ablation --out runs/lean
    python recipes/lean_tables.py quantisation-mnist --out runs/lean --seeds 3 --workers 2

Every step of a road is a ``leanspike`` command and a folder named by the road so far: roads share what they have in
common, and a run that was cut off goes on where it was. A table is written to OUT/TABLE.json and printed; figures are
means over seeds with 95 % intervals (Student's t). The tables are defined at the end of this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from leanspike.core.files import make_folder, write_json
from leanspike.measure.quality import mean_interval

Words = tuple[str, ...]
FIGURES = ("accuracy", "parameters", "synapses", "operations", "bytes", "state_bytes", "spikes", "latency_us")


@dataclass(frozen=True)
class Road:
    """A data set, options of ``leanspike train``, and options of each ``leanspike compress`` behind it."""

    dataset: str
    train: Words = ()
    passes: tuple[Words, ...] = ()

    def then(self, *options: str) -> Road:
        """One compression more."""
        return replace(self, passes=(*self.passes, options))


def folder(road: Road, seed: int, out: Path) -> Path:
    """Where the last step of a road lies."""
    told = json.dumps([road.dataset, road.train, road.passes, seed])
    return out / f"{road.dataset}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def walk(roads: Iterable[Road], seeds: int, out: Path, workers: int) -> None:
    """Every step that is not yet done, the first steps of all roads before the second: what is shared is done once."""
    longest = max(len(road.passes) for road in roads)
    with ThreadPoolExecutor(workers) as pool:
        for length in range(longest + 1):
            starts = [replace(road, passes=road.passes[:length]) for road in roads if len(road.passes) >= length]
            steps = [(road, seed) for seed in range(seeds) for road in dict.fromkeys(starts)]
            list(pool.map(lambda step: _step(*step, out), steps))


def _step(road: Road, seed: int, out: Path) -> None:
    place = folder(road, seed, out)
    if (place / "result.json").exists():
        return
    if road.passes:
        before = folder(replace(road, passes=road.passes[:-1]), seed, out)
        _leanspike("compress", str(before), "--out", str(place), *road.passes[-1])
    else:
        _leanspike("train", road.dataset, "--seed", str(seed), "--out", str(place), *road.train)


def figures(place: Path) -> dict[str, Any]:
    """What the program of a finished run does with the test set."""
    page, program = place / "figures.json", place / "net.lsp"
    if page.exists():
        found: dict[str, Any] = json.loads(page.read_text(encoding="utf-8"))
        return found
    _leanspike("lower", str(place), "-o", str(program))
    told = json.loads(_leanspike("measure", str(program), "--json"))
    memory = told["footprint"]
    found = {
        "accuracy": told["accuracy"],
        "parameters": memory["parameters"],
        "synapses": memory["synapses"],
        "operations": told["macs"] + told["acs"],
        "bytes": memory["array_bytes"] + memory["state_bytes"],
        "state_bytes": memory["state_bytes"],
        "spikes": told["spikes_per_sample"],
        "latency_us": told["latency_us"]["p50"],
        "program": told["sha256"],
    }
    write_json(page, found)
    return found


def _leanspike(*words: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "leanspike", *words]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=root)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])}\n{done.stderr[-2000:]}")
    return done.stdout


def table(rows: Mapping[str, Road], out: Path, seeds: int, workers: int) -> list[dict[str, Any]]:
    """Walk every road from every seed, then measure one after the other: latencies are taken on a quiet machine."""
    walk(list(rows.values()), seeds, out, workers)
    return [_row(label, road, [folder(road, s, out) for s in range(seeds)]) for label, road in rows.items()]


def _row(label: str, road: Road, places: list[Path]) -> dict[str, Any]:
    trained = [json.loads((place / "result.json").read_text(encoding="utf-8"))["accuracy"] for place in places]
    found = [{"trained_accuracy": accuracy, **figures(place)} for accuracy, place in zip(trained, places, strict=True)]
    means = {name: asdict(mean_interval([one[name] for one in found])) for name in ("trained_accuracy", *FIGURES)}
    return {"row": label, "road": [road.dataset, road.train, *road.passes], "means": means, "seeds": found}


def text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table as Markdown."""
    head = "| | accuracy | synapses left | operations | bytes | of them states | spikes | latency |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        mean = {name: row["means"][name]["mean"] for name in FIGURES}
        high = row["means"]["accuracy"]["hi"]
        accuracy = f"{mean['accuracy']:.2%}" + (f" ± {100 * (high - mean['accuracy']):.2f}" if high is not None else "")
        counts = (f"{mean[name]:,.0f}" for name in ("synapses", "operations", "bytes", "state_bytes", "spikes"))
        lines.append(f"| {row['row']} | {accuracy} | {' | '.join(counts)} | {mean['latency_us']:.1f} µs |")
    return "\n".join(lines)


def _sets(*settings: str) -> Words:
    return tuple(word for one in settings for word in ("--set", one))


def _recipe(name: str) -> Words:
    return ("--config", f"recipes/{name}.toml")


STEPS = ("--timesteps", "5")
MNIST, FASHION = Road("mnist", STEPS), Road("fashion-mnist", STEPS)
PRUNED = ("--epochs", "5", *_sets("train.learning_rate=1e-3", "prune.sparsity=0.9", "prune.output_sparsity=0.5"))
FEW_BITS = ("--epochs", "3", *_sets("weights.bits=4", "membrane.bits=4"))
TUNED = ("train.learning_rate=1.85e-3", "neuron.beta=0.6", "neuron.threshold=2.0")
"""What the most accurate trial of results/lean/tune.json trains with, T and the other rows' settings left out."""
CONVNET = ("model.kind=convnet", "model.norm=batch", "model.channels=[16,32]", "train.schedule=cosine")
REGULARISED = ("model.norm=batch", "model.dropout=0.1", "train.rate_penalty=0.1")


def ablation() -> dict[str, Road]:
    """784-400-10, T = 5: one method at a time on the base line, then all; 8-bit weights but for the last row."""
    everything = Road("mnist", (*STEPS, *_sets(*TUNED, *REGULARISED))).then(*PRUNED)
    return {
        "baseline": MNIST,
        "+ dynamic pruning, 90 %": MNIST.then(*PRUNED),
        "+ tuning": Road("mnist", (*STEPS, *_sets(*TUNED))),
        "+ dropout 0.2": Road("mnist", (*STEPS, *_sets("model.dropout=0.2"))),
        "+ batch norm": Road("mnist", (*STEPS, *_sets("model.norm=batch"))),
        "+ firing-rate penalty 0.1": Road("mnist", (*STEPS, *_sets("train.rate_penalty=0.1"))),
        "all combined": everything,
        "all combined, then 4-bit weights and potentials": everything.then(*FEW_BITS),
    }


def quantisation(base: Road) -> dict[str, Road]:
    """Weights x membranes. A program has no floats: 16-bit weights stand for 32, and 0 keeps the potentials whole."""
    weights, membranes = ("16", "8", "4", "2", "ternary"), ("0", "8", "4", "2", "ternary")
    return {
        f"weights {w}, membranes {m}": base.then("--epochs", "2", *_sets(f"weights.bits={w}", f"membrane.bits={m}"))
        for w in weights
        for m in membranes
    }


def sparse_activation() -> dict[str, Road]:
    """A convnet of Fashion-MNIST, and the same with spikes pushed out and silent channels closed."""
    base = Road("fashion-mnist", ("--timesteps", "4", "--epochs", "5", *_sets(*CONVNET)))
    return {"convnet 16-32": base, "+ sparse activation": base.then(*_recipe("fashion-sparse-activation"))}


def sixteen_kib() -> dict[str, Road]:
    """The road to 16 KiB and 20,000 operations: most connections go, what is left gets 2 bits, potentials too."""
    base = Road("mnist", ("--timesteps", "4", "--epochs", "8", *_sets("model.norm=batch")))
    slow = ("--epochs", "10", *_sets("train.learning_rate=1e-3"))
    pruned = base.then(*slow, *_sets("prune.sparsity=0.96", "prune.scope=global"))
    return {
        "baseline, T = 4": base,
        "96 % of the connections pruned": pruned,
        "then 2-bit weights and potentials": pruned.then(*slow, *_sets("weights.bits=2", "membrane.bits=2")),
    }


def networks() -> dict[str, Road]:
    """The deep and the recurrent networks, small: the CIFAR-10 subset, and Fashion-MNIST."""
    small = _recipe("cifar10-small")
    spikformer = ("model.kind=spikformer", "model.width=0.25", "model.heads=4", "model.depth=2")
    return {
        "recurrent 784-128-10, Fashion-MNIST, rate, T = 8": Road("fashion-mnist", _recipe("fashion-recurrent")),
        "VGG-9 / 8, CIFAR-10 subset, T = 2": Road("cifar10", small),
        "Spikformer-2-64, CIFAR-10 subset, T = 2": Road("cifar10", (*small, *_sets(*spikformer))),
        "ResNet-19 / 8, CIFAR-10 subset, T = 2": Road("cifar10", (*small, *_sets("model.kind=resnet19"))),
    }


def threshold(base: Road, epochs: int) -> dict[str, Road]:
    """The same fine-tuning with thresholds that are fixed, and that learn."""
    budget = ("--epochs", str(epochs), *_sets("train.learning_rate=1e-3"))
    learnt = (*budget, *_sets("threshold.learn=true"))
    return {
        "fixed thresholds": base.then(*budget),
        "learnt, one a layer": base.then(*learnt),
        "learnt, one a channel": base.then(*learnt, *_sets("threshold.per_channel=true")),
        "learnt, one a layer, coupled loss": base.then(*learnt, *_sets("threshold.coupling=0.05")),
    }


TABLES = {
    "sparse-activation": sparse_activation,
    "networks": networks,
    "sixteen-kib": sixteen_kib,
    "ablation": ablation,
    "quantisation-mnist": lambda: quantisation(MNIST),
    "quantisation-fashion": lambda: quantisation(FASHION),
    "threshold": lambda: threshold(MNIST, 4),
    "threshold-nmnist": lambda: threshold(Road("n-mnist-small", _recipe("nmnist-small")), 10),
}


def main(words: list[str] | None = None) -> int:
    """Make one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--out", type=Path, default=Path("runs/lean"), metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="roads at the same time, a thread each")
    args = parser.parse_args(words)
    rows = table(TABLES[args.table](), make_folder(args.out).resolve(), args.seeds, args.workers)
    write_json(args.out / f"{args.table}.json", {"table": args.table, "seeds": args.seeds, "rows": rows})
    print(text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
