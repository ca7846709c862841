"""Batches sliced from one array in memory, in an order and with an augmentation that are functions of (seed, epoch).

Nothing random is carried from step to step, so training can be cut off and taken up again anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor
from torch.nn.functional import pad

from leanspike.core.records import require
from leanspike.core.rng import derive
from leanspike.data import Split
from leanspike.train.config import TrainConfig


class Draw(IntEnum):
    """What a derived seed is for: independent random numbers for every purpose."""

    ORDER = 101
    AUGMENT = 102
    ENCODE_TRAINING = 103
    ENCODE_EVALUATION = 104
    LAYERS = 105
    MISMATCH = 106
    DROP = 107


@dataclass(frozen=True)
class Samples:
    """A split on the device.

    Attributes:
        x: ``[N, ...]`` uint8 or float32.
        y, numbers: ``[N]`` int64, labels and stream numbers of the rate encoder; labels of steps ``[N, T]``.
    """

    x: Tensor
    y: Tensor
    numbers: Tensor

    @staticmethod
    def of(split: Split, device: torch.device) -> Samples:
        """The split's arrays, not copied where the device is the CPU."""
        return Samples(*(torch.from_numpy(part).to(device) for part in (split.x, split.y, split.numbers)))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def labels(self) -> float:
        """Labels a sample has, on average: 1, or of steps those that are known."""
        return float((self.y >= 0).sum()) / max(1, len(self.y))

    def take(self, chosen: Tensor) -> Samples:
        """The samples with these indices."""
        return Samples(*(part.index_select(0, chosen) for part in (self.x, self.y, self.numbers)))


def scaled(x: Tensor) -> Tensor:
    """uint8 as float32 in [0, 1]; float32 as it is."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch and what is done to each sample; all tensors are in the order of the epoch."""

    order: Tensor
    shift: Tensor | None
    flip: Tensor | None
    late: Tensor | None
    drop_seed: int
    bands: Tensor | None
    config: TrainConfig

    @staticmethod
    def draw(samples: Samples, config: TrainConfig, seed: int, epoch: int) -> Epoch:
        """Draw an epoch; the same on every process and machine."""
        count, device = len(samples), samples.x.device
        draws = torch.Generator().manual_seed(derive(seed, Draw.ORDER, epoch))
        order = torch.randperm(count, generator=draws).to(device)
        images, series = samples.x.dim() in (4, 5), samples.x.dim() == 3
        told = "0: neither images nor series"
        require(images or series or not config.augment_shift, "train.augment_shift", config.augment_shift, told)
        require(series or not config.augment_bands, "train.augment_bands", config.augment_bands, "0: no series")
        require(images or not config.augment_flip, "train.augment_flip", config.augment_flip, "false: no images")
        draws = torch.Generator().manual_seed(derive(seed, Draw.AUGMENT, epoch))
        width = 2 * config.augment_shift + 1
        shift = torch.randint(width, (2, count), generator=draws).to(device) if config.augment_shift else None
        flip = (torch.rand(count, generator=draws) < 0.5).to(device) if config.augment_flip else None
        recordings = samples.x.dim() == 5
        for key, value in (("augment_drop", config.augment_drop), ("augment_time", config.augment_time)):
            require(recordings or not value, f"train.{key}", value, "0: no frames of events")
        reach = config.augment_time
        late = torch.randint(-reach, reach + 1, (count,), generator=draws).to(device) if reach else None
        width = 2 * config.augment_bands + 1
        bands = torch.randint(width, (count,), generator=draws).to(device) if config.augment_bands else None
        return Epoch(order, shift, flip, late, derive(seed, Draw.DROP, epoch), bands, config)

    def steps(self, processes: int) -> int:
        """Batches in the epoch; a last one with fewer samples than processes is left out."""
        whole, rest = divmod(len(self.order), self.config.batch_size)
        return whole + (rest >= processes)

    def size(self, step: int) -> int:
        """Samples in the batch of this step, over all processes together."""
        return min(self.config.batch_size, len(self.order) - step * self.config.batch_size)

    def pieces(self, samples: Samples, step: int, rank: int, processes: int, limit: int) -> Iterator[Samples]:
        """This process's share of a batch, cut into pieces of at most ``limit`` samples."""
        start = step * self.config.batch_size
        share = slice(start + rank, start + self.size(step), processes)
        order = torch.split(self.order[share], limit)
        shift = torch.split(self.shift[:, share], limit, dim=1) if self.shift is not None else [None] * len(order)
        flip = torch.split(self.flip[share], limit) if self.flip is not None else [None] * len(order)
        late = torch.split(self.late[share], limit) if self.late is not None else [None] * len(order)
        bands = torch.split(self.bands[share], limit) if self.bands is not None else [None] * len(order)
        kept = self._kept(samples, step, share, limit) if self.config.augment_drop else [None] * len(order)
        for piece, *draws, piece_late, piece_bands, piece_kept in zip(
            order, shift, flip, late, bands, kept, strict=True
        ):
            taken = samples.take(piece)
            if taken.x.dim() == 3:
                x = self._moved(taken.x, draws[0], piece_bands)
            else:
                x = augmented(taken.x, self.config.augment_shift, *draws)
            x = x if piece_late is None else delayed(x, piece_late)
            yield Samples(x if piece_kept is None else x * piece_kept, taken.y, taken.numbers)

    def _moved(self, x: Tensor, shift: Tensor | None, bands: Tensor | None) -> Tensor:
        """Series moved by what was drawn: ``shift[0]`` in time, ``bands`` across channels."""
        time = None if shift is None else shift[0] - self.config.augment_shift
        return shifted(x, time, None if bands is None else bands - self.config.augment_bands)

    def _kept(self, samples: Samples, step: int, share: slice, limit: int) -> Sequence[Tensor]:
        """Which spikes of a batch stay: drawn for the whole batch, so that processes and pieces see the same."""
        draws = torch.Generator().manual_seed(derive(self.drop_seed, step))
        words = torch.randint(1 << 16, (self.size(step), *samples.x.shape[1:]), generator=draws, dtype=torch.int32)
        start = step * self.config.batch_size
        mine = words[slice(share.start - start, share.stop - start, share.step)] >= self.config.augment_drop * (1 << 16)
        return torch.split(mine.to(samples.x.device, samples.x.dtype), limit)


