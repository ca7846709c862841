"""The emitted files: names that mean harm, extreme integers, stated memory, and what a person reads."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from leanspike import ir
from leanspike.core.errors import MissingTool, OutputError, ProgramError, TargetError
from leanspike.core.trace import mismatches
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.targets import base
from leanspike.targets.base import Artefact
from leanspike.targets.c import host, names, toolchain

NIBBLE, PAIR, POTENTIAL = IntType(4, False), (IntType(4, True), np.array([[3, -2], [1, 4]])), IntType(16, True)


def program(
    *,
    name: str = "two",
    words: tuple[str, str, str, str, str] = ("x", "current", "v", "fired", "w"),
    state: IntType = POTENTIAL,
    weight: tuple[IntType, Ints] = PAIR,
    bias: int | None = None,
    theta: int = 3,
    leak: int = 3,
    raw: IntType = NIBBLE,
    exit_: ir.Exit | None = None,
) -> Program:
    """Two inputs, two neurons, three steps of a sequence; every name can be chosen."""
    x, current, v, fired, w = words
    arrays = {w: Array(*weight), "m.": Array(IntType(8, False), np.array([[leak]]))}
    arrays["t."] = Array(IntType.holding(1, theta), np.array([[theta]]))
    if bias is not None:
        arrays["b."] = Array(IntType.holding(min(bias, 0), max(bias, 0)), np.array([[bias]]))
    start = ir.Input(Value(x, (2,), raw), Value("raw", (3, 2), raw), 1, ir.Sequence())
    lif = ir.LIF(Value(fired, (2,), SPIKE), current, v, "m.", 2, "t.", "b." if bias is not None else None)
    dense = ir.Dense(Value(current, (2,), IntType(32, True)), x, w)
    made = Program(name, 3, start, (ir.State(v, (2,), state),), (dense, lif), ir.Readout("count", fired, exit_), arrays)
    return ir.verify(made)


def agrees(made: Program, folder: Path, raw: Ints | None = None) -> Artefact:
    kind = made.input.raw.type
    if raw is None:
        raw = np.random.default_rng(0).integers(kind.lowest, kind.highest + 1, (20, *made.input.raw.shape))
    artefact = base.emit("c", made, folder)
    expected, found = ir.run(made, raw, record=True), base.run(artefact, raw, record=True)
    assert not any(mismatches(expected, found).values())
    return artefact


HOSTILE = [
    ("int", ("while", "NULL", "INT8_MAX", "_Bool", "memset")),
    ("2nd-net+x.y", ("a.b", "a_b", "a_b_2", "_", "A")),
    ("lif", ("step", "reset", "steps", "state", "advance")),
    ("add_row_i4_i16", ("bit", "mix", "shift_down", "set_bit", "read_out")),
    ("scatter_dense", ("defined", "_LINE_", "EOF", "linux", "asm")),
    ("_reserved", ("input", "s", "y", "t", "j")),
    ("string", ("stdint", "size_t", "uint32_t", "int8_t", "restrict")),
    ("main", ("main", "scores", "done", "INT32_MIN", "bool")),
    ("A" * 100, ("b" * 64, "c" * 64, "d" * 64, "e" * 64, "f" * 64)),
]


@pytest.mark.parametrize(("name", "words"), HOSTILE, ids=[name[:20] for name, _ in HOSTILE])
def test_no_name_can_break_the_code(name: str, words: tuple[str, str, str, str, str], tmp_path: Path) -> None:
    agrees(program(name=name, words=words), tmp_path)


def test_names_of_files_and_identifiers() -> None:
    assert names.prefix("mnist-784-400-10") == "mnist_784_400_10"
    assert names.prefix("2nd") == "net_2nd"
    assert names.prefix("__x") == "net_x"
    assert names.unique(["a.b", "a_b", "a_b_2", "_"]) == {
        "a.b": "a_b",
        "a_b": "a_b_2",
        "a_b_2": "a_b_2_2",
        "_": "unnamed",
    }


def test_states_of_32_bits_and_the_lowest_integer(tmp_path: Path) -> None:
    most = (1 << 31) - 1
    weight = IntType(32, True), np.array([[-(1 << 31), most], [0, 0]])
    made = program(weight=weight, raw=IntType(1, False), state=IntType(8, True), theta=1, leak=0)
    artefact = agrees(made, tmp_path)
    assert "-2147483647 - 1" in (tmp_path / artefact.files[1]).read_text(encoding="utf-8")


def test_a_sum_that_only_its_bias_brings_back_into_32_bits(tmp_path: Path) -> None:
    """leak(v) + I leaves 32 bits, leak(v) + I + b does not: added in 64 bits, so that nothing overflows."""
    high = (1 << 31) - 1
    weight = IntType(32, True), np.array([[high, high], [0, 0]])
    made = program(weight=weight, raw=IntType(1, False), state=IntType(32, True), theta=high, bias=-(1 << 30), leak=1)
    artefact = agrees(made, tmp_path)
    assert "int64_t u" in (tmp_path / artefact.files[1]).read_text(encoding="utf-8")
    raw = np.ones((1, 3, 2), dtype=np.uint8)
    flags = ("-std=c99", *toolchain.SANITIZE)
    assert not any(mismatches(ir.run(made, raw), host.run_with("gcc", flags, artefact, raw)).values())


@pytest.mark.parametrize("margin", [1, (1 << 31) - 1])
def test_smallest_and_largest_exit_margins(margin: int, tmp_path: Path) -> None:
    agrees(program(exit_=ir.Exit(margin)), tmp_path)


@pytest.mark.parametrize("bits", [2, 4])
def test_narrow_weights_are_packed(bits: int, tmp_path: Path) -> None:
    most = (1 << (bits - 1)) - 1
    weight = IntType(bits, True), np.array([[-most - 1, most], [0, -1]])
    artefact = agrees(program(weight=weight), tmp_path)
    assert artefact.facts["const_bytes"] == 2
    assert f"{8 // bits} to a byte" in (tmp_path / artefact.files[1]).read_text(encoding="utf-8")


def test_a_number_out_of_range_never_reads_beyond_a_table(tmp_path: Path) -> None:
    """A sensor may give what the program's raw type does not hold; the sanitiser would see a read outside."""
    table = Array(IntType(4, False), np.arange(16))
    raw = Value("raw", (2,), IntType(4, False))
    base_program = program()
    start = ir.Input(Value("x", (2,), SPIKE), raw, 15, ir.Latency("table"))
    arrays = {**base_program.arrays, "table": table}
    made = ir.verify(Program("p", 3, start, base_program.states, base_program.operations, base_program.readout, arrays))
    artefact = base.emit("c", made, tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "p.h"\n'
        "int main(void) { static p_state s; const p_raw x[2] = {255, 128}; return p_classify(&s, x) > 1; }\n"
    )
    binary = tmp_path / "main"
    sources = [tmp_path / "main.c", tmp_path / artefact.files[1]]
    toolchain.compile_c(toolchain.host_compiler(), ["-std=c99", *toolchain.SANITIZE], sources, binary)
    assert subprocess.run([binary], check=False).returncode == 0


