"""The two models of a program: one step with its state as inputs and outputs, and the whole sequence as a Scan over it.

step model      raw [B, ...], numbers [B] (rate), step, carried...  ->
                predictions [B], next/ carried..., spikes/LAYER [B, *shape]
                raw is the sample; of a series, a sequence or an event stream it is this step's column or frame
whole model     raw [B, ...], numbers [B] (rate)  ->  predictions [B], scores [B, K], steps [B],
                spikes/LAYER [B], state/STATE [B, *shape]

What is carried is stated in :mod:`leanspike.targets.stepwise`. After an early exit (going is false) nothing of
a sample changes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from leanspike.ir import Delta, Latency, Program, Rate
from leanspike.ir.ops import Shape
from leanspike.ir.ranges import Ranges
from leanspike.targets.onnx import encode, readout
from leanspike.targets.onnx.graph import IR_VERSION, OPSET, Graph, Tensor
from leanspike.targets.onnx.operations import Step, apply, keep
from leanspike.targets.onnx.outside import Outside, Scanned, batch, first, outside
from leanspike.targets.stepwise import Carried, carried, exits, frame_shape


def _step(
    g: Graph, step: Step, before: dict[str, str], done: frozenset[str] = frozenset()
) -> tuple[dict[str, str], dict[str, str]]:
    """Append the operations but those ``done`` outside, and the readout.

    Returns:
        What is carried on, and each layer's spikes, both masked after an exit.
    """
    program = step.program
    for operation in program.operations:
        if operation.result.name not in done:
            step.values[operation.result.name] = apply(operation, g, step)
    keep(g, step)
    after = {f"state/{name}": state for name, state in step.states.items()}
    source = step.values[program.readout.source]
    if len(program.values[program.readout.source].shape) > 1:
        source = replace(source, name=g.node("Reshape", source.name, g.constant([-1, program.classes], "int64")))
    after["scores"] = readout.after(g, program, source, before["scores"], step.t)
    if not exits(program):
        return after, step.fired
    going, shapes = before["going"], {f"state/{state.name}": state.shape for state in program.states}
    shapes["scores"] = (program.classes,)
    masks = {rank: _mask(g, going, rank) for rank in {len(shape) for shape in shapes.values()}}
    for name, shape in shapes.items():
        after[name] = g.node("Where", masks[len(shape)], after[name], before[name])
    fired = {}
    for layer, spikes in step.fired.items():
        rank = len(program.values[layer].shape)
        fired[layer] = g.node("Where", masks[rank], spikes, g.constant(0, "uint8"))
    after["steps"] = g.node("Add", before["steps"], g.cast(going, "int32"))
    stop = readout.decided(g, program, after["scores"], step.t)
    after["going"] = g.node("And", going, g.node("Not", stop))
    return after, fired


def _mask(g: Graph, going: str, rank: int) -> str:
    return g.node("Unsqueeze", going, g.constant(list(range(1, rank + 1)), "int64"))


def _states(program: Program) -> dict[str, str]:
    return {state.name: f"state/{state.name}" for state in program.states}


def step_model(program: Program, found: Ranges, seal: str) -> Any:
    """The ModelProto of a single step."""
    g, raw_kind = Graph(), str(program.input.raw.type.dtype)
    inputs = [g.info("raw", raw_kind, ("B", *frame_shape(program)))]
    if isinstance(program.input.encoding, Rate):
        inputs.append(g.info("numbers", "int64", ("B",)))
    inputs.append(g.info("step", "int64", ()))
    kept = carried(program)
    inputs += [g.info(item.name, item.kind, ("B", *item.shape)) for item in kept]
    before = {item.name: item.name for item in kept}
    x, track = _encoded_step(g, program, before)
    step = Step(program, found, "step", {program.input.result.name: x}, _states(program), {})
    after, fired = _step(g, step, before)
    after |= track
    outputs = [g.info("predictions", "int64", ("B",))]
    outputs += [g.info(f"next/{item.name}", item.kind, ("B", *item.shape)) for item in kept]
    results = [g.node("ArgMax", after["scores"], axis=1, keepdims=0), *(after[item.name] for item in kept)]
    for layer, spikes in fired.items():
        outputs.append(g.info(f"spikes/{layer}", "uint8", ("B", *program.values[layer].shape)))
        results.append(spikes)
    return _model(g, g.finished("step", inputs, outputs, results), seal)


def _encoded_step(g: Graph, program: Program, before: dict[str, str]) -> tuple[Tensor, dict[str, str]]:
    """The encoded input of the step named ``step``, and the track after it."""
    encoding = program.input.encoding
    if isinstance(encoding, Rate):
        steps = g.node("Reshape", "step", g.constant([1], "int64"))
        spikes = encode.rate(g, program, "raw", "numbers", steps)
        return first(g, program, g.node("Squeeze", spikes, g.constant([0], "int64"))), {}
    if isinstance(encoding, Latency):
        now = g.node("Equal", encode.when(g, program, "raw"), "step")
        return first(g, program, g.cast(now, "uint8")), {}
    if isinstance(encoding, Delta):
        spikes, track = encode.delta(g, encoding, "raw", before["track"])
        return first(g, program, spikes), {"track": track}
    return first(g, program, "raw"), {}


def whole_model(program: Program, found: Ranges, seal: str) -> Any:
    """The ModelProto of all steps."""
    g = Graph()
    inputs = [g.info("raw", str(program.input.raw.type.dtype), ("B", *program.input.raw.shape))]
    if isinstance(program.input.encoding, Rate):
        inputs.append(g.info("numbers", "int64", ("B",)))
    last = _scan(g, program, found, outside(g, program, found))
    outputs, results = _outputs(g, program, last)
    return _model(g, g.finished("whole", inputs, outputs, results), seal)


def _scan(g: Graph, program: Program, found: Ranges, made: Outside) -> dict[str, str]:
    """Append the Scan; what is carried, after the last step, and the spikes of every step ``[T, B, *shape]``."""
    body, kept = Graph("in/"), carried(program)
    scanned: list[Scanned] = [("in/t", "int64", (), g.constant(np.arange(program.steps), "int64")), *made.scanned]
    before = {item.name: f"in/{item.name}" for item in kept}
    states = {state.name: before[f"state/{state.name}"] for state in program.states}
    step, track = Step(program, found, "in/t", dict(made.values), states, {}), {}
    if isinstance(program.input.encoding, Delta):
        spikes, track["track"] = encode.delta(body, program.input.encoding, "in/x", before["track"])
        step.values[program.input.result.name] = first(body, program, spikes)
    after, fired = _step(body, step, before, made.done)
    after |= track
    takes = [body.info(before[item.name], item.kind, ("B", *item.shape)) for item in kept]
    takes += [body.info(name, kind, shape) for name, kind, shape, _ in scanned]
    gives = [body.info(f"out/{item.name}", item.kind, ("B", *item.shape)) for item in kept]
    gives += [body.info(f"out/spikes/{layer}", "uint8", ("B", *program.values[layer].shape)) for layer in fired]
    results = [after[item.name] for item in kept] + list(fired.values())
    graph = body.finished("one_step", takes, gives, results)
    inputs = (*(_start(g, item) for item in kept), *(source for *_, source in scanned))
    names = [*(item.name for item in kept), *(f"spikes/{layer}" for layer in fired)]
    results = g.nodes_of("Scan", inputs, len(gives), body=graph, num_scan_inputs=len(scanned))
    return dict(zip(names, results, strict=True))


def _start(g: Graph, item: Carried) -> str:
    shape = g.node("Concat", batch(g), g.constant(list(item.shape), "int64"), axis=0) if item.shape else batch(g)
    return _filled(g, shape, item.start, item.kind)


def _filled(g: Graph, shape: str, value: int, kind: str) -> str:
    return g.node("ConstantOfShape", shape, value=g.onnx.numpy_helper.from_array(np.array([value], dtype=kind)))


def _outputs(g: Graph, program: Program, last: dict[str, str]) -> tuple[list[Any], list[str]]:
    outputs = [g.info("predictions", "int64", ("B",)), g.info("scores", "int32", ("B", program.classes))]
    results = [g.node("ArgMax", last["scores"], axis=1, keepdims=0), last["scores"]]
    outputs.append(g.info("steps", "int32", ("B",)))
    results.append(last["steps"] if "steps" in last else _filled(g, batch(g), program.steps, "int32"))
    for layer in program.spiking:
        name, shape = layer.result.name, layer.result.shape
        outputs.append(g.info(f"spikes/{name}", "int64", ("B",)))
        results.append(_total(g, last[f"spikes/{name}"], shape))
    for state in program.states:
        outputs.append(g.info(f"state/{state.name}", "int32", ("B", *state.shape)))
        results.append(last[f"state/{state.name}"])
    return outputs, results


def _total(g: Graph, spikes: str, shape: Shape) -> str:
    """The number of ones in ``[T, B, *shape]`` for every sample, int64: a product with ones, since it reads bytes."""
    size = math.prod(shape)
    rows = g.node("Reshape", spikes, g.constant([0, 0, size], "int64"))
    counts = g.node("MatMulInteger", rows, g.constant(np.ones((size, 1)), "int8"))
    return g.node("ReduceSum", g.cast(counts, "int64"), g.constant([0, 2], "int64"), keepdims=0)


def _model(g: Graph, graph: Any, seal: str) -> Any:
    """The ModelProto, sealed openly, that onnx's checker accepts."""
    helper = g.onnx.helper
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "leanspike"
    helper.set_model_props(model, {"leanspike": seal})
    g.onnx.checker.check_model(model, full_check=True)
    return model
