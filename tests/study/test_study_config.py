"""Which points a study has, and what it refuses before it starts."""

from __future__ import annotations

from typing import Any

import pytest
from studies import study_config

from leanspike.core.errors import ConfigError, EncodingError
from leanspike.study import Axis, Range, parse_axis, parse_range
from leanspike.study.config import identity


def test_grid_is_every_combination_once_with_the_long_ones_first() -> None:
    config = study_config(timesteps=[2, 8], seeds=2, grid=[{"key": "neuron.beta", "values": ["0.8", "0.9"]}])
    points = config.grid_points()
    assert len({identity(point) for point in points}) == len(points) == 8
    assert [point["timesteps"] for point in points] == [8] * 4 + [2] * 4
    assert {point["neuron.beta"] for point in points} == {0.8, 0.9}


def test_ann_points_keep_only_what_an_ann_has() -> None:
    grid = [{"key": "neuron.beta", "values": ["0.8", "0.9"]}, {"key": "model.hidden", "values": ["[8]", "[9]"]}]
    config = study_config(timesteps=[2, 8], seeds=2, grid=grid, ann=True)
    points = config.ann_points(config.grid_points())
    assert len(points) == 4
    assert all(set(point) == {"timesteps", "seed", "model.hidden"} and point["timesteps"] == 0 for point in points)


def test_a_point_sets_its_keys_and_no_other() -> None:
    config = study_config()
    run = config.run_at({"timesteps": 7, "seed": 2, "neuron.beta": 0.5, "model.hidden": [8, 9]})
    assert (run.timesteps, run.seed, run.neuron.beta, run.model.hidden) == (7, 2, 0.5, (8, 9))
    assert run.train == config.run.train


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("neuron.beta=0.8,0.9", Axis("neuron.beta", ("0.8", "0.9"))),
        ("neuron.reset=zero,subtract", Axis("neuron.reset", ("zero", "subtract"))),
        ("model.hidden=[200],[400, 100]", Axis("model.hidden", ("[200]", "[400, 100]"))),
        ("neuron.learn_beta=true,false", Axis("neuron.learn_beta", ("true", "false"))),
    ],
)
def test_axes_are_read(text: str, axis: Axis) -> None:
    assert parse_axis(text) == axis


def test_ranges_are_read() -> None:
    assert parse_range("train.learning_rate=1e-4:1e-2:log") == Range("train.learning_rate", 1e-4, 1e-2, log=True)
    assert parse_range("train.batch_size=16:64") == Range("train.batch_size", 16, 64, whole=True)
    assert parse_range("neuron.beta=0.5:0.99") == Range("neuron.beta", 0.5, 0.99)


@pytest.mark.parametrize("text", ["", "beta", "=1,2", "neuron.beta=", "neuron.beta=0.9,0.9"])
def test_wrong_axes_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--grid"):
        parse_axis(text)


@pytest.mark.parametrize(
    "text", ["", "a=1", "a=1:2:lin", "a=2:1", "a=1:1", "a=x:2", "a=0:1:log", "a=1:2:log:3", "=1:2", "a=nan:1"]
)
def test_wrong_ranges_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--search"):
        parse_range(text)


SEARCH = {"key": "neuron.beta", "low": 0.5, "high": 0.9}
BETA = {"key": "neuron.beta", "values": ["0.8"]}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"timesteps": [0]}, "timesteps"),
        ({"timesteps": []}, "timesteps"),
        ({"timesteps": [5, 5]}, "timesteps"),
        ({"seeds": 0}, "seeds"),
        ({"grid": [{"key": "neuron.bta", "values": ["1"]}]}, "neuron.bta"),
        ({"grid": [{"key": "neuron", "values": ["1"]}]}, "neuron"),
        ({"grid": [{"key": "neuron.threshold", "values": ["1.0", "-1.0"]}]}, "threshold"),
        ({"grid": [{"key": "seed", "values": ["1"]}]}, "use --seeds"),
        ({"grid": [BETA, BETA]}, "once"),
        ({"grid": [BETA], "search": [{**SEARCH, "key": "neuron.threshold"}]}, "either"),
        ({"search": [{**SEARCH, "high": 7.0}]}, "beta"),
        ({"search": [SEARCH], "run": {"train": {"validation": 0.0}}}, "train.validation"),
        ({"goals": "speed"}, "goals"),
    ],
)
def test_what_cannot_work_is_refused_by_name(values: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        study_config(**values)


def test_an_encoder_that_does_not_suit_the_data_is_refused() -> None:
    with pytest.raises(EncodingError, match="delta"):
        study_config(run={"encoder": {"kind": "delta"}}).check((64,))


def test_equal_studies_share_their_hash_and_others_do_not() -> None:
    assert study_config().hash == study_config().hash != study_config(seeds=4).hash
