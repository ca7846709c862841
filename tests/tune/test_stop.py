"""Which trials end early, and which do not."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from leanspike.train import EpochRecord
from leanspike.tune.stop import StopConfig, verdict

GOOD = EpochRecord(2, 0.4, 0.9, 0.4, 0.90, (0.2, 0.1), 1e-3, 1.0, 100.0)
CROWD = [[0.5, 0.9], [0.6, 0.92], [0.7, 0.95], [0.4, 0.94], [0.5, 0.96]]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rates": (0.2, 0.0)}, "silent: layer 2"),
        ({"rates": (0.99, 0.2)}, "saturated: layer 1"),
        ({"loss": math.nan}, "exploding"),
        ({"loss": math.inf}, "exploding"),
        ({"validation_accuracy": 0.7}, "hopeless: validation accuracy 70.00%.*median of 5 trials 94.00%"),
    ],
)
def test_stops(change: dict[str, object], why: str) -> None:
    reason = verdict(replace(GOOD, **change), CROWD, StopConfig(), goals=2)  # type: ignore[arg-type]
    assert reason is not None
    assert re.match(why, reason)


def test_a_good_trial_goes_on() -> None:
    assert verdict(GOOD, CROWD, StopConfig(), goals=2) is None
    assert verdict(replace(GOOD, rates=()), [], StopConfig()) is None


def test_one_goal_stops_at_the_median_and_several_are_patient() -> None:
    behind = replace(GOOD, validation_accuracy=0.93)
    assert "hopeless" in (verdict(behind, CROWD, StopConfig(), goals=1) or "")
    assert verdict(behind, CROWD, StopConfig(), goals=3) is None
    assert verdict(behind, CROWD, StopConfig(patience=1.5), goals=1) is None


def test_nobody_is_hopeless_among_few_or_in_the_first_epoch() -> None:
    bad = replace(GOOD, validation_accuracy=0.1)
    assert verdict(bad, CROWD[:4], StopConfig(), goals=1) is None
    assert verdict(replace(bad, epoch=1), CROWD, StopConfig(), goals=1) is None
    assert verdict(bad, [curve[:1] for curve in CROWD], StopConfig(), goals=1) is None
