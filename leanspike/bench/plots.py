"""Peak memory over T as a picture."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure


def memory(table: dict[str, Any], suffix: str) -> bytes:
    """The memory table as ``svg`` or ``png``: both axes logarithmic, so that "grows with T" is a slope of one."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for row in table["rows"]:
        points = [(t, size) for t, size in zip(table["timesteps"], row["megabytes"], strict=True) if size is not None]
        if points:
            ours = row["family"] in ("ours", "option")
            style = {"linewidth": 3, "color": "black", "zorder": 3} if ours else {"linewidth": 1.2}
            line = "--" if row["family"] in ("jax", "option") else "-"
            axes.plot(*zip(*points, strict=True), line, marker="o", markersize=4, label=row["candidate"], **style)
    axes.set(xscale="log", yscale="log", xlabel="timesteps T", ylabel="peak above the model (MB)")
    axes.set_xticks(table["timesteps"], [str(steps) for steps in table["timesteps"]])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_title("Training step, 784-400-10, batch 128", fontsize=11)
    if axes.lines:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=120, metadata={"Date": None} if suffix == "svg" else None)
    return buffer.getvalue()
