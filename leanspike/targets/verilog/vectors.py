"""The test bench of a core with vectors from the reference, and the figures of its memories."""

from __future__ import annotations

from typing import Any

import numpy as np

from leanspike.ir import Program, encode, run_fast
from leanspike.targets.verilog import harness
from leanspike.targets.verilog.core import TOP, Shape, parts, render_template
from leanspike.targets.verilog.plan import plan

VECTORS = 4
_SEED = 0
_SILENT = 0.8


def texts(program: Program, shape: Shape) -> dict[str, str]:
    """The test bench, its input beats and what must come out, for a few random samples of which most values are 0."""
    planned, kind = plan(program, shape.lanes), program.input.raw.type
    random = np.random.default_rng(_SEED)
    size = (VECTORS, *program.input.raw.shape)
    loud = random.random(size) >= _SILENT
    raw = (random.integers(kind.lowest, kind.highest + 1, size) * loud).astype(kind.dtype)
    expected = run_fast(program, raw)
    told = np.concatenate([expected.scores, expected.predictions[:, None], expected.steps[:, None]], axis=1)
    given = harness.beats(planned, np.asarray(encode(program, raw)))
    return {
        f"{TOP}_tb.v": render_template("testbench.v.jinja", h=harness.facts(planned, VECTORS)),
        "vectors_input.hex": "".join(f"{word:x}\n" for word in given.ravel().tolist()),
        "vectors_expected.hex": "".join(f"{word & 0xFFFFFFFF:08x}\n" for word in told.ravel().tolist()),
    }


def facts(program: Program, shape: Shape) -> dict[str, Any]:
    """The figures of an artefact: lanes, the input stream's beats a sample, and the bits of the memories."""
    planned = plan(program, shape.lanes)
    made = parts(planned)
    roms = [p for n in made.layers for p in n["parameters"] if p["file"]]
    states = [n["words"] * n["lanes"] * (n["keep_bits"] + (n["hold_bits"] if n["hold"] else 0)) for n in made.layers]
    return {
        "lanes": shape.lanes,
        "beats": planned.beats,
        "beat": made.entry["beat_text"].removeprefix("a beat is "),
        "weight_bits": sum(s["stored_bits"] for s in made.synapses),
        "parameter_bits": sum(p["depth"] * p["word_lanes"] * p["bits"] for p in roms),
        "accumulator_bits": sum(s["words"] * s["lanes"] * s["current_bits"] for s in made.synapses),
        "state_bits": sum(states),
        "queue_bits": sum(s["queue_bits"] << s["queue_log_depth"] for s in made.synapses),
    }
