"""Rasters and membrane traces of real samples, from a trial's details file."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from PIL import Image

from leanspike.report import plots
from leanspike.report.overview import Group, Overview
from leanspike.report.plots import MUTED, SERIES, Plot

SHOWN = 2
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sample:
    """One sample: its picture as a data URI (``None`` if it is not an image), label, prediction and rasters."""

    image: str | None
    label: str
    prediction: str
    plot: Plot

    @property
    def is_right(self) -> bool:
        return self.label == self.prediction


@dataclass(frozen=True)
class SampleSet:
    """Samples of one trial; ``problem`` says why there are none."""

    title: str
    samples: tuple[Sample, ...]
    problem: str | None = None


def sample_sets(overview: Overview, folder: Path, classes: tuple[str, ...]) -> list[SampleSet]:
    """Samples of the first trial with details in every group, at most six groups."""
    sets: list[SampleSet] = []
    for group in overview.groups:
        trial = next((trial for trial in group.trials if trial.details), None)
        if trial is not None and trial.details is not None and len(sets) < len(SERIES):
            title = f"{group.label}, {group.model}, seed {trial.seed}"
            sets.append(_read(folder / trial.details, title, group, classes))
    return sets


def _read(path: Path, title: str, group: Group, classes: tuple[str, ...]) -> SampleSet:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        chosen = _choose(arrays["labels"], arrays["predictions"])
        samples = tuple(_sample(arrays, s, f"sample-{group.number}-{s}", title, classes) for s in chosen)
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        reason = "the file is missing" if isinstance(error, FileNotFoundError) else f"the file is damaged ({error})"
        return SampleSet(title, (), f"No samples from {path.name}: {reason}.")
    return SampleSet(title, samples)


def _choose(labels: Array, predictions: Array) -> list[int]:
    """The first sample read rightly and the first read wrongly, filled up with the first ones there are."""
    right, wrong = np.flatnonzero(labels == predictions), np.flatnonzero(labels != predictions)
    wanted = [*right[:1].tolist(), *wrong[:1].tolist(), *range(len(labels))]
    return list(dict.fromkeys(wanted))[:SHOWN]


def _sample(arrays: dict[str, Array], s: int, name: str, title: str, classes: tuple[str, ...]) -> Sample:
    label, prediction = (_class(int(arrays[key][s]), classes) for key in ("labels", "predictions"))
    plot = _plot(arrays, s, name, f"{title}: sample {s + 1}, a {label} read as {prediction}", classes)
    return Sample(_picture(arrays["images"][s]), label, prediction, plot)


def _class(index: int, classes: tuple[str, ...]) -> str:
    return classes[index] if index < len(classes) else str(index)


def _picture(image: Array) -> str | None:
    """A PNG data URI of an image [H, W], [1, H, W] or [3, H, W] with values in 0..1."""
    if image.ndim == 3 and image.shape[0] in (1, 3):
        image = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    if image.ndim not in (2, 3) or (image.ndim == 2 and min(image.shape) < 4):
        return None
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _plot(arrays: dict[str, Array], s: int, name: str, title: str, classes: tuple[str, ...]) -> Plot:
    names = [str(layer) for layer in arrays["layer_names"]]
    panels: list[tuple[str, int, Array]] = []
    for i in range(len(names)):
        for kind in ("spikes", "potential"):
            if f"{kind}_{i}" in arrays:
                panels.append((kind, i, arrays[f"{kind}_{i}"][:, s]))
    heights = [_height(kind, values) for kind, _, values in panels]
    with plots.style():
        figure, axes = plots.canvas(sum(heights) + 26 * len(panels), len(panels), tuple(heights))
        told = []
        for axis, (kind, i, values) in zip(axes, panels, strict=True):
            is_last = i == len(names) - 1
            if kind == "spikes":
                _raster(axis, values, names[i])
                told.append(
                    f"{names[i]}: {int(values.sum())} spikes of {values.shape[1]} neurons in {len(values)} steps"
                )
            else:
                _traces(axis, values, names[i], int(arrays["predictions"][s]) if is_last else None, classes)
            axis.set_xlim(0.4, len(values) + 0.6)
            axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
            axis.tick_params(labelbottom=axis is axes[-1])
        axes[-1].set_xlabel("step t")
        return plots.finish(figure, name, title, "", "; ".join(told))


def _height(kind: str, values: Array) -> float:
    return 70.0 if kind == "potential" else float(np.clip(1.6 * values.shape[1], 40, 130))


def _raster(axis: Axes, spikes: Array, name: str) -> None:
    """One path for all spikes: x t t gap, y n-½ n+½ gap."""
    t, neuron = np.nonzero(spikes)
    gap = np.full(len(t), np.nan)
    x = np.stack([t + 1.0, t + 1.0, gap], axis=1).ravel()
    y = np.stack([neuron - 0.4, neuron + 0.4, gap], axis=1).ravel()
    axis.plot(x, y, color=SERIES[0], lw=float(np.clip(100 / len(spikes), 1.2, 9.0)), solid_capstyle="butt")
    axis.set_ylim(-0.8, spikes.shape[1] - 0.2)
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.set_ylabel("neuron")
    axis.set_title(f"{name}: spikes", loc="left", pad=3)
    axis.grid(visible=False)


def _traces(axis: Axes, potential: Array, name: str, winner: int | None, classes: tuple[str, ...]) -> None:
    steps = np.arange(1, len(potential) + 1)
    for n in range(potential.shape[1]):
        is_winner = winner is not None and n == winner
        colour = SERIES[1] if is_winner else MUTED
        width, weight = (2.0, 1.0) if is_winner else (0.9, 0.65)
        axis.plot(steps, potential[:, n], color=colour, lw=width, alpha=weight, zorder=3 if is_winner else 2)
    legend = f" (thick: {_class(winner, classes)}, the prediction)" if winner is not None else ""
    axis.set_title(f"{name}: membrane potential{legend}", loc="left", pad=3)
    axis.yaxis.set_major_locator(MaxNLocator(3))
    axis.set_ylabel("v")