def shifted(x: Tensor, time: Tensor | None, bands: Tensor | None) -> Tensor:
    """Series moved in time and across their channels; what lies at an end is held.

    Args:
        x: ``[B, C, L]``.
        time, bands: ``[B]`` whole values by which a sample moves to the right, and up.
    """
    for axis, moves in ((2, time), (1, bands)):
        if moves is not None:
            places = torch.arange(x.shape[axis], device=x.device) - moves[:, None]
            places = places.clamp(0, x.shape[axis] - 1)
            x = x.gather(axis, (places[:, None, :] if axis == 2 else places[:, :, None]).expand(x.shape))
    return x


def augmented(x: Tensor, border: int, shift: Tensor | None, flip: Tensor | None) -> Tensor:
    """Mirrored and shifted images, zeros moving in.

    Args:
        x: ``[B, C, H, W]``, or frames ``[B, F, C, H, W]``, all of a sample alike; anything where neither ``shift`` nor
            ``flip`` is given.
        border: zeros put around the image.
        shift: ``[2, B]`` top left corner, 0..2 border, of the window that is cut out again.
        flip: ``[B]`` bool.
    """
    if x.dim() == 5 and (flip is not None or shift is not None):
        frames: Tensor = augmented(x.flatten(1, 2), border, shift, flip).unflatten(1, x.shape[1:3])
        return frames
    if flip is not None:
        x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    if shift is not None:
        height, width = x.shape[-2:]
        windows = pad(x, (border,) * 4).unfold(2, height, 1).unfold(3, width, 1)
        x = windows[torch.arange(len(x), device=x.device), :, shift[0], shift[1]]
    return x


def delayed(x: Tensor, late: Tensor) -> Tensor:
    """Frames ``[B, F, ...]``, those of sample b moved by ``late[b]`` in time; empty frames move in."""
    frames = torch.arange(x.shape[1], device=x.device) - late[:, None]
    inside = (frames >= 0) & (frames < x.shape[1])
    moved = x[torch.arange(len(x), device=x.device)[:, None], frames.clamp(0, x.shape[1] - 1)]
    return moved * inside.reshape(*inside.shape, *[1] * (x.dim() - 2)).to(x.dtype)
