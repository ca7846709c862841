"""The heart: one integer program with one meaning, and everything that reads, checks, stores and interprets it."""

from leanspike.ir.encodings import Delta, Direct, Encoding, Latency, Rate, Sequence, encode
from leanspike.ir.fast import run as run_fast
from leanspike.ir.fast import step_scores
from leanspike.ir.inttype import IntType
from leanspike.ir.ops import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Reshape,
    Scale,
    SumPool,
    Value,
)
from leanspike.ir.program import Array, Codec, Exit, Input, Program, Readout, State
from leanspike.ir.ranges import Range, ranges
from leanspike.ir.reference import run
from leanspike.ir.samples import raw_samples
from leanspike.ir.store import content_hash, load, load_with_origin, save
from leanspike.ir.text import parse, render
from leanspike.ir.verify import verify, violations

__all__ = [
    "LIF",
    "Add",
    "Array",
    "Codec",
    "Conv2d",
    "Delay",
    "Delta",
    "Dense",
    "Direct",
    "Encoding",
    "Exit",
    "Input",
    "IntType",
    "Integrate",
    "Latency",
    "Matmul",
    "MaxPool",
    "Operation",
    "Program",
    "Range",
    "Rate",
    "Readout",
    "Reshape",
    "Scale",
    "Sequence",
    "State",
    "SumPool",
    "Value",
    "content_hash",
    "encode",
    "load",
    "load_with_origin",
    "parse",
    "ranges",
    "raw_samples",
    "render",
    "run",
    "run_fast",
    "save",
    "step_scores",
    "verify",
    "violations",
]
