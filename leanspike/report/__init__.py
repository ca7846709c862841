"""The report: tables, plots and one self-contained page from a study's results."""

from leanspike.report.pages import build

__all__ = ["build"]
