"""The whole way of ``leanspike stdp``: learn, label, test once, lower, compare, and write what was found."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

from leanspike import __version__, engine, ir, train
from leanspike.cli.stdp import RESULTS
from leanspike.core.errors import DataError
from leanspike.core.files import write_bytes, write_json
from leanspike.core.records import content_hash, to_dict
from leanspike.data import Dataset, Split, split
from leanspike.measure.quality import confusion, wilson
from leanspike.plasticity import Labels, StdpConfig, Trained, answer, decide, encoding, fit, lower, matrix
from leanspike.plasticity.labels import Doubles, Ints
from leanspike.report import plastic
from leanspike.report.single_page import Page, Table, write_page
from leanspike.train.checkpoint import Checkpoint, write

_ROWS = 12


def learn_and_test(config: StdpConfig, dataset: Dataset, out: Path, threads: int) -> dict[str, Any]:
    """The run and its results; RUN/results.json is written last.

    Raises:
        DataError: samples that are no images or vectors. CheckpointError, OutputError, MissingTool: see fit.
    """
    if dataset.kind not in ("image", "vector"):
        raise DataError(f"has {dataset.kind} samples", where=dataset.name, remedy="give a set of images or vectors")
    teaching, validation = split(dataset, config.validation, config.seed)
    trained = fit(config, dataset.training_only(), teaching, out, progress=train.for_terminal())
    labels = answer.label(config, trained.learned, teaching, len(dataset.classes), threads)
    readout = matrix(labels, config.readout)
    results = _head(config, trained, labels)
    if len(validation):
        found = answer.spikes(config, trained.learned, validation, encoding.final_seed(config.seed), threads)
        results["validation_accuracy"] = float((decide(found, readout) == validation.y).mean())
    results |= _test(config, dataset, trained, readout, out, threads)
    _keep(trained, labels, out)
    _pictures(config, dataset, trained, labels, results, out)
    write_json(out / RESULTS, results)
    return results


def told(results: dict[str, Any], out: Path) -> str:
    """The results for a person to read."""
    low, high = results["accuracy_ci95"]
    lines = [f"test accuracy  {results['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})"]
    if results["program"] is None:
        lines.append(f"program        none: {results['program_reason']}")
    else:
        same = f"the same decision on {results['program']['same']:.2%}"
        lines.append(f"as a program   {results['program']['accuracy']:.2%}  ({same}; {out / 'net.lsp'})")
    speed = results["samples_per_second"]
    lines.append(f"learning       {'not measured' if speed is None else f'{speed:,.0f} samples a second'}")
    lines.append(f"neurons        {results['silent_neurons']} of {results['neurons']} silent")
    return "\n".join([*lines, f"page           {out / 'report.html'}"])


def _head(config: StdpConfig, trained: Trained, labels: Labels) -> dict[str, Any]:
    return {
        "schema": 1,
        "dataset": config.dataset,
        "neurons": config.neurons,
        "rule": config.rule.kind,
        "passes": config.passes,
        "seed": config.seed,
        "readout": config.readout,
        "samples_per_second": trained.samples_per_second,
        "silent_neurons": int((labels.owner < 0).sum()),
        "validation_accuracy": None,
        "config_hash": content_hash(config),
        "versions": {
            "leanspike": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "safetensors": safetensors.__version__,
            "python": platform.python_version(),
        },
        "history": [to_dict(record) for record in trained.history],
    }


def _test(
    config: StdpConfig, dataset: Dataset, trained: Trained, readout: Doubles, out: Path, threads: int
) -> dict[str, Any]:
    """The one look at the test set: the network, and the program that is made from it, on the same samples."""
    test = dataset.test()
    counts = answer.spikes(config, trained.learned, test, encoding.final_seed(config.seed), threads)
    predictions = decide(counts, readout)
    right = int((predictions == test.y).sum())
    found = {
        "accuracy": right / len(test),
        "accuracy_ci95": list(wilson(right, len(test))),
        "test_samples": len(test),
        "spikes_per_sample": float(counts.sum() / len(test)),
        "confusion": confusion(predictions, test.y, len(dataset.classes)).tolist(),
    }
    return found | _program(config, dataset, trained, readout, test, predictions, out, threads)


def _program(
    config: StdpConfig,
    dataset: Dataset,
    trained: Trained,
    readout: Doubles,
    test: Split,
    predictions: Ints,
    out: Path,
    threads: int,
) -> dict[str, Any]:
    if config.neuron.reset != 0:
        return {"program": None, "program_reason": "neuron.reset is not 0, and a program's neurons reset to rest"}
    if not readout.any():
        return {"program": None, "program_reason": "no neuron has a label: all stayed silent"}
    name = f"{config.dataset.rsplit('/', 1)[-1]}-stdp-{config.neurons}"
    program = lower(config, trained.learned, readout, dataset.shape, name)
    ir.save(program, out / "net.lsp", {"dataset": config.dataset, "config_hash": content_hash(config)})
    answers = engine.Engine(program, threads=threads).predict(ir.raw_samples(program, test.x), test.numbers)
    right = int((answers == test.y).sum())
    facts = {
        "accuracy": right / len(test),
        "accuracy_ci95": list(wilson(right, len(test))),
        "same": float((answers == predictions).mean()),
        "sha256": ir.content_hash(program),
        "bytes": (out / "net.lsp").stat().st_size,
    }
    return {"program": facts, "program_reason": None}


def _keep(trained: Trained, labels: Labels, out: Path) -> None:
    arrays: dict[str, Any] = {"weights": trained.learned.weights, "theta": trained.learned.theta}
    arrays |= {"responses": labels.responses, "owner": labels.owner}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    write(out, "network.json", "network.safetensors", Checkpoint(tensors, {}))


def _pictures(
    config: StdpConfig, dataset: Dataset, trained: Trained, labels: Labels, results: dict[str, Any], out: Path
) -> None:
    counts = np.array(results["confusion"])
    fields = plastic.receptive_fields(trained.learned.weights, labels.owner, dataset.shape)
    owners = plastic.label_map(labels.responses, labels.owner, dataset.classes)
    mistakes = plastic.confusion_map(counts, dataset.classes)
    for name, png in (("receptive-fields", fields), ("labels", owners), ("confusion", mistakes)):
        write_bytes(out / f"{name}.png", png)
    n = config.neurons
    plots = [
        plastic.picture(
            "fields", "Receptive fields", fields, "Every neuron's input weights, framed by its class.", f"{n} neurons"
        ),
        plastic.picture("owners", "Labels", owners, "Pale: a neuron that answers to several classes.", f"{n} labels"),
        plastic.progress(results["history"]),
        plastic.picture("confusion", "Confusion", mistakes, "Test samples by true class and answer.", "a matrix"),
    ]
    write_page(out / "report.html", _page(config, results, plots))


def _page(config: StdpConfig, results: dict[str, Any], plots: list[Any]) -> Page:
    program, low_high = results["program"], results["accuracy_ci95"]
    same = results["program_reason"] if program is None else f"the same decision on {program['same']:.2%}"
    interval = f"95 % interval {low_high[0]:.2%} to {low_high[1]:.2%}"
    facts = [
        ("Test accuracy", f"{results['accuracy']:.2%}", f"{interval}, {results['test_samples']:,} samples"),
        ("As a program", "none" if program is None else f"{program['accuracy']:.2%}", same),
        ("Spikes a sample", f"{results['spikes_per_sample']:.1f}", "of the excitatory neurons"),
        ("Silent neurons", str(results["silent_neurons"]), f"of {config.neurons}"),
    ]
    passes = "1 pass" if config.passes == 1 else f"{config.passes} passes"
    rule = f"{config.rule.kind} rule, {config.rule.bounds} bounds"
    return Page(
        kicker="Unsupervised learning by plasticity",
        title=f"{config.neurons} neurons on {config.dataset}",
        summary=f"{rule} · {passes} · T = {config.steps} · seed {config.seed}",
        finding=f"Without a label while it learned, the network reads {results['accuracy']:.1%} of the test samples.",
        facts=facts,
        heading="What it learned",
        reading="Neurons lie in the same places in the first two pictures.",
        plots=plots,
        tables=[
            Table(
                "Windows of learning",
                ("samples", "accuracy", "spikes a sample", "mean theta, mV"),
                [_row(record) for record in _some(results["history"])],
            )
        ],
        method=(
            "Labels were assigned after learning, by the responses of the frozen network to training samples "
            f"(readout {config.readout}); the test set was looked at once, afterwards.",
        ),
        command=f"leanspike stdp {config.dataset} --config config.json --out RUN",
        configuration=to_dict(config),
    )


def _some(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """About a dozen windows, the last one among them."""
    return history[-1 :: -max(1, len(history) // _ROWS)][::-1]


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    accuracy = "-" if record["accuracy"] is None else f"{record['accuracy']:.2%}"
    return f"{record['samples']:,}", accuracy, f"{record['spikes']:.1f}", f"{record['theta']:.1f}"
