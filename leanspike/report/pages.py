"""Which page a folder's results get: that of a comparison, or of a study or a tune."""

from __future__ import annotations

from pathlib import Path

from leanspike.measure.records import load
from leanspike.report import comparison, html


def build(folder: Path) -> Path:
    """Read ``folder/results.json`` and write ``folder/report.html`` atomically.

    Raises:
        StudyError: the results are missing, damaged or foreign.
        OutputError: the page cannot be written.
    """
    study = load(folder)
    if study.configuration.get("kind") == "comparison":
        return comparison.write(folder / html.FILE, study)
    return html.build(folder)
