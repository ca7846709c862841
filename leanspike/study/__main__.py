"""The process of one worker; :mod:`leanspike.study.run` starts it and writes its order, as JSON, to its input."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import torch

from leanspike import data
from leanspike.core.errors import LeanspikeError
from leanspike.core.records import from_dict
from leanspike.study.config import StudyConfig
from leanspike.study.queue import work
from leanspike.study.storage import in_reach, open_store
from leanspike.study.worker import Job


def main() -> int:
    """Read the order, work, and say in one line what went wrong."""
    order = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(order["parent"],), daemon=True).start()
    torch.set_num_threads(order["threads"])
    try:
        config = from_dict(StudyConfig, order["config"])
        job = Job(config, data.load(config.run.dataset), open_store(order["url"], config), Path(order["out"]))
        with in_reach(order["url"]):
            work(job)
    except LeanspikeError as error:
        sys.stderr.write(f"leanspike: error: {error.line()}\n")
        return 2
    return 0


def _follow(parent: int) -> None:
    """End with the process that started this one, however that ends."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
