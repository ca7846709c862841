"""SLAYER's spikes of one axis (.bs1): 5 bytes each, big endian.

    neuron 2 bytes,  t 3 bytes in us, of which the top bit is set

S. B. Shrestha, G. Orchard, "SLAYER: Spike layer error reassignment in time", NeurIPS 2018, and its file reader. Spikes
need not be sorted by time.
"""

from __future__ import annotations

import numpy as np

from leanspike.data.events.record import Columns, Fault

_BYTES = 5


def decode(data: bytes) -> Columns:
    """Every spike, as ON events of one row."""
    count, rest = divmod(len(data), _BYTES)
    raw = np.frombuffer(data, np.uint8, count * _BYTES).reshape(count, _BYTES).astype(np.int64)
    fault = Fault(count * _BYTES, f"the last spike has {rest} of {_BYTES} bytes") if rest else None
    t = (raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
    neuron = raw[:, 0] << 8 | raw[:, 1]
    return Columns(t, neuron, np.zeros_like(t), np.ones(count, dtype=bool), None, fault)
