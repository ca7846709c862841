"""A detector's drawings: windows of events with true and found boxes, precision against recall, the training."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from leanspike.report import plots
from leanspike.report.plots import MARKERS, SERIES, Plot

Counts = npt.NDArray[np.uint8]
ON, OFF = (47, 134, 207), (138, 143, 152)
_MARGIN = 6


def scene(picture: Mapping[str, Any], counts: Counts, classes: Sequence[str]) -> Plot:
    """Events of a window, blue ON and grey OFF, with the true boxes solid and the found ones dashed.

    Args:
        counts: ``[2, H, W]`` in how many frames a pixel had an event, OFF and ON.
    """
    _, height, width = counts.shape
    title, name = f"Window {picture['window'] + 1}", f"scene-{picture['window'] + 1}"
    true = [_name(box, classes) for box in picture["true"]]
    found = [f"{_name(box, classes)} ({box['score']:.2f})" for box in picture["found"]]
    numbers = f"True: {', '.join(true) or 'none'}. Found: {', '.join(found) or 'none'}."
    boxes = [_box(box, _name(box, classes), "--series-3", "", above=True) for box in picture["true"]]
    boxes += [
        _box(box, text, "--series-2", "1.5 1", above=False) for box, text in zip(picture["found"], found, strict=True)
    ]
    view = f"{-_MARGIN} {-_MARGIN} {width + 2 * _MARGIN} {height + 2 * _MARGIN}"
    frame = f'<rect x="0" y="0" width="{width}" height="{height}" fill="none" stroke="var(--rule)" stroke-width="0.3"/>'
    image = f'<image href="{_image(counts)}" width="{width}" height="{height}" style="image-rendering: pixelated"/>'
    told = f'<title id="{name}-title">{title}</title><desc id="{name}-desc">{html.escape(numbers)}</desc>'
    head = (
        f'<svg class="plot" viewBox="{view}" role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc">'
    )
    return Plot(name, title, "\n".join([head + told, frame, image, *boxes, "</svg>"]), numbers, numbers)


def _name(box: Mapping[str, Any], classes: Sequence[str]) -> str:
    return classes[box["label"]] if box["label"] < len(classes) else str(box["label"])


def _box(box: Mapping[str, Any], text: str, colour: str, dashes: str, *, above: bool) -> str:
    """A rectangle with its class, above its left corner or below its right one."""
    x0, y0, x1, y1 = (float(corner) for corner in box["corners"])
    stroke = f'fill="none" stroke="var({colour})" stroke-width="0.7"' + (
        f' stroke-dasharray="{dashes}"' if dashes else ""
    )
    rectangle = f'<rect x="{x0:.2f}" y="{y0:.2f}" width="{x1 - x0:.2f}" height="{y1 - y0:.2f}" {stroke}/>'
    place = f'x="{x0:.2f}" y="{y0 - 0.8:.2f}"' if above else f'x="{x1:.2f}" y="{y1 + 3.2:.2f}" text-anchor="end"'
    return f'{rectangle}<text {place} font-size="3.4" font-weight="600" fill="var({colour})">{html.escape(text)}</text>'


def _image(counts: Counts) -> str:
    """A PNG as a data URI; pixels without events are transparent."""
    off, on = counts.astype(np.int64)
    pixels = np.zeros((*off.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((on >= off)[..., None], ON, OFF)
    pixels[..., 3] = np.where(on + off > 0, np.minimum(110 + 45 * (on + off), 255), 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def precision_recall(curves: Mapping[str, Sequence[float]]) -> Plot:
    """Precision against recall at some IoUs, means over the classes."""
    with plots.style():
        figure, (axis,) = plots.canvas(290)
        for i, (iou, values) in enumerate(curves.items()):
            axis.plot(np.linspace(0, 1, len(values)), values, color=SERIES[i], ls=plots.DASHES[i], label=f"IoU {iou}")
        axis.set_xlabel("recall")
        axis.set_ylabel("precision")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.02)
        plots.key(axis, columns=3)
        told = "; ".join(f"at IoU {iou} a mean of {np.mean(values):.3f}" for iou, values in curves.items())
        caption = "Of the program, mean over the classes. The area under a curve is AP at that IoU."
        return plots.finish(
            figure, "precision-recall", "Precision and recall", caption, f"Precision over recall: {told}"
        )


def history(training: Mapping[str, Sequence[Mapping[str, float]]]) -> Plot:
    """mAP and AP50 on the validation windows after every epoch, the fine-tuning behind the training."""
    records = [*training["float"], *training["lean"]]
    epochs, before = list(range(1, len(records) + 1)), len(training["float"])
    with plots.style():
        figure, (axis,) = plots.canvas(290)
        for i, (key, label) in enumerate((("ap50", "AP50"), ("map", "mAP (0.50:0.95)"))):
            values = [record[key] for record in records]
            axis.plot(epochs, values, color=SERIES[i], marker=MARKERS[i], label=label)
        axis.axvline(before + 0.5, color=plots.MUTED, lw=1, ls=":")
        axis.set_xlabel("epoch; behind the line in integers")
        axis.set_ylabel("on validation windows")
        axis.set_ylim(0, 1.02)
        plots.key(axis)
        last = records[-1]
        told = f"After {len(records)} epochs AP50 {last['ap50']:.3f} and mAP {last['map']:.3f}"
        caption = "The epoch with the highest mAP is kept, of the training and of the fine-tuning."
        return plots.finish(figure, "training", "Training", caption, told)
