"""The moves of the road: five knobs, each a ladder from rich to poor, and what each is good for.

    timesteps     T -> T / 2                                   operations, spikes, energy
    connections   50, 75, 90, 95, 96, 97, 98, 99 % pruned       bytes, operations, energy, spikes
    weights       8, 4, 2 bits, ternary                         bytes, energy
    membrane      8, 4, 2 bits, ternary                         bytes
    neurons       25, 50, 75 % of the hidden ones pruned        bytes, operations, energy, spikes

Of useful knobs those that serve most limits go first. Connections go before bits: what is left is then fitted to its
integers. Whole neurons go last and seldom: of pruned connections, ranked over all layers, those of useless neurons go
first, and lowering removes neurons without any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from leanspike.compress import CompressConfig, MembraneBits, PruneConfig, WeightBits

KNOBS = ("timesteps", "connections", "weights", "membrane", "neurons")
SERVES: Mapping[str, tuple[str, ...]] = {
    "timesteps": ("operations", "spikes", "energy"),
    "connections": ("bytes", "operations", "energy", "spikes"),
    "weights": ("bytes", "energy"),
    "membrane": ("bytes",),
    "neurons": ("bytes", "operations", "energy", "spikes"),
}
CONNECTIONS = (0.5, 0.75, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99)
NEURONS = (0.25, 0.5, 0.75)
BITS: tuple[Any, ...] = (8, 4, 2, "ternary")


@dataclass(frozen=True)
class Settings:
    """Where the knobs stand; bits of 0 are those of floats and of full-width potentials."""

    timesteps: int
    connections: float = 0.0
    weights: Any = 0
    membrane: Any = 0
    neurons: float = 0.0


def lower_rung(settings: Settings, knob: str) -> Settings | None:
    """The settings with a knob one rung down; None at the ladder's end."""
    if knob == "timesteps":
        return replace(settings, timesteps=settings.timesteps // 2) if settings.timesteps > 1 else None
    ladder = {"connections": CONNECTIONS, "neurons": NEURONS, "weights": BITS, "membrane": BITS}[knob]
    now = getattr(settings, knob)
    if knob in ("connections", "neurons"):
        rest = [rung for rung in ladder if rung > now]
    else:
        rest = list(ladder[ladder.index(now) + 1 :] if now else ladder)
    return replace(settings, **{knob: rest[0]}) if rest else None


def compression(before: Settings, after: Settings) -> CompressConfig:
    """The compression from one place to the next, its fine-tuning left to the caller."""
    config = CompressConfig()
    if after.timesteps != before.timesteps:
        config = replace(config, timesteps=after.timesteps)
    if after.connections != before.connections:
        config = replace(config, prune=PruneConfig(after.connections, scope="global"))
    if after.neurons != before.neurons:
        config = replace(config, prune=PruneConfig(after.neurons, unit="neurons", scope="global"))
    if after.weights != before.weights:
        config = replace(config, weights=WeightBits(after.weights))
    if after.membrane != before.membrane:
        config = replace(config, membrane=MembraneBits(after.membrane))
        if not after.weights:  # a program has no floats: 8 bits are what lowering gives them
            config = replace(config, weights=WeightBits(8))
    return config


def useful(missed: tuple[str, ...]) -> list[str]:
    """The knobs that serve any of the limits that are missed: what serves most of them first, neurons last."""
    served = {knob: len(set(SERVES[knob]) & set(missed)) for knob in KNOBS}
    return sorted((knob for knob in KNOBS if served[knob]), key=lambda knob: (knob == "neurons", -served[knob]))


def told(before: Settings, after: Settings) -> str:
    """A move in words."""
    if after == before:
        return "fine-tuned"
    if after.timesteps != before.timesteps:
        return f"T = {after.timesteps}"
    if after.connections != before.connections:
        return f"{after.connections:.3g} of the connections pruned"
    if after.neurons != before.neurons:
        return f"{after.neurons:.3g} of the hidden neurons pruned"
    name, value = ("weights", after.weights) if after.weights != before.weights else ("membrane", after.membrane)
    return f"{name} ternary" if value == "ternary" else f"{name} in {value} bits"
