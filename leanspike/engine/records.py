"""The records of csrc/engine.h as ctypes sees them, field by field; engine.h says what they mean."""

from __future__ import annotations

import ctypes
import enum
from ctypes import c_int64, c_void_p


class Form(enum.IntEnum):
    """How a value lies in the arena."""

    BITS = 0
    I16 = 1
    I32 = 2


class Kind(enum.IntEnum):
    """What an operation does."""

    DENSE = 0
    CONV = 1
    SPARSE_DENSE = 2
    SPARSE_CONV = 3
    SUM_POOL = 4
    MAX_POOL = 5
    ADD = 6
    LIF = 7
    INTEGRATE = 8
    EVENTS = 9
    WIDEN = 10
    SCALE = 11
    SCORES = 12
    VALUES = 13
    DELAY = 14


def _fields(text: str, kind: type = c_int64) -> list[tuple[str, type]]:
    return [(name, kind) for name in text.split()]


class Value(ctypes.Structure):
    """A value."""

    _fields_ = _fields("form elements data pattern added removed amounts slot")


class Op(ctypes.Structure):
    """An operation."""

    _fields_ = [
        *_fields("kind once source other result"),
        ("weight", c_void_p),
        *_fields("weight_bits sum_bits columns base operations"),
        ("starts", c_void_p),
        *_fields("width channels result_height result_width size reaches block heads"),
        *_fields("across along", c_void_p),
        *_fields("state state_bits hold shift lowest highest saturates zero refractory repeat"),
        *_fields("leak bias threshold amount", c_void_p),
        *_fields("leak_step bias_step threshold_step amount_step"),
        *_fields("coded code_shift first_code last_code adapts adapt adapt_shift adapt_fraction adapt_highest"),
        *_fields("adapt_leak adapt_jump", c_void_p),
        *_fields("adapt_leak_step adapt_jump_step"),
    ]


class Plan(ctypes.Structure):
    """A program."""

    _fields_ = [
        *_fields("values ops", c_void_p),
        *_fields("op_count steps encoding input raw channels raw_lowest raw_highest seed threshold start"),
        ("table", c_void_p),
        *_fields("thresholds live track readout source classes margin earliest exits"),
        *_fields("state_begin state_end scores event_counts arena_bytes"),
    ]


class Job(ctypes.Structure):
    """A call."""

    _fields_ = [
        *_fields("raw numbers", c_void_p),
        *_fields("batch threads"),
        *_fields("predictions scores steps spikes synaptic states step_spikes step_states arenas", c_void_p),
    ]
