"""COCO's measures on cases whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from leanspike.core.errors import DataError
from leanspike.detect.boxes import Boxes
from leanspike.detect.coco import measured

pytestmark = pytest.mark.usefixtures("coco")


TRUE = [Boxes.true([[10, 10, 30, 30], [40, 10, 60, 40]], [0, 1]), Boxes.true([[5, 5, 25, 25]], [0])]


def scored(boxes: Boxes, score: float = 0.9, shift: float = 0.0) -> Boxes:
    return Boxes(boxes.corners + np.array([shift, 0, shift, 0]), boxes.labels, np.full(len(boxes), score))


def test_the_true_boxes_themselves_are_perfect() -> None:
    quality = measured([scored(boxes) for boxes in TRUE], TRUE, 3)
    np.testing.assert_allclose([quality.map, quality.ap50, quality.ap75], 1.0, rtol=1e-12)
    assert quality.by_class() == [pytest.approx(1.0), pytest.approx(1.0), None]
    np.testing.assert_allclose(quality.curve(0.5), np.ones(101))


def test_a_shifted_box_counts_below_its_iou_alone() -> None:
    shifted = [scored(boxes, shift=4) for boxes in TRUE]
    quality = measured(shifted, TRUE, 2)
    assert quality.by_class(0.65) == pytest.approx([1.0, 1.0])
    assert quality.by_class(0.7) == [0.0, 0.0]
    assert quality.ap50 == pytest.approx(1.0)
    assert quality.map == pytest.approx(0.4)


def test_a_missed_box_costs_the_recalls_beyond_it() -> None:
    quality = measured([scored(TRUE[0]), scored(TRUE[1])[:0]], TRUE, 2)
    assert quality.by_class(0.5) == pytest.approx([51 / 101, 1.0])


def test_a_better_scored_mistake_halves_the_precision() -> None:
    wrong = Boxes(np.array([[40.0, 40.0, 60.0, 60.0]]), np.array([0]), np.array([0.99]))
    right = scored(TRUE[1])
    both = Boxes(
        np.concatenate([right.corners, wrong.corners]),
        np.concatenate([right.labels, wrong.labels]),
        np.concatenate([right.scores, wrong.scores]),
    )
    quality = measured([both], TRUE[1:], 1)
    assert quality.ap50 == pytest.approx(0.5)


def test_no_detection_is_no_precision_and_no_crash() -> None:
    nothing = Boxes.true(np.zeros((0, 4)), [])
    assert measured([nothing, nothing], TRUE, 2).map == 0.0


def test_no_true_box_is_an_error() -> None:
    with pytest.raises(DataError, match="holds no true box"):
        measured([scored(TRUE[0])], [Boxes.true(np.zeros((0, 4)), [])], 2)
