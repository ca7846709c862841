"""The engine: a program run event by event in integers of portable C, equal to :mod:`leanspike.ir.reference`."""

from leanspike.engine.run import Counts, Engine, run, run_counted

__all__ = ["Counts", "Engine", "run", "run_counted"]
