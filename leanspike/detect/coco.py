"""COCO's measures of detections, by pycocotools: mAP over IoU 0.50:0.95 and AP50, never one without the other's name.

    AP at an IoU    mean over 101 recalls of the highest precision at that recall or more, for a class
    mAP             mean of that over the IoUs 0.50, 0.55, ..., 0.95 and over the classes
    AP50, AP75      mean over the classes at IoU 0.50, 0.75

T.-Y. Lin et al., arXiv:1405.0312. A class of which there is no true box is in no mean.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError, MissingTool
from leanspike.detect.boxes import Boxes

IOUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
RECALLS = 101
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Quality:
    """How good detections are.

    Attributes:
        precision: ``[10, 101, K]`` by IoU, recall and class; NaN of a class without a true box.
    """

    precision: Floats

    @property
    def map(self) -> float:
        """mAP over IoU 0.50:0.95."""
        return float(np.nanmean(self.precision))

    @property
    def ap50(self) -> float:
        """AP at IoU 0.50."""
        return float(np.nanmean(self.precision[0]))

    @property
    def ap75(self) -> float:
        """AP at IoU 0.75."""
        return float(np.nanmean(self.precision[5]))

    def by_class(self, iou: float | None = None) -> list[float | None]:
        """AP of each class, over all IoUs or at one; None of a class without a true box."""
        chosen = self.precision if iou is None else self.precision[IOUS.index(iou)][None]
        return [None if np.isnan(found).any() else float(found.mean()) for found in np.moveaxis(chosen, -1, 0)]

    def curve(self, iou: float) -> Floats:
        """Precision ``[101]`` at recalls 0, 0.01, ..., 1, mean over the classes."""
        found: Floats = np.nanmean(self.precision[IOUS.index(iou)], axis=-1)
        return found


def measured(found: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> Quality:
    """Hold the detections of every scene against its true boxes.

    Raises:
        MissingTool: pycocotools is not installed. DataError: no true box at all.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingTool("COCO's measures need pycocotools", remedy="pip install 'leanspike[detect]'") from error
    if not sum(map(len, true)):
        raise DataError("holds no true box to measure detections by", where="scenes")
    with contextlib.redirect_stdout(io.StringIO()):
        truth, answers = COCO(), COCO()
        truth.dataset = _dataset(true, classes, scored=False)
        answers.dataset = _dataset(found, classes, scored=True)
        truth.createIndex()
        answers.createIndex()
        evaluation = COCOeval(truth, answers, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"], dtype=np.float64)[:, :, :, 0, -1]
    return Quality(np.where(precision < 0, np.nan, precision))


def _dataset(scenes: Sequence[Boxes], classes: int, *, scored: bool) -> dict[str, Any]:
    """Boxes as COCO's records; places count from 1."""
    annotations: list[dict[str, Any]] = []
    for image, boxes in enumerate(scenes, 1):
        columns = (boxes.corners.tolist(), boxes.labels.tolist(), boxes.scores.tolist())
        for corners, label, score in zip(*columns, strict=True):
            width, height = corners[2] - corners[0], corners[3] - corners[1]
            row = {"id": len(annotations) + 1, "image_id": image, "category_id": label, "iscrowd": 0}
            row |= {"bbox": [corners[0], corners[1], width, height], "area": width * height}
            annotations.append(row | {"score": score} if scored else row)
    images = [{"id": image} for image in range(1, len(scenes) + 1)]
    return {"images": images, "annotations": annotations, "categories": [{"id": k} for k in range(classes)]}
