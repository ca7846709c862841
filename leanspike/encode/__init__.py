"""Encoders: values in [0, 1] become currents or spikes ``[T, B, ...]``; each has its decoder."""

from leanspike.encode.config import EncoderConfig
from leanspike.encode.encoding import SUITED_READOUTS, decode, encode, encoded_shape

__all__ = ["SUITED_READOUTS", "EncoderConfig", "decode", "encode", "encoded_shape"]
