"""A run's curves and histograms for TensorBoard, written once an epoch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import nn

from leanspike.core.errors import MissingTool
from leanspike.core.files import make_folder
from leanspike.core.rng import derive
from leanspike.data import Split
from leanspike.encode import encode
from leanspike.nn import Network
from leanspike.train.batches import Draw, Samples, scaled
from leanspike.train.config import RunConfig
from leanspike.train.progress import EpochRecord

TRACED = 64


class Board:
    """Event files in ``folder``; what a killed run wrote after ``epochs_done`` is purged.

    Raises:
        MissingTool: the package tensorboard is not installed.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, epochs_done: int) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            what = "the package tensorboard is not installed"
            raise MissingTool(what, where="--tensorboard", remedy="pip install 'leanspike[tensorboard]'")
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(make_folder(folder)), purge_step=epochs_done + 1)

    def epoch(self, record: EpochRecord, network: nn.Module, samples: Split, config: RunConfig) -> None:
        """Log an epoch: scalars, histograms of the weights and of the potentials on a few validation samples."""
        scalars: dict[str, float | None] = {
            "loss/training": record.loss,
            "loss/validation": record.validation_loss,
            "accuracy/training": record.accuracy,
            "accuracy/validation": record.validation_accuracy,
            "learning_rate": record.learning_rate,
            **{f"rate/layer{i}": rate for i, rate in enumerate(record.rates)},
        }
        for name, value in scalars.items():
            if value is not None:
                self.writer.add_scalar(name, value, record.epoch)
        for name, weight in network.named_parameters():
            self.writer.add_histogram(f"weight/{name}", weight.detach(), record.epoch)
        if isinstance(network, Network):
            self._potentials(record.epoch, network, samples, config)
        self.writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        self.writer.close()

    @torch.no_grad()
    def _potentials(self, epoch: int, network: Network, samples: Split, config: RunConfig) -> None:
        few = Split(samples.x[:TRACED], samples.y[:TRACED], samples.numbers[:TRACED])
        taken = Samples.of(few, next(network.parameters()).device)
        seed, training = derive(config.seed, Draw.ENCODE_EVALUATION), network.training
        network.eval()
        traced = network.trace(encode(scaled(taken.x), taken.numbers, config.encoder, config.timesteps, seed))
        network.train(training)
        for i, (_, potential) in enumerate(traced):
            self.writer.add_histogram(f"potential/layer{i}", potential, epoch)
