"""Data sets in memory: known ones by name, a user's own by path, split honestly."""

from leanspike.data.base import Dataset, Split, TrainingData, as_unit, split, whole_samples
from leanspike.data.loading import load
from leanspike.data.own.arrays import from_arrays

__all__ = ["Dataset", "Split", "TrainingData", "as_unit", "from_arrays", "load", "split", "whole_samples"]
