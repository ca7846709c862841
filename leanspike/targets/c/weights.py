"""How the functions of synapses reach a row of weights: packed numbers, or sparse entries."""

from __future__ import annotations

from typing import Any

from leanspike.ir.ops import Conv2d, Dense
from leanspike.ir.sparse import sparse
from leanspike.targets.c.constants import packing
from leanspike.targets.c.layout import Layout

_SHORT = {"int8_t": "i8", "int16_t": "i16", "int32_t": "i32"}


def weights(op: Dense | Conv2d, layout: Layout) -> dict[str, Any]:
    """What the templates need of a synapse's weights.

    Returns:
        given: the arguments of a row, for whose number the template puts an expression in the place of ``ROW``.
        adder: the function that adds a row to the sums; ``times`` is its factor, "" where inputs are spikes.
        helper: the adder's name, form, type of sums, whether it multiplies, and whether rows are sparse.
    """
    array, x, y = layout.program.arrays[op.weight], layout.places[op.source], layout.places[op.result.name]
    name, times = layout.names[op.weight], "" if x.bits else ", (int32_t)x[i]"
    word, outputs = "row" if x.bits else "times", array.values.shape[-1]
    if array.form == "sparse":
        form = sparse(array.values, array.type).entry
        adder = f"add_{word}_sparse_{form.bits}_{form.gap_bits}_{-form.lowest}_{_SHORT[y.ctype]}"
        given = f"weights_{name} + rows_{name}[ROW], weights_{name} + rows_{name}[ROW + 1u]"
        return {"given": given, "adder": adder, "times": times, "helper": (adder, form, y.ctype, not x.bits, True)}
    kind = packing(array.type, packed=True)
    adder = f"add_{word}_{kind.word}_{_SHORT[y.ctype]}"
    given = f"weights_{name} + (size_t)ROW * {-(-outputs // kind.lanes)}u, {outputs}u"
    return {"given": given, "adder": adder, "times": times, "helper": (adder, kind, y.ctype, not x.bits, False)}
