"""NIR graphs, read as what they say in Euler steps of dt.

    LIF    tau dv/dt = (v_leak - v) + r I     beta = 1 - dt/tau, input times r dt/tau, counted from v_leak
    IF     dv/dt = r I                        beta = 1, input times r dt
    LI, I  the same, never fire

Spikes are v > v_threshold, as NIR defines them, and reset v to v_reset; simulators that fire on >= can be followed by
``comparison=">="``. NIR has no subtract reset, no refractory period and no batch norm, so such a graph has none. A
current with its own decay (CubaLIF), delays, branches and recurrent edges are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from leanspike.core.errors import MissingTool, ModelImportError
from leanspike.lower.importers.assemble import network_of
from leanspike.lower.importers.chain import Convolution, Dense, Flat, Neurons, Piece, Pool, refuse, refuse_all
from leanspike.nn import Network
from leanspike.nn.readout import ReadoutName


def from_nir(
    graph: Any,
    *,
    dt: float | None = None,
    readout: ReadoutName = "count",
    comparison: Literal[">", ">="] = ">",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """A NIR graph as a network with the spikes that its Euler integration gives.

    Args:
        graph: a ``nir.NIRGraph``, or the path of a file.
        dt: length of a step in seconds; None: what the graph's metadata say.
        readout: how the output layer becomes scores; membrane readouts take graphs that end in LI, I or a synapse.
        dtype: of the network's parameters.

    Raises:
        ModelImportError: a file that is none; nodes or semantics that cannot be expressed, all of them.
        MissingTool: nir is not installed.
    """
    nir = _nir()
    graph = _read(nir, Path(graph)) if isinstance(graph, str | Path) else graph
    dt = _step(graph, dt)
    pieces: list[Piece] = []
    refused: list[ModelImportError] = []
    for name in _row(nir, graph):
        try:
            piece = _piece(nir, name, graph.nodes[name], dt, comparison == ">=")
        except ModelImportError as error:
            refused.append(error)
        else:
            pieces += [] if piece is None else [piece]
    refuse_all(refused)
    shape = tuple(int(side) for side in next(iter(graph.inputs.values())).input_type["input"])
    return network_of(pieces, shape, readout, dtype)


def _nir() -> Any:
    try:
        import nir
    except ImportError as error:
        raise MissingTool("nir is not installed", where="from_nir", remedy="pip install 'leanspike[nir]'") from error
    return nir


def _read(nir: Any, path: Path) -> Any:
    try:
        return nir.read(path)
    except Exception as error:  # h5py and nir raise whatever a damaged file leads them to
        what = f"is not a NIR graph that can be read ({type(error).__name__}: {str(error)[:200]})"
        raise ModelImportError(what, where=path, remedy="write it anew with nir.write") from error


def _step(graph: Any, dt: float | None) -> float:
    found = dt if dt is not None else graph.metadata.get("dt")
    if found is None or not 0 < float(found) < float("inf"):
        raise ModelImportError(f"a step of {found} s", where="graph", remedy="give dt= in seconds, for example 1e-4")
    return float(found)


def _row(nir: Any, graph: Any) -> list[str]:
    """The names of the nodes between the input and the output, in order."""
    after: dict[str, list[str]] = {}
    for source, target in graph.edges:
        after.setdefault(source, []).append(target)
    many = sorted(name for name, targets in after.items() if len(targets) > 1)
    targets = [target for found in after.values() for target in found]
    many += sorted({name for name in targets if targets.count(name) > 1} - set(many))
    if many or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        what = f"branches, joins or recurrent edges at {', '.join(many) or 'its inputs and outputs'}"
        raise ModelImportError(what, where="graph", remedy="one row from one input to one output can be expressed")
    name, row = next(iter(graph.inputs)), []
    while name in after:
        name = after[name][0]
        row.append(name)
    if not isinstance(graph.nodes[name], nir.Output):
        raise ModelImportError(f"ends at {name}", where="graph", remedy="join every node, up to the output")
    return row[:-1]


def _piece(nir: Any, name: str, node: Any, dt: float, at_threshold: bool) -> Piece | None:
    if isinstance(node, nir.Linear | nir.Affine):
        return Dense(name, _tensor(node.weight), _tensor(node.bias) if isinstance(node, nir.Affine) else None)
    if isinstance(node, nir.Conv2d):
        return _convolution(name, node)
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        return _pool(name, node, "sum" if isinstance(node, nir.SumPool2d) else "mean")
    if isinstance(node, nir.Flatten):
        return Flat(name)
    if isinstance(node, nir.LIF | nir.LI):
        return _leaky(name, node, dt, at_threshold, fires=isinstance(node, nir.LIF))
    if isinstance(node, nir.IF | nir.I):
        return _perfect(name, node, dt, at_threshold, fires=isinstance(node, nir.IF))
    kind = type(node).__name__
    why = {"CubaLIF": "a synaptic current with its own decay", "CubaLI": "a synaptic current with its own decay"}
    what = f"{kind} {'has ' + why[kind] if kind in why else 'cannot be expressed'}"
    raise refuse(name, what, "Linear, Affine, Conv2d, SumPool2d, AvgPool2d, Flatten, LIF, IF, LI and I can be")


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))


def _one(name: str, what: str, value: Any) -> int:
    found = set(np.atleast_1d(np.asarray(value)).tolist())
    if len(found) != 1:
        raise refuse(name, f"{what} {value}", "equal numbers for height and width can be expressed")
    return int(found.pop())


def _convolution(name: str, node: Any) -> Convolution:
    kernel = _one(name, "kernel", node.weight.shape[2:])
    if _one(name, "dilation", node.dilation) != 1 or int(node.groups) != 1:
        raise refuse(
            name, f"dilation {node.dilation}, groups {node.groups}", "dilation 1 and one group can be expressed"
        )
    padding: Any = node.padding
    if isinstance(padding, str):
        if padding == "same" and kernel % 2 == 0:
            raise refuse(name, f"padding 'same' around an even kernel of {kernel}", "take an odd kernel")
        padding = kernel // 2 if padding == "same" else 0
    bias = None if node.bias is None else _tensor(node.bias)
    stride = _one(name, "stride", node.stride)
    return Convolution(name, _tensor(node.weight), bias, stride, _one(name, "padding", padding))


def _pool(name: str, node: Any, kind: Literal["sum", "mean"]) -> Pool:
    size, stride = _one(name, "window", node.kernel_size), _one(name, "stride", node.stride)
    if stride != size or _one(name, "padding", node.padding):
        what = f"windows of {size} with stride {stride} and padding {node.padding}"
        raise refuse(name, what, "windows side by side without padding can be expressed")
    return Pool(name, kind, size)


def _leaky(name: str, node: Any, dt: float, at_threshold: bool, *, fires: bool) -> Neurons:
    rest, rate = _tensor(node.v_leak), dt / _tensor(node.tau)
    gain = _tensor(node.r) * rate
    if not fires:
        if bool((rest != 0).any()):
            raise refuse(name, "an integrator whose v_leak is not 0", "v_leak = 0 can be expressed")
        return Neurons(name, 1 - rate, gain, None)
    _refuse_ours(name, node.metadata)
    if bool((_tensor(node.v_reset) != rest).any()):
        raise refuse(name, "resets to another potential than it rests at", "v_reset = v_leak can be expressed")
    return Neurons(name, 1 - rate, gain, _tensor(node.v_threshold) - rest, at_threshold, "zero")


def _perfect(name: str, node: Any, dt: float, at_threshold: bool, *, fires: bool) -> Neurons:
    gain, one = _tensor(node.r) * dt, torch.ones(1, dtype=torch.float64)
    if not fires:
        return Neurons(name, one, gain, None)
    _refuse_ours(name, node.metadata)
    if np.any(node.v_reset):
        raise refuse(name, "resets to another potential than the 0 it starts at", "v_reset = 0 can be expressed")
    return Neurons(name, one, gain, _tensor(node.v_threshold), at_threshold, "zero")


def _refuse_ours(name: str, metadata: Mapping[str, Any]) -> None:
    """A graph of ours says in its metadata what NIR cannot; it is not read as something else."""
    if "leanspike" in metadata:
        remedy = "leanspike.targets.nir.load gives back the exact program"
        raise refuse(name, "was written by leanspike, and NIR holds only an approximation of it", remedy)
