"""The two models of a program, for a fixed batch B: one step with its state as inputs and outputs, and all steps.

step model      raw [B, ...], numbers [B] (rate), step [1], carried...  ->
                predictions [B], next/ carried..., spikes/LAYER [B, *shape]
                raw is the sample; of a series, a sequence or an event stream it is this step's column or frame
whole model     raw [B, ...], numbers [B] (rate)  ->  predictions [B], scores [B, K], steps [B],
                spikes/LAYER [B], state/STATE [B, *shape]

What is carried is stated in :mod:`leanspike.targets.stepwise`. After an early exit (going is false) nothing of
a sample changes. The whole model is a WHILE over the step that ends as soon as every sample has; what the input alone
decides, the same in every step, is computed once before it. The signatures ``whole`` and ``step`` have these names.
"""

from __future__ import annotations

import math

from leanspike.ir import Delta, Direct, Latency, Program, Rate, Sequence
from leanspike.ir.ops import reads, sources, states
from leanspike.ir.ranges import Ranges
from leanspike.targets.stepwise import Carried, carried, exits, frame_shape
from leanspike.targets.tflite import encode, readout
from leanspike.targets.tflite.graph import Graph, Model, Shape, Tensor
from leanspike.targets.tflite.operations import Live, Step, apply, keep, rows_of


def _inside(item: Carried, batch: int) -> Shape:
    """The shape in which a step works on what is carried: states as rows of channels."""
    return rows_of(batch, item.shape) if item.name.startswith("state/") else (batch, *item.shape)


def _first(g: Graph, program: Program, tensor: Tensor) -> Live:
    """The encoded input."""
    type_ = program.input.result.type
    if tensor.kind not in ("int8", "int32"):
        tensor = g.cast(tensor, "int32")
    return Live(tensor, program.input.result.shape, type_.lowest, type_.highest)


Named = dict[str, Tensor]


def _prepared(g: Graph, program: Program, raw: Tensor, numbers: Tensor | None) -> Named:
    """What every step's input is made from, computed once: by name."""
    encoding = program.input.encoding
    if isinstance(encoding, Rate):
        assert numbers is not None
        return {"stream": encode.streams(g, program, numbers), "levels": encode.levels(g, program, raw)}
    if isinstance(encoding, Latency):
        return {"levels": encode.levels(g, program, raw)}
    return {"raw": g.cast(raw, "int32") if raw.kind == "uint16" else raw}  # no GATHER of a column takes 16 bits


def _encoded(g: Graph, program: Program, made: Named, t: Tensor, track: Tensor | None) -> tuple[Live, Named]:
    """The encoded input of step ``t`` from what :func:`_prepared` gave (of a series, the column), and the track."""
    encoding = program.input.encoding
    if isinstance(encoding, Rate):
        return _first(g, program, encode.rate(g, made["stream"], made["levels"], t)), {}
    if isinstance(encoding, Latency):
        return _first(g, program, encode.latency(g, made["levels"], t)), {}
    if isinstance(encoding, Delta):
        assert track is not None
        spikes, moved = encode.delta(g, encoding, g.cast(made["raw"], "int32"), track)
        return _first(g, program, spikes), {"track": moved}
    return _first(g, program, made["raw"]), {}


def _step(g: Graph, step: Step, before: Named, *, mask: bool, done: frozenset[str] = frozenset()) -> Named:
    """Append the operations but those ``done`` outside, and the readout; what is carried on, masked after an exit."""
    program = step.program
    for operation in program.operations:
        if operation.result.name not in done:
            step.values[operation.result.name] = apply(operation, g, step)
    keep(g, step)
    after = {f"state/{name}": state for name, state in step.states.items()}
    source = g.reshape(step.values[program.readout.source].tensor, (step.batch, program.classes))
    after["scores"] = readout.after(g, program, source, before["scores"], step.t)
    if not exits(program):
        return after
    going = before["going"]
    if mask:
        after = {name: _masked(g, step.batch, going, tensor, before[name]) for name, tensor in after.items()}
        zero = g.constant([[0]], "int8")
        for layer, spikes in step.fired.items():
            step.fired[layer] = _masked(g, step.batch, going, spikes, zero)
    stop = readout.decided(g, program, after["scores"], step.t)
    after["steps"] = g.each("ADD", before["steps"], g.cast(going, "int32"))
    after["going"] = g.each("LOGICAL_AND", going, g.each("LOGICAL_NOT", stop))
    return after


