"""The sentence at the top says what the figures allow, and nothing more."""

from __future__ import annotations

import dataclasses

import pytest

from leanspike.measure.records import Study, TrialRecord
from leanspike.report.finding import Finding, find
from leanspike.report.formats import MINUS
from leanspike.report.overview import survey


def trial(t: int, seed: int, accuracy: float | None, **figures: object) -> TrialRecord:
    kind = "mlp" if t else "ann"
    base = TrialRecord("mnist", f"{kind} 784-400-10", "direct", t, seed, accuracy)
    return dataclasses.replace(base, **figures)  # type: ignore[arg-type]


def finding(*trials: TrialRecord) -> Finding:
    return find(survey(Study("mnist", trials)))


def runs(t: int, *accuracies: float, spikes: float | None = None) -> list[TrialRecord]:
    return [trial(t, seed, value, spikes_per_sample=spikes) for seed, value in enumerate(accuracies)]


def test_no_measurable_difference_is_said_with_its_interval_and_its_price() -> None:
    found = finding(*runs(5, 0.983, 0.985, 0.984, spikes=100), *runs(50, 0.984, 0.986, 0.985, spikes=900))
    assert found.group is not None
    assert found.group.timesteps == 5
    assert found.sentence == (
        "T = 5 reaches 98.40 ± 0.25 % (3 seeds), not measurably different from the best, T = 50 (98.50 %; "
        f"difference {MINUS}0.10 points, 95 % interval {MINUS}0.33 to +0.13), and needs 1/9 of its spikes."
    )


def test_a_measurable_difference_is_not_called_equal() -> None:
    found = finding(*runs(5, 0.95, 0.951, 0.949, spikes=100), *runs(50, 0.984, 0.986, 0.985, spikes=200))
    assert found.group is not None
    assert found.group.timesteps == 50
    assert "the most accurate; T = 5 comes closest with fewer steps (95.00 %" in found.sentence
    assert "50 % of its spikes" in found.sentence
    assert "not measurably" not in found.sentence


def test_the_fewest_steps_may_be_the_best() -> None:
    found = finding(*runs(5, 0.99, 0.99), *runs(50, 0.98, 0.981))
    assert found.sentence == (
        "T = 5 reaches 99.00 ± 0.00 % (2 seeds): no larger T is more accurate. "
        "Beside T = 50 (98.05 %) it needs 1/10 of its steps."
    )


def test_one_seed_has_no_interval_over_seeds_and_says_so() -> None:
    near = finding(trial(5, 0, 0.984), trial(50, 0, 0.985, accuracy_ci95=(0.982, 0.988)))
    assert near.group is not None
    assert near.group.timesteps == 5
    assert "one seed: only the size of the test set is accounted for" in near.sentence
    far = finding(trial(5, 0, 0.95), trial(50, 0, 0.985, accuracy_ci95=(0.982, 0.988)))
    assert far.group is not None
    assert far.group.timesteps == 50


def test_one_timestep_is_stated_beside_its_ann() -> None:
    found = finding(*runs(4, 0.98, 0.99), *runs(0, 0.985, 0.985))
    assert found.sentence.startswith("T = 4 reaches 98.50")
    gap = next(fact for fact in found.facts if fact.name == "Against the ANN")
    assert gap.value == "±0.00 points"
    assert "98.50 %" in gap.note


@pytest.mark.parametrize("trials", [[], [trial(5, 0, None)], [trial(0, 0, 0.98)]])
def test_without_a_measured_network_there_is_no_claim(trials: list[TrialRecord]) -> None:
    found = finding(*trials)
    assert found.group is None
    assert found.sentence in ("No trial has finished yet.", "No accuracy was measured in this study.")


def test_unmeasured_costs_are_named_as_such() -> None:
    facts = {fact.name: fact.value for fact in finding(trial(5, 0, 0.98)).facts}
    assert facts["Spikes a sample"] == facts["Latency, median"] == facts["Synaptic operations"] == "not measured"


def test_a_search_says_by_what_it_chose() -> None:
    searched = [
        trial(4, 0, None, validation_accuracy=0.95, parameters={"neuron.beta": 0.5}),
        trial(8, 0, None, validation_accuracy=0.97, parameters={"neuron.beta": 0.9}),
        trial(8, 0, 0.96, validation_accuracy=0.97, parameters={"neuron.beta": 0.9}),
        trial(8, 1, 0.98, validation_accuracy=0.99, parameters={"neuron.beta": 0.9}),
    ]
    found = finding(*searched)
    assert found.sentence.startswith(
        "Of 2 configurations, row 2 (T = 8, neuron.beta = 0.9), "
        "chosen by its validation accuracy (98.00 %), reaches 97.00"
    )
    flattered = finding(*(dataclasses.replace(t, validation_accuracy=None, accuracy=0.9) for t in searched))
    assert "chosen by its test accuracy, which flatters it" in flattered.sentence


def test_the_ann_of_the_same_size_is_the_base_line() -> None:
    other = dataclasses.replace(trial(0, 0, 0.5), model="ann 784-10")
    overview = survey(Study("mnist", (trial(5, 0, 0.98), other, trial(0, 0, 0.985))))
    ann = overview.ann_of(overview.groups[0])
    assert ann is not None
    assert ann.model == "ann 784-400-10"
