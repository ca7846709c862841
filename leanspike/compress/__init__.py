"""Compression of trained networks: few bits, few synapses, few spikes, few steps."""

from leanspike.compress.activation import ActivationConfig
from leanspike.compress.config import CompressConfig, compressed_run, fine_tuning
from leanspike.compress.integers import StageIntegers, integer_scores, integer_trace, is_quantised, quantised_stages
from leanspike.compress.membrane import MembraneBits
from leanspike.compress.prune import PruneConfig
from leanspike.compress.run import Compressed, LeanRun, Lineage, claim, compress, load
from leanspike.compress.thresholds import ThresholdConfig
from leanspike.compress.weights import WeightBits

__all__ = [
    "ActivationConfig",
    "CompressConfig",
    "Compressed",
    "LeanRun",
    "Lineage",
    "MembraneBits",
    "PruneConfig",
    "StageIntegers",
    "ThresholdConfig",
    "WeightBits",
    "claim",
    "compress",
    "compressed_run",
    "fine_tuning",
    "integer_scores",
    "integer_trace",
    "is_quantised",
    "load",
    "quantised_stages",
]
