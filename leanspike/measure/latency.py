"""How long one answer takes: a call on one sample, warmed up, every call timed on its own.

Reported are the median and the 99th percentile (the smallest observed time that at least that share of calls did not
exceed), never a mean alone: a mean hides the slow calls that a user of a device waits for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from leanspike.core.errors import DataError


@dataclass(frozen=True)
class Latency:
    """Microseconds a sample: median and 99th percentile."""

    p50: float
    p99: float


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile: the smallest of ``values`` that at least ``share`` of them do not exceed."""
    if not values or not 0 < share <= 1:
        raise DataError(f"a percentile needs values and a share in (0, 1], found {len(values)} values and {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def time_calls(call: Callable[[int], object], *, calls: int = 300, warm_up: int = 30) -> Latency:
    """Time ``call(i)`` for i = 0, 1, ...: ``warm_up`` calls unmeasured, then ``calls`` calls one by one.

    Args:
        call: runs the network on one sample; the number lets it take another sample each time.
        calls: at least 100, so that a 99th percentile exists.
    """
    return time_in_turn({"": call}, calls=calls, warm_up=warm_up, block=calls)[""]


def time_in_turn(
    candidates: Mapping[str, Callable[[int], object]], *, calls: int = 300, warm_up: int = 30, block: int = 20
) -> dict[str, Latency]:
    """Time several candidates in turn, ``block`` calls each, so that a busy moment of the machine meets all of them.

    Args:
        candidates: by name; see :func:`time_calls`.
    """
    if calls < 100 or warm_up < 0:
        raise DataError(f"latency needs calls >= 100 and warm_up >= 0, found {calls} and {warm_up}")
    for call in candidates.values():
        for i in range(warm_up):
            call(i)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for start in range(0, calls, block):
        for name, call in candidates.items():
            times[name] += [_nanoseconds(call, i) / 1000 for i in range(start, min(start + block, calls))]
    return {name: Latency(percentile(found, 0.50), percentile(found, 0.99)) for name, found in times.items()}


def _nanoseconds(call: Callable[[int], object], i: int) -> int:
    start = time.perf_counter_ns()
    call(i)
    return time.perf_counter_ns() - start
