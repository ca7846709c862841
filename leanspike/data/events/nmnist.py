"""N-MNIST and N-Caltech101 files (.bin): 5 bytes an event, big endian, without any header.

    x 39..32,  y 31..24,  ON 23,  t 22..0 in us;  y = 240 is no event: the time has turned, and 2^13 is added from there

G. Orchard et al., "Converting static image datasets to spiking neuromorphic datasets using saccades", Front. Neurosci.
9 (2015) 437, and the MATLAB reader beside the data set. N-MNIST is 34 x 34.
"""

from __future__ import annotations

import numpy as np

from leanspike.data.events.record import Columns, Fault

_BYTES, _TURN, _TICKS = 5, 240, 1 << 13


def decode(data: bytes) -> Columns:
    """Every event."""
    count, rest = divmod(len(data), _BYTES)
    raw = np.frombuffer(data, np.uint8, count * _BYTES).reshape(count, _BYTES).astype(np.int64)
    fault = Fault(count * _BYTES, f"the last event has {rest} of {_BYTES} bytes") if rest else None
    turned = raw[:, 1] == _TURN
    t = ((raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]) + _TICKS * np.cumsum(turned)
    kept = ~turned
    return Columns(t[kept], raw[kept, 0], raw[kept, 1], raw[kept, 2] >> 7, None, fault)
