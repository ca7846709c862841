"""Worker processes on this machine: started with an order on their input, ended with this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import IO, Any

import torch

from leanspike.core.errors import LeanspikeError, StudyError
from leanspike.study.queue import Queue, is_over, work
from leanspike.study.storage import OPEN, in_reach


def train_all(queue: Queue, order: Mapping[str, Any], workers: int, module: str = "leanspike.study") -> None:
    """Train until no trial is open or the time is over, in this process (0) or in so many others.

    Args:
        order: what ``python -m MODULE`` reads as JSON from its input; ``threads`` and ``parent`` are added.

    Raises:
        StudyError: a worker said so, or all ended with trials open.
    """
    if not workers:
        work(queue)
        return
    with ExitStack() as stack:
        count = min(workers, len(queue.store.trials(OPEN)))
        started = [_start(order, workers, module, stack) for _ in range(count)]
        processes = [process for process, _ in started]
        while any(process.poll() is None for process in processes) and not any(map(_gave_up, processes)):
            time.sleep(0.1)
        for process, said in started:
            if _gave_up(process):
                raise StudyError(_last_line(said))
        if queue.store.trials(OPEN) and not is_over(queue.deadline):
            codes = ", ".join(str(process.returncode) for process in processes)
            text = next((_last_line(said) for process, said in started if process.returncode), "")
            remedy = "start the same command again: finished trials are kept, begun ones go on"
            what = f"the workers ended early (exit codes {codes}{': ' if text else ''}{text})"
            raise StudyError(what, where=queue.folder, remedy=remedy)


def serve(queue_of: Callable[[dict[str, Any]], Queue]) -> int:
    """A worker's whole life: read the order, work, and say in one line what went wrong; returns the exit code."""
    order = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(order["parent"],), daemon=True).start()
    torch.set_num_threads(order["threads"])
    try:
        with in_reach(order["url"]):
            work(queue_of(order))
    except LeanspikeError as error:
        sys.stderr.write(f"leanspike: error: {error.line()}\n")
        return 2
    return 0


def _follow(parent: int) -> None:
    """End with the process that started this one, however that ends."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _start(
    order: Mapping[str, Any], workers: int, module: str, stack: ExitStack
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start one worker; it ends when this process does."""
    said = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    threads = max(1, (os.cpu_count() or 1) // workers)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=said,
        env=environment,
        start_new_session=True,
    )
    stack.callback(_end, process)
    assert process.stdin is not None
    full = {**order, "threads": threads, "parent": os.getpid()}
    process.stdin.write(json.dumps(full).encode())  # not an argument: the address may hold a password
    process.stdin.close()
    return process, said


def _gave_up(process: subprocess.Popen[bytes]) -> bool:
    """Whether a worker met an error that its user can mend, and said so."""
    return process.returncode == 2


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("leanspike: error: ") if lines else ""
