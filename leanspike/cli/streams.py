"""The streams of ``leanspike run``: their options, and decisions, view and summary as they go out."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.cli.stream_sources import holds_events, say, source
from leanspike.core.errors import ConfigError
from leanspike.core.files import writing
from leanspike.core.records import require

if TYPE_CHECKING:
    from leanspike import ir
    from leanspike.engine import Session
    from leanspike.stream.view import View

KINDS = ("packets", "events-text", "values", "values-text")
MOST_GRACE_MS, MOST_GAP_S = 1_000_000, 1_000_000_000
_ONLY = (
    "step_us", "window", "hop", "reset_each_window", "reset_readout", "exit_margin", "speed", "strict", "view", "out",
)  # fmt: skip


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of streams."""
    group = parser.add_argument_group("streams", "one step after another, state kept; see docs/how-to/streams.md")
    group.add_argument(
        "--stream", choices=KINDS, help="what the input streams: packets, lines t x y p, or a step a row"
    )
    group.add_argument("--step-us", type=int, metavar="US", help="length of a step; events need it")
    group.add_argument(
        "--window", type=int, metavar="STEPS", help="steps that a decision is made from (the program's T)"
    )
    group.add_argument("--hop", type=int, metavar="STEPS", help="steps from decision to decision (the window)")
    states = group.add_mutually_exclusive_group()
    states.add_argument("--reset-each-window", action="store_true", help="every window starts with fresh states")
    states.add_argument("--reset-readout", action="store_true", help="... of the readout's neurons only")
    group.add_argument("--exit-margin", type=int, metavar="N", help="decide as soon as best and second lie N apart")
    group.add_argument("--exit-earliest", type=int, default=1, metavar="STEP", help="but not before this step (1)")
    group.add_argument(
        "--max-gap-s", type=float, default=10.0, metavar="S", help="events further ahead are damage (10)"
    )
    group.add_argument(
        "--grace-ms", type=float, default=20.0, metavar="MS", help="udp: a step waits so long for events (20)"
    )
    group.add_argument("--speed", type=float, default=0.0, metavar="X", help="replay a file at X times real time")
    group.add_argument("--strict", action="store_true", help="stop at the first thing that would be dropped")
    group.add_argument("--view", action="store_true", help="show the stream, where standard output is a terminal")
    group.add_argument("--out", type=Path, metavar="FILE", help="write decisions there instead of to standard output")


def is_stream(args: argparse.Namespace) -> bool:
    """Whether the input is a stream.

    Raises:
        ConfigError: it is not, but is given a stream's options. DataError: a file cannot be read.
    """
    if args.stream or args.input.startswith("udp:") or (args.input != "-" and holds_events(Path(args.input))):
        return True
    given = [name for name in _ONLY if getattr(args, name)]
    if given:
        remedy = "say which one the input is: --stream"
        raise ConfigError("is for streams", where=f"--{given[0].replace('_', '-')}", remedy=remedy)
    return False


def run(args: argparse.Namespace, program: ir.Program, origin: dict[str, Any]) -> int:
    """Decide until the stream ends or is interrupted; the summary comes last."""
    from leanspike.stream.run import Told, decide
    from leanspike.stream.tally import Tally

    _check(args)
    program, tally = _with_exit(args, program), Tally()
    events = args.step_us is not None and args.stream not in ("values", "values-text") and _takes_events(program)
    session = _session(args, program, events)
    if session.windows.hop != session.windows.length and program.readout.exit is not None:
        tally.notes.append("the program's exit is not used: windows overlap")
    names = tuple(map(str, origin.get("classes", [])))
    with _interruptible(), contextlib.ExitStack() as open_until:
        opened = source(args, session, tally, open_until)
        say(_title(session, args.step_us))
        view = _view(args, session, names)
        emit, held = _emitter(args, open_until, view), Told(lambda _: None)
        held = replace(held, emit=emit, names=names, step_us=args.step_us, strict=args.strict)
        try:
            found = decide(session, opened, tally, held if view is None else replace(held, watch=view.watch))
        finally:
            if view is not None:
                view.close()
        emit({"summary": found})
    for note in tally.notes:
        say(note)
    say(_in_words(found))
    return 0


