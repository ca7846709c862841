"""Detection of objects in event streams: scenes, a spiking detector, its program, and COCO's measures."""

from leanspike.detect.outcome import complete

__all__ = ["complete"]
