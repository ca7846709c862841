"""Which kernels serve: CI must have them, and a level that does not run here is a user's mistake, not a traceback."""

from __future__ import annotations

import os

import pytest

from leanspike.core.errors import ConfigError
from leanspike.nn.kernels import library


def test_ci_has_the_kernels() -> None:
    if library.load() is None and not os.environ.get("CI"):
        pytest.skip("the C kernels were not built (no C compiler)")
    assert library.load() is not None


@pytest.mark.skipif(library.load() is None, reason="the C kernels were not built (no C compiler)")
def test_a_level_that_no_processor_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANSPIKE_KERNELS", "sse9")
    with pytest.raises(ConfigError, match="LEANSPIKE_KERNELS=sse9: this processor runs plain"):
        library.load.__wrapped__()