def _check(args: argparse.Namespace) -> None:
    require(args.step_us is None or args.step_us >= 1, "--step-us", args.step_us, "1 or more")
    require(0 <= args.speed < math.inf, "--speed", args.speed, "a number above 0; 0: as fast as the stream is taken")
    require(0 <= args.grace_ms <= MOST_GRACE_MS, "--grace-ms", args.grace_ms, f"0 to {MOST_GRACE_MS:,}")
    least = 0 if args.step_us is None else 1e-6 * args.step_us
    require(least <= args.max_gap_s <= MOST_GAP_S, "--max-gap-s", args.max_gap_s, "a step's length or more")


def _with_exit(args: argparse.Namespace, program: ir.Program) -> ir.Program:
    from leanspike import ir

    if args.exit_margin is None:
        return program
    overlap = args.hop not in (None, args.window or program.steps)
    require(not overlap, "--exit-margin", args.exit_margin, "used where windows do not overlap")
    chosen = ir.Exit(args.exit_margin, args.exit_earliest)
    return ir.verify(replace(program, readout=replace(program.readout, exit=chosen)))


def _takes_events(program: ir.Program) -> bool:
    from leanspike.core.errors import ProgramError
    from leanspike.engine.stream_rules import event_shape

    try:
        event_shape(program)
    except ProgramError:
        return False
    return True


def _session(args: argparse.Namespace, program: ir.Program, events: bool) -> Session:
    from leanspike.engine import Grid, Session, Windows

    reset: Any = "all" if args.reset_each_window else "readout" if args.reset_readout else "none"
    grid = Grid(args.step_us, round(1e6 * args.max_gap_s)) if events else None
    watched = args.view and sys.stdout.isatty()
    return Session(program, Windows(args.window, args.hop, reset), grid, pausing=watched)


def _view(args: argparse.Namespace, session: Session, names: tuple[str, ...]) -> View | None:
    if not session.pausing:
        return None
    from leanspike.stream.view import View

    return View(session, sys.stdout, _title(session, args.step_us), names)


def _emitter(args: argparse.Namespace, until: contextlib.ExitStack, view: View | None) -> Any:
    if args.out is not None:
        with writing(args.out):
            file: Any = until.enter_context(args.out.open("w", encoding="utf-8"))
    elif view is not None:
        return lambda _: None
    else:
        file = sys.stdout

    def emit(told: dict[str, Any]) -> None:
        with writing(args.out) if args.out is not None else contextlib.nullcontext():
            file.write(json.dumps(told) + "\n")
            file.flush()

    return emit


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGINT end a stream with its summary, also where a shell started it with SIGINT ignored."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _title(session: Session, step_us: int | None) -> str:
    windows = session.windows
    every = "" if windows.hop == windows.length else f" every {windows.hop}"
    step = "steps as they come" if step_us is None else f"steps of {step_us:,} us"
    state = {"none": "state carried", "readout": "readout reset each window", "all": "state reset each window"}
    return f"{session.program.name}: {step}, windows of {windows.length}{every}, {state[windows.reset]}"


def _in_words(found: dict[str, Any]) -> str:
    factor, told = found["real_time_factor"], found["latency_us"]
    late = "no latency" if told["p50"] is None else f"latency p50 {told['p50']:,.0f} us, p99 {told['p99']:,.0f} us"
    dropped = ", ".join(f"{kind} {count:,}" for kind, count in found["dropped"].items()) or "nothing"
    return (
        f"{found['decisions']:,} decisions in {found['steps']:,} steps, {late}, "
        f"{'no step length' if factor is None else f'{factor:,.2f} times real time'}; dropped: {dropped}"
    )
