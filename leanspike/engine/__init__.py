"""The engine: a program run event by event in integers of portable C, equal to :mod:`leanspike.ir.reference`."""

from leanspike.engine.run import Counts, Engine, run, run_counted
from leanspike.engine.session import Decision, Session
from leanspike.engine.session_record import EVENT
from leanspike.engine.stream_rules import Grid, Windows

__all__ = ["EVENT", "Counts", "Decision", "Engine", "Grid", "Session", "Windows", "run", "run_counted"]
