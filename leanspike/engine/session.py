"""A session: a program over an endless stream, one step after the other, its state kept between calls.

    step j       states of step j - 1 in, states of step j out: what :mod:`leanspike.ir.reference` does, without an end

Windows, events and what is refused: :mod:`leanspike.engine.stream_rules`. Memory does not grow with time.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import ProgramError
from leanspike.engine import library, records
from leanspike.engine.plan import plan
from leanspike.engine.run import spike_table, state_table
from leanspike.engine.session_record import DECISION, EVENT, NOTHING
from leanspike.engine.session_record import Session as Record
from leanspike.engine.stream_rules import RESETS, Grid, Windows, event_shape, planned, step_shape
from leanspike.ir import Delta, Program, Sequence, verify
from leanspike.ir.program import READOUTS

Raw = npt.NDArray[np.integer[Any]]
COUNTED = ("taken", "outside", "late", "ahead", "moved")


@dataclass(frozen=True, eq=False)
class Decision:
    """What a window decided.

    Attributes:
        scores: ``[K]`` int64.
        chosen: the class of the highest score, the lowest of equal ones.
        used: steps of the window that were scored: fewer than all of them after an exit.
        step: steps taken so far; the decision was made after the last of them.
    """

    scores: npt.NDArray[np.int64]
    chosen: int
    used: int
    step: int


@dataclass(frozen=True, eq=False)
class Look:
    """One step: its input, what fired by layer, and every state after it by name; int64, of their shapes."""

    input: npt.NDArray[np.int64]
    spikes: Mapping[str, npt.NDArray[np.int64]]
    states: Mapping[str, npt.NDArray[np.int64]]


class Session:
    """A program made ready for a stream. Not to be shared by threads.

    Args:
        grid: for events; None where steps are given as values.
        number: a sample's number, for the rate encoding; after a reset of all the next window has the next one.
        pausing: :meth:`feed` and :meth:`advance` stop after every step, for someone who looks at each.
        level: an instruction set other than the best one of this processor.

    Raises:
        ProgramError: the program is not sound, or has no meaning over a stream.
        ConfigError: windows or grid that cannot be. MissingTool: the engine was not built.
    """

    def __init__(
        self,
        program: Program,
        windows: Windows | None = None,
        grid: Grid | None = None,
        *,
        number: int = 0,
        pausing: bool = False,
        level: str | None = None,
    ) -> None:
        asked = windows or Windows()
        length = program.steps if asked.length is None else asked.length
        self.program, self.windows = verify(program), Windows(length, asked.hop or length, asked.reset)
        self.grid, self._library, self._plan = grid, library.load(level), plan(planned(program, self.windows))
        self.shape, self._dtype = step_shape(program), program.input.raw.type.dtype
        self._size, self._given = math.prod(self.shape), np.zeros(self.shape, dtype=np.int32)
        copied = records.Plan.from_buffer_copy(self._plan.record)
        copied.steps = length
        self._exit(copied)
        self._record = Record(plan=ctypes.addressof(copied), number=number, pausing=pausing)
        self.pausing = pausing
        self._record.window, self._record.hop, self._record.reset = length, self.windows.hop, RESETS.index(asked.reset)
        self._allocate(copied)
        if grid is not None:
            self._open(grid)
        self._at, self._next = ctypes.addressof(self._record), ctypes.c_int64()
        self._next_at = ctypes.addressof(self._next)
        self._bind()
        self.begin()

    def _exit(self, copied: records.Plan) -> None:
        copied.readout = READOUTS.index(self.program.readout.kind)
        if self.program.readout.exit is not None:
            copied.exits, copied.margin = 1, self.program.readout.exit.margin
            copied.earliest = self.program.readout.exit.earliest

    def _allocate(self, copied: records.Plan) -> None:
        arena = np.zeros(self._plan.arena_bytes + 64, dtype=np.uint8)
        self._ring = np.zeros((self._record.window, self.program.classes), dtype=np.int64)
        self._scores = np.zeros(self.program.classes, dtype=np.int64)
        self._fired = np.zeros(max(1, len(self.program.spiking)), dtype=np.int64)
        self._kept: list[Any] = [copied, arena]
        self._record.arena = arena.ctypes.data + -arena.ctypes.data % 64
        self._record.ring, self._record.scores = self._ring.ctypes.data, self._scores.ctypes.data
        self._record.spikes = self._fired.ctypes.data

    def _open(self, grid: Grid) -> None:
        self._record.height, self._record.width, self._record.polarities = event_shape(self.program)
        self._record.ticks, self._record.most_ahead = grid.ticks, grid.most_ahead
        self._record.most_astray = grid.most_astray
        frame = np.zeros(self._size + 64, dtype=np.int64)
        self._kept.append(frame)
        self._record.frame = frame.ctypes.data

    def _bind(self) -> None:
        found, pointer, whole = self._library, ctypes.c_void_p, ctypes.c_int64
        found.leanspike_session_begin.argtypes, found.leanspike_session_begin.restype = [pointer], None
        for name, types in (("step", [pointer, pointer, whole]), ("advance", [pointer, whole]),
                            ("feed", [pointer, pointer, whole, pointer])):  # fmt: skip
            call = getattr(found, f"leanspike_session_{name}")
            call.argtypes, call.restype = types, whole
        found.leanspike_session_look.argtypes = [pointer, pointer, pointer, pointer]
        found.leanspike_session_look.restype = None

    def begin(self) -> None:
        """States, windows and clock as before the first step; counts stay."""
        self._library.leanspike_session_begin(self._at)

    def step(self, raw: Raw | None = None) -> Decision | None:
        """One step of raw values.

        Args:
            raw: of :attr:`shape` and the raw type; None: those of the step before again (direct and rate coding).

        Raises:
            ProgramError: another shape, or a value out of range; the session stays as it was.
        """
        if raw is None:
            if isinstance(self.program.input.encoding, Delta | Sequence) or not self.steps:
                raise ProgramError("a step needs its values", where=f"program {self.program.name}")
            found = self._library.leanspike_session_step(self._at, None, 0)
            return self._decision() if found == DECISION else None
        if raw.shape != self.shape or not np.issubdtype(raw.dtype, np.integer):
            raise self._refusal(f"a step of {raw.dtype} {list(raw.shape)}")
        if (
            raw.dtype != self._dtype
            and raw.size
            and not self.program.input.raw.type.holds(int(raw.min()), int(raw.max()))
        ):
            raise self._refusal(f"a step of values from {raw.min()} to {raw.max()}")
        self._given[...] = raw
        found = self._library.leanspike_session_step(self._at, self._given.ctypes.data, self._size)
        if found < 0:
            raise self._refusal(f"a step of values from {raw.min()} to {raw.max()}")
        return self._decision() if found == DECISION else None

    def _refusal(self, what: str) -> ProgramError:
        wanted = f"takes {list(self.shape)} of {self.program.input.raw.type} a step"
        return ProgramError(f"{wanted}, found {what}", where=f"program {self.program.name}")

    def feed(self, events: npt.NDArray[np.void]) -> Iterator[Decision | None]:
        """Take events of the type :data:`~leanspike.engine.EVENT`: every decision that closes on the way.

        The step of the last event stays open. What is astray or outside is dropped and counted. With ``pausing`` a step
        without a decision gives None. The generator must be run to its end.
        """
        self._require_grid()
        given = np.ascontiguousarray(events, dtype=EVENT)
        self._next.value, count, at = 0, len(given), given.ctypes.data
        call, session, place = self._library.leanspike_session_feed, self._at, self._next_at
        while (found := call(session, at, count, place)) != NOTHING:
            yield self._decision() if found == DECISION else None

    def advance(self, until: int) -> Iterator[Decision | None]:
        """Close every step of events that ends at tick ``until`` or before it; as :meth:`feed`."""
        self._require_grid()
        while (found := self._library.leanspike_session_advance(self._at, until)) != NOTHING:
            yield self._decision() if found == DECISION else None

    def _require_grid(self) -> None:
        if self.grid is None:
            remedy = "say how long a step is (--step-us)"
            raise ProgramError("events need a grid of steps", where=f"program {self.program.name}", remedy=remedy)

    def _decision(self) -> Decision:
        return Decision(self._scores.copy(), int(self._scores.argmax()), self._record.used, self._record.steps)

    @property
    def steps(self) -> int:
        """Steps taken since the session was made."""
        return int(self._record.steps)

    @property
    def computed(self) -> int:
        """Those that were computed: not those after an exit of a window that starts afresh."""
        return int(self._record.computed)

    @property
    def in_window(self) -> int:
        """Steps of the window at hand so far; 0 where none is open."""
        return int(self._record.in_window)

    @property
    def decided(self) -> bool:
        """Whether the window at hand, or the last one where none is open, has decided."""
        return bool(self._record.decided)

    @property
    def start(self) -> int | None:
        """Tick at which the step at hand begins; None before the first event."""
        return int(self._record.start) if self._record.started else None

    @property
    def latest(self) -> int | None:
        """Tick of the latest event that was taken since the clock began; None before the first."""
        return int(self._record.latest) if self._record.started else None

    @property
    def counts(self) -> dict[str, int]:
        """Events: ``taken``, and dropped as ``outside`` the sensor, ``late`` or too far ``ahead``; ``moved`` clocks."""
        return {name: int(getattr(self._record, name)) for name in COUNTED}

    @property
    def spikes(self) -> dict[str, int]:
        """Spikes so far, by the name of a spiking layer's value."""
        return {op.result.name: int(count) for op, count in zip(self.program.spiking, self._fired, strict=False)}

    def look(self) -> Look:
        """What the last step that was computed was like."""
        program = self.program
        shown = np.zeros(program.input.result.shape, dtype=np.int64)
        spikes = {op.result.name: np.zeros(op.result.shape, dtype=np.int64) for op in program.spiking}
        kept = {state.name: np.zeros(state.shape, dtype=np.int64) for state in program.states}
        held, fired = state_table(program, self._plan, kept), spike_table(self._plan, spikes)
        tables = ctypes.addressof(held), ctypes.addressof(fired)
        self._library.leanspike_session_look(self._at, shown.ctypes.data, *tables)
        return Look(shown, spikes, kept)
