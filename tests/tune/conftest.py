"""The PostgreSQL server of the studies' tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[1] / "study" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("study_conftest", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
postgresql = _MODULE.postgresql
