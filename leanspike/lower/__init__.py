"""From a trained network of floats to a program of integers."""

from leanspike.lower.config import LowerConfig
from leanspike.lower.lower import Lowered, lower
from leanspike.lower.source import Encoded

__all__ = ["Encoded", "LowerConfig", "Lowered", "lower"]
