"""A stream through a session: every decision as it is made, and at the end what the stream was like.

    latency            from the arrival of what closed the decision's last step, or from when the step was due where
                       nothing came, to the decision handed over
    real-time factor   stream seconds / seconds of computing: wall clock less what the source waited
    load               seconds of computing / wall clock

At the end of a stream of events the window at hand is filled with silent steps, so that what came last is decided too;
of values it stays open, and is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from leanspike.core.errors import DataError, ProgramError
from leanspike.engine import Decision, Session
from leanspike.stream.sources import Arrival, Source
from leanspike.stream.tally import DROPS, Latencies, Tally

Emit = Callable[[dict[str, Any]], None]


@dataclass
class Progress:
    """What a stream has been so far.

    Attributes:
        latest: the last decision as it was told; None before the first.
        silent_steps: steps with which the last window was filled.
    """

    tally: Tally
    latencies: Latencies = field(default_factory=Latencies)
    decisions: int = 0
    early: int = 0
    latest: dict[str, Any] | None = None
    silent_steps: int = 0
    began: float = field(default_factory=time.perf_counter)
    stopped: bool = False


@dataclass(frozen=True)
class Told:
    """How decisions are told.

    Attributes:
        emit: takes each, as JSON.
        names: of the classes.
        step_us: of a step; None where steps have no length.
        strict: the first thing that would be dropped is an error.
        watch: called after every step where the session pauses, and after every arrival.
    """

    emit: Emit
    names: tuple[str, ...] = ()
    step_us: float | None = None
    strict: bool = False
    watch: Callable[[Progress, bool], None] | None = None


def decide(session: Session, source: Source, tally: Tally, told: Told) -> dict[str, Any]:
    """Run a stream to its end, or until it is interrupted, and tell every decision; returns the summary.

    Raises:
        DataError: something would be dropped, and ``told.strict``. ProgramError: values of another shape.
    """
    progress = Progress(tally)
    try:
        for arrival in source:
            for decision, due in _worked(session, arrival, tally):
                _tell(session, progress, told, decision, due)
            _count(session, progress, told)
        for decision, due in _rest(session, progress):
            _tell(session, progress, told, decision, due)
    except KeyboardInterrupt:
        progress.stopped = True
    _count(session, progress, told)
    return summary(session, source, progress, told)


def _worked(session: Session, arrival: Arrival, tally: Tally) -> Iterator[tuple[Decision | None, float]]:
    """What comes of an arrival: decisions, or None after a step where the session pauses, and since when it was due."""
    if arrival.events is not None:
        for decision in session.feed(arrival.events):
            yield decision, arrival.at
    if arrival.values is not None:
        for step in arrival.values:
            yield from _stepped(session, step, arrival.at, tally)
    until = arrival.until
    if arrival.idle_us is not None and session.latest is not None:
        until = session.latest + arrival.idle_us
    if until is not None:
        for decision in session.advance(until):
            yield decision, arrival.at - 1e-6 * (until - (session.start or 0))


def _stepped(session: Session, step: Any, at: float, tally: Tally) -> Iterator[tuple[Decision | None, float]]:
    try:
        decision = session.step(step)
    except ProgramError:
        if step.shape != session.shape:
            raise
        tally.dropped["bad_steps"] += 1
        return
    if decision is not None or session.pausing:
        yield decision, at


def _rest(session: Session, progress: Progress) -> Iterator[tuple[Decision | None, float]]:
    """The step at hand, and the silent ones that fill its window; nothing where no window of events is open."""
    windows, start, latest = session.windows, session.start, session.latest
    if session.grid is None or start is None or latest is None or windows.length is None or windows.hop is None:
        return
    holds_events, between = latest >= start, session.in_window in (0, windows.length - windows.hop)
    if (between and not holds_events) or (session.in_window and session.decided and windows.hop == windows.length):
        return
    missing = windows.length - session.in_window
    progress.silent_steps = missing - holds_events
    for decision in session.advance(start + missing * session.grid.ticks):
        yield decision, time.perf_counter()


def _tell(session: Session, progress: Progress, told: Told, decision: Decision | None, due: float) -> None:
    if decision is not None:
        scores, window = decision.scores.tolist(), session.windows.length
        name = told.names[decision.chosen] if decision.chosen < len(told.names) else None
        answer = {"decision": progress.decisions, "class": decision.chosen, "name": name, "scores": scores}
        answer |= {"steps": decision.used, "step": decision.step}
        if session.grid is not None:
            answer["t_us"] = session.start
        progress.latest = answer
        progress.decisions += 1
        progress.early += decision.used < (window or 0)
        told.emit(answer)
        progress.latencies.add(time.perf_counter() - due)
    if told.watch is not None:
        told.watch(progress, True)


def _count(session: Session, progress: Progress, told: Told) -> None:
    """Take over what the session dropped; the first thing dropped is an error where the stream is strict."""
    counts = session.counts
    for kind in ("outside", "late", "ahead", "moved"):
        progress.tally.dropped[kind] = counts[kind]
    if told.strict and (dropped := progress.tally.nonzero()):
        kind, count = next(iter(dropped.items()))
        what = f"{count:,} {DROPS[kind]}, after {session.steps:,} steps and {counts['taken']:,} events"
        raise DataError(what, where="stream", remedy="mend the sender, or run without --strict")
    if told.watch is not None:
        told.watch(progress, False)


def summary(session: Session, source: Source, progress: Progress, told: Told) -> dict[str, Any]:
    """What a stream was like, as JSON; a figure that was not measured is null."""
    wall = time.perf_counter() - progress.began
    busy = max(wall - source.waited, 1e-9)
    step_us = session.grid.ticks if session.grid is not None else told.step_us
    seconds = None if step_us is None else 1e-6 * step_us * session.steps
    taken = session.counts["taken"]
    return {
        "decisions": progress.decisions,
        "early": progress.early,
        "steps": session.steps,
        "computed_steps": session.computed,
        "silent_steps": progress.silent_steps,
        "open_steps": session.in_window,
        "events": taken,
        "events_per_busy_second": round(taken / busy) if session.grid is not None else None,
        "stream_seconds": None if seconds is None else round(seconds, 6),
        "wall_seconds": round(wall, 6),
        "busy_seconds": round(busy, 6),
        "real_time_factor": None if seconds is None else round(seconds / busy, 2),
        "load": round(busy / wall, 4) if wall else None,
        "latency_us": progress.latencies.told(),
        "spikes": session.spikes,
        "dropped": progress.tally.nonzero(),
        "notes": progress.tally.notes,
        "interrupted": progress.stopped,
    }
