"""Pictures of a network that learned by plasticity: receptive fields, labels of its neurons, accuracy while it learned.

Neurons lie in rows of ``ceil(sqrt(neurons))``, in their order, in both pictures of neurons.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from leanspike.report import plots
from leanspike.report.plots import MARKERS, SERIES, Plot

Colours = npt.NDArray[np.uint8]
_FRAME, _GAP = 2, 2
_LEAST_SIDE = 600
_SILENT = (150, 150, 150)


def receptive_fields(weights: npt.NDArray[Any], owner: npt.NDArray[np.int64], shape: tuple[int, ...]) -> bytes:
    """A PNG of all neurons' weights as images, dark for strong, framed in the colour of the neuron's class.

    Args:
        weights: ``[inputs, neurons]``, 0 or more.
        owner: ``[neurons]`` class, -1 for none.
        shape: of a sample: ``(C, H, W)``, whose inputs lie channels last (channels are averaged), or ``(F,)``, a row.
    """
    height, width = shape[-2:] if len(shape) == 3 else (1, shape[0])
    fields = weights.T.reshape(len(owner), height, width, -1).mean(axis=3)
    strongest = np.maximum(fields.max(axis=(1, 2), keepdims=True), 1e-12)
    grey = 255 - np.floor(fields / strongest * 255 + 0.5).astype(np.uint8)
    columns, rows = _grid(len(owner))
    border = _FRAME + _GAP
    sheet = np.full((rows * (height + 2 * border), columns * (width + 2 * border), 3), 255, dtype=np.uint8)
    for j, field in enumerate(grey):
        top, left = (j // columns) * (height + 2 * border), (j % columns) * (width + 2 * border)
        frame = (slice(top + _GAP, top + height + border + _FRAME), slice(left + _GAP, left + width + border + _FRAME))
        sheet[frame] = colour(int(owner[j]))
        sheet[top + border : top + border + height, left + border : left + border + width] = field[:, :, None]
    scale = max(1, -(-_LEAST_SIDE // max(sheet.shape[:2])))
    return _png(np.repeat(np.repeat(sheet, scale, axis=0), scale, axis=1))


def label_map(responses: npt.NDArray[np.float64], owner: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """A PNG of every neuron's class, the more solid the larger the share of its spikes that class has."""
    columns, rows = _grid(len(owner))
    total = responses.sum(axis=1)
    share = np.divide(responses.max(axis=1), total, out=np.zeros(len(owner)), where=total > 0)
    figure = Figure(figsize=(columns * 0.34, rows * 0.34), dpi=110)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, columns), ylim=(rows, 0))
    axis.axis("off")
    for j, (belongs, solid) in enumerate(zip(owner.tolist(), share.tolist(), strict=True)):
        x, y = j % columns, j // columns
        tone = np.array(colour(belongs)) / 255
        axis.add_patch(mpl.patches.Rectangle((x, y), 0.96, 0.96, color=tuple(1 - solid * (1 - tone)), lw=0))
        told = classes[belongs][:3] if belongs >= 0 else "-"
        axis.text(x + 0.48, y + 0.5, told, ha="center", va="center", fontsize=8)
    return _saved(figure)


def confusion_map(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """A PNG of a confusion matrix: rows are true classes, columns what they were read as, with the counts."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.55 * len(classes) + 1
    figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        if counts[i, j]:
            tone = "white" if shares[i, j] > 0.55 else "black"
            axis.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8, color=tone)
    ticks = range(len(classes))
    axis.set_xticks(ticks, [name[:8] for name in classes])
    axis.set_yticks(ticks, [name[:8] for name in classes])
    axis.set(xlabel="read as", ylabel="true class")
    return _saved(figure)


def progress(history: Sequence[Mapping[str, Any]]) -> Plot:
    """Accuracy over the samples seen: of neurons labelled by one window of samples, on the next."""
    known = [record for record in history if record["accuracy"] is not None]
    with plots.style():
        figure, (axis, below) = plots.canvas(330, rows=2, ratios=(2.0, 1.0))
        samples = [record["samples"] / 1000 for record in known]
        axis.plot(samples, [100 * record["accuracy"] for record in known], color=SERIES[0], marker=MARKERS[0], ms=3)
        axis.set(ylabel="accuracy (%)")
        if known:
            plots.share_axis(axis)
        every = [record["samples"] / 1000 for record in history]
        below.plot(every, [record["spikes"] for record in history], color=SERIES[1], marker=MARKERS[1], ms=3)
        below.set(xlabel="training samples seen (thousands)", ylabel="spikes", ylim=(0, None))
        caption = "Above: each window of samples read by labels of the window before. Below: spikes a sample."
        told = f"{100 * known[-1]['accuracy']:.1f} % in the last window" if known else "one window only"
        return plots.finish(figure, "learning", "While it learned", caption, told)


def picture(name: str, title: str, png: bytes, caption: str, numbers: str) -> Plot:
    """A PNG as a figure of the page."""
    source = base64.b64encode(png).decode()
    body = f'<img src="data:image/png;base64,{source}" alt="{html.escape(numbers)}" style="max-width:100%;height:auto">'
    return Plot(name, title, body, caption, numbers)


def colour(owner: int) -> tuple[int, int, int]:
    """The colour of a class (20 are told apart), grey for none; 0..255."""
    if owner < 0:
        return _SILENT
    red, green, blue, _ = mpl.colormaps["tab10" if owner < 10 else "tab20b"](owner % 20 if owner >= 10 else owner)
    return int(red * 255), int(green * 255), int(blue * 255)


def _grid(neurons: int) -> tuple[int, int]:
    columns = math.ceil(math.sqrt(neurons))
    return columns, -(-neurons // columns)


def _png(pixels: Colours) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
