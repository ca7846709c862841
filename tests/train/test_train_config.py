from __future__ import annotations

import dataclasses

import pytest

from leanspike.core.errors import ConfigError
from leanspike.core.records import content_hash, from_dict, to_dict, with_settings
from leanspike.train import RunConfig


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("timesteps=0", "timesteps"),
        ("seed=-1", "seed"),
        ("neuron.threshold=-1", "neuron.threshold"),
        ("train.epochs=0", "train.epochs"),
        ("train.learning_rate=0", "train.learning_rate"),
        ("train.learning_rate=nan", "train.learning_rate"),
        ("train.validation=1", "train.validation"),
        ("train.target_rates=[1.5]", "train.target_rates"),
        ("train.optimizer=adagrad", "train.optimizer"),
        ("train.loss=mse", "train.loss"),
        ("train.learning_rat=0.1", "train.learning_rat"),
        ("train.loss=count model.readout=membrane_max", "train.loss"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_its_key(setting: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(RunConfig(), setting.split())
    assert caught.value.line().startswith(f"{key}: ")
    assert "\n" not in caught.value.line()


def test_early_stopping_needs_a_validation_split() -> None:
    with pytest.raises(ConfigError, match=r"train\.patience"):
        with_settings(RunConfig(), ["train.patience=3", "train.validation=0.0"])


def test_a_configuration_survives_json_and_has_one_hash() -> None:
    config = with_settings(RunConfig(), ["train.target_rates=[0.1]", "model.hidden=[7, 8]", "train.loss=tet"])
    again = from_dict(RunConfig, to_dict(config))
    assert again == config
    assert content_hash(again) == content_hash(config)
    assert content_hash(dataclasses.replace(config, seed=1)) != content_hash(config)
