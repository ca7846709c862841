"""A signal that is the same at every step (direct coding): synapses and norms compute it once instead of T times."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Constant:
    """``values`` ``[B, ...]``, seen ``steps`` times."""

    values: Tensor
    steps: int

    @property
    def shape(self) -> tuple[int, ...]:
        """``(T, B, ...)``, as if it were written out."""
        return (self.steps, *self.values.shape)

    def expand(self) -> Tensor:
        """Written out as a view ``[T, B, ...]`` with a time stride of 0."""
        return self.values.expand(self.shape)


def constant_in_time(x: Tensor) -> bool:
    """Whether ``x`` ``[T, ...]`` is one step seen T times: a time stride of 0."""
    return x.shape[0] > 1 and x.stride(0) == 0
