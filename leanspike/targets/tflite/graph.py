"""TFLite subgraphs under construction, through the object API of LiteRT's generated schema.

Shapes are static. Integers of 8 bits carry scale 1 and zero point 0, so that quantised kernels compute with them as
they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import MissingTool

Shape = tuple[int, ...]
FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
_ARITHMETIC = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "RIGHT_SHIFT": "RightShiftOptions",
    "BITWISE_XOR": "BitwiseXorOptions",
}
_LOGIC = {
    "GREATER_EQUAL": "GreaterEqualOptions",
    "GREATER": "GreaterOptions",
    "LESS": "LessOptions",
    "EQUAL": "EqualOptions",
    "LOGICAL_AND": "LogicalAndOptions",
    "LOGICAL_NOT": "LogicalNotOptions",
}
_ELEMENTS = {
    "bool": "BOOL",
    "int8": "INT8",
    "uint8": "UINT8",
    "int16": "INT16",
    "uint16": "UINT16",
    "int32": "INT32",
    "uint32": "UINT32",
    "int64": "INT64",
}


def package(name: str) -> Any:
    """The optional package, imported.

    Raises:
        MissingTool: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        told = "flatbuffers" if name == "flatbuffers" else "ai-edge-litert"
        raise MissingTool(f"the package {told} is not installed", remedy="pip install 'leanspike[tflite]'") from error


@dataclass(frozen=True)
class Tensor:
    """A tensor of a subgraph: its index, NumPy's name of its element type, and its shape."""

    index: int
    kind: str
    shape: Shape


