"""N-MNIST and N-Caltech101 files (.bin), read and written: 5 bytes an event, big endian, without any header.

    x 39..32,  y 31..24,  ON 23,  t 22..0 in us;  y = 240 is no event: the time has turned, and 2^13 is added from there

G. Orchard et al., "Converting static image datasets to spiking neuromorphic datasets using saccades", Front. Neurosci.
9 (2015) 437, and the MATLAB reader beside the data set. N-MNIST is 34 x 34.
"""

from __future__ import annotations

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.events.record import Columns, Events, Fault

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


def encode(events: Events) -> bytes:
    """A recording as a file's bytes; a tick becomes a microsecond.

    Raises:
        DataError: it is too wide, too high or too long for the format.
    """
    if events.width > 256 or events.height > _TURN or (len(events) and not 0 <= events.t[0] <= events.t[-1] < 1 << 23):
        what = (
            f"{events.width} x {events.height} pixels, or times beyond 0..{(1 << 23) - 1:,} us, do not fit a .bin file"
        )
        raise DataError(what, where="events", remedy="save t, x, y and p as .npz")
    out = np.empty((len(events), _BYTES), dtype=np.uint8)
    out[:, 0], out[:, 1] = events.x, events.y
    out[:, 2] = events.t >> 16 | events.p.astype(np.int64) << 7
    out[:, 3], out[:, 4] = events.t >> 8 & 0xFF, events.t & 0xFF
    return out.tobytes()
