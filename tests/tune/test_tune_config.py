"""The space, the goals, and what both ends of the space must be."""

from __future__ import annotations

from typing import Any

import pytest
from tunes import tune_config

from leanspike.core.errors import ConfigError
from leanspike.core.records import from_dict, to_dict
from leanspike.study.config import Axis, Range
from leanspike.tune import TuneConfig, default_space, overridden, parse_dimension


def test_the_default_space_is_the_published_one() -> None:
    spans = {d.key: (d.low, d.high, d.log) for d in default_space() if isinstance(d, Range)}
    assert spans["train.learning_rate"] == (1e-4, 1e-2, True)
    assert spans["model.dropout"] == (0.1, 0.5, False)
    assert spans["train.rate_penalty"] == (1e-3, 0.1, True)
    keys = [dimension.key for dimension in default_space()]
    wanted = {"neuron.beta", "neuron.threshold", "timesteps", "compress.weights.bits", "compress.membrane.bits"}
    assert wanted | {"compress.prune.sparsity"} <= set(keys)
    TuneConfig(space=default_space())


def test_ones_own_dimensions_take_the_places_of_the_default_ones() -> None:
    own = [parse_dimension("model.dropout=0.2"), parse_dimension("model.hidden=[64],[128]")]
    space = overridden(default_space(), own)
    assert [d.key for d in space][1] == "model.dropout"
    assert space[1] == Axis("model.dropout", ("0.2",))
    assert space[-1] == Axis("model.hidden", ("[64]", "[128]"))
    assert len(space) == len(default_space()) + 1


def test_a_point_is_a_run_and_a_compression() -> None:
    config = tune_config("neuron.beta=0.5:0.9", "compress.weights.bits=8,2", "compress.prune.sparsity=0.5:0.9")
    point = {"neuron.beta": 0.7, "compress.weights.bits": 2, "compress.prune.sparsity": 0.8}
    run = config.run_at(point)
    lean = config.compression_at(point, run)
    assert run.neuron.beta == 0.7
    assert lean is not None
    assert (lean.weights.bits, lean.prune.sparsity, lean.train.epochs) == (2, 0.8, 1)
    assert config.compression_at({"neuron.beta": 0.7}, run) is None
    assert from_dict(TuneConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("space", "values", "words"),
    [
        (["neuron.bta=0.5:0.9"], {}, "did you mean neuron.beta"),
        (["neuron.beta=0.5:1.9"], {}, "neuron.beta.*between 0 and 1"),
        (["compress.weights.bits=8,5"], {}, "weights.bits.*5"),
        (["neuron.beta=0.5:0.9", "neuron.beta=0.1:0.2"], {}, "once"),
        (["seed=0:3"], {}, "one seed"),
        ([], {"goals": ["accuracy", "speed"]}, "goals.*speed"),
        ([], {"goals": ["accuracy", "accuracy"]}, "--goals"),
        ([], {"energy_model": "loihi-sop"}, "multiplied"),
        ([], {"energy_model": "loihi-3"}, "no such energy model"),
        ([], {"energy_model": "memory-45nm"}, "no count of memory traffic"),
        ([], {"run": {"train": {"validation": 0.0}}}, "goals need it"),
        ([], {"stop": {"silent": 0.99}}, "stop.silent"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_trained(
    space: list[str], values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        tune_config(*space, **values)


def test_a_chip_may_judge_what_does_not_multiply() -> None:
    tune_config(energy_model="loihi-sop", run={"encoder": {"kind": "rate"}})


@pytest.mark.parametrize("text", ["neuron.beta", "neuron.beta=", "=1:2", "neuron.beta=2:1", "timesteps=1,1"])
def test_a_dimension_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="--search"):
        parse_dimension(text)
