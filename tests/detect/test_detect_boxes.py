"""Overlaps, suppression, and boxes on the way from scores and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import ConfigError
from leanspike.detect.boxes import Boxes, overlap, suppressed
from leanspike.detect.decode import DecodeConfig, Head, decoded, detections, voted
from leanspike.detect.loss import Grid, LossConfig, assigned, detection_loss, overlaps
from leanspike.detect.model import BOX, ModelConfig, build

HEAD = Head(rows=4, columns=6, stride=8, anchor=20.0, classes=3)


def found(*rows: tuple[float, float, float, float, int, float]) -> Boxes:
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


def scores_of(corners: list[float], label: int, sure: float = 8.0) -> np.ndarray:
    """Scores ``[1, cells * 8]`` with which the cell at the box's centre says this box, all others nothing."""
    cells = np.zeros((HEAD.rows * HEAD.columns, BOX + HEAD.classes))
    cells[:, 4] = -20.0
    x0, y0, x1, y1 = corners
    column, row = int((x0 + x1) / 2 // HEAD.stride), int((y0 + y1) / 2 // HEAD.stride)
    at = cells[row * HEAD.columns + column]
    at[0], at[1] = (x0 + x1) / 2 / HEAD.stride - column - 0.5, (y0 + y1) / 2 / HEAD.stride - row - 0.5
    at[2], at[3] = np.log((x1 - x0) / HEAD.anchor), np.log((y1 - y0) / HEAD.anchor)
    at[4], at[BOX + label] = sure, sure
    return cells.reshape(1, -1)


def test_overlap_is_intersection_over_union() -> None:
    a = np.array([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 5.0, 9.0]])
    b = np.array([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0], [7.0, 7.0, 8.0, 8.0]])
    np.testing.assert_allclose(overlap(a, b), [[1 / 3, 1, 0], [0, 0, 0]])


def test_suppression_keeps_the_best_of_a_class_and_other_classes() -> None:
    boxes = found((0, 0, 10, 10, 0, 0.5), (1, 0, 11, 10, 0, 0.9), (0, 0, 10, 10, 1, 0.4), (20, 20, 30, 30, 0, 0.3))
    kept = suppressed(boxes, 0.5)
    assert kept.scores.tolist() == [0.9, 0.4, 0.3]
    assert kept.labels.tolist() == [0, 1, 0]


def test_a_suppressed_box_suppresses_none() -> None:
    chain = found((0, 0, 10, 10, 0, 0.9), (4, 0, 14, 10, 0, 0.8), (8, 0, 18, 10, 0, 0.7))
    assert suppressed(chain, 0.3).scores.tolist() == [0.9, 0.7]


@given(st.floats(4, 40), st.floats(4, 24), st.floats(2, 40), st.floats(2, 30), st.integers(0, 2))
def test_decoding_gives_the_box_that_the_scores_say(x: float, y: float, w: float, h: float, label: int) -> None:
    corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    (boxes,) = detections(scores_of(corners, label), 1.0, HEAD, DecodeConfig(least=0.5))
    assert boxes.labels.tolist() == [label]
    np.testing.assert_allclose(boxes.corners[0], corners, atol=1e-9)
    assert boxes.scores[0] > 0.99


def test_a_unit_scales_the_scores() -> None:
    scores = scores_of([10, 10, 30, 22], 1)
    (a,), (b,) = (detections(scores * k, 1 / k, HEAD, DecodeConfig()) for k in (1, 1024))
    assert a.equals(b)


def test_a_vote_moves_a_box_to_the_mean_of_those_that_agree() -> None:
    boxes = found((0, 0, 10, 10, 1, 0.9))
    corners = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 12.0], [4.0, 4.0, 30.0, 30.0]])
    (box,) = voted(boxes, corners, np.array([0.5, 1.0, 1.0]), 0.5).corners
    share = 10 / 12
    np.testing.assert_allclose(box, [0, 0, 10, (0.5 * 10 + share * 12) / (0.5 + share)])
    assert voted(boxes[:0], corners, np.ones(3), 0.5).corners.shape == (0, 4)


def test_at_most_so_many_boxes_and_none_below_the_least_score() -> None:
    cells = np.zeros((24, BOX + 3))
    assert len(decoded(cells, HEAD, DecodeConfig(least=0.2))) == 0
    assert len(decoded(cells, HEAD, DecodeConfig(least=0.1, limit=1.0, most=5))) == 5


def test_cells_answer_for_the_box_whose_centre_is_near() -> None:
    grid = Grid.of(4, 6, 8, 20.0)
    boxes = torch.tensor([[[12.0, 4.0, 20.0, 20.0], [0.0, 0.0, 0.0, 0.0], [44.0, 28.0, 4.0, 4.0]]])
    which = assigned(grid, boxes, 0.5)[0]
    assert which[1] == 0
    assert which[23] == 2
    assert (which >= 0).sum() == 2
    assert (assigned(grid, boxes, 1.0)[0] >= 0).sum() > 2


def test_the_loss_of_the_right_answer_is_small_and_falls_along_its_gradient() -> None:
    grid, config = Grid.of(4, 6, 8, 20.0), LossConfig(radius=0.5, smoothing=0.0)
    right = torch.from_numpy(scores_of([10, 12, 30, 24], 1, 16.0)).float().view(1, 24, 8)
    boxes, labels = torch.tensor([[[20.0, 18.0, 20.0, 12.0]]]), torch.tensor([[1]])
    assert detection_loss(right, grid, boxes, labels, config) < 1e-3
    z = torch.zeros_like(right).requires_grad_()
    before = detection_loss(z, grid, boxes, labels, config)
    before.backward()
    with torch.no_grad():
        after = detection_loss(z - 0.05 * z.grad, grid, boxes, labels, config)
    assert after < before


def test_a_batch_without_a_box_has_a_loss() -> None:
    z = torch.zeros(2, 24, 8, requires_grad=True)
    loss = detection_loss(
        z, Grid.of(4, 6, 8, 20.0), torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.int64), LossConfig()
    )
    loss.backward()
    assert z.grad is not None
    assert (z.grad[..., 4] > 0).all()


def test_ciou_is_iou_less_what_centres_and_shapes_are_off() -> None:
    a, b = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[1.0, 0.0, 2.0, 2.0]])
    iou, ciou = overlaps(a, b)
    v = 4 / np.pi**2 * (np.arctan(2) - np.arctan(1)) ** 2
    expected = 0.5 - 1 / (4**2 + 2**2) - v / (1 - 0.5 + v) * v
    np.testing.assert_allclose([iou.item(), ciou.item()], [0.5, expected], rtol=1e-5)


def test_a_new_detector_takes_every_cell_for_empty() -> None:
    network = build(ModelConfig(channels=(4, 4), deep=(), head_beta=0.5), 16, 24, 3, timesteps=3).eval()
    with torch.no_grad():
        potential = network(torch.zeros(3, 2, 2, 16, 24)).potential
    assert potential.shape == (3, 2, 8, 4, 6)
    torch.testing.assert_close(potential[-1, :, 4], torch.full((2, 4, 6), -3.0))


def test_a_field_that_the_grid_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a field of 20 x 16 does not fit the grid; sides in whole cells of 8"):
        build(ModelConfig(), 16, 20, 3, 4)
