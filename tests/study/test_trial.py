"""What a trial's record says of a network that is measured in floats."""

from __future__ import annotations

from leanspike import data, train
from leanspike.core.records import with_settings
from leanspike.study.trial import float_record, trained_record
from leanspike.train import RunConfig


def test_every_neuron_of_a_convolution_counts() -> None:
    config = with_settings(RunConfig(), ["model.kind=convnet", "model.channels=[4,6]", "timesteps=2", "train.epochs=1"])
    digits = data.load("digits")
    trained = train.fit(config, digits.training_only())
    found = train.evaluate(trained.network, digits.test(), config, steps=True, operations=True)
    record = float_record(trained_record(config, digits, trained, "convnet", {}), found, trained.network, 10)
    neurons = [4 * 64, 6 * 16]
    spikes = sum(rate * 2 * count for rate, count in zip((record.firing_rate or {}).values(), neurons, strict=True))
    assert record.spikes_per_sample is not None
    assert abs(spikes - record.spikes_per_sample) < 1e-3 * record.spikes_per_sample
