"""The last steps of lowering, from a program to a smaller one with the same meaning, each with its check.

compact         neurons that can never fire, or that nothing reads, go     the same scores on the check samples
narrow          potentials to the width their sums need                    the same trace on the check samples
store           weights sparse where that is smaller                       the entries give the weights
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from leanspike.core.errors import LoweringError
from leanspike.core.trace import mismatches
from leanspike.ir import Program, run_fast, verify
from leanspike.ir.inttype import Ints
from leanspike.ir.narrow import fitted, narrowed
from leanspike.lower.compact import compacted
from leanspike.lower.forms import check_forms, smallest_forms


@dataclass(frozen=True)
class StepReport:
    """A step that was taken, and what its check saw."""

    step: str
    seen: str


def shrunk(program: Program, raw: Ints) -> tuple[Program, list[StepReport]]:
    """The program after the three steps, and what their checks saw on raw samples ``[B, *raw shape]``.

    Raises:
        LoweringError: a check failed. ProgramError: a step broke a rule.
    """
    compact = verify(fitted(compacted(program)))
    steps = [_same_scores(program, compact, raw)]
    narrow = verify(fitted(narrowed(compact)))
    steps.append(_same_trace(compact, narrow, raw))
    small = verify(smallest_forms(narrow))
    return small, [*steps, StepReport("store", check_forms(small))]


def _same_scores(before: Program, after: Program, raw: Ints) -> StepReport:
    expected, found = run_fast(before, raw), run_fast(after, raw)
    if (expected.scores != found.scores).any() or (expected.steps != found.steps).any():
        raise LoweringError("the scores changed", where="step compact")
    told = "; ".join(_losses(before, after)) or "every neuron stays"
    return StepReport("compact", f"{told}; the same scores on {len(raw)} check samples")


def _losses(before: Program, after: Program) -> Iterator[str]:
    for old, new in zip(before.spiking, after.spiking, strict=True):
        all_, left = math.prod(old.result.shape), math.prod(new.result.shape)
        if left < all_:
            yield f"{all_ - left} of {all_} neurons of {old.result.name} removed"


def _same_trace(before: Program, after: Program, raw: Ints) -> StepReport:
    wrong = mismatches(run_fast(before, raw), run_fast(after, raw))
    if any(wrong.values()):
        raise LoweringError(f"narrower states changed {wrong}", where="step narrow")
    bits = ", ".join(f"{state.name} {state.type}" for state in after.states)
    return StepReport("narrow", f"states {bits}; the same trace on {len(raw)} check samples")
