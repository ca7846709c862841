"""Processes for the tests: forked from a server that has imported torch once, with real exit codes and signals."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["leanspike.train", "leanspike.cli.train", "torch", "sklearn.datasets"])


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def run_leanspike(args: list[str], folder: Path, prepare: Callable[[], None] | None) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["leanspike", *args]
    torch.set_num_threads(1)
    if prepare:
        prepare()
    runpy.run_module("leanspike", run_name="__main__")


def kill_after(process: Any, page: Path, saves: int, delay: float) -> None:
    """SIGKILL, ``delay`` seconds after the process replaced ``page`` so many times; it may end before."""

    def version() -> int:
        return page.stat().st_ino if page.exists() else 0

    seen = version()
    while saves and process.is_alive():
        now = version()
        saves, seen = saves - (now != seen), now
    process.join(delay)
    process.kill()
    process.join()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
