"""Which source an input of ``leanspike run`` is: a recording, an array, a byte stream of some kind, or a UDP port."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.core.errors import ConfigError, DataError
from leanspike.core.records import require

if TYPE_CHECKING:
    from leanspike.engine import Session
    from leanspike.stream.sources import Lines, Source
    from leanspike.stream.tally import Tally


def say(line: str) -> None:
    """A line for people, on standard error."""
    print(f"leanspike: {line}", file=sys.stderr, flush=True)


def holds_events(path: Path) -> bool:
    """Whether a file is a recording of events, or packets."""
    import numpy as np

    from leanspike.data.events import SUFFIXES
    from leanspike.stream.sources import is_packets

    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        try:
            found: Any = np.load(path, allow_pickle=False, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return False
        names = found.files if suffix == ".npz" else (found.dtype.names or ())
        return {"t", "x", "y"} <= set(names)
    return suffix in SUFFIXES or is_packets(path)


def source(args: argparse.Namespace, session: Session, tally: Tally, until: contextlib.ExitStack) -> Source:
    """The source of a stream; what it opens is closed with ``until``.

    Raises:
        ConfigError, DataError, ProgramError: the input is none, or does not fit the program and the other options.
    """
    from leanspike.data import events
    from leanspike.stream import sources, udp

    shape, kind = session.shape, session.program.input.raw.type.dtype
    paced = _is_recording(args) or _is_array(args)
    require(
        not args.speed or (paced and args.step_us), "--speed", args.speed, "of a recording or an array, with --step-us"
    )
    if args.input.startswith("udp:"):
        bound = until.enter_context(udp.bound(args.input))
        say(f"listening on udp://{bound.getsockname()[0]}:{bound.getsockname()[1]}")
        return udp.Udp(bound, tally, shape, kind, round(1000 * args.grace_ms))
    if not paced:
        file = sys.stdin.buffer if args.input == "-" else until.enter_context(_opened(Path(args.input)))
        if args.stream in ("packets", None):
            return sources.Packets(file, tally, shape, kind)
        if args.stream == "values":
            return sources.RawSteps(file, tally, shape, kind)
        _events_wanted(session, args.stream == "events-text")
        return sources.event_lines(file, tally) if args.stream == "events-text" else _value_lines(file, tally, session)
    if _is_array(args):
        return _steps(args, session)
    _events_wanted(session, True)
    recording = events.read(Path(args.input), partial=not args.strict)
    tally.dropped["damaged"] = sum("damaged" in note for note in recording.notes)
    tally.notes += [f"{args.input}: {note}" for note in recording.notes]
    return sources.Recording(recording, args.speed, args.step_us)


def _is_recording(args: argparse.Namespace) -> bool:
    from leanspike.stream.sources import is_packets

    named = args.input == "-" or args.input.startswith("udp:") or args.stream
    return not named and not is_packets(Path(args.input))


def _is_array(args: argparse.Namespace) -> bool:
    return args.input != "-" and args.stream == "values" and Path(args.input).suffix.lower() in (".npy", ".npz")


def _events_wanted(session: Session, events: bool) -> None:
    if events and session.grid is None:
        from leanspike.engine.stream_rules import event_shape

        event_shape(session.program)
        remedy = "say how long a step is, as in training (20000 for 20 ms)"
        raise ConfigError("is needed for events", where="--step-us", remedy=remedy)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from error


def _steps(args: argparse.Namespace, session: Session) -> Source:
    import numpy as np

    from leanspike.stream.sources import Steps, raw_steps

    path = Path(args.input)
    try:
        found: Any = np.load(path, allow_pickle=False, mmap_mode="r")
        values = found["x"] if path.suffix.lower() == ".npz" else found
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"holds no steps ({error})", where=path, remedy="an array, or x in an .npz") from error
    step = values.shape[2:] + values.shape[1:2] if values.ndim == 4 else values.shape[1:]
    if values.ndim == 0 or math.prod(step) != math.prod(session.shape) or not np.issubdtype(values.dtype, np.number):
        wanted = f"[N, {', '.join(map(str, session.shape))}]"
        raise DataError(f"holds {values.dtype} {list(values.shape)}", where=path, remedy=f"give {wanted}, a row a step")
    return Steps(values, raw_steps(session.program, session.shape), args.speed, args.step_us or 0.0)


def _value_lines(file: Any, tally: Tally, session: Session) -> Lines:
    from leanspike.stream.sources import Lines, raw_steps

    return Lines(file, tally, math.prod(session.shape), float, raw_steps(session.program, session.shape))
