"""A damaged stream: every event that comes is taken or counted, and only its end ends it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from eventful import events, program

from leanspike.core.errors import DataError
from leanspike.engine import EVENT, Grid, Session, Windows
from leanspike.engine.packets import Cutter
from leanspike.stream import sources, wire
from leanspike.stream.run import Told, decide
from leanspike.stream.tally import DROPS, Tally

TICKS = 1_000


def session(**grid: int) -> Session:
    return Session(program(), Windows(), Grid(TICKS, **grid))


def decided(
    data: bytes, kind: str, opened: Session, *, strict: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    tally, kept = Tally(), list[dict[str, Any]]()
    file = io.BytesIO(data)
    source: sources.Source = sources.event_lines(file, tally)
    if kind == "packets":
        source = sources.Packets(file, tally, opened.shape, np.dtype(np.uint8))
    summary = decide(opened, source, tally, Told(kept.append, strict=strict))
    return kept, summary


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Bytes changed, left out and put in, or the end cut off."""
    found = bytearray(data)
    for _ in range(random.integers(1, 8)):
        at, choice = int(random.integers(0, len(found))), random.integers(0, 4)
        if choice == 0:
            found[at] = random.integers(0, 256)
        elif choice == 1:
            del found[at : at + int(random.integers(1, 30))]
        elif choice == 2:
            found[at:at] = random.bytes(int(random.integers(1, 30)))
        else:
            del found[max(1, len(found) - int(random.integers(0, 100))) :]
    return bytes(found)


@pytest.mark.parametrize("kind", ["packets", "events-text"])
def test_every_event_that_comes_is_taken_or_counted(kind: str) -> None:
    random, sent = np.random.default_rng(0), events(300, 40 * TICKS)
    data = b"".join(wire.packed(sent, most=25))
    if kind == "events-text":
        data = b"".join(b"%d %d %d %d\n" % row for row in sent[["t", "x", "y", "on"]].tolist())
    for _ in range(300):
        broken, opened = damaged(data, random), session(most_ahead=100 * TICKS, most_astray=20)
        kept, summary = decided(broken, kind, opened)
        counts, dropped = opened.counts, summary["dropped"]
        came = counts["taken"] + counts["outside"] + counts["late"] + counts["ahead"]
        assert set(dropped) <= set(DROPS)
        assert summary["events"] == counts["taken"]
        assert len(kept) == summary["decisions"]
        if kind == "packets":
            cutter = Cutter(40)
            arrived = sum(len(one) for one in cutter.cut(broken) if not isinstance(one, bytes))
            assert came == arrived
            assert dropped.get("lost", 0) == cutter.lost
            assert dropped.get("skipped_bytes", 0) == cutter.skipped
        else:
            lines = [line for line in broken.split(b"\n") if line.strip()]
            assert came == len(lines) - dropped.get("bad_lines", 0)


def test_a_sound_stream_drops_nothing_and_is_silent_about_it() -> None:
    _, summary = decided(b"".join(wire.packed(events(300, 40 * TICKS))) + wire.end(300), "packets", session())
    assert summary["dropped"] == {}
    assert summary["notes"] == []
    assert summary["interrupted"] is False


def test_strict_refuses_the_first_drop() -> None:
    late = events(40, 40 * TICKS)
    late["t"][-1] = 0
    with pytest.raises(DataError, match="1 events of a time before the step at hand"):
        decided(b"".join(wire.packed(late)), "packets", session(), strict=True)


def test_the_last_window_is_filled_with_silence_and_only_that() -> None:
    def summary(*times: int) -> dict[str, Any]:
        found = np.zeros(len(times), dtype=EVENT)
        found["t"] = times
        return decided(b"".join(wire.packed(found)), "packets", session())[1]

    assert (summary()["decisions"], summary()["steps"]) == (0, 0)
    for times, decisions, silent in (((5,), 1, 2), ((5, 1_500), 1, 1), ((5, 2_999), 1, 0), ((5, 3_000), 2, 2)):
        told = summary(*times)
        assert (told["decisions"], told["silent_steps"]) == (decisions, silent), times
        assert told["steps"] == 3 * decisions


def test_events_for_a_stream_of_values_are_one_clear_error() -> None:
    from leanspike.core.errors import ProgramError

    with pytest.raises(ProgramError, match=r"events need a grid of steps; say how long a step is \(--step-us\)"):
        decided(b"".join(wire.packed(events(10, 100))), "packets", Session(program()))
