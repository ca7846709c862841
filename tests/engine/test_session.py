"""Sessions: every step is the reference's, windows score as samples do, and what a stream cannot mean is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from leanspike import ir
from leanspike.core.errors import ConfigError, ProgramError
from leanspike.engine import EVENT, Decision, Grid, Session, Windows
from leanspike.engine.stream_rules import step_shape
from leanspike.ir import Delta, Latency, Sequence
from leanspike.ir.encodings import encode
from leanspike.ir.narrow import fitted, narrowed
from leanspike.ir.ops import parameters
from leanspike.ir.readout import Scores
from leanspike.ir.reference import step
from leanspike.targets.conformance import Case, cases

quick = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def part(program: ir.Program, sample: np.ndarray, t: int) -> np.ndarray:
    """What step t of a sample reads."""
    if isinstance(program.input.encoding, Sequence):
        return sample[t]
    return sample[:, t] if isinstance(program.input.encoding, Delta) else sample


def without_exit(program: ir.Program) -> ir.Program:
    return replace(program, readout=replace(program.readout, exit=None))


@quick
@given(case=cases())
def test_every_step_from_fresh_states_is_the_reference_s(case: Case) -> None:
    program = case.program
    assume(not isinstance(program.input.encoding, Latency))
    trace = ir.run(without_exit(program), case.raw, case.numbers, record=True)
    encoded = encode(program, case.raw, case.numbers)
    for sample, number in enumerate(case.numbers):
        session = Session(without_exit(program), Windows(reset="all"), number=int(number))
        for t in range(program.steps):
            decision = session.step(part(program, case.raw[sample], t))
            seen = session.look()
            assert np.array_equal(seen.input, encoded[t, sample])
            for name, fired in seen.spikes.items():
                assert np.array_equal(fired, trace.step_spikes[name][t, sample]), (name, t)
            for name, held in seen.states.items():
                assert np.array_equal(held, trace.step_states[name][t, sample]), (name, t)
        assert decision is not None
        assert np.array_equal(decision.scores, trace.scores[sample])
        assert session.spikes == {name: counts[sample] for name, counts in trace.spikes.items()}


@quick
@given(case=cases())
def test_windows_that_reset_are_samples_exits_included(case: Case) -> None:
    program = case.program
    assume(not isinstance(program.input.encoding, Latency))
    first = int(case.numbers[0])
    expected = ir.run(program, case.raw, np.arange(first, first + len(case.raw)))
    session, found = Session(program, Windows(reset="all"), number=first), list[Decision]()
    for sample in case.raw:
        for t in range(program.steps):
            decision = session.step(part(program, sample, t))
            if decision is not None:
                assert session.in_window == decision.used % program.steps
                found.append(decision)
    assert [one.chosen for one in found] == expected.predictions.tolist()
    assert [one.used for one in found] == expected.steps.tolist()
    assert np.array_equal([one.scores for one in found], expected.scores)
    assert session.computed == expected.steps.sum()


def stepped(program: ir.Program, frames: np.ndarray) -> np.ndarray:
    """What the readout's source gives in every step of an endless run of the reference, ``[N, K]``."""
    states = {state.name: np.zeros((1, *state.shape), dtype=np.int64) for state in program.states}
    given_values = []
    for frame in frames:
        values, states = step(program, frame[None].astype(np.int64), states, 0)
        given_values.append(values[program.readout.source][0])
    return np.stack(given_values)


def one_row(program: ir.Program) -> bool:
    names = {name for op in program.operations if isinstance(op, ir.LIF | ir.Integrate) for name in parameters(op)}
    return all(len(program.arrays[name].values) == 1 for name in names)


@settings(quick, max_examples=15)
@given(case=cases())
def test_windows_of_any_length_and_hop_score_what_they_hold(case: Case) -> None:
    program = without_exit(case.program)
    assume(isinstance(program.input.encoding, Sequence) and one_row(program))
    frames = case.raw.reshape(-1, *step_shape(program))
    source = stepped(program, frames)
    for length, hop in ((program.steps, 1), (3, 2), (2, 2)):
        session, kept = Session(program, Windows(length, hop)), list[Decision]()
        kept += [decision for frame in frames if (decision := session.step(frame)) is not None]
        starts = range(0, len(frames) - length + 1, hop)
        assert [one.step for one in kept] == [start + length for start in starts]
        for start, found in zip(starts, kept, strict=True):
            scores = Scores(program.readout, length, np.zeros((1, program.classes), dtype=np.int64))
            for t, value in enumerate(source[start : start + length]):
                scores = scores.after(value[None], t, np.ones(1, dtype=bool))
            assert np.array_equal(found.scores, scores.values[0])


