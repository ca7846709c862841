"""spyx: ``spyx.nn.run`` (one lax.scan over the whole network a step), jitted with the Adam update.

:class:`JaxStepper` is shared by the frameworks that stand on JAX: parameters in, parameters out, buffers donated.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx
from flax import nnx

from leanspike.bench.candidates import Passes
from leanspike.bench.workloads import BETA, LEARNING_RATE, THRESHOLD, Batch, Layer, Workload

Loaded = Callable[[list[Layer]], Any]


class JaxStepper:
    """A function of parameters as a :class:`~leanspike.bench.candidates.Stepper`.

    Args:
        spikes: ``(parameters, x [T, B, ...]) -> spikes [T, B, K]``.
        loaded: the parameters that hold given weights.
        channels_last: images are given as ``[T, B, H, W, C]``.
    """

    def __init__(self, work: Workload, spikes: Callable[[Any, Any], Any], loaded: Loaded) -> None:
        self.work, self.loaded, self.adam = work, loaded, optax.adam(LEARNING_RATE)

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            out = spikes(parameters, x)
            if work.loss == "sum":
                return out.sum()
            return optax.softmax_cross_entropy_with_integer_labels(out.sum(0), y).mean()

        def update(parameters: Any, state: Any, x: Any, y: Any) -> Any:
            value, grads = jax.value_and_grad(loss)(parameters, x, y)
            updates, state = self.adam.update(grads, state, parameters)
            return optax.apply_updates(parameters, updates), state, value

        self.forward = jax.jit(loss)
        self.gradient = jax.jit(jax.value_and_grad(loss))
        self.update = jax.jit(update, donate_argnums=(0, 1))
        self.state: Any = None

    def load(self, weights: list[Layer]) -> None:
        self.parameters = self.loaded(weights)
        self.state = self.adam.init(self.parameters) if self.state is None else self.state

    def batch(self, batch: Batch) -> tuple[Any, Any]:
        x = batch.repeated()
        if self.work.network == "convnet":
            x = np.moveaxis(x, 2, -1)
        return jnp.asarray(x), jnp.asarray(batch.y)

    def step(self, batch: tuple[Any, Any]) -> float:
        self.parameters, self.state, loss = self.update(self.parameters, self.state, *batch)
        jax.block_until_ready((self.parameters, self.state))
        return float(loss)

    def passes(self, batch: tuple[Any, Any]) -> Passes:
        start = time.perf_counter()
        jax.block_until_ready(self.forward(self.parameters, *batch))
        middle = time.perf_counter()
        jax.block_until_ready(self.gradient(self.parameters, *batch))
        return Passes(middle - start, None, time.perf_counter() - middle)


def convolution(layer: Layer) -> Any:
    """torch's ``[out, in, kh, kw]`` as ``[kh, kw, in, out]``."""
    return jnp.asarray(layer.weight.transpose(2, 3, 1, 0))


def last_columns(work: Workload, layer: Layer) -> Any:
    """Weights ``[in, out]`` of the layer after the flattening, its inputs reordered to channels last."""
    if work.network != "convnet":
        return jnp.asarray(layer.weight.T)
    side = work.side >> len(work.channels)
    planes = layer.weight.reshape(-1, work.channels[-1], side, side)
    return jnp.asarray(planes.transpose(2, 3, 1, 0).reshape(-1, len(layer.weight)))


def _network(work: Workload) -> Any:
    rngs = nnx.Rngs(0)

    def lif(*shape: int) -> Any:
        return spyx.nn.LIF(shape, beta=BETA, threshold=THRESHOLD, activation=spyx.axn.arctan(), rngs=rngs)

    parts: list[Any] = []
    if work.network == "mlp":
        for before, after in itertools.pairwise(work.sizes):
            parts += [nnx.Linear(before, after, rngs=rngs), lif(after)]
        return spyx.nn.Sequential(*parts)
    pool = functools.partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))
    side = work.side
    for before, after in itertools.pairwise((1, *work.channels)):
        parts += [nnx.Conv(before, after, (3, 3), rngs=rngs), lif(side, side, after), pool]
        side //= 2
    parts += [spyx.nn.Flatten(), nnx.Linear(work.flat, work.sizes[-1], rngs=rngs), lif(work.sizes[-1])]
    return spyx.nn.Sequential(*parts)


def prepare(work: Workload, mode: str) -> JaxStepper:
    """Mode ``run``."""
    assert mode == "run"
    definition, parameters, rest = nnx.split(_network(work), nnx.Param, ...)
    structure = jax.tree.structure(parameters)

    def loaded(weights: list[Layer]) -> Any:
        network = nnx.merge(definition, jax.tree.map(jnp.copy, parameters), rest)
        synapses = [part for part in network.layers if isinstance(part, (nnx.Linear, nnx.Conv))]
        for synapse, layer in zip(synapses, weights, strict=True):
            last = synapse is synapses[-1]
            kernel = convolution(layer) if layer.weight.ndim == 4 else jnp.asarray(layer.weight.T)
            synapse.kernel[...] = last_columns(work, layer) if last else kernel
            synapse.bias[...] = jnp.asarray(layer.bias)
        return [jnp.asarray(leaf, jnp.float32) for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))]

    def spikes(values: Any, x: Any) -> Any:
        out, _ = spyx.nn.run(nnx.merge(definition, jax.tree.unflatten(structure, values), rest), x)
        return out

    return JaxStepper(work, spikes, loaded)
