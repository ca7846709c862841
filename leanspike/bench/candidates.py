"""Who takes part: our path and the peers, each with its mode, its process and how its neuron differs."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from leanspike.bench.workloads import Batch, Layer, Workload


@dataclass(frozen=True)
class Passes:
    """Seconds of one forward and one backward pass; ``backward`` is None where it cannot be timed alone."""

    forward: float
    backward: float | None
    both: float


class Stepper(Protocol):
    """A prepared network. ``load`` and ``batch`` are never timed."""

    def load(self, weights: list[Layer]) -> None:
        """Put these weights into the network."""

    def batch(self, batch: Batch) -> Any:
        """The batch in the framework's own arrays."""

    def step(self, batch: Any) -> float:
        """Forward, backward, Adam; returns the loss before the update, when all of it is done."""

    def passes(self, batch: Any) -> Passes:
        """Time one forward and one backward pass, without the optimiser."""


@dataclass(frozen=True)
class Candidate:
    """One row of a table.

    Attributes:
        name: framework and mode, as printed.
        needs: the distribution whose version is recorded; None for ours.
        module: where ``prepare(work, mode)`` lives.
        family: whom a promise compares with: ``ours``, ``torch``, ``jax``, or ``hand`` for a trick that no
            framework documents, shown for honesty; ``option`` for another setting of ours, ``part`` for a share of
            our own step.
        same: ``training`` losses must agree with the reference step by step; ``forward`` the first loss must;
            ``no`` the neuron is another one.
        semantics: how the neuron differs from the reference.
    """

    name: str
    module: str
    mode: str
    needs: str | None
    family: Literal["ours", "torch", "jax", "hand", "option", "part"]
    same: Literal["training", "forward", "no"]
    semantics: str

    @property
    def host(self) -> str:
        """The process it runs in: XLA's thread pool would fight with torch's in one process."""
        return "jax" if self.family == "jax" else "torch"

    @property
    def compiled(self) -> bool:
        """Whether torch.compile is in play, whose first step takes seconds to minutes."""
        return self.mode.endswith("compile")

    def prepare(self, work: Workload) -> Stepper:
        """Build the network for ``work``; ImportError where the framework is missing."""
        stepper: Stepper = importlib.import_module(self.module).prepare(work, self.mode)
        return stepper

    def installed(self) -> bool:
        """Whether its framework can be found."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


_PEERS = "leanspike.bench.peers."
_REFERENCE = "LIF as in leanspike.nn.functional: u = beta v + I, fires on u >= threshold, subtracts at once, arctan"
_SNNTORCH = (
    "fires on u > threshold; its default reset acts one step later, so a spike costs threshold instead of "
    "beta * threshold of the next potential; arctan"
)
_SPYX = "fires one step after the threshold is passed; beta is trained too; arctan of another scale; reset not detached"
_JAXPIKE = (
    "input scaled by 1 - alpha (weights loaded divided by it); its time constant is trained too; reset not detached"
)
_NORSE = "input scaled by dt/tau (weights loaded divided by it); fires on >; SuperSpike surrogate; reset not detached"
_SINABS = "single spike, subtract, arctan given as its surrogate function; reset not detached"

OURS = Candidate("leanspike", "leanspike.bench.ours", "product", None, "ours", "training", _REFERENCE)
REFERENCE = Candidate("torch", _PEERS + "plain", "eager", "torch", "torch", "training", _REFERENCE)
CANDIDATES: tuple[Candidate, ...] = (
    OURS,
    REFERENCE,
    Candidate("torch + compile", _PEERS + "plain", "compile", "torch", "torch", "training", _REFERENCE),
    Candidate("spikingjelly", _PEERS + "spikingjelly", "eager", "spikingjelly", "torch", "training", "the reference"),
    Candidate(
        "spikingjelly + compile",
        _PEERS + "spikingjelly",
        "compile",
        "spikingjelly",
        "torch",
        "training",
        "the reference",
    ),
    Candidate("snntorch loop", _PEERS + "snntorch", "loop", "snntorch", "torch", "no", _SNNTORCH),
    Candidate("snntorch layered", _PEERS + "snntorch", "layered", "snntorch", "torch", "no", _SNNTORCH),
    Candidate(
        "snntorch layered + compile", _PEERS + "snntorch", "layered compile", "snntorch", "torch", "no", _SNNTORCH
    ),
    Candidate("norse", _PEERS + "norse", "eager", "norse", "torch", "forward", _NORSE),
    Candidate("sinabs", _PEERS + "sinabs", "eager", "sinabs", "torch", "forward", _SINABS),
    Candidate("spyx", _PEERS + "spyx", "run", "spyx", "jax", "no", _SPYX),
    Candidate("jaxpike", _PEERS + "jaxpike", "default", "jaxpike", "jax", "forward", _JAXPIKE),
    Candidate("jaxpike unrolled", _PEERS + "jaxpike", "unrolled", "jaxpike", "jax", "forward", _JAXPIKE),
)
ONCE = (
    Candidate("torch, first product once", _PEERS + "plain", "once", "torch", "hand", "training", _REFERENCE),
    Candidate(
        "torch, first product once + compile", _PEERS + "plain", "once compile", "torch", "hand", "training", _REFERENCE
    ),
)
RECOMPUTE = Candidate("leanspike, recompute", OURS.module, "recompute", None, "option", "training", _REFERENCE)
PACKING = Candidate(
    "leanspike, packing alone", OURS.module, "packing", None, "part", "no", "part of every leanspike step above"
)
