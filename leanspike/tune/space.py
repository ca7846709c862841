"""The space that a tune searches: settings of the run and, under ``compress.``, of its compression."""

from __future__ import annotations

from collections.abc import Sequence

from leanspike.core.records import require
from leanspike.study.config import Axis, Range, parse_axis, parse_range

Dimension = Range | Axis
DEFAULT: tuple[Dimension, ...] = (
    Range("train.learning_rate", 1e-4, 1e-2, log=True),
    Range("model.dropout", 0.1, 0.5),
    Range("train.rate_penalty", 1e-3, 0.1, log=True),
    Range("neuron.beta", 0.5, 0.99),
    Range("neuron.threshold", 0.5, 2.0),
    Axis("timesteps", ("1", "2", "4", "8")),
    Range("compress.prune.sparsity", 0.0, 0.95),
    Axis("compress.weights.bits", ("8", "4", "2", '"ternary"')),
    Axis("compress.membrane.bits", ("0", "8", "4", "2", '"ternary"')),
)


def default_space() -> tuple[Dimension, ...]:
    """Learning rate, dropout, firing-rate penalty, leak, threshold, T, share of pruned connections, bits."""
    return DEFAULT


def overridden(space: Sequence[Dimension], own: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """``space`` with the user's own dimensions in the places of those of the same key, and behind."""
    mine = {dimension.key: dimension for dimension in own}
    kept = [mine.pop(dimension.key, dimension) for dimension in space]
    return (*kept, *mine.values())


def parse_dimension(text: str) -> Dimension:
    """``key=low:high[:log]`` as a range, ``key=v1,v2`` as a choice, ``key=v`` as a setting that is not searched."""
    _, _, values = text.partition("=")
    require(bool(values.strip()), "--search", text, "KEY=LOW:HIGH, KEY=LOW:HIGH:log, KEY=VALUE,VALUE or KEY=VALUE")
    return parse_range(text) if ":" in values else parse_axis(text, "--search")
