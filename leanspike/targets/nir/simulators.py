"""The exported graph in other simulators, on the program's own encoded input: how many spikes differ, layer by layer.

Each framework reads the file with its own importer. A layer is measured on the graph cut behind it, so that a layer
which a framework cannot read costs only the layers behind it. What was not measured is None, with the reason.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike import ir
from leanspike.targets.base import Artefact
from leanspike.targets.nir.file import package, read
from leanspike.targets.nir.graph import DT

Floats = npt.NDArray[np.float32]
FRAMEWORKS = ("snntorch", "norse", "spikingjelly")


@dataclass(frozen=True)
class Interop:
    """A spiking layer in a framework.

    Attributes:
        version: of the framework; None where it is not installed.
        spikes_ours, spikes_theirs: over all samples and steps.
        differing: neurons and steps at which one fires and the other does not.
        agreement: share of all neurons and steps at which both do the same.
        reason: why theirs was not measured, else None.
    """

    framework: str
    version: str | None
    layer: str
    spikes_ours: int
    spikes_theirs: int | None
    differing: int | None
    agreement: float | None
    reason: str | None


def interop(
    artefact: Artefact, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None
) -> list[Interop]:
    """Run an artefact's graph in snnTorch, Norse and SpikingJelly.

    Args:
        raw, numbers: as :func:`leanspike.ir.reference.run`; an early exit is left out, for both.

    Raises:
        TargetError: the file cannot be read.
    """
    path = artefact.folder / artefact.files[0]
    program = replace(artefact.program, readout=replace(artefact.program.readout, exit=None))
    ours = ir.run(program, raw, numbers, record=True).step_spikes
    encoded = _channels_first(ir.encode(program, raw, numbers))
    found = []
    for framework in FRAMEWORKS:
        version = _version(framework)
        for layer in program.spiking:
            name = layer.result.name
            expected = _channels_first(ours[name])
            row = Interop(framework, version, name, int(expected.sum()), None, None, None, None)
            if version is None:
                found.append(replace(row, reason=f"not installed: pip install {framework}"))
                continue
            try:
                given = _quietly(framework, _cut(read(path), name), encoded)
            except Exception as error:  # a framework may refuse a graph with any error: that is the result
                text = " ".join(str(error).split())[:160]
                found.append(replace(row, reason=f"{type(error).__name__}: {text}".rstrip(": ")))
                continue
            found.append(_measured(row, expected, given))
    return found


def _measured(row: Interop, expected: Floats, given: Floats) -> Interop:
    if given.shape != expected.shape:
        return replace(row, reason=f"gives {list(given.shape)} in place of {list(expected.shape)}")
    differing = int((given != expected).sum())
    share = 1 - differing / max(1, expected.size)
    return replace(row, spikes_theirs=int(given.sum()), differing=differing, agreement=share)


def _version(framework: str) -> str | None:
    try:
        return metadata.version(framework)
    except metadata.PackageNotFoundError:
        return None


def _channels_first(x: npt.NDArray[Any]) -> Floats:
    return np.ascontiguousarray(np.moveaxis(x, -1, 2) if x.ndim == 5 else x, dtype=np.float32)


def _cut(graph: Any, layer: str) -> Any:
    """The part of the graph that leads to a layer, with an output behind it."""
    nir = package()
    last = layer.replace(".", "_")
    before: dict[str, list[str]] = {}
    for source, target in graph.edges:
        before.setdefault(target, []).append(source)
    kept, waiting = [last], [last]
    while waiting:
        for name in before.get(waiting.pop(), []):
            if name not in kept:
                kept.append(name)
                waiting.append(name)
    nodes = {name: graph.nodes[name] for name in graph.nodes if name in kept}
    nodes["output"] = nir.Output({"output": nodes[last].output_type["output"]})
    edges = [edge for edge in graph.edges if edge[1] in kept]
    return nir.NIRGraph(nodes=nodes, edges=[*edges, (last, "output")], metadata={})


def _quietly(framework: str, graph: Any, x: Floats) -> Floats:
    """Import and run, without what the framework prints on the way."""
    run: Callable[[Any, Floats], Floats] = {"snntorch": _snntorch, "norse": _norse, "spikingjelly": _spikingjelly}[
        framework
    ]
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(graph, x)


def _stepped(model: Any, x: Floats) -> Floats:
    import torch

    state, outputs = None, []
    with torch.no_grad():
        for step in torch.from_numpy(x):
            output, state = model(step) if state is None else model(step, state)
            outputs.append(output[0] if isinstance(output, tuple) else output)
        given: Floats = torch.stack(outputs).numpy()
    return given


def _batch_first(model: Any) -> Any:
    """snnTorch and Norse take a Flatten's first axis as it stands in the graph, which counts no batch."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Flatten):
            module.start_dim = 1
    return model


def _snntorch(graph: Any, x: Floats) -> Floats:
    from snntorch.import_nir import import_from_nir

    return _stepped(_batch_first(import_from_nir(graph)), x)


def _norse(graph: Any, x: Floats) -> Floats:
    from norse.torch import from_nir

    return _stepped(_batch_first(from_nir(graph, ignore_warnings=True, dt=DT)), x)


def _spikingjelly(graph: Any, x: Floats) -> Floats:
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return _stepped(import_from_nir(graph, dt=DT), x)
