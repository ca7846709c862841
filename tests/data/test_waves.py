"""Waves of the electrocardiogram: a class for every step, spikes without the end mark, damage told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from leanspike.core.errors import DataError
from leanspike.data import load, waves


def test_ecg_waves(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANSPIKE_DATA", str(real_data))
    found = load("ecg-qtdb")
    assert found.per_step
    assert found.x_train.shape == (618, 1301, 4, 1, 1)
    assert np.unique(found.x_train).tolist() == [0, 255]
    assert (found.x_train > 0).mean() == pytest.approx(0.0774, abs=1e-4)
    assert not found.x_train[:, -1, 0].any()
    assert int((found.y_train < 0).sum()) == 65_785
    assert np.bincount(found.y_train[found.y_train >= 0]).tolist() == [100530, 49485, 46503, 35776, 242792, 263147]
    assert found.y_test.shape == (141, 1301)


def test_a_step_without_a_class_has_no_label_and_the_end_mark_is_no_spike(tmp_path: Path) -> None:
    x = np.array([[[1, 0], [0, 1], [-1, 0]]], dtype=np.int16)
    y = np.array([[[0, 1], [0, 0], [1, 0]]], dtype=np.uint8)
    savemat(tmp_path / "a.mat", {"x": x, "y": y})
    frames, labels = waves.read(tmp_path / "a.mat", 2)
    assert labels.tolist() == [[1, -1, 0]]
    assert frames[0, :, :, 0, 0].tolist() == [[255, 0], [0, 255], [0, 0]]
    assert frames.dtype == np.uint8


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "b.mat"
    savemat(path, {"x": np.zeros((2, 3, 4)), "y": np.ones((2, 3, 6))})
    with pytest.raises(DataError, match=r"b\.mat: holds x \[2, 3, 4\] and y \[2, 3, 6\]"):
        waves.read(path, 6)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(DataError, match=r"b\.mat: is not read as MATLAB's"):
        waves.read(path, 6)
