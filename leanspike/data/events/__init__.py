"""Events of cameras and other sensors: one type, and a reader for every file format of the field."""

from leanspike.data.events.reading import FORMATS, SUFFIXES, Layout, decoded, read
from leanspike.data.events.record import Events

__all__ = ["FORMATS", "SUFFIXES", "Events", "Layout", "decoded", "read"]
