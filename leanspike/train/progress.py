"""What a person sees while a network trains: a bar in a terminal, one line an epoch in a log; on stderr."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


@dataclass(frozen=True)
class EpochRecord:
    """One line of a run's history.

    Attributes:
        epoch: counted from 1.
        loss, accuracy: means over the training split, while the weights changed.
        validation_loss, validation_accuracy: after the epoch; None without a validation split.
        rates: mean firing rate of each spiking layer on the validation split, spikes a neuron and step.
        learning_rate: of the epoch's last step.
        seconds: time the epoch took; a resumed epoch counts what is left of it.
        samples_per_second: of training, over all processes.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    rates: tuple[float, ...]
    learning_rate: float
    seconds: float
    samples_per_second: float

    def line(self, epochs: int) -> str:
        """The record for a person to read."""
        parts = [f"epoch {self.epoch}/{epochs}", f"loss {self.loss:.4f}", f"accuracy {self.accuracy:.2%}"]
        if self.validation_accuracy is not None:
            parts.append(f"validation {self.validation_accuracy:.2%}")
        if self.rates:
            parts.append(f"rate {sum(self.rates) / len(self.rates):.3f}")
        return "  ".join([*parts, f"{self.samples_per_second:,.0f} samples/s"])


class Progress:
    """Silent progress, and the interface of the others; a context manager around the whole of training."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the terminal back in order."""

    def begin(self, epoch: int, epochs: int, steps: int, done: int) -> None:
        """Epoch ``epoch`` (from 1) of ``steps`` steps starts, ``done`` of them taken before."""

    def step(self) -> None:
        """One more step is done; called in the hot path."""

    def epoch(self, record: EpochRecord, epochs: int) -> None:
        """An epoch is over."""

    def say(self, text: str) -> None:
        """Something a person must know."""


class Lines(Progress):
    """One line an epoch on stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    def epoch(self, record: EpochRecord, epochs: int) -> None:
        """Print the record."""
        self.console.print(record.line(epochs))

    def say(self, text: str) -> None:
        """Print the text as one line."""
        self.console.print(text, markup=False)


class Bar(Lines):
    """The same lines above a bar over all epochs, redrawn at most ten times a second."""

    def __enter__(self) -> Bar:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Bars(*columns, console=self.console, transient=True, auto_refresh=False)
        self.task, self.done, self.drawn = self.bars.add_task("training", total=None), 0, 0.0
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self.bars.stop()

    def begin(self, epoch: int, epochs: int, steps: int, done: int) -> None:
        """Set the bar to where this epoch starts."""
        self.done = (epoch - 1) * steps + done
        self.bars.update(self.task, total=epochs * steps, completed=self.done)

    def step(self) -> None:
        """Move the bar if it was drawn more than a tenth of a second ago."""
        self.done += 1
        now = time.monotonic()
        if now - self.drawn > 0.1:
            self.drawn = now
            self.bars.update(self.task, completed=self.done, refresh=True)


def for_terminal() -> Progress:
    """A bar where stderr is a terminal, else a line an epoch."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    return Bar(console) if console.is_terminal else Lines(console)
