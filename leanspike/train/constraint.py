"""What compression adds to training: something done to the network after each step, and a term of the loss.

    step   backward, optimizer step, masked weights back to 0, after_step(network, position)
    loss   task loss + extra_loss(network, output)

A mask is a buffer of its synapses (:class:`leanspike.nn.Linear`, ``Conv2d``), so it is in every checkpoint, and the
loop holds masked weights at exactly 0 whether or not there is a constraint. Zeroing gradients instead is not enough:
Adam's first moment moves a weight for steps after its gradient became 0. Gradients of masked weights are left as they
are, so that :meth:`Constraint.after_step` can see where a connection would help; ``train.clip_norm`` counts them.

A run that is killed and resumed ends in the same weights if a constraint's choices follow from the network, the
position and its ``memory`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from leanspike.nn import Network, Output


class Constraint:
    """Does nothing; override what you need.

    Attributes:
        sees_output: whether :meth:`extra_loss` is called. Batches are then computed whole, so that the output has its
            hidden activity.
        settled_at: the position from which the network is as small as asked: earlier epochs are not chosen as the best.
        memory: tensors that must outlive a kill; kept in every checkpoint, on the device of the network after a resume.
    """

    sees_output: bool = False
    settled_at: float = 0.0

    def __init__(self) -> None:
        self.memory: dict[str, Tensor] = {}

    def facts(self) -> dict[str, Any]:
        """The settings, as JSON: a run is not resumed under others."""
        return {}

    def after_step(self, network: nn.Module, position: float) -> None:
        """Change masks (:meth:`Synapses.prune`), weights or thresholds after a step; gradients are still there.

        Args:
            position: epochs done, a fraction counts: 1.0 after the last step of the first epoch.
        """

    def extra_loss(self, network: Network, output: Output) -> Tensor | None:
        """A scalar (mean over the batch) that is added to the task loss, or None; see ``sees_output``."""

    def remembered(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return self.memory

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take what a checkpoint kept."""
        self.memory = dict(memory)


class Together(Constraint):
    """Several constraints, one after the other."""

    def __init__(self, parts: Sequence[Constraint]) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.sees_output = any(part.sees_output for part in parts)
        self.settled_at = max((part.settled_at for part in parts), default=0.0)

    def facts(self) -> dict[str, Any]:
        """Those of the parts, by their place."""
        return {str(i): part.facts() for i, part in enumerate(self.parts)}

    def after_step(self, network: nn.Module, position: float) -> None:
        """Each part in order."""
        for part in self.parts:
            part.after_step(network, position)

    def extra_loss(self, network: Network, output: Output) -> Tensor | None:
        """The sum over the parts that have one."""
        found = [part.extra_loss(network, output) for part in self.parts if part.sees_output]
        terms = [term for term in found if term is not None]
        return sum(terms[1:], terms[0]) if terms else None

    def remembered(self) -> dict[str, Tensor]:
        """Those of the parts, by their place."""
        return {f"{i}.{name}": x for i, part in enumerate(self.parts) for name, x in part.remembered().items()}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Give each part its own."""
        for i, part in enumerate(self.parts):
            prefix = f"{i}."
            part.recall({name.removeprefix(prefix): x for name, x in memory.items() if name.startswith(prefix)})
