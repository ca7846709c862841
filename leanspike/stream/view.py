"""A stream as it runs, in a terminal: what fires, what the scores are, how fast, how late, what was dropped.

A column of the raster is a step (of more than 100 a second: some of them), a row a group of neighbouring inputs or
neurons, the darker the more of them fired. Plain text of at most 80 columns and 24 rows with a few control sequences.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from leanspike.engine import Session
from leanspike.stream.run import Progress
from leanspike.stream.tally import Latencies

SHADES = " .:-=+*#%@"
MOST_WIDTH, INPUT_ROWS, LAYER_ROWS, MOST_CLASSES = 80, 3, 6, 10
_LABEL, _REDRAW_SECONDS, _COLUMN_SECONDS = 8, 0.1, 0.01
_HOME, _OPEN, _CLOSE, _TO_END = "\x1b[H", "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[?25h\x1b[?1049l", "\x1b[K"
_RED, _BOLD, _PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[0m"


class View:
    """Draws on a terminal from :attr:`leanspike.stream.run.Told.watch`; :meth:`close` leaves the last picture behind.

    Args:
        title: NAME: WHAT, for the first two lines.
    """

    def __init__(self, session: Session, out: TextIO, title: str, names: tuple[str, ...] = ()) -> None:
        self._session, self._out, self._title, self._names = session, out, title, names
        self._width = min(shutil.get_terminal_size().columns, MOST_WIDTH)
        layers = session.program.spiking[:2]
        self._rows = {"input": INPUT_ROWS} | {op.result.name: LAYER_ROWS // len(layers) for op in layers}
        self._columns = deque[dict[str, str]](maxlen=max(1, self._width - _LABEL))
        self._sampled = self._drawn = 0.0
        self._before = (time.perf_counter(), 0, 0, 0)
        self._rates = (0.0, 0.0, 0.0)
        self._lines: list[str] = []
        self._progress: Progress | None = None
        out.write(_OPEN)

    def watch(self, progress: Progress, stepped: bool) -> None:
        """Look at a step, and draw where the last picture is old enough."""
        self._progress, now = progress, time.perf_counter()
        if stepped and now - self._sampled >= _COLUMN_SECONDS:
            self._sampled = now
            self._sample()
        if now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            self._draw(progress)

    def close(self) -> None:
        """Give the terminal back, with a last picture on it."""
        if self._progress is not None:
            self._draw(self._progress)
        self._out.write(_CLOSE + "\n".join(self._lines) + "\n")
        self._out.flush()

    def _sample(self) -> None:
        seen = self._session.look()
        shown = {"input": seen.input, **seen.spikes}
        self._columns.append({name: shades(shown[name], rows) for name, rows in self._rows.items()})

    def _draw(self, progress: Progress) -> None:
        self._measure(progress)
        name, _, rest = self._title.partition(": ")
        lines = [_BOLD + name[: self._width] + _PLAIN, rest[: self._width], ""]
        for name, rows in self._rows.items():
            for row in range(rows):
                label = f"{name[: _LABEL - 2] if not row else '':<{_LABEL}}"
                lines.append(label + "".join(column[name][row] for column in self._columns))
            lines.append("")
        lines += [*self._scores(progress), "", *self._figures(progress)]
        self._lines = lines
        self._out.write(_HOME + "".join(f"{line}{_TO_END}\n" for line in lines) + "\x1b[J")
        self._out.flush()

    def _measure(self, progress: Progress) -> None:
        now, events = time.perf_counter(), self._session.counts["taken"]
        then, *before = self._before
        if now - then >= 0.5:
            found = (events, self._session.steps, progress.decisions)
            self._rates = tuple((new - old) / (now - then) for new, old in zip(found, before, strict=True))  # type: ignore[assignment]
            self._before = (now, *found)

    def _scores(self, progress: Progress) -> list[str]:
        answer = progress.latest
        if answer is None:
            return ["no decision yet"]
        scores, half = np.array(answer["scores"]), self._width // 2
        order = np.sort(np.argsort(-scores, kind="stable")[:MOST_CLASSES])
        span, least = max(int(scores.max() - scores.min()), 1), int(scores.min())
        cells = []
        for k in order.tolist():
            name = (self._names[k] if k < len(self._names) else str(k))[:10]
            bar = "#" * round((half - 26) * (int(scores[k]) - least) / span)
            cell = f"{name:<11}{scores[k]:>11} {bar}"[: half - 1]
            cells.append((_BOLD if k == answer["class"] else "") + f"{cell:<{half}}" + _PLAIN)
        rows = -(-len(cells) // 2)
        return [cells[i] + (cells[i + rows] if i + rows < len(cells) else "") for i in range(rows)]

    def _figures(self, progress: Progress) -> list[str]:
        latest, (events, steps, decisions) = progress.latest, self._rates
        told = "" if latest is None else f"{latest['name'] or latest['class']} after {latest['steps']} steps"
        dropped = ", ".join(f"{kind} {count:,}" for kind, count in progress.tally.nonzero().items())
        lines = [
            f"decision {progress.decisions:,}: {told}   early {progress.early:,}",
            f"rate     {events:,.0f} events/s   {steps:,.0f} steps/s   {decisions:,.1f} decisions/s",
            f"latency  {latency(progress.latencies)}",
            f"dropped  {dropped or 'nothing'}",
        ]
        lines = [line[: self._width] for line in lines]
        return [*lines[:-1], _RED + lines[-1] + _PLAIN] if dropped else lines


def latency(found: Latencies) -> str:
    """p50, p99 and the highest, for people."""
    told: dict[str, Any] = found.told()
    return "   ".join(f"{name} {'-' if value is None else f'{value:,.0f} us'}" for name, value in told.items())


def shades(fired: npt.NDArray[np.int64], rows: int) -> str:
    """A character for each of ``rows`` groups of neighbours, by the share of them that is not 0."""
    groups = np.array_split((fired != 0).reshape(-1), rows)
    shares = [float(group.mean()) if len(group) else 0.0 for group in groups]
    return "".join(SHADES[min(len(SHADES) - 1, int(np.ceil((len(SHADES) - 1) * share**0.5)))] for share in shares)
