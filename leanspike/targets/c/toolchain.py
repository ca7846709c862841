"""Compilers: which there are, what is missing and how to get it, and what they make of an emitted program."""

from __future__ import annotations

import os
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


def compile_c(compiler: str, flags: Sequence[str], sources: Sequence[Path], product: Path) -> None:
    """Compile sources into one product.

    Raises:
        TargetError: the compiler refuses; its first complaint is in the message.
    """
    command = [compiler, *flags, *map(str, sources), "-o", str(product)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if "error" in line or "overflowed" in line]
        what = (complaints or done.stderr.splitlines() or ["no message"])[0]
        raise TargetError(f"{Path(compiler).name} does not compile it ({what})", where=sources[-1])