def test_stated_memory_is_what_the_compiler_makes(tmp_path: Path) -> None:
    artefact = agrees(program(), tmp_path)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "two.h"\nint main(void) { printf("%zu", sizeof(two_state)); return 0; }\n'
    )
    toolchain.compile_c(toolchain.host_compiler(), ["-std=c99"], [tmp_path / "main.c"], tmp_path / "main")
    size = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    assert int(size) == artefact.facts["ram_bytes"]
    assert f"{size} bytes of RAM" in (tmp_path / "two.h").read_text(encoding="utf-8")
    toolchain.compile_c("gcc", ["-std=c99", "-O0", "-c"], [tmp_path / "two.c"], tmp_path / "two.o")
    sections = subprocess.run(["size", "-A", tmp_path / "two.o"], check=True, capture_output=True, text=True).stdout
    found = {line.split()[0]: int(line.split()[1]) for line in sections.splitlines() if line.startswith(".")}
    assert found[".rodata"] == artefact.facts["const_bytes"]
    assert found.get(".data", 0) == found.get(".bss", 0) == 0


def test_two_networks_in_one_program_and_in_cpp(tmp_path: Path) -> None:
    for name in ("first", "second"):
        base.emit("c", program(name=name), tmp_path)
    (tmp_path / "main.cpp").write_text(
        '#include "first.h"\n#include "second.h"\n#include "first.h"\n'
        "int main() { static first_state a; static second_state b; first_reset(&a); second_reset(&b);\n"
        "first_raw frame[FIRST_INPUT] = {1, 0}; return first_step(&a, frame) && second_decision(&b) == 0 ? 0 : 1; }\n"
    )
    for name in ("first", "second"):
        toolchain.compile_c("gcc", ["-std=c99", "-c"], [tmp_path / f"{name}.c"], tmp_path / f"{name}.o")
    objects = [tmp_path / "main.cpp", tmp_path / "first.o", tmp_path / "second.o"]
    compiler = "g++" if shutil.which("g++") else "clang++"
    toolchain.compile_c(compiler, ["-std=c++11", "-Wall", "-Wextra", "-Werror"], objects, tmp_path / "main")
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


