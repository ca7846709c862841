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
FLAGS = (
    "-O3 -std=gnu11 -fPIC -shared -ffp-contract=off -fno-trapping-math -fno-math-errno -fvisibility=hidden".split()
)
X86 = {
    "plain": [],
    "avx2": ["-mavx2", "-mfma", "-mbmi2"],
    "avx512": "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mbmi2 -mprefer-vector-width=512".split(),
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
    partial = target.with_suffix(f".{os.getpid()}.part")
    openmp = ["-fopenmp"] if sys.platform.startswith("linux") else []
    try:
        # Compiled and linked apart, since -fopenmp at the link would bind the system's own OpenMP library.
        object_file = target.with_suffix(f".{os.getpid()}.o")
        compile_flags = [flag for flag in command if flag != "-shared"]
        subprocess.run([*compile_flags, *openmp, "-c", str(SOURCE), "-o", str(object_file)], check=True, capture_output=True, text=True)
        subprocess.run([command[0], "-shared", str(object_file), "-lm", "-o", str(partial)], check=True, capture_output=True, text=True)
        object_file.unlink()
        partial.replace(target)
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [str(error)])[-1]
    except OSError as error:
        return str(error)
    return None
