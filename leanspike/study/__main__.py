"""The process of one worker; :mod:`leanspike.study.run` starts it and writes its order, as JSON, to its input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from leanspike import data
from leanspike.core.records import from_dict
from leanspike.study.config import StudyConfig
from leanspike.study.processes import serve
from leanspike.study.queue import Queue
from leanspike.study.storage import open_store
from leanspike.study.worker import Job


def queue_of(order: dict[str, Any]) -> Queue:
    """The study that an order names."""
    config = from_dict(StudyConfig, order["config"])
    return Job(config, data.load(config.run.dataset), open_store(order["url"], config), Path(order["out"]))


if __name__ == "__main__":
    sys.exit(serve(queue_of))
