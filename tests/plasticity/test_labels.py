"""Labels and readouts, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from leanspike.plasticity import assign, decide, matrix

COUNTS = np.array([[4, 0, 1, 0], [2, 0, 1, 0], [0, 3, 1, 0], [0, 3, 1, 0], [0, 3, 3, 0]])
CLASSES = np.array([0, 0, 1, 1, 1])


def test_neurons_belong_to_the_class_of_their_largest_mean_response() -> None:
    labels = assign(COUNTS, CLASSES, 3)
    assert labels.responses[:, 0].tolist() == [3.0, 0.0, 1.0, 0.0]
    assert labels.responses[:, 1].tolist() == pytest.approx([0.0, 3.0, 5 / 3, 0.0])
    assert labels.owner.tolist() == [0, 1, 1, -1], "the silent neuron belongs to none, class 2 has none"


def test_readouts_are_the_matrices_of_the_page() -> None:
    labels = assign(COUNTS, CLASSES, 3)
    assert matrix(labels, "assigned").tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert matrix(labels, "mean").tolist() == [[1, 0, 0], [0, 0.5, 0], [0, 0.5, 0], [0, 0, 0]]
    assert matrix(labels, "proportion")[2].tolist() == pytest.approx([3 / 8, 5 / 8, 0])
    assert matrix(labels, "proportion")[3].tolist() == [0, 0, 0]


def test_the_largest_vote_decides_the_lowest_of_equal_ones() -> None:
    readout = matrix(assign(COUNTS, CLASSES, 3), "mean")
    assert decide(np.array([[1, 0, 0, 0], [1, 2, 1, 9], [1, 2, 0, 0]]), readout).tolist() == [0, 1, 0]
