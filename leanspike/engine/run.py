"""Run a program on raw samples: one at a time with the least latency, or a batch on several threads."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core import native
from leanspike.core.errors import ConfigError
from leanspike.core.trace import Ints, Trace
from leanspike.engine import library, records
from leanspike.engine.plan import Plan, plan
from leanspike.ir import Program, verify
from leanspike.ir.counts import multiplies, working
from leanspike.ir.ops import LIF, Integrate, states
from leanspike.ir.reference import check_raw

MOST_THREADS = 256
Raw = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Counts:
    """What was computed for each sample in the steps it used; :mod:`leanspike.ir.counts` defines an operation.

    Attributes:
        synaptic: operations ``[B]`` by the name of the value of a synapse, scale or matmul.
        updates: updates of a potential ``[B]`` by the name of a neurons' value.
        multiplied: those whose operations are MACs; those of the others are ACs.
    """

    synaptic: Mapping[str, Ints]
    updates: Mapping[str, Ints]
    multiplied: frozenset[str]

    @property
    def macs(self) -> float:
        """Multiply-accumulate operations a sample, mean."""
        return self._mean(self.synaptic.keys() & self.multiplied)

    @property
    def acs(self) -> float:
        """Accumulate operations a sample, mean."""
        return self._mean(self.synaptic.keys() - self.multiplied)

    def _mean(self, names: set[str]) -> float:
        return float(sum(self.synaptic[name].mean() for name in names))


class Engine:
    """A program made ready: nothing is laid out or allocated for a sample any more.

    An engine may be shared by threads; they take turns.

    Args:
        threads: for the samples of a batch; answers do not depend on it.
        level: an instruction set (plain, avx2, avx512) other than the best one of this processor.

    Raises:
        ProgramError: the program is not sound.
        MissingTool: the engine was not built.
        ConfigError: no such level here, or no such number of threads.
    """

    def __init__(self, program: Program, *, threads: int = 1, level: str | None = None) -> None:
        if not 1 <= threads <= MOST_THREADS:
            raise ConfigError(f"{threads} threads", where="engine", remedy=f"take 1 to {MOST_THREADS}")
        self.program, self.threads = verify(program), threads
        self._library = library.load(level)
        self._call = self._library.leanspike_engine_run
        self._plan, self._turn = plan(program), threading.Lock()
        self._arenas = np.zeros(threads * self._plan.arena_bytes + 64, dtype=np.uint8)
        self._arena = self._arenas.ctypes.data + -self._arenas.ctypes.data % 64
        self._at = ctypes.addressof(self._plan.record)
        self._prepare_one()

    def _prepare_one(self) -> None:
        wanted = self.program.input.raw
        self._shape, self._dtype = wanted.shape, wanted.type.dtype
        self._raw = np.zeros(wanted.shape, dtype=np.int32)
        self._one = (ctypes.c_int64 * 3)()
        self._scores = np.zeros(self.program.classes, dtype=np.int64)
        start = ctypes.addressof(self._one)
        self._job = records.Job(
            raw=self._raw.ctypes.data, numbers=start + 16, batch=1, threads=1, arenas=self._arena
        )  # fmt: skip
        self._job.predictions, self._job.steps, self._job.scores = start, start + 8, self._scores.ctypes.data
        self._job_at = ctypes.addressof(self._job)

    @property
    def level(self) -> str:
        """The instruction set in use."""
        return native.level_of(self._library)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of weights and parameters as laid out, and of the working memory of one thread."""
        return {"weights": self._plan.weight_bytes, "thread": self._plan.arena_bytes}

    def classify(self, raw: Raw, number: int = 0) -> int:
        """The class of one raw sample, with the least latency.

        Args:
            raw: ``[*program.input.raw.shape]`` integers of the raw type.
            number: the sample's number, for the rate encoding.

        Raises:
            ProgramError: the sample does not fit the program.
        """
        if raw.shape != self._shape or raw.dtype != self._dtype:
            check_raw(self.program, np.asarray(raw)[None])
        with self._turn:
            self._raw[...] = raw
            self._one[2] = number
            refused = self._call(self._at, self._job_at)
            prediction = self._one[0]
        if refused:
            check_raw(self.program, raw[None])
        return prediction

    def predict(self, raw: Raw, numbers: npt.NDArray[np.integer] | None = None) -> Ints:
        """Classes ``[B]`` of raw samples, and nothing else: for batches where the potentials are of no interest.

        Raises:
            ProgramError: the samples do not fit the program.
        """
        check_raw(self.program, raw)
        batch, layers = len(raw), len(self.program.spiking)
        predictions, steps = np.empty((2, batch), dtype=np.int64)
        scores = np.empty((batch, self.program.classes), dtype=np.int64)
        spikes = np.empty((layers, batch), dtype=np.int64)
        given = np.ascontiguousarray(raw, dtype=np.int32)
        order = None if numbers is None else np.ascontiguousarray(numbers, dtype=np.int64)
        job = records.Job(raw=given.ctypes.data, numbers=None if order is None else order.ctypes.data)
        job.predictions, job.steps = predictions.ctypes.data, steps.ctypes.data
        job.scores, job.spikes = scores.ctypes.data, spikes.ctypes.data
        job.batch, job.threads, job.arenas = batch, self.threads, self._arena
        with self._turn:
            self._call(self._at, ctypes.addressof(job))
        return predictions

    def run(self, raw: Raw, numbers: npt.NDArray[np.integer] | None = None, *, record: bool = False) -> Trace:
        """As :func:`leanspike.ir.reference.run`.

        Raises:
            ProgramError: the samples do not fit the program.
        """
        return self._batch(raw, numbers, record, None)

    def run_counted(self, raw: Raw, numbers: npt.NDArray[np.integer] | None = None) -> tuple[Trace, Counts]:
        """The answers, and what was computed for them.

        Raises:
            ProgramError: the samples do not fit the program.
        """
        program = self.program
        synaptic = np.zeros((len(working(program)), len(raw)), dtype=np.int64)
        trace = self._batch(raw, numbers, False, synaptic)
        by_name = {op.result.name: counts for op, counts in zip(working(program), synaptic, strict=True)}
        fire = [op.result for op in program.operations if isinstance(op, LIF | Integrate)]
        neurons = {value.name: math.prod(value.shape) for value in fire}
        updates = {name: trace.steps * count for name, count in neurons.items()}
        multiplied = frozenset(op.result.name for op in working(program) if multiplies(op, program))
        return trace, Counts(by_name, updates, multiplied)

    def _batch(self, raw: Raw, numbers: npt.NDArray[np.integer] | None, record: bool, synaptic: Ints | None) -> Trace:
        check_raw(self.program, raw)
        answers = _Answers(self, len(raw), record)
        kept = [np.ascontiguousarray(raw, dtype=np.int32)]
        if numbers is not None:
            kept.append(np.ascontiguousarray(numbers, dtype=np.int64))
        job = answers.job(synaptic)
        job.raw, job.numbers = kept[0].ctypes.data, kept[-1].ctypes.data if numbers is not None else None
        job.batch, job.threads, job.arenas = len(raw), self.threads, self._arena
        with self._turn:
            self._call(self._at, ctypes.addressof(job))
        return answers.trace


