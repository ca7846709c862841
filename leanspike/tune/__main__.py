"""The process of one worker; :mod:`leanspike.tune.run` starts it and writes its order, as JSON, to its input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from leanspike import data
from leanspike.core.records import from_dict
from leanspike.study.processes import serve
from leanspike.study.queue import Queue
from leanspike.study.storage import open_store
from leanspike.tune.config import TuneConfig
from leanspike.tune.trial import TuneJob


def queue_of(order: dict[str, Any]) -> Queue:
    """The tune that an order names."""
    config = from_dict(TuneConfig, order["config"])
    store = open_store(order["url"], config)
    return TuneJob(config, data.load(config.run.dataset), store, Path(order["out"]), order["deadline"])


if __name__ == "__main__":
    sys.exit(serve(queue_of))
