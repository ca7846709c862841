"""NIR files: what their graphs approximate is told, what was edited is noticed, what is foreign is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_networks import convnet, images, mlp, need

from leanspike import ir, targets
from leanspike.core.errors import MissingTool, TargetError
from leanspike.core.trace import mismatches
from leanspike.ir import LIF, Array, Integrate, IntType, Program, Value
from leanspike.targets.nir import interop, load, warnings

need("nir")
import nir  # noqa: E402

FRAMEWORKS = ("snntorch", "norse", "spikingjelly")


def with_neurons(program: Program, leak: int | None = None, **settings: Any) -> Program:
    """The program with all its LIF neurons changed."""
    arrays = program.arrays if leak is None else dict(program.arrays) | {"m": Array(IntType(9, False), [[leak]])}
    changed = tuple(replace(op, **settings) if isinstance(op, LIF) else op for op in program.operations)
    return ir.verify(replace(program, operations=changed, arrays=arrays))


@pytest.mark.parametrize("build", [mlp, convnet])
def test_networks_of_real_size_come_back_identical(build: Any, tmp_path: Path) -> None:
    program = build("direct")
    artefact = targets.emit("nir", program, tmp_path)
    assert ir.content_hash(load(tmp_path / artefact.files[0])) == ir.content_hash(program)
    raw = images(program, 5)
    assert not any(mismatches(ir.run(program, raw), targets.run(artefact, raw)).values())
    assert artefact.facts["bytes"] == (tmp_path / artefact.files[0]).stat().st_size


def test_the_physical_parameters_are_those_of_the_equation(tmp_path: Path) -> None:
    program = mlp("direct")
    artefact = targets.emit("nir", program, tmp_path)
    graph = nir.read(tmp_path / artefact.files[0])
    assert list(graph.nodes) == ["i1", "i2", "output", "s1", "s2", "x"]
    neurons, synapse, dt = graph.nodes["s1"], graph.nodes["i1"], graph.metadata["dt"]
    share = 1 - dt / neurons.tau
    np.testing.assert_allclose(share, 243 / 256, rtol=1e-5)
    gain = dt / neurons.tau * neurons.r * (program.array("t1")[0] - 0.5)
    np.testing.assert_allclose(synapse.weight * gain[:, None], program.array("w1").T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(synapse.bias * gain, program.array("b1")[0], rtol=1e-5, atol=1e-5)
    assert set(neurons.v_threshold) == {1.0}
    assert not neurons.v_reset.any()
    assert neurons.metadata["leanspike"].startswith("u1[400] = lif i1 state=v1 leak=m shift=8 threshold=t1")
    assert graph.metadata["leanspike"]["text"] == ir.render(program)


def test_dense_weights_behind_an_image_are_ordered_channels_first(tmp_path: Path) -> None:
    program = convnet("direct")
    graph = nir.read(tmp_path / targets.emit("nir", program, tmp_path).files[0])
    flat = next(node for node in graph.nodes.values() if isinstance(node, nir.Flatten))
    channels, height, width = (int(side) for side in flat.input_type["input"])
    dense = next(op for op in program.operations if isinstance(op, ir.Dense))
    mine = program.array(dense.weight).reshape(height, width, channels, -1)
    theirs = graph.nodes[dense.result.name].weight.reshape(-1, channels, height, width)
    scale = theirs[0, 0, 0, 0] / mine[0, 0, 0, 0]
    np.testing.assert_allclose(theirs, mine.transpose(3, 2, 0, 1) * scale, rtol=1e-4)


def test_every_semantic_that_nir_lacks_is_named() -> None:
    program = mlp("rate", 8, ir.Exit(1, 2))
    hold = (ir.State("h1", (400,), IntType(2, False)), ir.State("h2", (10,), IntType(2, False)))
    late = tuple(
        replace(op, refractory=2, hold=f"h{op.state[1]}") if isinstance(op, LIF) else op for op in program.operations
    )
    arrays = dict(program.arrays) | {"m": Array(IntType(8, False), np.full((8, 1), 200))}
    narrow = tuple(replace(state, type=IntType(16, True)) for state in program.states)
    told = "\n".join(warnings(replace(program, states=(*narrow, *hold), operations=late, arrays=arrays)))
    for semantic in (
        "x: the rate encoding", "no subtract reset", "no refractory period", "vary by the step", "rounds down",
        "no saturation", "no early exit",
    ):  # fmt: skip
        assert semantic in told
    assert "s1, s2: NIR has no subtract reset" in told
    assert "p0: NIR has no max pool" in "\n".join(warnings(convnet()))
    plain = with_neurons(mlp("direct"), 0, reset="zero")
    assert warnings(plain) == ["readout: NIR has no readout: count is left to the reader"]


def test_the_command_line_prints_the_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from leanspike.cli import main

    ir.save(mlp("direct"), tmp_path / "net.lsp")
    assert main(["emit", str(tmp_path / "net.lsp"), "--target", "nir", "--out", str(tmp_path)]) == 0
    assert "warning: s1, s2: NIR has no subtract reset: the graph resets to 0" in capsys.readouterr().out


def without_fractions(steps: int = 4) -> Program:
    """784-400-10 that halves potentials which are multiples of 2^(steps - 1): the shift never rounds; zero resets."""
    program = with_neurons(mlp("rate", steps), 128, reset="zero")
    unit = 1 << (steps - 1)
    kept = {
        name: Array(array.type, array.values // unit * unit if name in ("w1", "w2", "b1") else array.values)
        for name, array in program.arrays.items()
    }
    return ir.verify(replace(program, arrays=kept | {"t2": Array(IntType(24, False), [[60]])}))


def test_where_the_graph_says_the_same_other_simulators_give_the_same_spikes(tmp_path: Path) -> None:
    need(*FRAMEWORKS)
    program = without_fractions()
    rows = interop(targets.emit("nir", program, tmp_path), images(program, 10))
    assert [(row.framework, row.layer) for row in rows] == [(f, s) for f in FRAMEWORKS for s in ("s1", "s2")]
    for row in rows:
        assert row.reason is None
        assert row.spikes_ours == row.spikes_theirs
        assert row.spikes_ours > 0
        assert (row.differing, row.agreement) == (0, 1.0)


def test_a_convolutional_graph_runs_in_every_simulator_up_to_the_last_layer_that_fires(tmp_path: Path) -> None:
    need(*FRAMEWORKS)
    program = with_neurons(convnet("direct"), reset="zero")
    rows = interop(targets.emit("nir", program, tmp_path), images(program, 2))
    assert len({row.spikes_theirs for row in rows if row.layer == "s1"}) == 1
    for row in rows:
        assert row.agreement is not None
        assert row.agreement > 0.99


def test_a_subtract_reset_differs_and_the_difference_is_measured(tmp_path: Path) -> None:
    need(*FRAMEWORKS)
    program = mlp("rate")
    for row in interop(targets.emit("nir", program, tmp_path), images(program, 5)):
        assert row.differing is not None
        assert row.spikes_theirs is not None
        assert row.spikes_theirs < row.spikes_ours
        assert row.differing > 0


def test_what_a_simulator_cannot_read_is_not_measured_and_says_why(tmp_path: Path) -> None:
    need(*FRAMEWORKS)
    perfect = with_neurons(mlp("rate"), 256)
    rows = interop(targets.emit("nir", perfect, tmp_path), images(perfect, 2))
    refused = [row for row in rows if row.framework == "snntorch"]
    assert all(row.spikes_theirs is row.differing is row.agreement is None for row in refused)
    assert all(row.reason == "AssertionError: r != 1 not supported" for row in refused)
    assert all(row.agreement is not None for row in rows if row.framework != "snntorch")


def test_a_simulator_that_is_not_installed_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leanspike.targets.nir.simulators.FRAMEWORKS", ("nosuchsimulator",))
    program = mlp("rate")
    (row, _) = interop(targets.emit("nir", program, tmp_path), images(program, 1))
    assert (row.version, row.agreement) == (None, None)
    assert row.reason == "not installed: pip install nosuchsimulator"


@pytest.mark.parametrize("part", ["tau", "weight", "threshold", "edges", "text", "dt", "node", "told"])
def test_a_graph_that_someone_edited_is_noticed(part: str, tmp_path: Path) -> None:
    program = mlp("direct")
    path = tmp_path / targets.emit("nir", program, tmp_path).files[0]
    graph = nir.read(path)
    expected = {"tau": "s1.tau", "weight": "i2.weight", "threshold": "s2.v_threshold", "node": "node s2",
                "told": "s1.metadata"}.get(part, part)  # fmt: skip
    if part == "tau":
        graph.nodes["s1"].tau = graph.nodes["s1"].tau * np.float32(1.001)
    elif part == "weight":
        graph.nodes["i2"].weight[3, 7] += 1
    elif part == "threshold":
        graph.nodes["s2"].v_threshold[0] = 2
    elif part == "edges":
        graph.edges.pop()
    elif part == "text":
        told = graph.metadata["leanspike"]
        told["text"] = told["text"].replace("shift=8", "shift=9")
    elif part == "dt":
        graph.metadata["dt"] = 1e-3
    elif part == "node":
        old = graph.nodes["s2"]
        graph.nodes["s2"] = nir.LI(old.tau, old.r, old.v_leak)
    else:
        graph.nodes["s1"].metadata["leanspike"] = "edited"
    nir.write(path, graph)
    with pytest.raises(TargetError, match="its graph and its program disagree") as caught:
        load(path)
    assert expected in str(caught.value)


def test_an_unchanged_copy_written_by_nir_itself_is_accepted(tmp_path: Path) -> None:
    program = mlp("direct")
    path = tmp_path / targets.emit("nir", program, tmp_path).files[0]
    nir.write(tmp_path / "copy.nir", nir.read(path))
    assert load(tmp_path / "copy.nir") == program


def test_a_damaged_program_inside_a_sound_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / targets.emit("nir", mlp("direct"), tmp_path).files[0]
    graph = nir.read(path)
    graph.metadata["leanspike"]["program"][-5] ^= 1
    nir.write(path, graph)
    with pytest.raises(TargetError, match="its program is damaged"):
        load(path)


def test_truncated_and_foreign_files_give_one_clear_line(tmp_path: Path) -> None:
    artefact = targets.emit("nir", mlp("direct"), tmp_path)
    path = tmp_path / artefact.files[0]
    held = path.read_bytes()
    for content in (b"", b"nothing", held[:100], held[: len(held) // 2], held[:-200] + bytes(200)):
        path.write_bytes(content)
        with pytest.raises(TargetError) as caught:
            targets.run(artefact, images(artefact.program, 1))
        assert "\n" not in str(caught.value)
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    nir.write(path, nir.NIRGraph.from_list(nir.Linear(np.ones((3, 2))), nir.LIF(one, one, zero, one, zero)))
    with pytest.raises(TargetError, match="leanspike did not write"):
        load(path)
    with pytest.raises(TargetError, match="cannot be read"):
        load(tmp_path / "missing.nir")


def test_flipped_bits_are_refused_before_the_hdf5_library_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = targets.emit("nir", convnet("direct", 2), tmp_path)
    path, random = tmp_path / artefact.files[0], np.random.default_rng(0)
    held = path.read_bytes()
    assert load(path) == artefact.program
    monkeypatch.setattr(nir, "read", pytest.fail)
    sealed = held.rindex(b"leanspike nir")
    for place in (0, sealed - 1, *random.integers(0, sealed, 200)):
        flipped = bytearray(held)
        flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(TargetError, match="is damaged"):
            load(path)


def test_a_file_that_declares_more_than_memory_is_refused(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "bomb.nir", "w") as file:
        file.create_dataset("node/weight", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip")
    with pytest.raises(TargetError, match="declares"):
        load(tmp_path / "bomb.nir")


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    artefact = targets.emit("nir", mlp("direct"), tmp_path)
    targets.emit("nir", mlp("direct", 9), tmp_path)
    with pytest.raises(TargetError, match="another program"):
        targets.run(artefact, images(artefact.program, 1))


def test_programs_of_which_no_graph_can_be_drawn_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    program = mlp("direct")
    synapse, neurons, *rest = program.operations
    assert isinstance(neurons, LIF)
    twice = ir.Add(Value("twice", (400,), IntType(30, True)), "i1", "i1")
    shared = replace(program, operations=(synapse, twice, replace(neurons, source="twice"), *rest))
    with pytest.raises(TargetError, match="s1: neurons that are fed by something else than synapses of their own"):
        targets.emit("nir", shared, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(MissingTool, match=r"pip install 'leanspike\[nir\]'"):
        targets.emit("nir", mlp("direct"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_integrators_and_unequal_leaks_are_drawn(tmp_path: Path) -> None:
    program = convnet("direct")
    graph = nir.read(tmp_path / targets.emit("nir", program, tmp_path).files[0])
    last = next(op for op in program.operations if isinstance(op, Integrate))
    assert isinstance(graph.nodes[last.result.name], nir.LI)
    channels = np.where(np.arange(400) % 2, 256, 128)[None]
    mixed = replace(mlp("direct"), arrays=dict(mlp("direct").arrays) | {"m": Array(IntType(9, False), [[256]])})
    first = replace(mixed.operations[1], leak="own")
    mixed = replace(
        mixed,
        operations=(mixed.operations[0], first, *mixed.operations[2:]),
        arrays=dict(mixed.arrays) | {"own": Array(IntType(9, False), channels)},
    )
    path = tmp_path / targets.emit("nir", ir.verify(mixed), tmp_path).files[0]
    graph = nir.read(path)
    assert isinstance(graph.nodes["s2"], nir.IF)
    assert sorted({round(float(tau), 4) for tau in graph.nodes["s1"].tau}) == [0.0002, 104.8576]
    assert any("do not leak" in told for told in warnings(mixed))
    assert load(path) == mixed