def _masked(g: Graph, batch: int, going: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """``new`` of the samples that go on, else ``old``, both rows of every sample's elements."""
    flat = (batch, math.prod(new.shape) // batch)
    if old.shape != (1, 1):
        old = g.reshape(old, flat)
    chosen = g.select(g.reshape(going, (batch, 1)), g.reshape(new, flat), old)
    return g.reshape(chosen, new.shape)


def step_model(program: Program, found: Ranges, seal: str, batch: int) -> bytes:
    """The file of a single step, openly sealed."""
    model = Model()
    g, kept = Graph(model, "step"), carried(program)
    inputs = _inputs(g, program, batch, frame_shape(program))
    inputs["step"] = g.input("step", "int32", (1,))
    before = {}
    for item in kept:
        inputs[item.name] = g.input(item.name, item.kind, (batch, *item.shape))
        before[item.name] = g.reshape(inputs[item.name], _inside(item, batch))
    made = _prepared(g, program, inputs["raw"], inputs.get("numbers"))
    x, track = _encoded(g, program, made, inputs["step"], before.get("track"))
    states = {state.name: before[f"state/{state.name}"] for state in program.states}
    step = Step(program, found, batch, inputs["step"], {program.input.result.name: x}, states, {})
    after = _step(g, step, before, mask=True) | track
    outputs = {"predictions": readout.predictions(g, after["scores"])}
    for item in kept:
        outputs[f"next/{item.name}"] = g.reshape(after[item.name], (batch, *item.shape))
    for layer, spikes in step.fired.items():
        outputs[f"spikes/{layer}"] = g.reshape(spikes, (batch, *program.values[layer].shape))
    return _finished(model, g, seal, inputs, outputs)


def whole_model(program: Program, found: Ranges, seal: str, batch: int) -> bytes:
    """The file of all steps, openly sealed."""
    model = Model()
    g, kept = Graph(model, "whole"), carried(program)
    inputs = _inputs(g, program, batch, program.input.raw.shape)
    live: Named = {"t": g.filled(0, "int32", (1,))}
    live |= {item.name: g.filled(item.start, item.kind, _inside(item, batch)) for item in kept}
    live |= {f"count/{op.result.name}": g.filled(0, "int64", (batch,)) for op in program.spiking}
    static = _static(g, program, found, batch, _prepared(g, program, inputs["raw"], inputs.get("numbers")))
    made = {name: value for name, value in static.items() if not isinstance(value, Live)}
    fixed = {name: value for name, value in static.items() if isinstance(value, Live)}
    live |= {f"made/{name}": tensor for name, tensor in made.items()}
    live |= {f"value/{name}": value.tensor for name, value in fixed.items()}
    last = _while(model, g, program, found, batch, live, fixed)
    outputs = {"predictions": readout.predictions(g, last["scores"]), "scores": last["scores"]}
    outputs["steps"] = last["steps"] if "steps" in last else g.filled(program.steps, "int32", (batch,))
    outputs |= {f"spikes/{op.result.name}": last[f"count/{op.result.name}"] for op in program.spiking}
    for state in program.states:
        outputs[f"state/{state.name}"] = g.reshape(last[f"state/{state.name}"], (batch, *state.shape))
    return _finished(model, g, seal, inputs, outputs)


def _inputs(g: Graph, program: Program, batch: int, shape: Shape) -> Named:
    inputs = {"raw": g.input("raw", str(program.input.raw.type.dtype), (batch, *shape))}
    if isinstance(program.input.encoding, Rate):
        inputs["numbers"] = g.input("numbers", "int64", (batch,))
    return inputs


def _static(g: Graph, program: Program, found: Ranges, batch: int, made: Named) -> dict[str, Tensor | Live]:
    """What the steps read: of the direct encoding the values that are the same in every step and that neurons or
    later operations read (``Live``), else what the input of a step is made from, series and sequences time first.
    """
    encoding = program.input.encoding
    if isinstance(encoding, Direct):
        return dict(_constant_values(g, program, found, batch, made["raw"]))
    if not isinstance(encoding, Delta | Sequence):
        return dict(made)
    axis, raw = (2 if isinstance(encoding, Delta) else 1), made["raw"]
    order = [axis, *(i for i in range(len(raw.shape)) if i != axis)]
    shape = tuple(raw.shape[i] for i in order)
    flat = g.reshape(
        raw, (raw.shape[0] * math.prod(raw.shape[1:axis]), raw.shape[axis], math.prod(raw.shape[axis + 1 :]))
    )
    turned = (flat.shape[1], flat.shape[0], flat.shape[2])
    first = g.node("TRANSPOSE", flat, g.constant([1, 0, 2]), kind=raw.kind, shape=turned, options="TransposeOptions")
    return {"raw": g.reshape(first, shape)}


def _constant_values(g: Graph, program: Program, found: Ranges, batch: int, raw: Tensor) -> dict[str, Live]:
    """Of the values that are the same in every step, those that the others are made from."""
    done, read = _constant_names(program), set[str]()
    values = {program.input.result.name: _first(g, program, raw)}
    step = Step(program, found, batch, g.constant([0]), values, {}, {})
    for operation in program.operations:
        if operation.result.name in done:
            step.values[operation.result.name] = apply(operation, g, step)
        else:
            read |= set(reads(operation))
    return {name: value for name, value in step.values.items() if name in read}


def _constant_names(program: Program) -> frozenset[str]:
    """The input and the operations that are the same in every step."""
    if not isinstance(program.input.encoding, Direct):
        return frozenset()
    names = {program.input.result.name}
    for operation in program.operations:
        if not states(operation) and names.issuperset(sources(operation)):
            names.add(operation.result.name)
    return frozenset(names)


def _while(
    model: Model, g: Graph, program: Program, found: Ranges, batch: int, live: Named, fixed: dict[str, Live]
) -> Named:
    """Append the WHILE; every loop variable after the last step."""
    condition, body = Graph(model, "until"), Graph(model, "body")
    inside = {name: condition.input(name, tensor.kind, tensor.shape) for name, tensor in live.items()}
    more = condition.each("LESS", inside["t"], condition.constant([program.steps]))
    if "going" in inside:
        more = condition.each("LOGICAL_AND", more, condition.any(inside["going"]))
    condition.outputs([more])
    _body(body, program, found, batch, live, fixed)
    results = [(tensor.kind, tensor.shape) for tensor in live.values()]
    last = g.nodes(
        "WHILE",
        tuple(live.values()),
        results,
        options="WhileOptions",
        condSubgraphIndex=condition.index,
        bodySubgraphIndex=body.index,
    )
    return dict(zip(live, last, strict=True))


def _body(g: Graph, program: Program, found: Ranges, batch: int, live: Named, fixed: dict[str, Live]) -> None:
    """One step as the body of the WHILE."""
    before = {name: g.input(name, tensor.kind, tensor.shape) for name, tensor in live.items()}
    values = {
        name: Live(before[f"value/{name}"], value.shape, value.lowest, value.highest) for name, value in fixed.items()
    }
    after = dict(before)
    if not isinstance(program.input.encoding, Direct):
        made = {name.removeprefix("made/"): tensor for name, tensor in before.items() if name.startswith("made/")}
        if "raw" in made:
            made["raw"] = _frame(g, made["raw"], before["t"])
        values[program.input.result.name], track = _encoded(g, program, made, before["t"], before.get("track"))
        after |= track
    states = {state.name: before[f"state/{state.name}"] for state in program.states}
    step = Step(program, found, batch, before["t"], values, states, {})
    after |= _step(g, step, before, mask=batch > 1, done=_constant_names(program))
    for layer, spikes in step.fired.items():
        size = math.prod(program.values[layer].shape)
        fired = g.reduced("SUM", g.cast(g.reshape(spikes, (batch, size)), "int32"), 1)
        after[f"count/{layer}"] = g.each("ADD", before[f"count/{layer}"], g.cast(fired, "int64"))
    after["t"] = g.each("ADD", before["t"], g.constant([1]))
    g.outputs([after[name] for name in live])


def _frame(g: Graph, series: Tensor, t: Tensor) -> Tensor:
    """Step ``t`` of ``[T, B, ...]``."""
    return g.reshape(g.rows(series, t), series.shape[1:])


def _finished(model: Model, g: Graph, seal: str, inputs: Named, outputs: Named) -> bytes:
    g.outputs(list(outputs.values()))
    model.signature(g.subgraph.name, inputs, outputs)
    model.metadata("leanspike", seal)
    return model.packed()
