"""Targets: from one program to artefacts that agree with it spike for spike."""

from leanspike.targets.base import NAMES, Artefact, Grade, Target, emit, run, target

__all__ = ["NAMES", "Artefact", "Grade", "Target", "emit", "run", "target"]
