"""Emitted C on boards under QEMU: the program's decisions, exact counts, and the memory that was stated."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from leanspike import cli, ir
from leanspike.core.errors import MissingTool, TargetError
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted, narrowed
from leanspike.targets import base
from leanspike.targets.c import boards, toolchain
from leanspike.targets.c.footprint import footprint
from leanspike.targets.conformance import COUNT, Case, cases

EVERY = ("m4", "m7", "m55", "rv32")


@pytest.fixture(autouse=True)
def needs_the_tools(request: pytest.FixtureRequest) -> None:
    """Skip by name where a board's compiler or QEMU is missing; fail on CI."""
    for name in EVERY if "name" not in request.fixturenames else [request.getfixturevalue("name")]:
        board = boards.board(name)
        try:
            toolchain.find(board.compiler, board.packages)
            toolchain.find(board.emulator, board.packages)
        except MissingTool as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(error.line())


def network(*, rate: bool = False, bits: int = 8, hidden: int = 48, name: str = "digits-64-48-10") -> Program:
    """64-hidden-10 with weights of the size that training gives: a few spikes a neuron in 25 steps."""
    random = np.random.default_rng(0)
    most, scale = (1 << (bits - 1)) - 1, 1 if rate else 255
    first, second = random.integers(-most, most + 1, (64, hidden)), random.integers(-most, most + 1, (hidden, 10))
    theta = random.integers(2 * most * scale, 8 * most * scale, (1, hidden))
    arrays = {
        "w1": Array(IntType(bits, True), first),
        "w2": Array(IntType(bits, True), second),
        "beta": Array(IntType(8, False), np.array([[230]])),
        "theta1": Array(IntType.holding(1, int(theta.max())), theta),
        "theta2": Array(IntType(10, False), np.array([[2 * most]])),
        "table": Array(IntType(16, False), np.arange(256) * 257 // 2),
    }
    raw = Value("raw", (64,), IntType(8, False))
    start = ir.Input(Value("x", (64,), raw.type), raw, 255, ir.Direct())
    if rate:
        start = ir.Input(Value("x", (64,), SPIKE), raw, 255, ir.Rate(7, "table"))
    else:
        del arrays["table"]
    states = (ir.State("v1", (hidden,), IntType(24, True)), ir.State("v2", (10,), IntType(24, True)))
    operations = (
        ir.Dense(Value("current", (hidden,), SPIKE), "x", "w1"),
        ir.LIF(Value("hidden", (hidden,), SPIKE), "current", "v1", "beta", 8, "theta1"),
        ir.Dense(Value("votes", (10,), SPIKE), "hidden", "w2"),
        ir.LIF(Value("out", (10,), SPIKE), "votes", "v2", "beta", 8, "theta2"),
    )
    return ir.verify(narrowed(fitted(Program(name, 25, start, states, operations, ir.Readout("count", "out"), arrays))))


def samples(count: int) -> Ints:
    random = np.random.default_rng(1)
    return random.integers(0, 256, (count, 64)) * (random.random((count, 64)) < 0.5)


@pytest.mark.parametrize("rate", [False, True], ids=["direct", "rate"])
@pytest.mark.parametrize("name", EVERY)
def test_decides_as_the_program_and_takes_what_was_stated(name: str, rate: bool, tmp_path: Path) -> None:
    program, raw = network(rate=rate, bits=4 if rate else 8), samples(100)
    numbers = np.arange(100) * 7 + 3
    found, expected = boards.measure_board(program, name, raw, numbers), ir.run(program, raw, numbers)
    assert expected.spikes["hidden"].min() > 0
    assert len(set(expected.predictions.tolist())) > 4
    assert np.array_equal(found.predictions, expected.predictions)
    assert np.array_equal(found.scores, expected.scores)
    assert 0 < found.instructions_min <= found.instructions_mean <= found.instructions_max

    artefact = base.emit("c", program, tmp_path)
    stated = footprint(artefact, name)
    assert artefact.facts["ram_bytes"] == stated.ram_bytes == found.ram_bytes
    # Memset is linked from the C library, and RISC-V's linker shortens calls.
    assert abs(found.flash_bytes - stated.flash_bytes) <= 256
    assert found.stack_bytes <= stated.stack_bytes <= found.stack_bytes + 48


@pytest.mark.parametrize("name", ["m4", "m55", "rv32"])
def test_random_programs_decide_as_the_program(name: str) -> None:
    """Every operation and encoding on 32-bit processors, on a twentieth of the programs of the normal run."""

    @settings(max_examples=max(3, COUNT // 20), deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
    @given(case=cases())
    def agrees(case: Case) -> None:
        found = boards.measure_board(case.program, name, case.raw, case.numbers)
        expected = ir.run(case.program, case.raw, case.numbers)
        assert np.array_equal(found.predictions, expected.predictions)
        assert np.array_equal(found.scores, expected.scores)

    agrees()


def test_one_thousand_samples_on_a_cortex_m4() -> None:
    program, raw = network(), samples(1000)
    found = boards.measure_board(program, "m4", raw)
    assert np.array_equal(found.predictions, ir.run_fast(program, raw).predictions)


@pytest.mark.parametrize("name", ["m4", "rv32"])
def test_counts_are_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One instruction a block, as the plugin sees it, gives the same sums as whole blocks."""
    board = boards.board(name)
    whole = boards.measure_board(network(), name, samples(5))
    slow = dataclasses.replace(board, machine=(*board.machine, "-singlestep"))
    monkeypatch.setitem(boards.boards(), name, slow)
    single = boards.measure_board(network(), name, samples(5))
    assert [whole.instructions_min, whole.instructions_max] == [single.instructions_min, single.instructions_max]
    assert whole.instructions_mean == single.instructions_mean


def test_silence_is_cheap() -> None:
    """Event-driven: a sample without input costs a small part of one with every input."""
    silent = boards.measure_board(network(rate=True), "m4", np.zeros((1, 64), dtype=np.uint8))
    loud = boards.measure_board(network(rate=True), "m4", np.full((1, 64), 255, dtype=np.uint8))
    assert silent.instructions_mean < loud.instructions_mean / 4


def test_too_large_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was built")

    board = boards.board("m4")
    small = dataclasses.replace(board, flash=boards.Region(0, 3000), ram=boards.Region(0x20000000, 4400))
    monkeypatch.setitem(boards.boards(), "m4", small)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", never)
    with pytest.raises(
        TargetError, match=r"3\d\d\d bytes of constants, there are 3000.*; .*there are 4400 bytes of RAM"
    ):
        boards.measure_board(network(), "m4", samples(1))


def test_code_that_does_not_fit_beside_its_constants_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    board = boards.board("m4")
    monkeypatch.setitem(boards.boards(), "m4", dataclasses.replace(board, flash=boards.Region(0, 4000)))
    with pytest.raises(TargetError, match=r"region.*overflowed by \d+ bytes"):
        boards.measure_board(network(), "m4", samples(1))


@pytest.mark.parametrize("title", ["start", "board_main", "stdint", "2", "classify", "host", "main"])
def test_a_program_may_be_called_as_our_own_files_are(title: str) -> None:
    program, raw = network(name=title), samples(2)
    assert np.array_equal(boards.measure_board(program, "m4", raw).scores, ir.run(program, raw).scores)


def test_unknown_board() -> None:
    with pytest.raises(TargetError, match=r"'m3' is no board; there are m4, m7, m55, rv32"):
        boards.measure_board(network(), "m3", samples(1))


def test_a_missing_compiler_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="apt install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"):
        boards.measure_board(network(), "m4", samples(1))


def test_emit_states_flash_and_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ir.save(network(), tmp_path / "net.lsp")
    command = ["emit", str(tmp_path / "net.lsp"), "--target", "c", "--out", str(tmp_path / "out"), "--json"]
    assert cli.main(command) == 0
    told = json.loads(capsys.readouterr().out)
    artefact = base.emit("c", network(), tmp_path)
    assert dataclasses.asdict(footprint(artefact, "m4")).items() <= told.items()


def test_emit_says_what_it_could_not_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ir.save(network(), tmp_path / "net.lsp")
    monkeypatch.setenv("PATH", "")
    assert cli.main(["emit", str(tmp_path / "net.lsp"), "--target", "c", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "flash bytes: not measured" in told
    assert "apt install gcc-arm-none-eabi" in told


def test_every_board_is_cited() -> None:
    assert set(boards.boards()) == set(EVERY)
    assert all("QEMU" in board.source for board in boards.boards().values())
