"""Compile the C kernels: one source, one library for each instruction set, no link to any OpenMP library.

The OpenMP symbols are left open and are bound, when the library is loaded, to the runtime that torch brought into
the process: a second pool of spinning threads beside torch's makes both of them slow.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "csrc" / "kernels.c"
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-trapping-math",
    "-fno-math-errno",
    "-fvisibility=hidden",
]
X86 = {
    "plain": [],
    "avx2": ["-mavx2", "-mfma", "-mbmi2"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mbmi2", "-mprefer-vector-width=512"],
}


def build(folder: Path) -> str:
    """Compile into ``folder``; never raises. Returns one line that says what was built, or why nothing was."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return "leanspike: no C compiler found, so the pure torch path will serve (slower; install gcc and reinstall)"
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    folder.mkdir(parents=True, exist_ok=True)
    built = []
    for name, flags in X86.items() if x86 else [("plain", [])]:
        target = folder / f"kernels_{name}.so"
        failure = _compile([*compiler.split(), *FLAGS, *flags], target)
        if failure:
            return f"leanspike: the C kernels did not compile, so the pure torch path will serve ({failure})"
        built.append(name)
    return f"leanspike: C kernels built for {', '.join(built)}"


def _compile(command: list[str], target: Path) -> str | None:
    """Compile and link apart, since -fopenmp at the link would bind the system's own OpenMP library."""
    openmp = ["-fopenmp"] if sys.platform.startswith("linux") else []
    compiled, linked = (target.with_suffix(f".{os.getpid()}.{suffix}") for suffix in ("o", "part"))
    try:
        for line in (
            [*command, *openmp, "-c", str(SOURCE), "-o", str(compiled)],
            [command[0], "-shared", str(compiled), "-lm", "-o", str(linked)],
        ):
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode:
                return str((done.stderr.strip().splitlines() or [f"{line[0]} failed"])[-1])
        linked.replace(target)
    except OSError as error:
        return str(error)
    finally:
        compiled.unlink(missing_ok=True)
        linked.unlink(missing_ok=True)
    return None
