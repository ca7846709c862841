"""What a set of recordings is, before it is brought into frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from leanspike.data.events.record import Events

Part = str
"""``train`` or ``test``."""
Recording = tuple[Part, int, Events]
"""The part it belongs to, its class, its events."""


@dataclass(frozen=True, eq=False)
class Source:
    """Recordings, one after the other, always in the same order; a few are in memory at a time.

    Attributes:
        name: of the set.
        classes: names by label.
        size: width and height of the sensor, to which recordings are cut or widened; None: what holds all of them.
        key: what the recordings depend on: checksums of files, settings; JSON.
        read: starts again from the first recording.
        count: how many there are, where that is known before.
        start: of the first frame by time, in ticks; None: a recording's first event.
        licence, source: as of :class:`leanspike.data.base.Dataset`.
    """

    name: str
    classes: tuple[str, ...]
    size: tuple[int, int] | None
    key: dict[str, Any]
    read: Callable[[], Iterator[Recording]]
    licence: str
    source: str
    count: int | None = None
    start: int | None = None


def shown(source: Source, doing: str) -> Iterator[Recording]:
    """The recordings, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    told, hidden = f"{doing} {source.name}", not console.is_terminal
    yield from track(source.read(), told, total=source.count, console=console, transient=True, disable=hidden)
