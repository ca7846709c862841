"""Pieces of Verilog whose widths are exact: no tool has to guess, and none has to warn."""

from __future__ import annotations


def bus(bits: int) -> str:
    """``[bits-1:0]``."""
    return f"[{bits - 1}:0]"


def lit(value: int, bits: int) -> str:
    """A constant of this width; negative ones in two's complement."""
    if value < 0:
        return f"{bits}'h{value & ((1 << bits) - 1):x}"
    return f"{bits}'d{value}"


def resize(name: str, before: int, after: int, signed: bool = True) -> str:
    """A signal of ``before`` bits in ``after``: sign or zeros in front, or without its upper bits."""
    if before == after:
        return name
    if after < before:
        return f"{name}[{after - 1}:0]"
    front = f"{{{after - before}{{{name}[{before - 1}]}}}}" if signed else lit(0, after - before)
    return f"{{{front}, {name}}}"


def resize_at(name: str, index: str, before: int, after: int, signed: bool = True) -> str:
    """Element ``index`` of a word of elements of ``before`` bits, in ``after >= before``."""
    part = f"{name}[{index}*{before} +: {before}]"
    if before == after:
        return part
    front = f"{{{after - before}{{{name}[{index}*{before} + {before - 1}]}}}}" if signed else lit(0, after - before)
    return f"{{{front}, {part}}}"


def part(name: str, before: int, low: int, after: int) -> str:
    """Bits ``low`` and up of a signed signal of ``before`` bits, as ``after``: ``name >>> low``."""
    kept = before - low
    if kept <= 0:
        return f"{{{after}{{{name}[{before - 1}]}}}}"
    if kept >= after:
        return f"{name}[{low + after - 1}:{low}]"
    return f"{{{{{after - kept}{{{name}[{before - 1}]}}}}, {name}[{before - 1}:{low}]}}"


def divided(name: str, bits: int, by: int) -> str:
    """An unsigned signal of ``bits`` divided by a constant: a shift, or one product that is exact below 2^bits."""
    if by == 1:
        return name
    if by & (by - 1) == 0:
        low = by.bit_length() - 1
        return lit(0, bits) if low >= bits else f"{{{lit(0, low)}, {name}[{bits - 1}:{low}]}}"
    shift = bits + by.bit_length()
    factor = -(-(1 << shift) // by)
    wide = bits + factor.bit_length()
    product = f"({{{lit(0, wide - bits)}, {name}}} * {lit(factor, wide)})"
    return f"{product} >> {shift}"
