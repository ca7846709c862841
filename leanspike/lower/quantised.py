"""The stages of a quantised network: the integers with which it computes, as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leanspike.compress import StageIntegers, quantised_stages
from leanspike.core.errors import LoweringError
from leanspike.ir.inttype import Ints
from leanspike.lower.config import LowerConfig
from leanspike.lower.draft import Draft, Stage
from leanspike.lower.quantise import IntegerAdaptation, IntegerStage
from leanspike.lower.source import Source
from leanspike.nn import Network


def taken(
    network: Network, draft: Draft, source: Source, config: LowerConfig
) -> tuple[tuple[IntegerStage, ...], LowerConfig]:
    """Every stage in integers, and the configuration with the widths that the network brings.

    Raises:
        LoweringError: the configuration asks for other widths, or the network was trained on another input.
    """
    found, default = quantised_stages(network), LowerConfig()
    for key in ("weight_bits", "input_bits", "leak_bits"):
        if getattr(config, key) != getattr(default, key):
            what = "a quantised network brings its own widths"
            raise LoweringError(what, where=f"lower.{key}", remedy="leave it out, or compress the network to others")
    unit = found[0].unit_in
    if not np.isclose(unit, source.unit, rtol=1e-12):
        what = f"1 of its input stands for {unit:.6g}, 1 of the program's for {source.unit:.6g}"
        raise LoweringError(what, where="stage 1", remedy="lower it with the encoder it was compressed with")
    pairs = zip(draft.stages, found, strict=True)
    return tuple(_stage(of, own) for of, own in pairs), replace(config, leak_bits=found[0].leak_bits)


def _stage(of: Stage, own: StageIntegers) -> IntegerStage:
    limit = 1 << (own.state_bits - 1)
    for what, values in (("bias", own.bias), ("threshold", own.threshold), ("reset", own.amount)):
        if values is not None and np.abs(values).max() >= limit:
            told = f"the {what} is {np.abs(values).max()}"
            raise LoweringError(told, where=f"stage {of.number}", remedy=f"below {limit}: compress with more bits")
    return IntegerStage(
        of=of,
        scale=own.unit / own.unit_in,
        unit=own.unit,
        weight=own.weight,
        bias=_rows(own.bias),
        multiplier=_rows(own.multiplier),
        threshold=None if own.threshold is None else _rows(own.threshold),
        reset_by=None if own.amount is None else _rows(own.amount),
        codec=own.codec,
        weight_bits=own.weight_bits,
        adaptation=None if own.jump is None else _adaptation(own, own.jump),
    )


def _adaptation(own: StageIntegers, jump: Ints) -> IntegerAdaptation:
    return IntegerAdaptation(_rows(jump), np.array([[own.decay]]), own.fraction)


def _rows(values: Ints) -> Ints:
    """``[1, C]``, or ``[1, 1]`` where all are equal."""
    return values[None, :1] if (values == values[0]).all() else values[None]
