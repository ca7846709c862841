"""What a program is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw samples ``[N, *program.input.raw.shape]`` of a data set, their labels and numbers, ``[N]`` each; labels of
    steps ``[N, T]``, -1 for none."""

    dataset: str
    raw: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)
