"""The comparison with NeuroBench's rules, by hand; with its harness where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from leanspike.core.errors import ConfigError
from leanspike.measure.neurobench import WHY, by_their_rules, check, ours, rows, unexplained
from tests.measure.cost_programs import image, pixels, samples, spikes

COMMITTED = Path(__file__).parents[2] / "results" / "hardware" / "neurobench.json"


def test_their_rules_on_a_small_program_by_hand() -> None:
    """Two samples: two pixels of three are not 0, and none; both neurons fire in both steps, or never."""
    program, raw, labels = pixels(), np.array([[100, 0, 7], [0, 0, 0]]), np.array([0, 0])
    ruled = by_their_rules(program, raw, labels, np.arange(2), 2, 40)
    assert ruled["effective_macs"] == 2 * 2 * 2 / 2  # the constant input again in the second step
    assert ruled["effective_acs"] == 2 * 2 * 2 / 2
    assert ruled["dense_synops"] == 2 * (3 * 2 + 2 * 2)
    assert ruled["connection_sparsity"] == 0
    assert ruled["footprint_bytes"] == 40
    mine = ours(program, raw, labels, np.arange(2))
    assert mine["effective_macs"] == 2.0
    assert mine["effective_acs"] == ruled["effective_acs"]
    assert mine["membrane_updates"] == 8 >= ruled["membrane_updates"]
    assert mine["activation_sparsity"] == 0.5
    assert mine["accuracy"] == ruled["accuracy"]


def test_a_batch_of_binary_pixels_counts_as_accumulates_there() -> None:
    program, labels = pixels(), np.array([0, 0])
    raw = np.array([[1, 0, 1], [7, 0, 0]])
    together, apart = (by_their_rules(program, raw, labels, np.arange(2), batch, 0) for batch in (2, 1))
    assert together["effective_acs"] < apart["effective_acs"]
    whole = [found["effective_macs"] + found["effective_acs"] for found in (together, apart)]
    assert whole[0] == whole[1]


def test_weights_of_zero_are_no_operations_there() -> None:
    program = spikes(held=False)
    raw, labels = samples(program, 6), np.zeros(6, dtype=np.int64)
    mine = ours(program, raw, labels, np.arange(6))
    ruled = by_their_rules(program, raw, labels, np.arange(6), 6, 0)
    assert ruled["effective_acs"] <= mine["effective_acs"]
    assert ruled["dense_synops"] == 4 * (20 * 30 + 30 * 3) > mine["dense_synops"]


def test_a_difference_without_a_reason_is_told() -> None:
    mine = dict.fromkeys(WHY, 1.0)
    theirs = mine | {"effective_acs": 1.01}
    assert unexplained(rows(mine, mine, mine)) == []
    assert unexplained(rows(mine, mine, theirs)) == ["effective_acs"]


def test_what_the_twin_does_not_express_is_refused() -> None:
    with pytest.raises(ConfigError, match="conv2d"):
        check(image())
    with pytest.raises(ConfigError, match="hold"):
        check(spikes(held=True))


def test_the_committed_comparison_is_explained() -> None:
    found = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert found["versions"]["neurobench"] == "2.3.0"
    for program in found["programs"]:
        assert [row["metric"] for row in program["rows"]] == list(WHY)
        for row in program["rows"]:
            assert row["by_their_rules"] == pytest.approx(row["theirs"], rel=1e-4, abs=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("neurobench") is None, reason="neurobench is not installed")
def test_the_harness_agrees() -> None:
    import runpy

    script = Path(__file__).parents[2] / "benchmarks" / "neurobench_check.py"
    theirs = runpy.run_path(str(script))["theirs"]
    program = spikes(held=False)
    raw, labels, numbers = samples(program, 20), np.zeros(20, dtype=np.int64), np.arange(20)
    told, held = theirs(program, raw, labels, numbers)
    mine = ours(program, raw, labels, numbers)
    assert unexplained(rows(mine, by_their_rules(program, raw, labels, numbers, 100, held), told)) == []