class Model:
    """Buffers, operator codes and subgraphs of one file."""

    def __init__(self) -> None:
        self.schema = package("ai_edge_litert.schema_py_generated")
        self.model = self.schema.ModelT()
        self.model.version = SCHEMA_VERSION
        self.model.description = "leanspike"
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [self.schema.BufferT()], [], []
        self.model.metadata, self.model.signatureDefs = [], []
        self._buffers: dict[bytes, int] = {}
        self._codes: dict[tuple[int, int], int] = {}

    def buffer(self, content: bytes) -> int:
        """The index of a buffer; equal contents are stored once."""
        if content not in self._buffers:
            made = self.schema.BufferT()
            made.data = np.frombuffer(content, np.uint8)
            self._buffers[content] = len(self.model.buffers)
            self.model.buffers.append(made)
        return self._buffers[content]

    def code(self, operator: str, version: int) -> int:
        """The index of an operator of a version."""
        number = getattr(self.schema.BuiltinOperator, operator)
        if (number, version) not in self._codes:
            made = self.schema.OperatorCodeT()
            made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), version
            self._codes[number, version] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(made)
        return self._codes[number, version]

    def metadata(self, name: str, text: str) -> None:
        """Attach a named text."""
        made = self.schema.MetadataT()
        made.name, made.buffer = name, self.buffer(text.encode())
        self.model.metadata.append(made)

    def signature(self, key: str, inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> None:
        """Name the inputs and outputs of the first subgraph."""

        def named(tensors: dict[str, Tensor]) -> list[Any]:
            maps = []
            for name, tensor in tensors.items():
                made = self.schema.TensorMapT()
                made.name, made.tensorIndex = name, tensor.index
                maps.append(made)
            return maps

        made = self.schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = key, 0
        made.inputs, made.outputs = named(inputs), named(outputs)
        self.model.signatureDefs.append(made)

    def packed(self) -> bytes:
        """The file's bytes."""
        builder = package("flatbuffers").Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


class Graph:
    """One subgraph of a model; the first one made is the one that runs."""

    def __init__(self, model: Model, name: str) -> None:
        self.of, self.schema = model, model.schema
        self.subgraph = model.schema.SubGraphT()
        self.subgraph.name, self.subgraph.tensors, self.subgraph.operators = name, [], []
        self.subgraph.inputs, self.subgraph.outputs = [], []
        self.index = len(model.model.subgraphs)
        model.model.subgraphs.append(self.subgraph)
        self._constants: dict[tuple[str, Shape, bytes], Tensor] = {}

    def _tensor(self, kind: str, shape: Shape, name: str, buffer: int = 0) -> Tensor:
        made = self.schema.TensorT()
        made.name, made.shape, made.buffer = name, list(shape), buffer
        made.type = getattr(self.schema.TensorType, _ELEMENTS[kind])
        if kind == "int8":
            made.quantization = self.schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [1.0], [0]
        self.subgraph.tensors.append(made)
        return Tensor(len(self.subgraph.tensors) - 1, kind, shape)

    def input(self, name: str, kind: str, shape: Shape) -> Tensor:
        """Declare an input."""
        tensor = self._tensor(kind, shape, name)
        self.subgraph.inputs.append(tensor.index)
        return tensor

    def outputs(self, tensors: list[Tensor]) -> None:
        """Declare the outputs, in this order."""
        self.subgraph.outputs = [tensor.index for tensor in tensors]

    def constant(self, values: npt.ArrayLike, kind: str = "int32") -> Tensor:
        """A constant; equal constants are stored once."""
        array = np.asarray(values, dtype=kind)
        content = array.tobytes()
        key = (kind, array.shape, content)
        if key not in self._constants:
            name = f"constant.{len(self.subgraph.tensors)}"
            self._constants[key] = self._tensor(kind, array.shape, name, self.of.buffer(content))
        return self._constants[key]

    def nodes(
        self,
        operator: str,
        inputs: tuple[Tensor, ...],
        results: Sequence[tuple[str, Shape]],
        version: int = 1,
        **options: Any,
    ) -> list[Tensor]:
        """Append an operator.

        Args:
            results: element type and shape of every output.
            options: ``options`` names the table of builtin options; the others are its fields.
        """
        made = self.schema.OperatorT()
        made.opcodeIndex = self.of.code(operator, version)
        made.inputs = [tensor.index for tensor in inputs]
        table = options.pop("options", None)
        if table is not None:
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, table)
            made.builtinOptions = getattr(self.schema, f"{table}T")()
            for field, value in options.items():
                setattr(made.builtinOptions, field, value)
        name = f"{operator.lower()}.{len(self.subgraph.operators)}"
        given = [self._tensor(kind, shape, f"{name}.{i}") for i, (kind, shape) in enumerate(results)]
        made.outputs = [tensor.index for tensor in given]
        self.subgraph.operators.append(made)
        return given

    def node(self, operator: str, *inputs: Tensor, kind: str, shape: Shape, version: int = 1, **options: Any) -> Tensor:
        """Append an operator with one output."""
        return self.nodes(operator, inputs, [(kind, shape)], version, **options)[0]

    def each(self, operator: str, *inputs: Tensor) -> Tensor:
        """Append an elementwise operator; shapes broadcast."""
        shape = np.broadcast_shapes(*(tensor.shape for tensor in inputs))
        kind = "bool" if operator in _LOGIC else inputs[0].kind
        return self.node(operator, *inputs, kind=kind, shape=shape, options=(_LOGIC | _ARITHMETIC)[operator])

    def select(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        """``yes`` where the condition holds, else ``no``."""
        shape = np.broadcast_shapes(condition.shape, yes.shape, no.shape)
        return self.node("SELECT_V2", condition, yes, no, kind=yes.kind, shape=shape, options="SelectV2Options")

    def cast(self, x: Tensor, kind: str) -> Tensor:
        """The tensor in another element type; integers wrap."""
        return x if x.kind == kind else self.node("CAST", x, kind=kind, shape=x.shape, options="CastOptions")

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """The same values in C order with another shape."""
        if x.shape == shape:
            return x
        wanted = self.constant(np.array(shape, dtype=np.int32))
        return self.node("RESHAPE", x, wanted, kind=x.kind, shape=shape, options="ReshapeOptions", newShape=list(shape))

    def reduced(self, operator: str, x: Tensor, axis: int) -> Tensor:
        """SUM or REDUCE_MAX over one axis, which goes."""
        shape = x.shape[:axis] + x.shape[axis + 1 :]
        return self.node(
            operator, x, self.constant([axis]), kind=x.kind, shape=shape, options="ReducerOptions", keepDims=False
        )

    def any(self, x: Tensor) -> Tensor:
        """``[1]``: whether a boolean ``[B]`` holds anywhere."""
        zero = self.constant([0])
        return self.node("REDUCE_ANY", x, zero, kind="bool", shape=(1,), options="ReducerOptions", keepDims=True)

    def rows(self, table: Tensor, indices: Tensor) -> Tensor:
        """``table[indices]`` along the first axis."""
        shape = (*indices.shape, *table.shape[1:])
        return self.node("GATHER", table, indices, kind=table.kind, shape=shape, options="GatherOptions", axis=0)

    def filled(self, value: int, kind: str, shape: Shape) -> Tensor:
        """A tensor of one value, made when it is needed."""
        dims = self.constant(np.array(shape, dtype=np.int32))
        return self.node("FILL", dims, self.constant(value, kind), kind=kind, shape=shape, options="FillOptions")
