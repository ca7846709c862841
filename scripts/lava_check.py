"""Loihi's compartment in NumPy beside Lava's CPU simulation: every spike, current and voltage of every step.

    python3.11 -m venv lava
    lava/bin/pip install numpy scipy networkx scikit-learn asteval safetensors
    lava/bin/pip install --no-deps --ignore-requires-python lava-nc==0.10.0
    PYTHONPATH=. lava/bin/python scripts/lava_check.py --out results/hardware/lava.json [--program net.lsp ...]

lava-nc 0.10.0 declares Python below 3.11 and NumPy below 2, and runs with both newer ones. Random networks (all widths
of weights, every exponent, decays, biases, recurrent edges, currents that wrap, voltages that clip), then mapped
programs on ``--samples`` test samples of the data set they were made from, or random ones where that cannot be loaded.
``--golden FILE`` keeps some of what Lava gave, for tests without Lava. Exit 1 on a difference.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leanspike import ir
from leanspike.core.files import write_bytes, write_json
from leanspike.targets.loihi import compartment, mapping, simulate
from leanspike.targets.loihi.compartment import INPUT, Compartments, Connections, Recording

SEED = 20_261_121
MOST_PARTS = 8
"""Populations of Lava, each a process of the system, that one of ours may become: one for each threshold and decay."""
PLAIN, AT_THE_ENDS = 3, 2
"""Networks that are kept: any, and such whose currents wrapped."""
Network = tuple[tuple[Compartments, ...], tuple[Connections, ...], np.ndarray, int]


def allow_mutable_defaults() -> None:
    """Python 3.11 refuses dataclass defaults without a hash, which Lava's records have; they are never changed."""
    plain: Any = dataclasses._get_field  # type: ignore[attr-defined]

    def field(cls: type, name: str, kind: Any, keyword: bool) -> Any:
        default = cls.__dict__.get(name)
        if type(default).__module__.startswith("lava.") and type(default).__hash__ is None:
            type(default).__hash__ = object.__hash__  # type: ignore[method-assign]
        return plain(cls, name, kind, keyword)

    dataclasses._get_field = field  # type: ignore[attr-defined]


def random_network(seed: int) -> Network:
    """Populations of one threshold and decay each, some with recurrent edges, and input spikes ``[T, 1, n]``."""
    random = np.random.default_rng([SEED, seed])
    sizes = random.integers(1, 30, random.integers(2, 5))
    names = [INPUT, *(f"p{i}" for i in range(1, len(sizes)))]
    populations, connections = [], []
    for i, size in enumerate(sizes[1:], 1):
        populations.append(_population(random, names[i], int(size)))
        connections.append(_connection(random, (names[i - 1], names[i]), (int(sizes[i - 1]), int(size))))
        if random.random() < 0.3:
            connections.append(_connection(random, (names[i], names[i]), (int(size), int(size))))
    steps = int(random.integers(5, 40))
    spikes = random.random((steps, 1, sizes[0])) < random.choice([0.05, 0.3, 1.0])
    return tuple(populations), tuple(connections), spikes.astype(np.int64), steps


def _population(random: np.random.Generator, name: str, size: int) -> Compartments:
    def every(value: Any) -> np.ndarray:
        return np.full(size, value, dtype=np.int64)

    loud = random.random() < 0.3
    return Compartments(
        name,
        every(random.choice([0, 1, 128, 409, 2048, 4095, random.integers(4096)])),
        every(random.choice([0, 1, 100, 3000, 131_071])),
        random.integers(-4096, 4096, size) * (random.random() < 0.7),
        random.integers(0, 8, size),
        random.integers(-(1 << 23) + 1, 1 << 23, size) if loud else random.integers(-999, 999, size),
        int(random.choice([4095, 4095, 4095, 0, 2048, random.integers(4096)])),
    )


