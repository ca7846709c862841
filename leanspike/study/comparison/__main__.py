"""The process of one worker; :mod:`leanspike.study.comparison.run` starts it and writes its order to its input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from leanspike.core.records import from_dict
from leanspike.study.comparison.config import ComparisonConfig
from leanspike.study.comparison.job import ComparisonJob
from leanspike.study.processes import serve
from leanspike.study.queue import Queue
from leanspike.study.storage import open_store


def queue_of(order: dict[str, Any]) -> Queue:
    """The comparison that an order names."""
    config = from_dict(ComparisonConfig, order["config"])
    return ComparisonJob(config, open_store(order["url"], config), Path(order["out"]))


if __name__ == "__main__":
    sys.exit(serve(queue_of))
