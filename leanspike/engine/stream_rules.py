"""What a program means over an endless stream: windows of steps, steps of events, and what is refused.

    window n     steps n hop .. n hop + length - 1, counted from the first; its scores are those of a sample of so many
                 steps, from the values that the readout's source had in them; T stands for ``length``
    reset        hop = length, and every window starts with fresh states. all: a window IS a sample of the program;
                 readout: those of the readout's own neurons, which integrate what the window says; the others go on
    exit         hop = length: the first step t of a window, counted from 1, t >= earliest, whose margin is reached
                 decides for the window; states go on to its end, but of a reset of all the rest is not computed
    events       an event of t ticks belongs to step floor(t / ticks) of a grid that begins at t = 0; the first event's
                 step is the first one; x[row, column, polarity] = 1, of a wider raw type the count, up to its highest

States that are carried saturate at their types, as the program says, however long it goes on: the engine's plan is
proved for that. Parameters with a row for every step (``[T, C]``) have a meaning within a sample only: they need a
reset of all. Latency coding spreads one sample over T steps: there is no stream of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from leanspike.core.errors import ProgramError
from leanspike.core.records import require
from leanspike.ir import Delta, Latency, Program, Sequence, violations
from leanspike.ir.narrow import fitted
from leanspike.ir.ops import LIF, Integrate, Shape, parameters
from leanspike.ir.program import ReadoutKind
from leanspike.ir.ranges import MOST_ROUNDS

Reset = Literal["none", "readout", "all"]
RESETS: tuple[str, ...] = get_args(Reset)
AFRESH = "start every window, of at most as many steps, afresh (--reset-each-window)"
MOST_WINDOW = 1 << 16


@dataclass(frozen=True)
class Windows:
    """Which steps a decision is made from.

    Attributes:
        length: steps of a window; the program's T if None.
        hop: steps from one window's start to the next one's, at most ``length``; ``length`` if None.
        reset: which states every window starts with fresh.
    """

    length: int | None = None
    hop: int | None = None
    reset: Reset = "none"

    def __post_init__(self) -> None:
        for name, steps in (("window", self.length), ("hop", self.hop)):
            allowed = steps is None or 1 <= steps <= MOST_WINDOW
            require(allowed, name, steps, f"a whole number of steps from 1 to {MOST_WINDOW:,}")
        if self.hop is not None and self.length is not None:
            require(self.hop <= self.length, "hop", self.hop, f"at most the window, {self.length} steps")
        require(self.reset in RESETS, "reset", self.reset, f"one of {', '.join(RESETS)}")
        require(
            self.reset == "none" or self.hop in (None, self.length),
            "hop",
            self.hop,
            "the window itself where it resets",
        )


@dataclass(frozen=True)
class Grid:
    """How events become steps.

    Attributes:
        ticks: of a step, >= 1.
        most_ahead: an event further ahead than this many ticks is damage, and is dropped and counted.
        most_astray: of events before the step at hand or too far ahead, so many in a row are dropped; at the next the
            clock has moved: the session begins anew with it.
    """

    ticks: int
    most_ahead: int = 10_000_000
    most_astray: int = 1000

    def __post_init__(self) -> None:
        require(1 <= self.ticks < 1 << 62, "step", self.ticks, "a tick or more")
        require(self.ticks <= self.most_ahead < 1 << 62, "most gap", self.most_ahead, "a step or more")
        require(self.most_astray >= 1, "most astray", self.most_astray, "1 or more")


def step_shape(program: Program) -> Shape:
    """The shape of one step's raw values: a row of a sequence, all channels of a series, else a whole sample."""
    shape, encoding = program.input.raw.shape, program.input.encoding
    if isinstance(encoding, Sequence):
        return shape[1:]
    return shape[:1] if isinstance(encoding, Delta) else shape


def event_shape(program: Program) -> tuple[int, int, int]:
    """Height, width and polarities (1: both as one) of the events that a program's step takes.

    Raises:
        ProgramError: its steps are no frames of events.
    """
    shape = step_shape(program)
    if isinstance(program.input.encoding, Sequence):
        if len(shape) == 3 and shape[2] in (1, 2):
            return shape[0], shape[1], shape[2]
        if len(shape) == 1:
            return 1, shape[0], 1
    what = f"takes {list(shape)} a step by the {program.input.encoding.keyword} encoding, which are no events"
    remedy = "sequence of [H, W, 2 or 1] or [channels]: train with encoder.kind=frames"
    raise ProgramError(what, where=f"program {program.name}", remedy=remedy)


def endless(program: Program) -> Program:
    """The same operations over more steps than intervals of states grow in: what a plan must hold for a stream.

    Sums are declared anew, as wide as they can become; states saturate at the types that the program gives them.

    Raises:
        ProgramError: over endless steps it needs more than 32 bits.
    """
    steps, start = MOST_ROUNDS + 1, program.input
    shape = start.raw.shape
    if isinstance(start.encoding, Sequence):
        shape = (steps, *shape[1:])
    elif isinstance(start.encoding, Delta):
        shape = (shape[0], steps)
    kind: ReadoutKind = "count" if program.readout.kind in ("count", "first_spike") else "membrane_last"
    found = fitted(
        replace(
            program,
            steps=steps,
            input=replace(start, raw=replace(start.raw, shape=shape)),
            readout=replace(program.readout, kind=kind, exit=None),
        )
    )
    if wrong := violations(found):
        what = f"is proved for samples of {program.steps} steps, not for more: {wrong[0]}"
        raise ProgramError(what, where=f"program {program.name}", remedy=AFRESH)
    return found


def planned(program: Program, windows: Windows) -> Program:
    """The program to plan for: it proves widths for as many steps as states are carried.

    Raises:
        ProgramError: it has no meaning over a stream of such windows.
    """
    where = f"program {program.name}"
    if isinstance(program.input.encoding, Latency):
        remedy = "give whole samples"
        raise ProgramError("codes by latency, which spreads one sample over T steps", where=where, remedy=remedy)
    if windows.reset == "all" and windows.length is not None and windows.length <= program.steps:
        return program
    neurons = (op for op in program.operations if isinstance(op, LIF | Integrate))
    stepwise = sorted({name for op in neurons for name in parameters(op) if len(program.arrays[name].values) > 1})
    if stepwise:
        what = f"has parameters of its own for each of its {program.steps} steps ({', '.join(stepwise)})"
        raise ProgramError(what, where=where, remedy=AFRESH)
    return endless(program)