class _Answers:
    """Arrays that the engine fills in, as a trace."""

    def __init__(self, engine: Engine, batch: int, record: bool) -> None:
        program, self.plan = engine.program, engine._plan
        self.program, self.layers = program, [op.result.name for op in program.spiking]
        self.spikes = np.zeros((len(self.layers), batch), dtype=np.int64)
        before = (program.steps, batch)
        self.trace = Trace(
            np.zeros(batch, dtype=np.int64),
            np.zeros((batch, program.classes), dtype=np.int64),
            np.zeros(batch, dtype=np.int64),
            dict(zip(self.layers, self.spikes, strict=True)),
            self._states((batch,)),
            {name: _zeros(before, program.values[name].shape) for name in self.layers} if record else {},
            self._states(before) if record else {},
        )

    def _states(self, before: tuple[int, ...]) -> dict[str, Ints]:
        return {state.name: _zeros(before, state.shape) for state in self.program.states}

    def job(self, synaptic: Ints | None) -> records.Job:
        trace = self.trace
        self.pointers = [state_table(self.program, self.plan, trace.potentials)]
        job = records.Job(states=ctypes.addressof(self.pointers[0]))
        job.predictions, job.scores = trace.predictions.ctypes.data, trace.scores.ctypes.data
        job.steps, job.spikes = trace.steps.ctypes.data, self.spikes.ctypes.data
        job.synaptic = None if synaptic is None else synaptic.ctypes.data
        if trace.step_states:
            kept = state_table(self.program, self.plan, trace.step_states)
            self.pointers += [kept, spike_table(self.plan, trace.step_spikes)]
            job.step_states, job.step_spikes = map(ctypes.addressof, self.pointers[1:])
        return job


def state_table(program: Program, plan: Plan, arrays: Mapping[str, Ints]) -> ctypes.Array[ctypes.c_void_p]:
    """Where the states of each operation are to be written, as ``Job.states`` wants it."""
    table = (ctypes.c_void_p * (3 * plan.op_count))()
    for op in program.operations:
        if op.result.name in plan.indices:
            first, *_ = states(op)
            more = (op.hold, op.adapt) if isinstance(op, LIF) else ()
            for offset, name in enumerate((first, *more)):
                if name is not None:
                    table[3 * plan.indices[op.result.name] + offset] = arrays[name].ctypes.data
    return table


def spike_table(plan: Plan, arrays: Mapping[str, Ints]) -> ctypes.Array[ctypes.c_void_p]:
    """Where the spikes of each operation are to be written, as ``Job.step_spikes`` wants it."""
    table = (ctypes.c_void_p * plan.op_count)()
    for name, spikes in arrays.items():
        table[plan.indices[name]] = spikes.ctypes.data
    return table


def _zeros(before: tuple[int, ...], shape: tuple[int, ...]) -> Ints:
    return np.zeros((*before, *shape), dtype=np.int64)


def run(
    program: Program,
    raw: Raw,
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
    threads: int = 1,
) -> Trace:
    """As :func:`leanspike.ir.reference.run`, for a program that is run once; see :class:`Engine`."""
    return Engine(program, threads=threads).run(raw, numbers, record=record)


def run_counted(
    program: Program, raw: Raw, numbers: npt.NDArray[np.integer] | None = None, *, threads: int = 1
) -> tuple[Trace, Counts]:
    """As :meth:`Engine.run_counted`, for a program that is run once."""
    return Engine(program, threads=threads).run_counted(raw, numbers)