def eventful(shape: tuple[int, ...] = (4, 5, 2), steps: int = 3, levels: int = 1) -> ir.Program:
    """Dense neurons on frames of events, leaking, with a readout of potentials."""
    random, inputs = np.random.default_rng(1), int(np.prod(shape))
    kind = ir.IntType.holding(0, levels)
    arrays = {
        "w1": ir.Array(ir.IntType(8, True), random.integers(-90, 120, (inputs, 30))),
        "w2": ir.Array(ir.IntType(8, True), random.integers(-127, 128, (30, 4))),
        "m": ir.Array(ir.IntType(8, False), np.array([[230]])),
        "theta": ir.Array(ir.IntType(9, False), np.full((1, 30), 200)),
    }
    one = ir.IntType(1, False)
    operations = (
        ir.Reshape(ir.Value("f", (inputs,), kind), "x"),
        ir.Dense(ir.Value("i1", (30,), one), "f", "w1"),
        ir.LIF(ir.Value("s1", (30,), one), "i1", "v1", "m", 8, "theta"),
        ir.Dense(ir.Value("i2", (4,), one), "s1", "w2"),
        ir.Integrate(ir.Value("y", (4,), ir.IntType(20, True)), "i2", "v2", "m", 8),
    )
    states = (ir.State("v1", (30,), ir.IntType(24, True)), ir.State("v2", (4,), ir.IntType(20, True)))
    start = ir.Input(ir.Value("x", shape, kind), ir.Value("raw", (steps, *shape), kind), levels, Sequence())
    readout = ir.Readout("membrane_mean", "y")
    return fitted(ir.Program("eventful", steps, start, states, operations, readout, arrays))


def events(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), dtype=EVENT)


def random_events(count: int, until: int, seed: int = 0) -> np.ndarray:
    random, found = np.random.default_rng(seed), np.zeros(count, dtype=EVENT)
    found["t"] = np.sort(random.integers(0, until, count))
    found["x"], found["y"] = random.integers(0, 5, count), random.integers(0, 4, count)
    found["on"] = random.integers(0, 2, count)
    return found


