"""The engine against the reference on random programs, in every step."""

from __future__ import annotations

from leanspike.targets.conformance import Conformance


class TestEngine(Conformance):
    target = "engine"
