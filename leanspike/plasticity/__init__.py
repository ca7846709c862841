"""Learning without back-propagation: spike-timing-dependent plasticity, Diehl & Cook's network, labels, programs."""

from leanspike.plasticity import answer, encoding, reward
from leanspike.plasticity.config import NeuronConfig, RuleConfig, StdpConfig
from leanspike.plasticity.kernel import present
from leanspike.plasticity.labels import Labels, assign, decide, matrix
from leanspike.plasticity.lower import StdpLowering, lower
from leanspike.plasticity.reference import Learned, Presentation
from leanspike.plasticity.train import Trained, fit

__all__ = [
    "Labels",
    "Learned",
    "NeuronConfig",
    "Presentation",
    "RuleConfig",
    "StdpConfig",
    "StdpLowering",
    "Trained",
    "answer",
    "assign",
    "decide",
    "encoding",
    "fit",
    "lower",
    "matrix",
    "present",
    "reward",
]
