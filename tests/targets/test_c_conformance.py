"""The emitted C against the reference, on random programs: by gcc and clang, with every warning, and sanitised."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.targets import base
from leanspike.targets.c import host, toolchain
from leanspike.targets.conformance import COUNT, Case, Conformance, cases


class TestC(Conformance):
    target = "c"


def needed(program: str) -> str:
    """The program, else a skip that names it; on CI a failure."""
    if shutil.which(program) is None:
        message = f"needs {program}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return program


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("gcc", ("-O1", *toolchain.SANITIZE)),
        ("clang", ("-O1", *toolchain.TRAP)),
        ("clang", ("-O3", "-march=native")),
        ("gcc", ("-O3", "-march=native", "-funsigned-char")),
    ],
    ids=["gcc-sanitized", "clang-trapping", "clang-O3", "gcc-O3"],
)
def test_every_compiler_agrees(compiler: str, flags: tuple[str, ...]) -> None:
    """A tenth of the programs of the normal run for each; every warning is an error, and no behaviour undefined."""
    chosen = needed(compiler)

    @settings(max_examples=max(10, COUNT // 10), deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
    @given(case=cases())
    def agrees(case: Case) -> None:
        with tempfile.TemporaryDirectory() as folder:
            artefact = base.emit("c", case.program, Path(folder))
            strict = (*toolchain.STRICT, *flags)
            found = host.run_with(chosen, strict, artefact, case.raw, case.numbers, record=True)
        expected = ir.run(case.program, case.raw, case.numbers, record=True)
        assert not any(mismatches(expected, found).values())

    agrees()
