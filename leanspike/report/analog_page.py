"""One self-contained page of the analogue side: waveforms of circuits, or accuracy against mismatch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from leanspike import __version__
from leanspike.core.files import write_text
from leanspike.report.plots import Plot


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; the first of a row names it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """What a page tells.

    Attributes:
        kicker, title, summary, finding: its head; ``warning`` stands out, where there is one.
        facts: name, value, note.
        heading, reading: of the figures, and how to read them.
        method: paragraphs; ``command``: what makes it again.
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
    warning: str = field(default="")


def write_page(path: Path, page: Page) -> Path:
    """Write a page atomically.

    Raises:
        OutputError: it cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leanspike.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template("analog.html").render(version=__version__, **vars(page)))
    return path
