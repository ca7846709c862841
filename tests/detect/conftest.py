"""What tests of detections need beside the package."""

from __future__ import annotations

import importlib.util
import os

import pytest


@pytest.fixture(scope="session")
def coco() -> None:
    """The test is skipped by name where pycocotools is not installed; on CI it fails."""
    if importlib.util.find_spec("pycocotools") is None:
        message = "needs pycocotools (pip install 'leanspike[detect]')"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
