"""Program files changed at random: nothing but a ProgramError may come out, soon and in little memory.

    python tests/ir/program_mutations.py FIRST COUNT

Case i is a function of i alone. Half of the cases change bytes (flips, cuts, splices of two files); the other half
change lines, numbers, words and arrays and then seal the file with the hash that belongs to it, so that they reach
the parser, the verifier and the intervals. What is accepted nevertheless is a sound program: it is measured, written,
read again, and, where it is small, run by both interpreters.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from small_programs import dense, every_operation, with_array, with_input, with_state

from leanspike import ir
from leanspike.core.errors import ProgramError
from leanspike.core.trace import mismatches
from leanspike.ir import IntType, Program, Value, store
from leanspike.measure.footprint import footprint

LONGEST_SECONDS = 20
MOST_MEMORY = 3 << 30
_SMALL = 200_000
_NUMBERS = (
    "0", "1", "2", "3", "-1", "5", "8", "30", "31", "32", "33", "255", "256", "257", "4096", "65535",
    "65536", "4194304", "4194305", "2147483647", "2147483648", "4294967296", "999999999",
    "9999999999", "99999999999999999999", "1.5", "",
)  # fmt: skip
_WORDS = re.compile(r"[A-Za-z_]\w*|-?\d+|\S")

Arrays = dict[str, npt.NDArray[Any]]


def programs() -> list[Program]:
    """One of every encoding, and one of few-bit states and sparse weights."""
    plain = dense(np.arange(-6, 6).reshape(3, 4), steps=5, leak=1)
    raw = Value("raw", (3,), IntType(4, False))
    spikes = Value("x", (3,), ir.inttype.SPIKE)
    late = with_array(plain, "z", "u3", np.arange(16) % 7)
    late = with_input(late, raw=raw, result=spikes, levels=15, encoding=ir.Latency("z"))
    wide = dense(np.ones((6, 2), dtype=int), steps=9)
    series = Value("raw", (3, 9), IntType(8, False))
    delta = with_input(wide, raw=series, result=Value("x", (6,), ir.inttype.SPIKE), encoding=ir.Delta(20, 127))
    steps = Value("raw", (5, 3), IntType(8, False))
    few = with_state(with_state(every_operation(), "v1", codec=ir.Codec(-1, 1, 4)), "v3", codec=ir.Codec(-8, 7, 2))
    few = replace(few, arrays={**few.arrays, "w1": replace(few.arrays["w1"], form="sparse")})
    return [every_operation(), few, plain, late, delta, with_input(plain, raw=steps, encoding=ir.Sequence())]


def sealed(text: str, arrays: Arrays, told: str = "{}") -> bytes:
    """A file of this content with the hash that belongs to it."""
    digest = hashlib.sha256(text.encode(errors="replace"))
    for name in sorted(arrays):
        digest.update(name.encode(errors="replace") + b"\0" + arrays[name].tobytes())
    whole = hashlib.sha256(f"{digest.hexdigest()}\n{told}".encode()).hexdigest()
    metadata = {"format": store.FORMAT, "version": text[18:19], "text": text, "origin": told, "sha256": whole}
    return safetensors.numpy.save(arrays, metadata)


def mutated(random: np.random.Generator, seeds: list[Program]) -> bytes:
    """A file that was one of ``seeds``."""
    program = seeds[random.integers(len(seeds))]
    if random.random() < 0.5:
        return _bytes(random, store.pack(program), store.pack(seeds[random.integers(len(seeds))]))
    text, arrays = ir.render(program), {name: array.values.copy() for name, array in program.arrays.items()}
    for _ in range(random.integers(1, 4)):
        if random.random() < 0.6:
            text = _text(random, text)
        else:
            text, arrays = _array(random, text, arrays)
    return sealed(text, arrays)


def _bytes(random: np.random.Generator, content: bytes, other: bytes) -> bytes:
    kind = random.integers(5)
    at, to = (int(place) for place in random.integers(0, len(content), 2))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + other[min(to, len(other)) :]
    if kind == 2:
        return content[:at] + content[to : to + 64] + content[at:]
    changed = bytearray(content)
    for _ in range(random.integers(1, 9)):
        changed[random.integers(len(changed))] ^= 1 << random.integers(8) if kind == 3 else random.integers(1, 256)
    return bytes(changed)


def _text(random: np.random.Generator, text: str) -> str:
    lines = text.split("\n")
    at, other = (int(place) for place in random.integers(0, len(lines), 2))
    kind = random.integers(8)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[other])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        place = int(random.integers(0, len(lines[at]) + 1))
        lines[at] = lines[at][:place] + chr(random.integers(1, 0x2FF)) + lines[at][place + random.integers(2) :]
    elif kind == 4 and lines[at]:
        lines[at : at + 1] = [lines[at]] * int(random.integers(2, 3000))
    else:
        words, found = list(_WORDS.finditer(lines[at])), _WORDS.findall(text)
        if words:
            word = words[random.integers(len(words))]
            with_number = kind < 7 or re.fullmatch(r"-?\d+", word[0])
            new = _NUMBERS[random.integers(len(_NUMBERS))] if with_number else found[random.integers(len(found))]
            if random.random() < 0.4:
                return re.sub(rf"(?<!\w){re.escape(word[0])}(?!\w)", new, text)
            lines[at] = lines[at][: word.start()] + new + lines[at][word.end() :]
    return "\n".join(lines)


def _array(random: np.random.Generator, text: str, arrays: Arrays) -> tuple[str, Arrays]:
    """Another type, shape and content of one array, told in the text too."""
    name = sorted(arrays)[random.integers(len(arrays))]
    line = re.search(rf"^array {re.escape(name)} ([iu](?:[12]?[1-9]|[123]0|31))\[([0-9]+(?:x[0-9]+)*)\]$", text, re.M)
    if line is None:
        return text, arrays
    signed = bool(random.integers(2))
    kind = IntType(int(random.integers(1, 33 if signed else 32)), signed) if random.random() < 0.5 else None
    kind = kind or IntType.parse(line[1])
    shape = [int(side) for side in line[2].split("x")]
    if random.random() < 0.3:
        axis = random.integers(len(shape))
        shape[axis] = int(random.choice([1, 2, 3, 16, 256, 4096, 65_535, 65_536]))
    if math.prod(shape) > 1 << 20:
        return text, arrays
    extremes = np.array([kind.lowest, kind.highest, 0, 1 if kind.highest else 0])
    values = random.integers(kind.lowest, kind.highest + 1, shape)
    if random.random() < 0.5:
        values = extremes[random.integers(0, 4, shape)]
    told = f"array {name} {kind}[{'x'.join(map(str, shape))}]"
    return text.replace(line[0], told), {**arrays, name: values.astype(kind.dtype)}


def tried(content: bytes) -> str:
    """``refused``, ``accepted`` or ``run``; anything but a ProgramError is raised."""
    try:
        program, origin = store.unpack(content)
    except ProgramError as error:
        line = error.line()
        assert line.isprintable()
        assert len(line) < 20_000
        return "refused"
    assert store.unpack(store.pack(program, origin)) == (program, origin)
    footprint(program)
    elements = sum(math.prod(value.shape) for value in program.values.values())
    work = sum(array.values.size for array in program.arrays.values()) + elements
    if program.steps * work > _SMALL or footprint(program).synapses > _SMALL:
        return "accepted"
    kind = program.input.raw.type
    raw = np.random.default_rng(0).integers(kind.lowest, kind.highest + 1, (2, *program.input.raw.shape))
    assert not any(mismatches(ir.run(program, raw), ir.run_fast(program, raw)).values())
    return "run"


def _peak_mib() -> int:
    """Most resident memory of this program; ru_maxrss would count the process that started it (it outlives exec)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    told = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert told
    return int(told[1]) >> 10


def _too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"longer than {LONGEST_SECONDS} s")


def main(first: int, count: int) -> int:
    """Try the cases and print what came of them as JSON; the first that fails is named, 1."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    seeds, told = programs(), {"refused": 0, "accepted": 0, "run": 0}
    slowest = (0.0, 0)
    for case in range(first, first + count):
        content = mutated(np.random.default_rng(case), seeds)
        signal.alarm(LONGEST_SECONDS)
        start = time.perf_counter()
        try:
            told[tried(content)] += 1
        except BaseException:
            sys.stderr.write(f"case {case}\n")
            raise
        finally:
            signal.alarm(0)
        slowest = max(slowest, (time.perf_counter() - start, case))
    peak = _peak_mib()
    facts = {"cases": count, **told, "slowest_s": round(slowest[0], 3), "slowest_case": slowest[1], "peak_mib": peak}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