def _connection(random: np.random.Generator, ends: tuple[str, str], shape: tuple[int, int]) -> Connections:
    low, high = random.choice([(-256, 256), (0, 256), (-255, 1), (-400, 400), (-8, 9)], p=[0.4, 0.15, 0.15, 0.1, 0.2])
    weights = random.integers(low, high, shape) * (random.random(shape) < random.choice([0.1, 1.0]))
    sources, targets = (side.ravel() for side in np.indices(shape))
    order = np.lexsort((sources, targets))
    flat = sources[order], targets[order], weights.ravel()[order]
    return Connections(*ends, shape, *flat, int(random.integers(-8, 8)), int(random.integers(1, 9)))


def in_lava(network: Network) -> dict[str, Recording]:
    """What Lava's CPU simulation does with a network of one sample.

    A Lava population has one threshold and one decay: ours are split by them, and put together again.
    """
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF
    from lava.proc.monitor.process import Monitor

    populations, connections, spikes, steps = network
    parts: dict[str, list[tuple[Any, np.ndarray]]] = {of.name: _parts(of, LIF) for of in populations}
    if spikes.shape[2]:
        sent = np.zeros((spikes.shape[2], steps), dtype=np.int32)
        sent[:, : len(spikes)] = spikes[:steps, 0].T
        parts[INPUT] = [(RingBuffer(data=sent), np.arange(spikes.shape[2]))]
    for of in connections:
        weights = np.zeros(of.shape, dtype=np.int64)
        weights[of.sources, of.targets] = of.weights
        for process, sources in parts[of.source]:
            for neurons, targets in parts[of.target]:
                block = weights[np.ix_(sources, targets)].T
                dense = Dense(weights=block, weight_exp=of.exponent, num_weight_bits=of.bits)
                process.s_out.connect(dense.s_in)
                dense.a_out.connect(neurons.a_in)
    probes = [(of.name, *part, {key: Monitor() for key in "suv"}) for of in populations for part in parts[of.name]]
    for _, neurons, _, monitors in probes:
        monitors["s"].probe(neurons.s_out, steps)
        monitors["u"].probe(neurons.u, steps)
        monitors["v"].probe(neurons.v, steps)
    probes[0][1].run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    found = {of.name: {key: np.zeros((steps, 1, of.size), dtype=np.int64) for key in "suv"} for of in populations}
    for name, _, places, monitors in probes:
        for key, monitor in monitors.items():
            (held,) = next(iter(monitor.get_data().values())).values()
            found[name][key][:, 0, places] = held.reshape(steps, len(places)).astype(np.int64)
    probes[0][1].stop()
    return {name: Recording(of["s"], of["u"], of["v"], 0, 0) for name, of in found.items()}


def _parts(of: Compartments, kind: Any) -> list[tuple[Any, np.ndarray]]:
    pairs = np.stack([of.threshold, of.decay], axis=1)
    bias, exponent = (np.broadcast_to(a, (1, of.size))[0] for a in (of.bias, of.bias_exponent))
    found = []
    for pair in np.unique(pairs, axis=0):
        places = np.flatnonzero((pairs == pair).all(axis=1))
        neurons = kind(
            shape=(len(places),), du=of.current_decay, dv=int(pair[1]), vth=int(pair[0]),
            bias_mant=bias[places], bias_exp=exponent[places], v=of.start[places],
        )  # fmt: skip
        found.append((neurons, places))
    return found


def compared(network: Network) -> tuple[dict[str, int], dict[str, Recording]]:
    """Values compared and differing, events exercised, and what Lava gave."""
    populations, connections, spikes, steps = network
    ours, theirs = compartment.run(populations, connections, spikes, steps), in_lava(network)
    counts = dict.fromkeys(("values", "spikes", "differing", "clipped", "wrapped"), 0)
    for of in populations:
        for key in ("spikes", "currents", "voltages"):
            a, b = getattr(ours[of.name], key), getattr(theirs[of.name], key)
            counts["values"] += a.size
            counts["differing"] += int((a != b).sum())
        counts["spikes"] += int(theirs[of.name].spikes.sum())
        counts["clipped"] += ours[of.name].clipped
        counts["wrapped"] += ours[of.name].wrapped
    return counts, theirs