def binned(found: np.ndarray, ticks: int, steps: int, most: int) -> np.ndarray:
    """The frames ``[steps, 4, 5, 2]`` of events, by NumPy."""
    frames = np.zeros((steps, 4, 5, 2), dtype=np.int64)
    np.add.at(frames, (found["t"] // ticks, found["y"], found["x"], found["on"]), 1)
    return frames.clip(max=most)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("pieces", [1, 7])
def test_events_become_the_frames_of_their_steps(levels: int, pieces: int) -> None:
    program = eventful(levels=levels)
    found = random_events(400, until=30 * 100)
    by_hand, session = Session(program), Session(program, grid=Grid(ticks=100))
    decisions = [one for piece in np.array_split(found, pieces) for one in session.feed(piece)]
    decisions += list(session.advance(3000))
    expected = [by_hand.step(frame) for frame in binned(found, 100, 30, levels)]
    assert [one.scores.tolist() for one in decisions] == [one.scores.tolist() for one in expected if one is not None]
    assert len(decisions) == 10
    assert session.spikes == by_hand.spikes
    assert session.spikes["s1"] > 0
    assert session.counts["taken"] == 400


def test_silence_is_steps_too_and_the_first_event_s_step_is_the_first() -> None:
    session = Session(eventful(), grid=Grid(ticks=100))
    assert list(session.advance(10_000)) == []
    assert list(session.feed(events((7_777, 1, 1, 1)))) == []
    assert session.start == 7_700
    assert [one.step for one in session.feed(events((8_399, 1, 1, 1)))] == [3, 6]
    assert session.steps == 6


def test_events_that_cannot_be_are_dropped_and_counted() -> None:
    session = Session(eventful(), grid=Grid(ticks=100, most_ahead=1_000))
    given_events = [(500, 0, 0, 1), (510, 5, 0, 1), (520, 0, 4, 1), (499, 0, 0, 1), (540, 65_535, 65_535, 1)]
    given_events += [(1_600, 1, 1, 1), (-(2**63), 0, 0, 0), (2**63 - 1, 0, 0, 0), (599, 1, 1, 0)]
    assert list(session.feed(events(*given_events))) == []
    assert session.counts == {"taken": 2, "outside": 3, "late": 1, "ahead": 3, "moved": 0}
    assert session.steps == 0


def test_a_clock_that_moved_begins_the_session_anew() -> None:
    session = Session(eventful(), grid=Grid(ticks=100, most_ahead=1_000, most_astray=3))
    list(session.feed(random_events(200, 600)))
    again = Session(eventful(), grid=Grid(ticks=100, most_ahead=1_000, most_astray=3))
    later = random_events(300, 900, seed=1)
    later["t"] += 10**12
    moved = [one.scores.tolist() for one in session.feed(np.concatenate([events((0, 0, 0, 0)), later]))]
    assert moved == [one.scores.tolist() for one in again.feed(later[2:])]
    assert session.counts["moved"] == 1
    assert session.counts["late"] + session.counts["ahead"] == 3


def test_pausing_stops_after_every_step() -> None:
    session = Session(eventful(), grid=Grid(ticks=100), pausing=True)
    found = list(session.feed(random_events(50, 1_000)))
    assert [one is None for one in found] == [True, True, False] * 3
    assert session.start == 900


@pytest.mark.parametrize("reset", ["none", "readout", "all"])
def test_what_a_window_starts_with(reset: Any) -> None:
    program, frames = eventful(), binned(random_events(300, 1_200), 100, 12, 1)
    session, states = Session(program, Windows(reset=reset)), {}
    for t, frame in enumerate(frames):
        if t % 3 == 0:
            kept = {"none": ["v1", "v2"], "readout": ["v1"], "all": []}[reset] if t else []
            fresh = {state.name: np.zeros((1, *state.shape), dtype=np.int64) for state in program.states}
            states = fresh | {name: states[name] for name in kept}
        _, states = step(program, frame[None], states, 0)
        session.step(frame)
        held = session.look().states
        for name, state in states.items():
            assert np.array_equal(held[name], state[0]), (name, t)


def test_an_exit_decides_once_a_window_and_states_go_on() -> None:
    program = eventful()
    program = replace(program, readout=replace(program.readout, exit=ir.Exit(1, 2)))
    frames = binned(random_events(300, 1_200), 100, 12, 1)
    session, plain = Session(program), Session(eventful())
    found = []
    for frame in frames:
        found.append(session.step(frame))
        plain.step(frame)
        assert np.array_equal(session.look().states["v1"], plain.look().states["v1"])
    early = [one for one in found if one is not None]
    assert [one.used for one in early] == [2, 2, 2, 2]
    assert session.computed == 12


def test_potentials_saturate_as_the_program_says_however_long_it_goes_on() -> None:
    program = eventful()
    kept = {**program.arrays, "m": ir.Array(ir.IntType(9, False), np.array([[256]]))}
    program = narrowed(replace(program, arrays=kept))
    assert program.state["v2"].type.bits < 20
    random = np.random.default_rng(3)
    frames = (random.random((4_000, 4, 5, 2)) < 0.2).astype(np.int64)
    session, source = Session(program, Windows(1)), stepped(program, frames)
    for frame, value in zip(frames, source, strict=True):
        decision = session.step(frame)
        assert decision is not None
        assert np.array_equal(decision.scores, value)
    ends = program.state["v2"].type
    assert source.min() == ends.lowest
    assert source.max() == ends.highest


def stepwise(program: ir.Program) -> ir.Program:
    rows = np.repeat(program.arrays["theta"].values, program.steps, axis=0)
    return replace(program, arrays={**program.arrays, "theta": ir.Array(program.arrays["theta"].type, rows)})


def test_what_has_no_meaning_over_a_stream_is_refused() -> None:
    with pytest.raises(
        ProgramError, match=r"parameters of its own for each of its 3 steps \(theta\).*--reset-each-window"
    ):
        Session(stepwise(eventful()))
    with pytest.raises(ProgramError, match="parameters of its own"):
        Session(stepwise(eventful()), Windows(4, reset="all"))
    Session(stepwise(eventful()), Windows(reset="all"))
    with pytest.raises(ConfigError, match="at most the window"):
        Windows(3, 4)
    with pytest.raises(ConfigError, match="the window itself"):
        Windows(3, 2, "all")
    with pytest.raises(ConfigError, match="at most the window"):
        Session(eventful(), Windows(hop=4))
    with pytest.raises(ProgramError, match="which are no events"):
        Session(eventful((4, 5, 3)), grid=Grid(100))
    session = Session(eventful())
    for wrong in (np.zeros((4, 5, 1), np.uint8), np.zeros((4, 5, 2), np.float32), np.full((4, 5, 2), 2, np.int64)):
        with pytest.raises(ProgramError, match=r"takes \[4, 5, 2\] of u1 a step, found"):
            session.step(wrong)
    with pytest.raises(ProgramError, match="needs its values"):
        session.step()
    with pytest.raises(ProgramError, match="events need a grid of steps"):
        list(session.feed(random_events(3, 9)))
    assert session.steps == 0
