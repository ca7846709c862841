"""Scores of the steps so far, and the early exit: the meaning of a program's readout, for both interpreters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leanspike.ir.inttype import Ints
from leanspike.ir.program import Program, Readout


@dataclass(frozen=True, eq=False)
class Scores:
    """Running scores ``[B, K]`` of a readout of T ``steps``."""

    readout: Readout
    steps: int
    values: Ints

    @staticmethod
    def zeros(program: Program, batch: int) -> Scores:
        """Before the first step."""
        return Scores(program.readout, program.steps, np.zeros((batch, program.classes), dtype=np.int64))

    def after(self, value: Ints, t: int, going: npt.NDArray[np.bool_]) -> Scores:
        """The scores after step t (from 0) gave ``value`` ``[B, K]`` or a map; samples not ``going`` keep theirs."""
        kind, old = self.readout.kind, self.values
        value = value.reshape(old.shape)
        if kind in ("count", "membrane_mean"):
            new = old + value
        elif kind == "membrane_last":
            new = value
        elif kind == "membrane_max":
            new = np.maximum(old, value) if t else value
        else:
            new = np.where(old == 0, value * (self.steps - t), old)
        return replace(self, values=np.where(going[:, None], new, old))

    def decided(self, t: int) -> npt.NDArray[np.bool_]:
        """``[B]`` whether the exit's margin is reached after step t (from 0)."""
        exit_ = self.readout.exit
        if exit_ is None or t + 1 < exit_.earliest or self.values.shape[1] < 2:
            return np.zeros(len(self.values), dtype=bool)
        best: Ints = np.sort(self.values, axis=1)
        margin = exit_.margin * (t + 1 if self.readout.kind == "membrane_mean" else 1)
        return best[:, -1] - best[:, -2] >= margin
