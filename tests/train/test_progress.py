from __future__ import annotations

import io

from rich.console import Console

from leanspike import train
from leanspike.core.records import with_settings
from leanspike.data import TrainingData
from leanspike.train import Bar, Lines, RunConfig, for_terminal


def told(kind: type[Lines], config: RunConfig, training: TrainingData) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=kind is Bar, width=120, highlight=False)
    train.fit(config, training, progress=kind(console))
    return stream.getvalue()


def test_a_log_gets_one_line_an_epoch(config: RunConfig, training: TrainingData) -> None:
    lines = told(Lines, config, training).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all(word in lines[0] for word in ("loss", "validation", "rate", "samples/s"))


def test_a_terminal_gets_a_bar_as_well(config: RunConfig, training: TrainingData) -> None:
    steps = 3 * -(-(len(training.y) * 9 // 10) // 128)
    text = told(Bar, config, training)
    assert "epoch 3/3" in text
    assert f"/{steps}" in text


def test_training_says_nothing_unless_asked(config: RunConfig, training: TrainingData, capfd: object) -> None:
    train.fit(with_settings(config, ["train.epochs=1"]), training)
    found = capfd.readouterr()
    assert (found.out, found.err) == ("", "")


def test_stderr_that_is_no_terminal_gets_lines() -> None:
    assert type(for_terminal()) is Lines
