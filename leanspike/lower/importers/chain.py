"""What every importer reads a model into: layers in a row, in the units and the layout of the model they come from.

Images are ``[C, H, W]``, a dense weight is ``[out, in]``, a kernel ``[out, in, kh, kw]``, as in torch and NIR.
:mod:`leanspike.lower.importers.assemble` turns the row into a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from leanspike.core.errors import ModelImportError


@dataclass(frozen=True, eq=False)
class Dense:
    """``y = weight x + bias``."""

    name: str
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True, eq=False)
class Convolution:
    """A 2-D convolution with a square kernel, zeros outside the image."""

    name: str
    weight: Tensor
    bias: Tensor | None
    stride: int
    padding: int


@dataclass(frozen=True, eq=False)
class Norm:
    """Batch norm with its running statistics: ``gamma (I - mean) / sqrt(variance + eps) + shift``, ``[C]`` each."""

    name: str
    gamma: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor
    eps: float


@dataclass(frozen=True)
class Pool:
    """Windows ``size x size`` side by side; size None: one window over the whole image."""

    name: str
    kind: Literal["max", "mean", "sum"]
    size: int | None


@dataclass(frozen=True)
class Flat:
    """``[C, H, W]`` to one axis in C order."""

    name: str


@dataclass(frozen=True, eq=False)
class Neurons:
    """``u = beta v + gain I``; fire on ``u > threshold`` or (``at_threshold``) ``>=``; reset at once.

    Tensors are ``[1]``, or shaped like the layer.

    Attributes:
        threshold: None: they integrate and never fire.
        reset: subtract ``reset_by`` (None: the threshold), or set to zero.
    """

    name: str
    beta: Tensor
    gain: Tensor
    threshold: Tensor | None
    at_threshold: bool = False
    reset: Literal["subtract", "zero"] = "subtract"
    reset_by: Tensor | None = None


Piece = Dense | Convolution | Norm | Pool | Flat | Neurons


def refuse(name: str, what: str, remedy: str) -> ModelImportError:
    """The error that names a layer and what of it cannot be expressed."""
    return ModelImportError(what, where=f"layer {name}" if name else "model", remedy=remedy)


def refuse_all(found: Sequence[ModelImportError]) -> None:
    """Raise what was refused, all layers at once; nothing if nothing was.

    Raises:
        ModelImportError: with every refusal.
    """
    if len(found) == 1:
        raise found[0]
    if found:
        raise ModelImportError("; ".join(error.line() for error in found))
