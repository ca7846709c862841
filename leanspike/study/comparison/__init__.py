"""Comparisons: networks of one size, tuned alike, over several sets of series; spiking ones beside their rivals."""

from leanspike.study.comparison.config import MODELS, ComparisonConfig
from leanspike.study.comparison.run import run

__all__ = ["MODELS", "ComparisonConfig", "run"]
