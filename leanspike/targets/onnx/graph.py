"""An ONNX graph under construction: nodes in order, constants once, fresh names.

Values carry the interval that :mod:`leanspike.ir.ranges` proved, because it decides which integer operator is exact.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import MissingTool

OPSET = 20
"""21 and later bring nothing that is used here and run on fewer releases of onnxruntime."""
IR_VERSION = 9


def package(name: str) -> Any:
    """The optional package, imported.

    Raises:
        MissingTool: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingTool(
            f"the package {name.split('.')[0]} is not installed", remedy="pip install 'leanspike[onnx]'"
        ) from error


@dataclass(frozen=True)
class Tensor:
    """A value in the graph, ``[B, *shape]`` with ``lowest <= every element <= highest``.

    Attributes:
        name: in the graph.
        kind: NumPy's name of the element type: uint8, int8 or int32.
    """

    name: str
    kind: str
    lowest: int
    highest: int


class Graph:
    """Nodes and constants of one graph or Scan body.

    Args:
        prefix: of every fresh name; a body's must differ from its outer graph's.
    """

    def __init__(self, prefix: str = "") -> None:
        self.onnx, self.prefix = package("onnx"), prefix
        self.nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Any] = {}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append an operator with one output; its name."""
        return self.nodes_of(operator, inputs, 1, **attributes)[0]

    def nodes_of(self, operator: str, inputs: tuple[str, ...], outputs: int, **attributes: Any) -> list[str]:
        """Append an operator with several outputs; their names."""
        names = [f"{self.prefix}{operator}.{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, values: npt.ArrayLike, kind: str = "int32") -> str:
        """The name of a constant; equal constants are stored once."""
        array = np.ascontiguousarray(np.asarray(values, dtype=kind))
        array = array.reshape(np.shape(values))
        key = (kind, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{self.prefix}constant.{len(self._constants)}"
            self._constants[key] = self.onnx.numpy_helper.from_array(array, name)
        return str(self._constants[key].name)

    def cast(self, name: str, kind: str) -> str:
        """The tensor in another element type; integers wrap, as ONNX's Cast says."""
        return self.node("Cast", name, to=self.element(kind))

    def element(self, kind: str) -> int:
        """ONNX's number of an element type."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def as_int32(self, x: Tensor) -> str:
        """A tensor's name in int32."""
        return x.name if x.kind == "int32" else self.cast(x.name, "int32")

    def info(self, name: str, kind: str, shape: tuple[int | str, ...]) -> Any:
        """The declaration of an input or output."""
        return self.onnx.helper.make_tensor_value_info(name, self.element(kind), list(shape))

    def finished(self, title: str, inputs: list[Any], outputs: list[Any], results: list[str]) -> Any:
        """The GraphProto whose ``outputs`` are the tensors ``results``, in this order."""
        for info, result in zip(outputs, results, strict=True):
            self.nodes.append(self.onnx.helper.make_node("Identity", [result], [info.name]))
        constants = list(self._constants.values())
        return self.onnx.helper.make_graph(self.nodes, title, inputs, outputs, constants)