def mapped_networks(path: Path, samples: int) -> tuple[str, list[Network]]:
    """A program's mapping on so many test samples, or random ones where the data set is not here."""
    program, origin = ir.load_with_origin(path)
    of = mapping.mapped(program)
    raw, numbers, told = _samples(program, origin, samples)
    for layer in of.layers:
        parts = len(np.unique(np.stack([layer.compartments.threshold, layer.compartments.decay]), axis=1).T)
        if parts > MOST_PARTS:
            what = f"{path}: {layer.name} has {parts} pairs of threshold and decay, {MOST_PARTS} at most"
            raise SystemExit(f"{what}; give a program with one threshold a layer (weights.per_channel=false)")
    networks = []
    for one, number in zip(raw, numbers, strict=True):
        populations = [
            mapping.with_host_bias(layer, program, one[None]) if layer.host else layer.compartments
            for layer in of.layers
        ]
        spikes = simulate.input_spikes(program, one[None], number[None])
        networks.append((tuple(populations), of.connections, spikes, of.steps))
    return f"{program.name} ({told})", networks


def _samples(program: ir.Program, origin: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray, str]:
    try:
        from leanspike import data

        found = data.load(str(origin["dataset"])).test()
        return ir.raw_samples(program, found.x[:count]), found.numbers[:count], f"test samples of {origin['dataset']}"
    except ImportError:
        kind = program.input.raw
        random = np.random.default_rng(SEED)
        raw = random.integers(kind.type.lowest, kind.type.highest + 1, (count, *kind.shape)).astype(kind.type.dtype)
        return raw, np.arange(count), "random samples"


def keep(path: Path, networks: Sequence[tuple[Network, dict[str, Recording]]]) -> None:
    """Networks and what Lava gave, as one npz."""
    import io

    arrays: dict[str, Any] = {}
    for k, ((populations, connections, spikes, steps), found) in enumerate(networks):
        arrays[f"{k}/steps"], arrays[f"{k}/spikes"] = np.int64(steps), spikes.astype(np.int8)
        for of in populations:
            head = f"{k}/population/{of.name}"
            for key in ("decay", "threshold", "bias", "bias_exponent", "start", "current_decay"):
                arrays[f"{head}/{key}"] = np.asarray(getattr(of, key), dtype=np.int32)
            for key in ("spikes", "currents", "voltages"):
                arrays[f"{head}/{key}"] = getattr(found[of.name], key).astype(np.int32)
        for i, way in enumerate(connections):
            head = f"{k}/connection/{i}/{way.source}>{way.target}"
            for key in ("shape", "sources", "targets", "weights", "exponent", "bits"):
                arrays[f"{head}/{key}"] = np.asarray(getattr(way, key), dtype=np.int32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def main(words: Sequence[str]) -> int:
    """Check, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=100, help="random networks")
    parser.add_argument("--program", type=Path, action="append", default=[], help="a mapped program to run too")
    parser.add_argument("--samples", type=int, default=5, help="of each program")
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--golden", type=Path, help="keep what Lava gave for the first networks")
    args = parser.parse_args(words)
    allow_mutable_defaults()
    rows, kept = [], []
    groups = [("random networks", [random_network(seed) for seed in range(args.networks)])]
    groups += [mapped_networks(path, args.samples) for path in args.program]
    for name, networks in groups:
        total: dict[str, int] = {}
        for network in networks:
            counts, theirs = compared(network)
            total = {key: total.get(key, 0) + count for key, count in counts.items()}
            at_the_end = counts["wrapped"] > 0
            if (
                name == "random networks"
                and sum(ends == at_the_end for *_, ends in kept) < (PLAIN, AT_THE_ENDS)[at_the_end]
            ):
                kept.append((network, theirs, at_the_end))
        rows.append({"name": name, "networks": len(networks), **total})
        print(f"{name}: {len(networks)} runs, " + ", ".join(f"{count:,} {key}" for key, count in total.items()))
    versions = {name: importlib.metadata.version(name) for name in ("lava-nc", "numpy")}
    if args.out:
        write_json(args.out, {"python": platform.python_version(), "versions": versions, "seed": SEED, "rows": rows})
    if args.golden:
        keep(args.golden, [(network, found) for network, found, _ in kept])
    return 1 if any(row["differing"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
