"""Compile and load the package's C: one source, one library for each instruction set, chosen at run time.

A library is a folder of the package with ``csrc/NAME.c``, built beside it as ``NAME_plain.so``, ``NAME_avx2.so`` and
``NAME_avx512.so`` (elsewhere than on x86-64: plain only). OpenMP symbols are left open: they are bound, when the
library is loaded, to the runtime that torch brought into the process, since a second pool of spinning threads beside
torch's makes both of them slow. setup.py runs this file by itself, so it imports the standard library only.

    python leanspike/core/native.py         builds every library in place
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

SHARED = Path(__file__).parent / "csrc"
LEVELS = ("plain", "avx2", "avx512")
LIBRARIES: dict[str, tuple[str, list[str], str]] = {
    "nn/kernels": ("kernels", ["-fopenmp"], "training takes the pure torch path (slower)"),
    "data/generated": ("camera", [], "pictures are filmed in NumPy (slower)"),
    "engine": ("engine", ["-fwrapv", "-pthread"], "the engine cannot run; `leanspike.ir` interprets programs (slower)"),
    "plasticity": ("stdp", [], "plastic networks take the NumPy reference (far slower)"),
}
"""By folder of the package: the name, flags of its own, and what happens without it."""
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
    "avx2": ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mpopcnt"],
    "avx512": [
        *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"),
        *("-mfma", "-mbmi", "-mbmi2", "-mpopcnt", "-mprefer-vector-width=512"),
    ],
}


def build_all(package: Path) -> list[str]:
    """Compile every library into the package at ``package``; never raises. Returns one line for each."""
    sources = Path(__file__).parent.parent
    return [build(library, sources, package) for library in LIBRARIES]


def build(library: str, sources: Path, package: Path) -> str:
    """Compile ``sources/library/csrc`` into ``package/library``; never raises. One line: what was built, or why not."""
    name, own, instead = LIBRARIES[library]
    folder = package / library
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return f"leanspike: no C compiler found, so {instead}; install gcc and reinstall"
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    folder.mkdir(parents=True, exist_ok=True)
    built = []
    told = f'-DLEANSPIKE_SOURCES="{sources_of(sources / library)}"'
    for level, flags in X86.items() if x86 else [("plain", [])]:
        command = [*compiler.split(), *FLAGS, *_known(own), *flags, told, f"-I{SHARED}"]
        failure = _compile(command, sources / library / "csrc" / f"{name}.c", folder / f"{name}_{level}.so")
        if failure:
            return f"leanspike: {name} did not compile, so {instead} ({failure})"
        built.append(level)
    return f"leanspike: {name} built for {', '.join(built)}"


def sources_of(folder: Path) -> str:
    """A hash of what the library in ``folder`` is made of: its own C and what all of them share."""
    found = hashlib.sha256()
    files = [*SHARED.glob("*.h"), *(folder / "csrc").glob("*.[ch]")]
    for file in sorted(files, key=lambda file: file.name):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:16]


def _known(flags: list[str]) -> list[str]:
    """Without -fopenmp where the system's compiler refuses it: everywhere but on Linux."""
    return [flag for flag in flags if flag != "-fopenmp" or sys.platform.startswith("linux")]


def _compile(command: list[str], source: Path, target: Path) -> str | None:
    """Compile and link apart, since -fopenmp at the link would bind the system's own OpenMP library."""
    compiled, linked = (target.with_suffix(f".{os.getpid()}.{suffix}") for suffix in ("o", "part"))
    try:
        for line in (
            [*command, "-c", str(source), "-o", str(compiled)],
            [command[0], "-shared", "-pthread", str(compiled), "-lm", "-o", str(linked)],
        ):
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines() or [f"{line[0]} failed"]
                return next((text for text in said if "error" in text), said[-1])
        linked.replace(target)
    except OSError as error:
        return str(error)
    finally:
        compiled.unlink(missing_ok=True)
        linked.unlink(missing_ok=True)
    return None


def load(folder: Path, name: str, wanted: str | None, asked_by: str) -> ctypes.CDLL | None:
    """The library of level ``wanted``, or of the best one that this processor runs; None where none was built.

    Args:
        asked_by: the variable or argument that ``wanted`` came from.

    Raises:
        ConfigError: this processor does not run that level.
        MissingTool: what was built is of other sources than those that stand beside it.
    """
    if not (folder / f"{name}_plain.so").exists():
        return None
    plain = _opened(folder, f"{name}_plain.so")
    best = plain.leanspike_level()
    if wanted:
        if wanted not in LEVELS or LEVELS.index(wanted) > best:
            from leanspike.core.errors import ConfigError  # not at the top: setup.py runs this file by itself

            raise ConfigError(f"{asked_by}={wanted}: this processor runs {', '.join(LEVELS[: best + 1])}")
        best = LEVELS.index(wanted)
    return plain if best == 0 else _opened(folder, f"{name}_{LEVELS[best]}.so")


def _opened(folder: Path, file: str) -> ctypes.CDLL:
    """A library, if it is of these sources: records of another layout would give wrong numbers, not an error."""
    library = ctypes.CDLL(str(folder / file))
    try:
        library.leanspike_sources.restype = ctypes.c_char_p
        built_from = library.leanspike_sources().decode()
    except AttributeError:
        built_from = ""
    if built_from != sources_of(folder):
        from leanspike.core.errors import MissingTool

        raise MissingTool(
            "was built from other sources than those beside it",
            where=folder / file,
            remedy="install leanspike again, or run python leanspike/core/native.py in a checkout",
        )
    return library


def level_of(library: ctypes.CDLL) -> str:
    """The instruction set of a loaded library."""
    return Path(library._name).stem.rpartition("_")[2]


if __name__ == "__main__":
    sys.stdout.write("\n".join(build_all(Path(__file__).parent.parent)) + "\n")
