"""jaxpike: ``unroll`` (stateless layers over all T at once, a lax.scan for the neurons), jitted with Adam."""

from __future__ import annotations

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxpike
import numpy as np

from leanspike.bench.peers.spyx import JaxStepper, convolution, last_columns
from leanspike.bench.workloads import ATAN_SCALE, BETA, THRESHOLD, Layer, Workload

GAIN = 1 / (1 - BETA)


def _network(work: Workload) -> Any:
    key = jax.random.key(0)

    def lif() -> Any:
        return jaxpike.LIF(-1 / np.log(BETA), threshold=THRESHOLD, surrogate=jaxpike.ATan(ATAN_SCALE))

    if work.network == "mlp":
        pairs = itertools.pairwise(work.sizes)
        return jaxpike.Sequential(*[part for pair in pairs for part in (jaxpike.Dense(*pair, key=key), lif())])
    parts: list[Any] = []
    for before, after in itertools.pairwise((1, *work.channels)):
        parts += [jaxpike.Conv2d(before, after, 3, key=key), lif(), jaxpike.Pool2d(2, mode="max")]
    return jaxpike.Sequential(*parts, jaxpike.Flatten(), jaxpike.Dense(work.flat, work.sizes[-1], key=key), lif())


def prepare(work: Workload, mode: str) -> JaxStepper:
    """Mode ``default`` (its own 8 steps an iteration) or ``unrolled`` (all steps in one)."""
    unroll = work.timesteps if mode == "unrolled" else None
    network = _network(work)
    parameters, static = eqx.partition(network, eqx.is_inexact_array)

    def loaded(weights: list[Layer]) -> Any:
        synapses = [i for i, part in enumerate(network.layers) if hasattr(part, "weight")]
        changed = jax.tree.map(jnp.copy, parameters)
        for index, layer in zip(synapses, weights, strict=True):
            last = index == synapses[-1]
            weight = last_columns(work, layer).T if last else jnp.asarray(layer.weight)
            weight = convolution(layer) if layer.weight.ndim == 4 else weight
            values = (weight * GAIN, jnp.asarray(layer.bias) * GAIN)
            changed = eqx.tree_at(lambda net, i=index: (net.layers[i].weight, net.layers[i].bias), changed, values)
        return changed

    def spikes(values: Any, x: Any) -> Any:
        out, _ = jaxpike.unroll(eqx.combine(values, static), x, scan_unroll=unroll)
        return out

    return JaxStepper(work, spikes, loaded)
