"""Two drawings of a comparison: mean ranks with bars over those that do not differ, and accuracy over operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leanspike.measure.ranks import Ranking
from leanspike.report.formats import number, percent
from leanspike.report.labels import LETTER, place
from leanspike.report.plots import INK, MARKERS, MUTED, SERIES, WIDTH, Plot, canvas, cost_axis, finish, style


def ranks_plot(order: Ranking, names: Mapping[str, str]) -> Plot:
    """The critical-difference style diagram: a line of ranks, the best on the left."""
    count = len(order.methods)
    with style():
        figure, (axis,) = canvas(height=70.0 + 26.0 * count + 12.0 * len(order.cliques))
        labels = [f"{names[method]} {rank:.2f}" for method, rank in zip(order.methods, order.ranks, strict=True)]
        axis.set_xlim(_left_end(labels, order.ranks, count), count + 0.2)
        axis.set_ylim(-(count + 0.6), 0.55 * len(order.cliques) + 0.6)
        axis.xaxis.set_ticks_position("top")
        axis.xaxis.set_label_position("top")
        axis.set_xticks(range(1, count + 1))
        axis.set_yticks([])
        axis.set_xlabel("mean rank, 1 is the best")
        for side in ("left", "bottom"):
            axis.spines[side].set_visible(False)
        axis.spines["top"].set_visible(True)
        for i, (label, rank) in enumerate(zip(labels, order.ranks, strict=True)):
            axis.plot([rank, rank], [-i - 0.75, 0.0], color=MUTED, linewidth=0.9)
            axis.plot([rank], [0.0], marker="o", color=INK)
            place_of = {"xytext": (-4, -4), "textcoords": "offset points", "ha": "right", "va": "center"}
            axis.annotate(label, (rank, -i - 0.75), **place_of)  # type: ignore[arg-type]
        for k, clique in enumerate(order.cliques):
            ends = [order.ranks[order.methods.index(m)] for m in (clique[0], clique[-1])]
            y = 0.35 + 0.55 * k
            axis.plot([ends[0] - 0.04, ends[1] + 0.04], [y, y], color=SERIES[0], linewidth=3.5, solid_capstyle="butt")
        told = ", ".join(labels)
        caption = f"Over {order.sets} sets; a bar joins models that do not differ (Wilcoxon, Holm, 5 %)."
        return finish(figure, "ranks", "Mean ranks", caption, told)


def _left_end(labels: Sequence[str], ranks: Sequence[float], count: int) -> float:
    """Where the axis starts, so that every label, left of its line, has room; no line to the left reaches so deep."""
    ends = [rank - count * (len(label) * LETTER + 12) / WIDTH for label, rank in zip(labels, ranks, strict=True)]
    return min(0.8, *ends)


def costs_plot(points: Sequence[tuple[str, float, float]]) -> Plot:
    """Accuracy over operations (MACs and ACs together) of an answer, means over the sets."""
    with style():
        figure, (axis,) = canvas(height=270.0)
        cost_axis(axis, "x", [max(operations, 1.0) for _, operations, _ in points])
        for i, (_, operations, accuracy) in enumerate(points):
            colour, marker = SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)]
            axis.plot([max(operations, 1.0)], [100 * accuracy], marker=marker, color=colour, linestyle="none")
        lowest = min(accuracy for _, _, accuracy in points)
        axis.set_ylim(100 * lowest - 7, min(101.0, 100 * max(a for _, _, a in points) + 4))
        axis.set_xlabel("operations an answer")
        axis.set_ylabel("accuracy, %")
        places = [(max(operations, 1.0), 100 * accuracy) for _, operations, accuracy in points]
        place(axis, [(x, y, name) for (name, _, _), (x, y) in zip(points, places, strict=True)], places)
        told = "; ".join(f"{name} {percent(accuracy)} at {number(operations)}" for name, operations, accuracy in points)
        caption = "Operations are multiplications with an addition and additions, executed ones of spiking networks."
        return finish(figure, "costs", "Accuracy over operations", caption, told)
