"""What a program did with a batch of samples: the common answer of the interpreters, the engine and every target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trace:
    """All arrays are int64.

    Attributes:
        predictions: ``[B]`` class of the highest score, the lowest of equal ones.
        scores: ``[B, K]`` after the last step that a sample used.
        steps: ``[B]`` steps used, T unless the program exits early.
        spikes: by name of a spiking layer's value, ``[B]`` spikes a sample in the steps used.
        potentials: by name of a state, ``[B, *shape]`` after the last step used.
        step_spikes, step_states: by the same names, ``[T, B, *shape]`` spikes in, and states after, every step; empty
            where they were not asked for. After an early exit there are no spikes, and states stay as they are.
    """

    predictions: Ints
    scores: Ints
    steps: Ints
    spikes: Mapping[str, Ints]
    potentials: Mapping[str, Ints]
    step_spikes: Mapping[str, Ints] = field(default_factory=dict)
    step_states: Mapping[str, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.predictions)


def mismatches(expected: Trace, found: Trace) -> dict[str, int]:
    """How many samples differ, by what they differ in; only what both traces hold is compared, and both must hold
    predictions, scores, steps, spikes and potentials.

    Returns:
        ``{"predictions": 0, "scores": 0, "spikes s1": 0, ...}``: every comparison that was made, zeros included.

    Raises:
        ValueError: the traces are not of the same samples or the same program.
    """
    counts: dict[str, int] = {}
    for part in fields(Trace):
        a, b = getattr(expected, part.name), getattr(found, part.name)
        if isinstance(a, np.ndarray):
            counts[part.name] = _differing(a, b, 0, part.name)
            continue
        optional = part.name.startswith("step_")
        if a.keys() != b.keys() and not (optional and (not a or not b)):
            raise ValueError(f"{part.name}: expected {sorted(a)}, found {sorted(b)}")
        for name in a.keys() & b.keys():
            counts[f"{part.name} {name}"] = _differing(a[name], b[name], 1 if optional else 0, f"{part.name} {name}")
    return counts


def _differing(a: Ints, b: Ints, samples: int, what: str) -> int:
    if a.shape != b.shape:
        raise ValueError(f"{what}: expected shape {a.shape}, found {b.shape}")
    other = tuple(axis for axis in range(a.ndim) if axis != samples)
    return int((a != b).any(axis=other).sum())


def joined(parts: list[Trace]) -> Trace:
    """The traces of consecutive batches as one."""
    whole: dict[str, Any] = {}
    for part in fields(Trace):
        pieces = [getattr(trace, part.name) for trace in parts]
        if isinstance(pieces[0], np.ndarray):
            whole[part.name] = np.concatenate(pieces)
        else:
            axis = 1 if part.name.startswith("step_") else 0
            whole[part.name] = {name: np.concatenate([p[name] for p in pieces], axis=axis) for name in pieces[0]}
    return Trace(**whole)
