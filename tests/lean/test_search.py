"""The search on a made-up landscape: what it keeps, where it stops, what it never tries twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from leanspike.core.errors import ConfigError
from leanspike.lean import Budget
from leanspike.lean.moves import Settings, compression, lower_rung, useful
from leanspike.lean.search import Road, Step, walk

COST = {0: 0.0, 8: 0.0, 4: 0.002, 2: 0.012, "ternary": 0.02}


def figures(settings: Settings, polish: float = 0.0) -> dict[str, float]:
    """Every knob costs accuracy and saves something; the last fine-tuning gives ``polish`` back."""
    density = (1 - settings.connections) * (1 - settings.neurons)
    loss = 0.002 * (4 / settings.timesteps - 1) + 0.02 * settings.connections**8 + 0.02 * settings.neurons
    bits = {0: 8.0, "ternary": 2.0}.get(settings.weights, settings.weights)
    accuracy = 0.985 - loss - COST[settings.weights] - 0.5 * COST[settings.membrane] + polish
    size = 40_000 * density * bits / 8 + {0: 800.0}.get(settings.membrane, 300.0)
    return {"accuracy": accuracy, "bytes": size, "operations": 9000 * density + 500 * settings.timesteps,
            "spikes": 40.0 * settings.timesteps, "energy": 3 * density}  # fmt: skip


def road(
    budget: Budget, polish: float = 0.0, patience: float = 0.0
) -> tuple[Road, list[tuple[int, int, Settings, bool]]]:
    asked: list[tuple[int, int, Settings, bool]] = []

    def attempt(number: int, place: Step, settings: Settings, patient: bool) -> Mapping[str, float]:
        asked.append((number, place.number, settings, patient))
        return figures(settings, polish if settings == place.settings else patience * patient)

    start = Settings(4)
    return Road(Step(0, None, "start", start, figures(start)), budget, attempt, lambda _: None), asked


def test_a_budget_of_bytes_is_met_with_the_least_loss_and_no_more() -> None:
    way, asked = road(Budget(bytes=8000))
    end = walk(way, margin=0.002)
    assert end.figures["bytes"] <= 8000
    assert end.figures["accuracy"] >= 0.975
    before_last = [step for step in way.steps if step.kept and step.number < end.number]
    assert all(step.figures["bytes"] > 8000 for step in before_last if step.settings != end.settings)
    assert all(settings.timesteps == 4 for _, _, settings, _ in asked)


def test_an_accuracy_alone_gives_the_smallest_program() -> None:
    way, _ = road(Budget(accuracy=0.97))
    end = walk(way, margin=0.002)
    assert end.figures["accuracy"] >= 0.972
    assert end.figures["bytes"] < 8000
    for knob in ("timesteps", "connections", "weights", "membrane", "neurons"):
        poorer = lower_rung(end.settings, knob)
        assert poorer is None or figures(poorer)["accuracy"] < 0.972


def test_both_are_met_together() -> None:
    budget = Budget(accuracy=0.975, bytes=6000, operations=4000)
    way, _ = road(budget)
    end = walk(way, margin=0.002)
    assert budget.met(end.figures)


def test_what_cannot_be_met_ends_at_the_nearest() -> None:
    budget = Budget(accuracy=0.984, bytes=300)
    way, asked = road(budget)
    end = walk(way, margin=0.0)
    assert not budget.met(end.figures)
    assert budget.shortfall(end.figures) == min(budget.shortfall(step.figures) for step in way.steps)
    assert len(asked) < 80


def test_the_last_fine_tuning_may_pay_a_credit_back() -> None:
    budget = Budget(accuracy=0.975, bytes=2000)
    way, _ = road(budget)
    assert not budget.met(walk(way, margin=0.0).figures)
    way, _ = road(budget, polish=0.01)
    end = walk(way, margin=0.0)
    assert budget.met(end.figures)
    assert end.done == "fine-tuned"


def test_patience_keeps_moves_that_haste_could_not() -> None:
    budget = Budget(accuracy=0.975, bytes=4000)
    way, _ = road(budget, patience=0.004)
    assert budget.met(walk(way, margin=0.0).figures)
    kept = [step for step in way.steps if step.kept and step.done.endswith("fine-tuned long")]
    hasty = {(step.parent, step.settings) for step in way.steps if step.verdict == "too inaccurate"}
    assert kept
    assert all((step.parent, step.settings) in hasty for step in kept)


def test_a_move_is_never_tried_twice_from_the_same_place() -> None:
    way, asked = road(Budget(accuracy=0.97))
    walk(way, margin=0.002)
    tried = [(place, settings, patient) for _, place, settings, patient in asked]
    assert len(tried) == len(set(tried))
    assert [number for number, _, _, _ in asked] == list(range(1, len(asked) + 1))


def test_the_walk_is_a_function_of_the_figures() -> None:
    first, second = road(Budget(bytes=4000)), road(Budget(bytes=4000))
    walk(first[0], margin=0.0)
    walk(second[0], margin=0.0)
    assert first[0].steps == second[0].steps


def test_ladders_end() -> None:
    here = Settings(1, 0.99, "ternary", "ternary", 0.75)
    assert [lower_rung(here, knob) for knob in ("timesteps", "connections", "weights", "membrane", "neurons")] == [
        None
    ] * 5
    assert lower_rung(Settings(5), "timesteps") == Settings(2)
    assert lower_rung(Settings(4, connections=0.6), "connections") == Settings(4, connections=0.75)
    assert useful(("operations",)) == ["timesteps", "connections", "neurons"]
    assert useful(("operations", "bytes"))[0] == "connections"
    assert useful(("bytes",)) == ["connections", "weights", "membrane", "neurons"]


def test_few_bit_potentials_of_float_weights_take_8_bits() -> None:
    found = compression(Settings(4), Settings(4, membrane=4))
    assert (found.weights.bits, found.membrane.bits) == (8, 4)
    found = compression(Settings(4, weights=2), Settings(4, weights=2, membrane=4))
    assert (found.weights.bits, found.membrane.bits) == (0, 4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "at least one of"),
        ({"accuracy": 97.5}, "percent"),
        ({"bytes": 0}, "bytes"),
        ({"operations": -1.0}, "above 0"),
    ],
)
def test_impossible_budgets(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Budget(**values)
