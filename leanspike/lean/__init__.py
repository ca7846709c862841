"""Lean: a budget in, the smallest program that meets it out, with the road taken."""

from leanspike.lean.budget import Budget
from leanspike.lean.run import LeanConfig, lean

__all__ = ["Budget", "LeanConfig", "lean"]
