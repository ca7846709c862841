"""Labels beside points: each takes the first place around its point that meets no point and no earlier label."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from leanspike.report.plots import INK

Box = tuple[float, float, float, float]
PLACES = (
    *((6, 4), (6, -18), (-6, 4), (-6, -18), (9, -7), (-9, -7), (0, 7), (0, -22)),
    *((14, 16), (14, -30), (-14, 16), (-14, -30), (22, -7), (-22, -7)),
)
HEIGHT, LETTER = 14.0, 6.4


def place(axis: Axes, labels: Sequence[tuple[float, float, str]], points: Sequence[tuple[float, float]]) -> None:
    """Write ``labels`` (x, y, text) on ``axis``; sizes and offsets are in points of the figure."""
    axis.figure.draw_without_rendering()  # type: ignore[union-attr]
    scale = 72 / axis.figure.dpi
    frame = axis.get_window_extent()
    edges = frame.x0 * scale, frame.x1 * scale
    taken: list[Box] = []
    for x, y in points:
        px, py = (float(value) * scale for value in axis.transData.transform((x, y)))
        taken.append((px - 4, py - 4, px + 4, py + 4))
    for x, y, text in sorted(labels, key=lambda label: (-label[1], label[0])):
        px, py = (float(value) * scale for value in axis.transData.transform((x, y)))
        options = [(_clash(_box(px, py, dx, dy, text), taken, edges), i) for i, (dx, dy) in enumerate(PLACES)]
        dx, dy = PLACES[min(options)[1]]
        taken.append(_box(px, py, dx, dy, text))
        side = "left" if dx > 0 else "right" if dx < 0 else "center"
        axis.annotate(text, (x, y), (dx, dy), textcoords="offset points", ha=side, va="bottom", fontsize=10, color=INK)


def _box(px: float, py: float, dx: float, dy: float, text: str) -> Box:
    width = LETTER * len(text)
    left = px + dx - (0 if dx > 0 else width if dx < 0 else width / 2)
    return left, py + dy, left + width, py + dy + HEIGHT


def _clash(box: Box, taken: Sequence[Box], edges: tuple[float, float]) -> float:
    """Overlapped area, plus what hangs over the left or right edge."""
    overlap = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
    return overlap + HEIGHT * (max(0.0, edges[0] - box[0]) + max(0.0, box[2] - edges[1]))
