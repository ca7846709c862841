"""The Pareto front: what is not beaten by anything else.

a dominates b  <=>  a is at least as good as b in every goal and better in one. The front is all that nothing dominates;
equal points are all kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError

Goal = Literal["min", "max"]


def front(points: npt.ArrayLike, goals: Sequence[Goal]) -> npt.NDArray[np.bool_]:
    """Which of ``points [N, D]`` are on the front: ``[N]`` booleans.

    Args:
        goals: for each of the D columns, whether less or more is better.

    Raises:
        DataError: the shapes do not fit, a goal is unknown or a value is NaN (leave out what was not measured).
    """
    table = np.asarray(points, dtype=np.float64).reshape(-1, len(goals))
    if len(goals) == 0 or any(goal not in ("min", "max") for goal in goals):
        raise DataError(f"goals are 'min' or 'max', one a column; found {list(goals)}")
    if np.isnan(table).any():
        raise DataError("a Pareto front needs numbers, found NaN", remedy="leave out what was not measured")
    cost = table * np.array([1.0 if goal == "min" else -1.0 for goal in goals])
    return np.array([not _dominated(row, cost) for row in cost], dtype=np.bool_)


def _dominated(row: npt.NDArray[np.float64], cost: npt.NDArray[np.float64]) -> bool:
    return bool(((cost <= row).all(axis=1) & (cost < row).any(axis=1)).any())
