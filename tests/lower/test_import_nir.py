"""NIR graphs and the networks made from them: the spikes of an Euler integration, or a refusal with the reason."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peer_frameworks import need, sample

from leanspike.core.errors import ModelImportError
from leanspike.lower.importers import from_nir
from leanspike.nn import LIF

need("nir")
import nir  # noqa: E402

DT = 1e-4


def lif(*shape: int, tau: float = 8 * DT, r: float = 1.0, rest: float = 0.0, theta: float = 0.4) -> Any:
    full = np.full(shape, 1.0)
    return nir.LIF(tau * full, r * full, rest * full, theta * full, rest * full)


def perfect(size: int) -> Any:
    return nir.IF(np.full(size, 900.0), np.ones(size))


def chain(*nodes: Any, shape: tuple[int, ...] = (20,), **metadata: Any) -> Any:
    names = [f"n{i}" for i in range(len(nodes))]
    ends = {"in": nir.Input({"input": np.array(shape)}), "out": nir.Output(nodes[-1].output_type)}
    row = ["in", *names, "out"]
    everything = ends | dict(zip(names, nodes, strict=True))
    return nir.NIRGraph(everything, list(pairwise(row)), metadata, type_check=False)


def affine(inputs: int, outputs: int, gain: float = 6.0) -> Any:
    random = np.random.default_rng(outputs)
    return nir.Affine(random.normal(0, gain / inputs**0.5, (outputs, inputs)), random.normal(0.1, 0.3, outputs))


def euler(graph: Any, x: np.ndarray, above: bool = True) -> list[np.ndarray]:
    """Spikes ``[T, B, n]`` of every LIF and IF of a chain of dense layers, in float64."""
    found = []
    for node in graph.nodes.values():
        if isinstance(node, nir.Affine | nir.Linear):
            x = x @ node.weight.T + (node.bias if isinstance(node, nir.Affine) else 0)
        elif isinstance(node, nir.LIF | nir.IF):
            leaky = isinstance(node, nir.LIF)
            v, spikes = (node.v_leak if leaky else 0) + np.zeros(x.shape[1:]), []
            for current in x:
                v = v + (DT / node.tau * (node.v_leak - v + node.r * current) if leaky else DT * node.r * current)
                s = v > node.v_threshold if above else v >= node.v_threshold
                v = np.where(s, node.v_reset, v)
                spikes.append(s.astype(float))
            x = np.stack(spikes)
            found.append(x)
    return found


@pytest.mark.parametrize(
    "neurons",
    [lif, lambda n: lif(n, r=2.5), lambda n: lif(n, rest=-0.3, theta=0.2), perfect],
    ids=["lif", "resistance", "rest", "if"],
)  # fmt: skip
def test_dense_graphs(neurons: Any, tmp_path: Path) -> None:
    graph = chain(affine(20, 30), neurons(30), affine(30, 10), neurons(10))
    nir.write(tmp_path / "graph.nir", graph)
    x = sample("gaussian", 20)
    expected = euler(graph, x.numpy())
    assert all(spikes.any() for spikes in expected)
    for given in (graph, tmp_path / "graph.nir", str(tmp_path / "graph.nir")):
        traced = from_nir(given, dt=DT, dtype=torch.float64).trace(x)
        for (spikes, _), wanted in zip(traced, expected, strict=True):
            assert np.array_equal(spikes.numpy(), wanted)


def test_tau_and_resistance_of_every_neuron() -> None:
    random = np.random.default_rng(0)
    zero = np.zeros(30)
    many = nir.LIF(DT * random.uniform(1, 20, 30), random.uniform(0.5, 4, 30), zero, random.uniform(0.1, 1, 30), zero)
    graph = chain(affine(20, 30), many, affine(30, 10), lif(10), dt=DT)
    x = sample("gaussian", 20)
    for (spikes, _), wanted in zip(from_nir(graph, dtype=torch.float64).trace(x), euler(graph, x.numpy()), strict=True):
        assert np.array_equal(spikes.numpy(), wanted)


def test_a_tie_goes_by_the_comparison() -> None:
    graph = chain(nir.Linear(np.ones((1, 1))), nir.IF(np.full(1, 1 / DT), np.ones(1)), shape=(1,))
    x = torch.ones(1, 1, 1)
    assert not from_nir(graph, dt=DT).trace(x)[0][0].any()
    assert from_nir(graph, dt=DT, comparison=">=").trace(x)[0][0].all()


def test_a_convolutional_graph() -> None:
    random = np.random.default_rng(4)
    kernel, bias = random.normal(0, 2, (4, 2, 3, 3)), random.normal(0, 0.3, 4)
    head = random.normal(0, 1, (10, 36))
    two, none = np.array([2, 2]), np.array([0, 0])
    for pool, factor in ((nir.SumPool2d, 1.0), (nir.AvgPool2d, 0.25)):
        nodes = (
            nir.Conv2d((8, 8), kernel, 1, 0, 1, 1, bias), lif(4, 6, 6), pool(two, two, none),
            nir.Flatten({"input": np.array([4, 3, 3])}, 0), nir.Linear(head), lif(10),
        )  # fmt: skip
        network = from_nir(chain(*nodes, shape=(2, 8, 8)), dt=DT, dtype=torch.float64)
        x = sample("gaussian", 2, 8, 8)
        (first, _), (last, _) = network.trace(x)
        current = torch.nn.functional.conv2d(x.flatten(0, 1), *map(torch.from_numpy, (kernel, bias)))
        expected = _spikes(current.unflatten(0, x.shape[:2]))
        assert torch.equal(first.double(), expected)
        summed = torch.nn.functional.avg_pool2d(expected.flatten(0, 1), 2) * 4 * factor
        assert torch.equal(
            last.double(), _spikes((summed.flatten(1) @ torch.from_numpy(head).T).unflatten(0, x.shape[:2]))
        )


def _spikes(current: torch.Tensor) -> torch.Tensor:
    v, found = torch.zeros_like(current[0]), []
    for step in current:
        v = v + (step - v) / 8
        found.append((v > 0.4).double())
        v = v * (1 - found[-1])
    assert torch.stack(found).any()
    return torch.stack(found)


def test_integrators_and_bare_currents_take_a_membrane_readout() -> None:
    zero, one = np.zeros(10), np.ones(10)
    x = sample("gaussian", 20)
    for last in ([nir.LI(8 * DT * one, one, zero)], [nir.I(one / DT)], []):
        network = from_nir(
            chain(affine(20, 30), lif(30), affine(30, 10), *last), dt=DT, readout="membrane_mean", dtype=torch.float64
        )
        assert network(x).potential.shape == (20, 12, 10)


def refusal(graph: Any, **settings: Any) -> str:
    with pytest.raises(ModelImportError) as caught:
        from_nir(graph, **{"dt": DT} | settings)
    return str(caught.value)


def test_what_cannot_be_expressed_is_refused_by_name() -> None:
    one, zero = np.ones(30), np.zeros(30)
    cuba = nir.CubaLIF(one, one, one, zero, one, zero)
    told = refusal(chain(affine(20, 30), cuba, nir.Delay(one), nir.LIF(one, one, zero, one, -one)))
    assert "layer n1: CubaLIF has a synaptic current" in told
    assert "layer n2: Delay" in told
    assert "layer n3: resets to another potential" in told
    assert "layer n1: keeps -1" in refusal(chain(affine(20, 30), lif(30, tau=DT / 2)))
    assert "an integrator whose v_leak" in refusal(chain(affine(20, 30), nir.LI(one, one, one)), readout="membrane_max")


def test_a_graph_that_is_no_row_or_says_no_step_is_refused() -> None:
    graph = chain(affine(20, 30), lif(30), affine(30, 30), lif(30))
    assert "a step of None s" in refusal(graph, dt=None)
    graph.edges.append(("n3", "n0"))
    assert "recurrent" in refusal(graph)


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_no_graph_gives_a_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "graph.nir"
    path.write_bytes(content)
    assert "is not a NIR graph" in refusal(path)
    assert "is not a NIR graph" in refusal(tmp_path / "missing.nir")


def test_a_network_takes_the_dtype_that_is_asked_for() -> None:
    for dtype in (torch.float32, torch.float64):
        neurons = from_nir(chain(affine(20, 10), lif(10)), dt=DT, dtype=dtype).layers[1]
        assert isinstance(neurons, LIF)
        assert neurons.beta.dtype == neurons.threshold.dtype == dtype


def test_a_graph_that_leanspike_wrote_is_not_read_as_something_else() -> None:
    neurons = lif(10)
    neurons.metadata = {"leanspike": "u1[10] = lif"}
    assert "leanspike.targets.nir.load" in refusal(chain(affine(20, 10), neurons))
