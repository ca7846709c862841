"""One self-contained page: a finding, its facts, figures and tables, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from leanspike import __version__
from leanspike.core.files import write_text
from leanspike.report.html import render
from leanspike.report.plots import Plot


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; the first of a row names it, and columns of ``words`` are set as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """What a page tells.

    Attributes:
        kicker, title, summary, finding: its head; ``warning`` stands out, where there is one.
        facts: name, value, note.
        heading, reading: of the figures, and how to read them.
        method: paragraphs. command: what makes it again. configuration: what it was made with.
    """

    kicker: str
    title: str
    summary: str
    finding: str
    facts: Sequence[tuple[str, str, str]]
    heading: str
    reading: str
    plots: Sequence[Plot]
    tables: Sequence[Table]
    method: Sequence[str]
    command: str
    configuration: Mapping[str, Any]
    warning: str = ""


def write_page(path: Path, page: Page) -> Path:
    """Write a page atomically.

    Raises:
        OutputError: it cannot be written.
    """
    study = SimpleNamespace(leanspike=__version__, created=None, command=page.command, config_hash=None)
    content = {**vars(page), "configuration": json.dumps(page.configuration, indent=2, ensure_ascii=False)}
    write_text(path, render("single.html", study=study, versions=[("leanspike", __version__)], **content))
    return path
