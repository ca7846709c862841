"""Compression of trained networks: few bits, few synapses, few spikes, few steps."""

from leanspike.compress.config import CompressConfig, compressed_run, fine_tuning
from leanspike.compress.membrane import MembraneBits
from leanspike.compress.prune import PruneConfig
from leanspike.compress.run import Compressed, LeanRun, Lineage, compress, load
from leanspike.compress.weights import WeightBits

__all__ = [
    "CompressConfig",
    "Compressed",
    "LeanRun",
    "Lineage",
    "MembraneBits",
    "PruneConfig",
    "WeightBits",
    "compress",
    "compressed_run",
    "fine_tuning",
    "load",
]
