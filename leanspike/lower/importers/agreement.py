"""An imported network beside its model: both run on the same input, the spikes of every layer compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leanspike.core.errors import ModelImportError
from leanspike.nn import LIF, LeakyIntegrator, Network


@dataclass(frozen=True)
class LayerAgreement:
    """One layer of neurons.

    Attributes:
        name: of the module in their model.
        spikes_theirs, spikes_ours: over all samples and steps; None for an output layer that never fires.
        differing: places ``[T, B, ...]`` at which one fires and the other does not; None likewise.
        potential_difference: largest absolute one, of an output layer that never fires; else None.
    """

    name: str
    spikes_theirs: int | None
    spikes_ours: int | None
    differing: int | None
    potential_difference: float | None


def verify_import(
    theirs: nn.Module, ours: Network, x: Tensor, run: Callable[[Tensor], Any] | None = None
) -> list[LayerAgreement]:
    """Run a model and the network that was made from it.

    Args:
        x: ``[T, B, ...]``, images ``(C, H, W)``.
        run: runs their model over all of x, from rest, and returns its output. If None, a snnTorch model is called step
            by step, a SpikingJelly model as its step mode says, a Norse model step by step with its state.

    Raises:
        ModelImportError: their model has other layers of neurons than ours.
    """
    seen: dict[str, list[Tensor]] = {}
    handles = []
    for name, module in theirs.named_modules():
        if _framework(module) and _fires(module):

            def called(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
                seen.setdefault(name, []).append(output[0] if isinstance(output, tuple) else output)

            handles.append(module.register_forward_hook(called))
    training = theirs.training
    try:
        with torch.no_grad():
            result = (run or _runner(theirs.eval()))(x)
    finally:
        theirs.train(training)
        for handle in handles:
            handle.remove()
    traced = ours.trace(x)
    neurons = [layer for layer in ours.layers if isinstance(layer, LIF | LeakyIntegrator)]
    found = [(name, _in_time(parts, len(x))) for name, parts in seen.items()]
    if len(found) == len(neurons) - 1:
        found.append(("output", _in_time([result], len(x))))
    if len(found) != len(neurons):
        what = f"has {len(found)} layers of neurons ({', '.join(seen)}), the network {len(neurons)}"
        raise ModelImportError(what, where="model", remedy="compare with the network that was made from it")
    return [
        _agreement(name, layer, given, mine) for (name, given), layer, mine in zip(found, neurons, traced, strict=True)
    ]


def _agreement(name: str, layer: nn.Module, given: Tensor, mine: tuple[Tensor, Tensor]) -> LayerAgreement:
    spikes, potential = mine
    if isinstance(layer, LeakyIntegrator):
        return LayerAgreement(name, None, None, None, float((given - potential).abs().max()))
    differing = int((given != spikes).sum())
    return LayerAgreement(name, int(given.sum()), int(spikes.sum()), differing, None)


def _in_time(parts: list[Any], steps: int) -> Tensor:
    """``[T, B, ...]`` of the calls of a module: one a step, or one for all steps."""
    tensors = [torch.stack(part) if isinstance(part, list) else part for part in parts]
    a_call_a_step = len(tensors) == steps and tensors[0].shape[:1] != (steps,)
    return torch.stack(tensors) if a_call_a_step or len(tensors) > 1 else tensors[0]


def _framework(module: nn.Module) -> str | None:
    root = type(module).__module__.partition(".")[0]
    return root if root in ("snntorch", "spikingjelly", "norse") else None


def _fires(module: nn.Module) -> bool:
    ancestors = {kind.__name__ for kind in type(module).__mro__}
    return bool(ancestors & {"SpikingNeuron", "BaseNode", "NonSpikingBaseNode", "SNN", "SNNCell"})


def _runner(model: nn.Module) -> Callable[[Tensor], Any]:
    frameworks = {found for found in map(_framework, model.modules()) if found}
    if len(frameworks) != 1:
        what = f"has modules of {', '.join(sorted(frameworks)) or 'no framework known here'}"
        raise ModelImportError(what, where="model", remedy="give run=, a function that runs it over all steps")
    return {"snntorch": _run_snntorch, "spikingjelly": _run_spikingjelly, "norse": _run_norse}[frameworks.pop()](model)


def _run_snntorch(model: nn.Module) -> Callable[[Tensor], Any]:
    def run(x: Tensor) -> Tensor:
        for module in model.modules():
            if _fires(module):
                module.reset_mem()  # type: ignore[operator]
        outputs = [model(step) for step in x]
        return torch.stack([output[0] if isinstance(output, tuple) else output for output in outputs])

    return run


def _run_spikingjelly(model: nn.Module) -> Callable[[Tensor], Any]:
    from spikingjelly.activation_based import functional

    def run(x: Tensor) -> Any:
        functional.reset_net(model)
        modes = {getattr(module, "step_mode", None) for module in model.modules()} - {None}
        result = model(x) if "m" in modes else torch.stack([model(step) for step in x])
        functional.reset_net(model)
        return result

    return run


def _run_norse(model: nn.Module) -> Callable[[Tensor], Any]:
    def run(x: Tensor) -> Any:
        state, outputs = None, []
        for step in x:
            output, state = model(step, state)
            outputs.append(output)
        return torch.stack(outputs)

    return run
