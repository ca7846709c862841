"""Studies: a grid or a search over configurations, on any number of processes and machines, from plan to page."""

from leanspike.study.config import Axis, Range, StudyConfig, parse_axis, parse_range
from leanspike.study.run import run

__all__ = ["Axis", "Range", "StudyConfig", "parse_axis", "parse_range", "run"]
