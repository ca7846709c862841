"""Pictures of a plastic network show what the arrays say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from leanspike.report import plastic


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_receptive_fields_stand_in_their_frames_dark_where_strong() -> None:
    weights = np.zeros((4, 3))
    weights[1, 0], weights[2, 1] = 1.0, 0.5
    sheet = pixels(plastic.receptive_fields(weights, np.array([2, -1, 0]), (1, 2, 2)))
    scale = sheet.shape[0] // 20
    one = sheet[::scale, ::scale]
    assert one.shape == (20, 20, 3), "two rows of two fields, 2 + 2 x 4 pixels each"
    assert one[4:6, 4:6, 0].tolist() == [[255, 0], [255, 255]]
    assert one[4:6, 14:16, 0].tolist() == [[255, 255], [0, 255]], "scaled by the neuron's own largest weight"
    assert tuple(one[2, 5]) == plastic.colour(2)
    assert tuple(one[2, 15]) == plastic.colour(-1)
    assert tuple(one[0, 0]) == (255, 255, 255)


def test_channels_are_averaged_and_vectors_are_rows() -> None:
    weights = np.arange(12, dtype=float).reshape(12, 1)
    image = pixels(plastic.receptive_fields(weights, np.array([0]), (3, 2, 2)))
    assert image.shape[0] == image.shape[1]
    row = pixels(plastic.receptive_fields(weights, np.array([0]), (12,)))
    assert row.shape[1] / row.shape[0] == pytest.approx(20 / 9)


def test_the_label_map_is_paler_for_a_neuron_of_several_classes() -> None:
    responses = np.array([[4.0, 0.0], [2.0, 1.9], [0.0, 0.0], [0.0, 1.0]])
    image = pixels(plastic.label_map(responses, np.array([0, 0, -1, 1]), ("zero", "one")))
    height, width = image.shape[0] // 2, image.shape[1] // 2
    corner = (3, 3)
    sure, torn = image[corner], image[3, width + 3]
    assert tuple(sure) == plastic.colour(0)
    assert torn.astype(int).sum() > sure.astype(int).sum()
    assert tuple(image[height + 3, width + 3]) == plastic.colour(1)


def test_colours_of_twenty_classes_differ() -> None:
    assert len({plastic.colour(k) for k in range(10)}) == 10
    assert len({plastic.colour(k) for k in range(-1, 20)}) >= 20


def test_progress_tells_the_last_window_and_survives_a_single_one() -> None:
    first = {"samples": 100, "accuracy": None, "spikes": 5.0, "theta": 1.0}
    second = {"samples": 200, "accuracy": 0.5, "spikes": 6.0, "theta": 2.0}
    assert "50.0 % in the last window" in plastic.progress([first, second]).svg
    assert "one window only" in plastic.progress([first]).svg


def test_the_confusion_map_grows_with_the_classes() -> None:
    small = pixels(plastic.confusion_map(np.eye(2, dtype=np.int64), ("a", "b")))
    large = pixels(plastic.confusion_map(np.eye(9, dtype=np.int64), tuple("abcdefghi")))
    assert large.shape[0] > 2 * small.shape[0]
