"""Shared by all tests: where the real data lie, and one thread budget."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if "LEANSPIKE_DATA" not in os.environ and SHARED.is_dir():
    os.environ["LEANSPIKE_DATA"] = str(SHARED)


@pytest.fixture
def real_data() -> Path:
    """The folder with the real data sets; the test is skipped by name where there is none."""
    folder = os.environ.get("LEANSPIKE_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("needs LEANSPIKE_DATA with mnist/ (see docs/how-to/data.md)")
    return Path(folder)
