"""Compilers: which there are, what is missing and how to get it, and what they make of an emitted program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from leanspike.core.errors import MissingTool, TargetError

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow")
SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""Any undefined behaviour, or a step beyond an array, ends the run (gcc and clang)."""
TRAP = ("-fsanitize=undefined,implicit-conversion", "-fsanitize-trap=all")
"""The same for undefined behaviour and for any implicit conversion that changes a value (clang, no library needed)."""


def find(program: str, package: str) -> str:
    """The path of an outside program.

    Raises:
        MissingTool: it is not installed; the remedy names its Debian package.
    """
    found = shutil.which(program)
    if found is None:
        raise MissingTool(f"{program} is not installed", remedy=f"apt install {package}")
    return found


def host_compiler() -> str:
    """The C compiler of this machine: $CC, else cc, gcc or clang.

    Raises:
        MissingTool: there is none.
    """
    for name in (os.environ.get("CC"), "cc", "gcc"):
        if name and shutil.which(name):
            return name
    return find("clang", "gcc")


def compile_c(
    compiler: str, flags: Sequence[str], sources: Sequence[Path], product: Path, libraries: Sequence[str] = ()
) -> None:
    """Compile sources into one product.

    Raises:
        TargetError: the compiler refuses; its first complaint is in the message.
    """
    command = [compiler, *flags, *map(str, sources), *libraries, "-o", str(product)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        marks = ("overflowed", "undefined", "error", "Error")
        complaints = [line for mark in marks for line in done.stderr.splitlines() if mark in line]
        what = (complaints or done.stderr.splitlines() or ["no message"])[0]
        raise TargetError(f"{Path(compiler).name} does not compile it ({what})", where=sources[-1])


def _tool(compiler: str, name: str) -> str:
    """A program that came with a compiler: ``arm-none-eabi-size`` beside ``arm-none-eabi-gcc``."""
    prefix = Path(compiler).name.rpartition("-")[0]
    return find(f"{prefix}-{name}" if prefix else name, "binutils")


def _output(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout.splitlines()


def flash_bytes(compiler: str, path: Path) -> int:
    """Bytes of an object or image that must lie in flash: code, constants, and what initialises variables."""
    return _section_bytes(compiler, path, (".start", ".text", ".rodata", ".srodata", ".data", ".sdata"))


def variable_bytes(compiler: str, path: Path) -> int:
    """Bytes of RAM that an object's own variables take."""
    return _section_bytes(compiler, path, (".data", ".sdata", ".bss", ".sbss"))


def _section_bytes(compiler: str, path: Path, names: tuple[str, ...]) -> int:
    rows = (line.split() for line in _output(_tool(compiler, "size"), "-A", str(path)))
    return sum(int(row[1]) for row in rows if row and row[0].startswith(names))


def symbols(compiler: str, image: Path) -> dict[str, int]:
    """Addresses by name."""
    rows = (line.split() for line in _output(_tool(compiler, "nm"), str(image)))
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def plugin_version(emulator: str) -> int:
    """The version of QEMU's plugin interface to declare: 1, and from QEMU 9 on, which refuses that, 2."""
    found = re.search(r"version (\d+)", " ".join(_output(emulator, "--version")))
    return 2 if found and int(found[1]) >= 9 else 1
