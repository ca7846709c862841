"""Packets: what is packed comes out again however it is cut up, what is damaged is skipped and counted."""

from __future__ import annotations

import numpy as np
import pytest
from eventful import events

from leanspike.engine import EVENT
from leanspike.engine.packets import Cutter
from leanspike.stream import wire


def cut(cutter: Cutter, data: bytes) -> tuple[np.ndarray, list[bytes]]:
    """The events that come out, and the other packets."""
    found = list(cutter.cut(data))
    others = [one for one in found if isinstance(one, bytes)]
    return np.concatenate([np.zeros(0, EVENT), *[one for one in found if not isinstance(one, bytes)]]), others


@pytest.mark.parametrize("most", [1, 7, 1024])
@pytest.mark.parametrize("pieces", [1, 2, 100])
def test_events_come_out_as_they_went_in(most: int, pieces: int) -> None:
    sent = events(500, 10**6)
    sent["x"][:4], sent["y"][:4] = [0, 65_535, 1, 2], [0, 32_767, 3, 4]
    data = b"".join(wire.packed(sent, most=most)) + wire.end(500)
    cutter, taken, ends = Cutter(), [np.zeros(0, EVENT)], []
    for piece in np.array_split(np.frombuffer(data, np.uint8), pieces):
        found, others = cut(cutter, piece.tobytes())
        taken.append(found)
        ends += others
    assert np.array_equal(np.concatenate(taken), sent)
    assert ends == [wire.end(500)]
    assert (cutter.lost, cutter.skipped, cutter.left) == (0, 0, 0)


def test_times_that_jump_or_fall_begin_a_packet() -> None:
    sent = events(6, 100)
    sent["t"] = [5, 4, -(10**15), 10**15, 10**15 + 2**32 - 1, 10**15 + 2**33]
    packets = list(wire.packed(sent))
    assert len(packets) == 5
    assert np.array_equal(cut(Cutter(), b"".join(packets))[0], sent)


def test_values_are_packets_of_steps() -> None:
    steps = np.arange(12, dtype=np.uint16).reshape(4, 3)
    packet = wire.packed_values(steps)
    assert cut(Cutter(6), packet)[1] == [packet]
    assert np.array_equal(wire.values(packet, (3,), np.dtype(np.uint16)), steps)
    cutter = Cutter()
    assert cut(cutter, packet)[1] == []
    assert cutter.skipped + cutter.left == len(packet)


def test_a_gap_is_lost_until_it_comes_late() -> None:
    packets, cutter = list(wire.packed(events(50, 100), most=10)), Cutter()
    for index, lost in ((0, 0), (2, 10), (4, 20), (1, 10), (3, 0), (0, 0)):
        cut(cutter, packets[index])
        assert cutter.lost == lost, index
    assert len(cut(cutter, packets[2] + wire.end(70))[1]) == 1
    assert cutter.lost == 10 + 40, "of the sender that began anew with packet 0: 10 .. 20 and 30 .. 70"


def test_what_is_no_packet_is_skipped_and_counted() -> None:
    packets = list(wire.packed(events(30, 100), most=10))
    cutter = Cutter()
    found, _ = cut(cutter, b"LSE" + packets[0] + b"noise" + packets[1][:-3] + packets[2])
    assert np.array_equal(found[:19], events(30, 100)[:19]), "a packet cut short takes its end from the next one"
    assert len(found) == 20
    assert cutter.skipped == 3 + 5 + len(packets[2]) - 3 - cutter.left
    data = packets[0] + b"LSE1" + bytes([9]) * 40 + packets[1][:4] + b"\xff" + packets[1][5:] + packets[2]
    cutter = Cutter()
    found, _ = cut(cutter, data)
    assert np.array_equal(found, np.concatenate([events(30, 100)[:10], events(30, 100)[20:]]))
    assert cutter.skipped == 44 + len(packets[1])
    assert cutter.lost == 10


def test_damage_anywhere_never_breaks_the_cutter() -> None:
    random, data = np.random.default_rng(0), b"".join(wire.packed(events(300, 10**5), most=20)) + wire.end(300)
    for _ in range(2_000):
        damaged = bytearray(data)
        for at in random.integers(0, len(data), random.integers(1, 6)):
            damaged[at] = random.integers(0, 256)
        damaged = damaged[: random.integers(0, len(data) + 1)]
        cutter, taken = Cutter(), 0
        for piece in np.array_split(np.frombuffer(damaged, np.uint8), 3):
            found, others = cut(cutter, piece.tobytes())
            taken += wire.HEAD.size * len(others) + 8 * len(found)
        assert taken + cutter.skipped + cutter.left <= len(damaged)
        assert cutter.lost >= 0


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"LSE1",
        b"LSE2" + wire.end(3)[4:],
        wire.end(3)[:5] + b"\1" + wire.end(3)[6:],
        wire.end(3)[:4] + b"\3" + wire.end(3)[5:],
        wire.HEAD.pack(b"LSE1", wire.END, 0, 1, 0, 0),
        wire.packed_values(np.zeros((2, 3), np.uint8)),
    ],
)
def test_what_is_no_packet_has_no_size(head: bytes) -> None:
    assert wire.size_of(head, 0) is None


def test_sizes_are_those_of_the_packets() -> None:
    assert [wire.size_of(packet, 0) for packet in wire.packed(events(30, 9), most=16)] == [24 + 128, 24 + 112]
    assert wire.size_of(wire.packed_values(np.zeros((2, 3), np.uint8)), 3) == 30