def test_a_stream_goes_on_after_a_reset_and_stops_at_the_end(tmp_path: Path) -> None:
    artefact = base.emit("c", program(), tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "two.h"\n'
        "int main(void) { static two_state s; const two_raw on[2] = {15, 15};\n"
        "for (int sample = 0; sample < 3; sample++) { uint32_t steps = 1; two_reset(&s);\n"
        "while (two_step(&s, on)) { steps++; }\n"
        "if (steps != TWO_STEPS || s.steps != TWO_STEPS || two_step(&s, on) || s.steps != TWO_STEPS) { return 1; } }\n"
        "return 0; }\n"
    )
    sources = [tmp_path / "main.c", tmp_path / artefact.files[1]]
    toolchain.compile_c(toolchain.host_compiler(), ["-std=c99"], sources, tmp_path / "main")
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


def test_nothing_but_three_standard_headers_and_no_float(tmp_path: Path) -> None:
    artefact = base.emit("c", program(), tmp_path)
    text = "".join((tmp_path / name).read_text(encoding="utf-8") for name in artefact.files)
    assert set(re.findall(r"#include <(.*)>", text)) == {"stdbool.h", "stdint.h", "string.h"}
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert not re.search(r"\b(float|double|malloc|free|calloc)\b", code)


def test_a_person_finds_the_layer_and_the_neuron(tmp_path: Path) -> None:
    artefact = base.emit("c", program(), tmp_path)
    text = (tmp_path / artefact.files[1]).read_text(encoding="utf-8")
    for line in ir.render(artefact.program).splitlines():
        assert line in text
    assert "/* w: i4[2x2], 2 to a byte, of dense current */" in text
    assert "spike where u >= theta; then v = u - theta, else v = u" in text
    assert "dense_current(input, s->value_current);" in text


def test_a_file_that_was_changed_is_noticed(tmp_path: Path) -> None:
    """The files on disk are what runs: a change in one shows."""
    artefact = base.emit("c", program(), tmp_path)
    source = tmp_path / artefact.files[1]
    raw = np.full((2, 3, 2), 15)
    source.write_text(source.read_text(encoding="utf-8").replace("u >= 3", "u >= 4000"), encoding="utf-8")
    assert any(mismatches(ir.run(artefact.program, raw), base.run(artefact, raw)).values())
    source.write_text("int broken(", encoding="utf-8")
    with pytest.raises(TargetError, match="does not compile it"):
        base.run(artefact, raw)


def test_an_unsound_program_writes_nothing(tmp_path: Path) -> None:
    made = program()
    bad = Program(made.name, 0, made.input, made.states, made.operations, made.readout, made.arrays)
    with pytest.raises(ProgramError):
        base.emit("c", bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        base.emit("c", program(), tmp_path / "file" / "out")


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = base.emit("c", program(), tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MissingTool, match="apt install gcc"):
        base.run(artefact, np.zeros((1, 3, 2), dtype=np.uint8))


def test_the_guides_c_compiles_and_runs(tmp_path: Path) -> None:
    """Every C example of docs/how-to/deploy-c.md, against a program of that name."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "deploy-c.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```c\n(.*?)^```", page, re.M | re.S)
    assert len(examples) == 2
    direct = program(name="digits")
    raw = Value("raw", (2,), NIBBLE)
    start = ir.Input(Value("x", (2,), NIBBLE), raw, 1, ir.Direct())
    parts = direct.states, direct.operations, direct.readout, direct.arrays
    artefact = base.emit("c", ir.verify(Program("digits", 3, start, *parts)), tmp_path)
    mains = [
        "int main(void) { const digits_raw x[2] = {3, 1}; return read_digit(x) > 1; }\n",
        "int main(void) { const digits_raw x[2] = {3, 1}; uint32_t steps;\n"
        "return read_digit_until_sure(x, &steps) > 1 || steps != 3; }\n",
    ]
    for example, main in zip(examples, mains, strict=True):
        (tmp_path / "main.c").write_text(example + main, encoding="utf-8")
        sources = [tmp_path / "main.c", tmp_path / artefact.files[1]]
        toolchain.compile_c("gcc", toolchain.STRICT, sources, tmp_path / "main")
        assert subprocess.run([tmp_path / "main"], check=False).returncode == 0
