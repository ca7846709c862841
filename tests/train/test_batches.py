from __future__ import annotations

import pytest
import torch

from leanspike.core.errors import ConfigError
from leanspike.train import TrainConfig
from leanspike.train.batches import Epoch, Samples, augmented, delayed, scaled


def samples(count: int = 23) -> Samples:
    x = torch.arange(count * 25, dtype=torch.int32).remainder(256).to(torch.uint8).view(count, 1, 5, 5)
    return Samples(x, torch.arange(count) % 3, torch.arange(count) + 100)


def test_an_epoch_takes_every_sample_once_in_a_new_seeded_order() -> None:
    config, held = TrainConfig(batch_size=5), samples()
    first, again, second = (Epoch.draw(held, config, 0, epoch) for epoch in (0, 0, 1))
    assert torch.equal(first.order, again.order)
    assert not torch.equal(first.order, second.order)
    assert first.steps(1) == 5
    taken = [p for step in range(5) for p in first.pieces(held, step, 0, 1, 100)]
    numbers = torch.cat([piece.numbers for piece in taken])
    assert sorted(numbers.tolist()) == held.numbers.tolist()
    whole = torch.cat([piece.x for piece in taken])
    assert torch.equal(whole, held.x[numbers - 100])


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_and_pieces_share_each_batch(processes: int) -> None:
    config, held = TrainConfig(batch_size=8, augment_shift=2, augment_flip=True), samples()
    epoch = Epoch.draw(held, config, 3, 4)
    for step in range(epoch.steps(processes)):
        (joined,) = epoch.pieces(held, step, 0, 1, 100)
        parts = [list(epoch.pieces(held, step, rank, processes, 2)) for rank in range(processes)]
        assert all(len(piece) <= 2 for rank in parts for piece in rank)
        shares = [torch.cat([piece.numbers for piece in rank]) for rank in parts]
        assert sorted(torch.cat(shares).tolist()) == sorted(joined.numbers.tolist())
        images = {int(n): x for piece in [joined] for n, x in zip(piece.numbers, piece.x, strict=True)}
        for rank in parts:
            for piece in rank:
                for number, image in zip(piece.numbers, piece.x, strict=True):
                    assert torch.equal(images[int(number)], image)


def test_a_last_batch_smaller_than_the_processes_is_left_out() -> None:
    epoch = Epoch.draw(samples(17), TrainConfig(batch_size=8), 0, 0)
    assert (epoch.steps(1), epoch.steps(2)) == (3, 2)


def test_shift_moves_each_image_and_fills_with_zeros() -> None:
    x = samples(3).x + 1
    corners = torch.tensor([[0, 2, 1], [1, 2, 0]])  # a border of 1: 1 is the middle
    moved = augmented(x, 1, corners, None)
    expected = torch.zeros_like(x)
    expected[0, :, 1:, :] = x[0, :, :-1, :]
    expected[1, :, :-1, :-1] = x[1, :, 1:, 1:]
    expected[2, :, :, 1:] = x[2, :, :, :-1]
    assert torch.equal(moved, expected)


def test_flip_mirrors_the_chosen_images() -> None:
    x = samples(2).x
    mirrored = augmented(x, 0, None, torch.tensor([True, False]))
    assert torch.equal(mirrored[0], x[0].flip(-1))
    assert torch.equal(mirrored[1], x[1])


def test_only_images_can_be_augmented() -> None:
    vectors = Samples(torch.zeros(4, 6), torch.zeros(4, dtype=torch.int64), torch.arange(4))
    with pytest.raises(ConfigError, match=r"train\.augment_flip"):
        Epoch.draw(vectors, TrainConfig(augment_flip=True), 0, 0)


def test_scaling_divides_bytes_and_leaves_floats() -> None:
    assert torch.equal(scaled(torch.tensor([0, 51, 255], dtype=torch.uint8)), torch.tensor([0.0, 51 / 255, 1.0]))
    floats = torch.rand(3)
    assert scaled(floats) is floats


def recordings(count: int = 23) -> Samples:
    x = (torch.rand(count, 6, 2, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.5).to(torch.uint8) * 255
    return Samples(x, torch.arange(count) % 3, torch.arange(count) + 100)


def test_frames_move_in_time_and_empty_ones_move_in() -> None:
    x = recordings(3).x
    moved = delayed(x, torch.tensor([2, -1, 0]))
    assert torch.equal(moved[0, 2:], x[0, :-2])
    assert not moved[0, :2].any()
    assert torch.equal(moved[1, :-1], x[1, 1:])
    assert not moved[1, -1].any()
    assert torch.equal(moved[2], x[2])


def test_dropped_spikes_are_as_many_as_told_and_the_same_for_every_process() -> None:
    config, held = TrainConfig(batch_size=8, augment_drop=0.25, augment_time=2), recordings()
    epoch = Epoch.draw(held, config, 3, 4)
    (joined,) = epoch.pieces(held, 1, 0, 1, 100)
    images = {int(n): x for n, x in zip(joined.numbers, joined.x, strict=True)}
    for rank in range(3):
        for piece in epoch.pieces(held, 1, rank, 3, 2):
            for number, image in zip(piece.numbers, piece.x, strict=True):
                assert torch.equal(images[int(number)], image)
    late = epoch.late[8:16]
    whole = delayed(held.take(epoch.order[8:16]).x, late)
    assert not (joined.x > whole).any()
    assert 0.15 < 1 - joined.x.count_nonzero() / whole.count_nonzero() < 0.35
    other = Epoch.draw(held, config, 3, 5)
    assert not torch.equal(other.late, epoch.late)


def test_only_frames_of_events_lose_spikes_or_come_late() -> None:
    for key, value in (("augment_drop", 0.1), ("augment_time", 1)):
        with pytest.raises(ConfigError, match=f"train.{key}"):
            Epoch.draw(samples(), TrainConfig(**{key: value}), 0, 0)
