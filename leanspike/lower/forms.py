"""The form of every weight array: sparse where that is smaller as stored, which pruning makes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leanspike.core.errors import LoweringError
from leanspike.ir import Conv2d, Dense, Program
from leanspike.ir.sparse import MOST_WEIGHT_BITS, sparse


def smallest_forms(program: Program) -> Program:
    """The program with every weight array in the form that takes the fewest bits; dense where both take the same."""
    arrays = dict(program.arrays)
    for name in {op.weight for op in program.operations if isinstance(op, Dense | Conv2d)}:
        dense = replace(arrays[name], form="dense")
        arrays[name] = dense
        if dense.type.bits <= MOST_WEIGHT_BITS:
            arrays[name] = min(dense, replace(dense, form="sparse"), key=lambda array: array.stored_bits)
    return replace(program, arrays=arrays)


def check_forms(program: Program) -> str:
    """Unpack every sparse array again; what takes how many bytes in place of how many.

    Raises:
        LoweringError: an array's entries do not give its values.
    """
    told = []
    for name, array in sorted(program.arrays.items()):
        if array.form == "sparse":
            found = sparse(array.values, array.type)
            if not np.array_equal(found.unpacked(array.values.shape), array.values) or found.bits != array.stored_bits:
                raise LoweringError(f"the entries of {name} do not give its values", where="step store")
            whole = replace(array, form="dense").stored_bits
            told.append(f"{name} {-(-found.bits // 8)} bytes sparse in place of {-(-whole // 8)}")
    return "; ".join(told) or "all arrays dense, which is smaller"
