"""Torch models as rows of layers: in which order data pass the modules, and the layers that all frameworks share.

A ``torch.nn.Sequential`` (and every container that is one) is read in its order. Any other model is run once on an
example: the row is the order of the first time step's calls, and it must be one row, each module reading what the
module before it gave. A module counts as the layer it derives from only where it runs that layer's own ``forward``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanspike.core.errors import ModelImportError
from leanspike.lower.importers.chain import Convolution, Dense, Flat, Norm, Piece, Pool, refuse, refuse_all

Reader = Callable[[str, nn.Module], Piece | None]
Module = type[nn.Module]
SILENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
"""Layers that pass everything on in evaluation."""


def read_row(
    model: nn.Module, read: Reader, neurons: tuple[Module, ...], containers: tuple[Module, ...], example: Tensor | None
) -> list[Piece]:
    """The row of a model's layers.

    Args:
        read: one module into a piece; None for what does nothing in evaluation.
        neurons: modules that are neurons, whatever stands inside them.
        containers: modules that run their only child or their children in order.
        example: what ``model(example)`` takes, for models that are no such container.

    Raises:
        ModelImportError: every layer that cannot be expressed.
    """
    if isinstance(model, containers):
        row = list(_in_order("", model, neurons, containers))
    elif example is None:
        remedy = "give example=, a batch as the model takes it, so that the order of its layers can be seen"
        raise ModelImportError(f"{type(model).__name__} is no Sequential", where="model", remedy=remedy)
    else:
        row = _as_called(model, neurons, containers, example)
    pieces: list[Piece] = []
    refused: list[ModelImportError] = []
    for name, module in row:
        try:
            piece = Flat(name) if module is None else read(name, module)
        except ModelImportError as error:
            refused.append(error)
        else:
            pieces += [] if piece is None else [piece]
    refuse_all(refused)
    return pieces


def _in_order(
    name: str, module: nn.Module, neurons: tuple[Module, ...], containers: tuple[Module, ...]
) -> Iterator[tuple[str, nn.Module | None]]:
    if isinstance(module, neurons) or not isinstance(module, containers):
        yield name, module
        return
    for child_name, child in module.named_children():
        yield from _in_order(f"{name}.{child_name}" if name else child_name, child, neurons, containers)


def _as_called(
    model: nn.Module, neurons: tuple[Module, ...], containers: tuple[Module, ...], example: Tensor
) -> list[tuple[str, nn.Module | None]]:
    calls: list[tuple[str, nn.Module, Tensor, Tensor]] = []
    handles = []
    for name, module in _leaves("", model, neurons, containers):

        def called(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
            result = output[0] if isinstance(output, tuple | list) else output
            calls.append((name, module, inputs[0], result))

        handles.append(module.register_forward_hook(called))
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(example)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return list(_first_step(calls))


def _leaves(
    name: str, module: nn.Module, neurons: tuple[Module, ...], containers: tuple[Module, ...]
) -> Iterator[tuple[str, nn.Module]]:
    children = list(module.named_children())
    if isinstance(module, neurons) or not children:
        yield name, module
        return
    for child_name, child in children:
        yield from _leaves(f"{name}.{child_name}" if name else child_name, child, neurons, containers)


def _first_step(calls: Sequence[tuple[str, nn.Module, Tensor, Tensor]]) -> Iterator[tuple[str, nn.Module | None]]:
    before: Tensor | None = None
    for i, (name, module, taken, given) in enumerate(calls):
        if before is None:
            if taken.dim() == 2 and not isinstance(module, nn.Flatten):
                yield "flatten", None
        elif taken is not before:
            same = taken.data_ptr() == before.data_ptr() and taken.numel() == before.numel()
            if not same:
                if module is calls[0][1]:
                    return
                what = f"between {calls[i - 1][0]} and {name} the model computes something that is no layer"
                raise ModelImportError(what, where="model", remedy="make every step a module, in one row")
            if taken.dim() < before.dim():
                yield f"before {name}", None
        yield name, module
        before = given


def runs(module: nn.Module, *kinds: Module) -> bool:
    """Whether a module is one of these layers and runs the layer's own ``forward``."""
    return any(isinstance(module, kind) and type(module).forward is kind.forward for kind in kinds)


