"""A differentiable operation with a hand-written backward."""

from __future__ import annotations

from typing import Any

import torch


class Operation(torch.autograd.Function):
    """torch's Function with a typed way to call it: ``Scan.on(current, ...)``."""

    @classmethod
    def on(cls, *inputs: Any) -> Any:
        """Apply the operation; the result is what its ``forward`` gives, with gradients."""
        return cls.apply(*inputs)  # type: ignore[no-untyped-call]
