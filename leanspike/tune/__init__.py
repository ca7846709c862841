"""Tuning: training and compression searched together, judged on the integer program, from plan to page."""

from leanspike.tune.config import TuneConfig
from leanspike.tune.run import tune
from leanspike.tune.space import default_space, overridden, parse_dimension

__all__ = ["TuneConfig", "default_space", "overridden", "parse_dimension", "tune"]