def common(name: str, module: nn.Module, same: dict[Module, tuple[Module, ...]]) -> Piece | None:
    """The piece of a layer that all frameworks share.

    Args:
        same: further classes that do what a torch layer does.

    Raises:
        ModelImportError: another layer, or a setting that cannot be expressed.
    """

    def is_(kind: Module) -> bool:
        return runs(module, kind, *same.get(kind, ()))

    if isinstance(module, SILENT + same.get(nn.Identity, ())):
        return None
    if is_(nn.Linear):
        assert isinstance(module, nn.Linear)
        return Dense(name, module.weight.detach(), None if module.bias is None else module.bias.detach())
    if is_(nn.Conv2d):
        assert isinstance(module, nn.Conv2d)
        return _convolution(name, module)
    if is_(nn.BatchNorm1d) or is_(nn.BatchNorm2d):
        assert isinstance(module, _BatchNorm)
        return _norm(name, module)
    if is_(nn.MaxPool2d) or is_(nn.AvgPool2d):
        return _pool(name, module, "max" if isinstance(module, nn.MaxPool2d) else "mean")
    if is_(nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)):
            raise refuse(name, f"an adaptive pool to {module.output_size}", "pool to 1 x 1, or with a fixed window")
        return Pool(name, "mean", None)
    if is_(nn.Flatten):
        if module.end_dim != -1 or module.start_dim not in (1, 2):
            raise refuse(name, f"flattens axes {module.start_dim} to {module.end_dim}", "flatten all of a sample")
        return Flat(name)
    remedy = "Linear, Conv2d, pools, Flatten, BatchNorm, Dropout and the framework's LIF can be expressed"
    raise refuse(name, f"{type(module).__name__} is no layer that can be expressed", remedy)


def _one(name: str, what: str, value: Any) -> int:
    """The number that stands for both axes."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(set(pair)) != 1:
        raise refuse(name, f"{what} {pair}", "equal numbers for height and width can be expressed")
    return int(pair[0])


def _convolution(name: str, module: nn.Conv2d) -> Convolution:
    kernel, stride = _one(name, "kernel", module.kernel_size), _one(name, "stride", module.stride)
    if _one(name, "dilation", module.dilation) != 1 or module.groups != 1 or module.padding_mode != "zeros":
        what = f"dilation {module.dilation}, groups {module.groups}, padding mode {module.padding_mode}"
        raise refuse(name, what, "dilation 1, one group and padding with zeros can be expressed")
    padding: Any = module.padding
    if padding == "valid":
        padding = 0
    elif padding == "same":
        if kernel % 2 == 0:
            raise refuse(name, f"padding 'same' around an even kernel of {kernel}", "take an odd kernel")
        padding = kernel // 2
    bias = None if module.bias is None else module.bias.detach()
    return Convolution(name, module.weight.detach(), bias, stride, _one(name, "padding", padding))


def _norm(name: str, module: _BatchNorm) -> Norm:
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None:
        raise refuse(name, "batch norm without running statistics", "train it with track_running_stats=True")
    gamma = torch.ones_like(mean) if module.weight is None else module.weight.detach()
    shift = torch.zeros_like(mean) if module.bias is None else module.bias.detach()
    return Norm(name, gamma, shift, mean, variance, module.eps)


def _pool(name: str, module: Any, kind: Any) -> Pool:
    size = _one(name, "window", module.kernel_size)
    stride, padding = _one(name, "stride", module.stride), _one(name, "padding", module.padding)
    odd = getattr(module, "divisor_override", None) or _one(name, "dilation", getattr(module, "dilation", 1)) != 1
    if stride != size or padding or module.ceil_mode or odd:
        what = f"windows of {size} with stride {stride}, padding {padding}, ceil_mode {module.ceil_mode}"
        raise refuse(name, what, "windows side by side, without padding or dilation, can be expressed")
    return Pool(name, kind, size)


def comparison(name: str, spike: Callable[[Tensor], Tensor], dtype: torch.dtype) -> bool:
    """Whether a spike function fires at 0 (``>=``), by trying it; False: only above (``>``).

    Raises:
        ModelImportError: it is no step function.
    """
    least = torch.finfo(dtype).tiny
    x = torch.tensor([-1.0, -least, 0.0, least, 1.0], dtype=dtype)
    with torch.no_grad():
        found = spike(x).tolist()
    if found not in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1]):
        raise refuse(name, f"its spikes are {found} at {x.tolist()}, no step", "a step of 0 and 1 can be expressed")
    return bool(found[2] == 1)


def dtype_of(model: nn.Module) -> torch.dtype:
    """The type of a model's parameters."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
