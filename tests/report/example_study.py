"""TEST DATA ONLY: a study with made-up figures around real digit images, to build pages from. Never a result."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from leanspike.measure.exits import anytime, exit_curve
from leanspike.measure.latency import Latency
from leanspike.measure.quality import accuracy, confusion, wilson
from leanspike.measure.records import Study, TrialRecord, save

N, CLASSES = 360, 10


def spiking_trial(folder: Path, t: int, seed: int, *, parameters: dict[str, object] | None = None) -> TrialRecord:
    """One trial: logits that sharpen with every step, and rasters of a leaky integrator driven by real digits."""
    random = np.random.default_rng([t, seed, len(str(parameters))])
    digits = load_digits()
    images, labels = digits.images[-N:] / 16.0, digits.target[-N:].astype(np.int64)
    truth = np.eye(CLASSES)[labels]
    evidence = np.cumsum(truth * 2.0 + random.normal(0, 1.0, (t, N, CLASSES)), axis=0)
    blur = random.normal(0, 0.34, (N, CLASSES)) * np.arange(1, t + 1)[:, None, None]
    logits = evidence / 1.5 + blur
    predictions = logits[-1].argmax(axis=-1)
    right = int((predictions == labels).sum())
    name = f"details/t{t}-s{seed}.npz"
    if seed == 0:
        write_details(folder / name, images, labels, predictions, t, random)
    spikes = 100 * t * 0.11 + t * 0.9 + random.normal(0, 2)
    return TrialRecord(
        "digits",
        "mlp 64-100-10",
        "direct",
        t,
        seed,
        accuracy=accuracy(predictions, labels),
        accuracy_ci95=wilson(right, N),
        validation_accuracy=accuracy(predictions[:180], labels[:180]),
        latency_us=Latency(60 + 11.0 * t + random.random(), 110 + 16.0 * t + 9 * random.random()),
        spikes_per_sample=float(spikes),
        firing_rate={"hidden 1": 0.11 + 0.02 / t, "output": 0.09 + 0.05 / t},
        sparsity=1 - float(spikes) / (110 * t),
        params=7510,
        synapses=7400,
        macs=6400.0,
        acs=float(spikes) * 10,
        train_seconds=2.0 + 0.21 * t + random.random() / 3,
        epochs=12,
        best_epoch=11,
        anytime=anytime(logits, labels),
        exit_curve=exit_curve(logits, labels),
        confusion=tuple(map(tuple, confusion(predictions, labels, CLASSES).tolist())),
        config_hash=f"{t:08x}{seed:08x}",
        versions={"torch": "2.13.0", "numpy": np.__version__},
        parameters={"timesteps": t, "seed": seed, **(parameters or {})},
        details=name if seed == 0 else None,
    )


def ann_trial(seed: int) -> TrialRecord:
    """The base line."""
    right = 352 + seed
    return TrialRecord(
        "digits",
        "ann 64-100-10",
        "none",
        0,
        seed,
        accuracy=right / N,
        accuracy_ci95=wilson(right, N),
        validation_accuracy=0.98,
        latency_us=Latency(31.0 + seed, 52.0),
        params=7510,
        synapses=7400,
        macs=7400.0,
        acs=0.0,
        train_seconds=1.1,
        parameters={"seed": seed},
    )


def write_details(
    path: Path, images: np.ndarray, labels: np.ndarray, predictions: np.ndarray, t: int, random: np.random.Generator
) -> None:
    """A details file with five real images and the spikes of two leaky layers driven by them."""
    drive = images[:5].reshape(5, 64)
    arrays: dict[str, np.ndarray] = {"images": images[:5, None], "labels": labels[:5], "predictions": predictions[:5]}
    for i, width in enumerate((100, 10)):
        weights = random.normal(0.02, 0.32 if i == 0 else 0.35, (drive.shape[-1], width))
        spikes, potential, v = [], [], np.zeros((5, width))
        for step in range(t):
            v = 0.9 * v + (drive if drive.ndim == 2 else drive[step]) @ weights * 0.4
            potential.append(v.copy())
            spikes.append(v >= 1.0)
            v = v - spikes[-1]
        arrays[f"spikes_{i}"] = np.array(spikes, dtype=np.uint8)
        arrays[f"potential_{i}"] = np.array(potential, dtype=np.float32)[:, :, :10]
        drive = np.array(spikes, dtype=float)
    arrays["layer_names"] = np.array(["hidden 1", "output"])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def make(folder: Path, steps: tuple[int, ...] = (5, 10, 25, 50), seeds: int = 3, planned: int | None = None) -> Study:
    """Write a whole study, marked as test data, to ``folder``."""
    trials = [spiking_trial(folder, t, seed) for t in steps for seed in range(seeds)]
    trials += [ann_trial(seed) for seed in range(seeds)]
    return write(folder, trials, planned or len(trials))


def make_search(folder: Path) -> Study:
    """Write a search over two settings."""
    trials = [
        spiking_trial(folder, t, 0, parameters={"train.learning_rate": rate, "model.hidden": [hidden]})
        for t, rate, hidden in [
            (4, 1e-3, 50),
            (8, 1e-3, 100),
            (4, 3e-4, 100),
            (16, 3e-3, 200),
            (8, 3e-4, 200),
            (6, 2e-3, 80),
        ]
    ]
    return write(folder, [*trials, ann_trial(0)], None)


def tune_trial(number: int, random: np.random.Generator) -> TrialRecord:
    """A made-up trial of a tune: fewer bits cost accuracy; every fifth is stopped early."""
    bits, t, sparsity = int(random.choice([8, 4, 2])), int(random.choice([1, 2, 4, 8])), random.uniform(0, 0.95)
    rate = float(10 ** random.uniform(-4, -2))
    parameters = {"train.learning_rate": rate, "timesteps": t, "compress.weights.bits": bits}
    parameters |= {"compress.prune.sparsity": float(sparsity), "compress.membrane.bits": "ternary"}
    stopped = "silent: layer 1 fires at 0 after epoch 1" if number % 5 == 4 else None
    accuracy = 0.985 - 0.03 / bits - 0.01 / t - 0.03 * sparsity**6 - abs(np.log10(rate) + 2.7) / 30
    left = 29600 * (1 - sparsity)
    size = left * bits / 8 + 400.0
    energy = (left / 5 * 0.4 + left * t * 0.002) / 1000 + 0.2 * t
    goals = {"accuracy": float(accuracy), "energy": float(energy), "bytes": round(size), "operations": left / 4}
    record = TrialRecord(
        "digits", "mlp 64-400-10", "direct", t, 0, parameters=parameters, number=number, stopped=stopped
    )
    if stopped:
        return record
    return dataclasses.replace(record, goals=goals, synapses=round(left), memory_bytes=round(size))


def make_tune(folder: Path, count: int = 40) -> Study:
    """Write a tune of made-up trials."""
    random = np.random.default_rng(5)
    trials = [tune_trial(number, random) for number in range(count)]
    best = max((trial for trial in trials if trial.goals), key=lambda trial: trial.goals["accuracy"], default=None)
    if best is not None:
        found = {"accuracy": 0.9611, "accuracy_ci95": (0.936, 0.977), "latency_us": Latency(2.5, 3.1)}
        trials[best.number or 0] = dataclasses.replace(best, **found)  # type: ignore[arg-type]
    keys = ("train.learning_rate", "timesteps", "compress.weights.bits", "compress.prune.sparsity")
    importance = {aim: dict(zip(keys, (0.6, 0.25, 0.1, 0.05), strict=True)) for aim in ("accuracy", "energy", "bytes")}
    study = Study(
        "digits (TEST DATA)",
        tuple(trials),
        {"within": 0.01, "note": "made-up figures: test data"},
        "0123456789abcdef",
        "leanspike tune digits --minutes 20 --out runs/tune-digits",
        "TEST DATA, not a result.",
        {"cpu": "test", "cores": 2},
        "2026-11-21T07:00:00Z",
        "0.1.0",
        count + 3,
        aims=("accuracy", "energy", "bytes"),
        chosen=None if best is None else best.number,
        importance=importance if best is not None else None,
    )
    save(study, folder)
    return study


def write(folder: Path, trials: list[TrialRecord], planned: int | None) -> Study:
    study = Study(
        "digits (TEST DATA)",
        tuple(trials),
        {"train": {"epochs": 12, "learning_rate": 1e-3}, "neuron": {"beta": 0.9}, "note": "made-up figures: test data"},
        "0123456789abcdef",
        "leanspike study digits --timesteps 5,10,25,50 --seeds 3 --out runs/digits",
        "TEST DATA, not a result. 1,437 samples to train, of which 10 % chose the epoch; 360 to test.",
        {"cpu": "test", "cores": 2, "python": "3.11"},
        "2026-11-21T07:00:00Z",
        "0.1.0",
        planned,
    )
    save(study, folder)
    return study
