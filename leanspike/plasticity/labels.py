"""From spikes to classes: neurons are labelled by the training samples they answered to, after all learning.

With ``c[n, j]`` the spikes of neuron j for the labelled sample n of class y, and the mean response
``r[j, k] = mean of c[n, j] over n with y[n] = k``, neuron j belongs to the class of its largest response (the lowest
index of equal ones; a silent neuron to none). A readout is a matrix ``R[j, k]``, and the class of a new sample the k
with the largest ``sum over j of c[j] R[j, k]`` (the lowest of equal ones):

    assigned     R = 1 where j belongs to k                       spikes of a class's neurons
    mean         R = 1 / (neurons of class k) where j belongs     their mean, as Diehl & Cook (2015) have it
    proportion   R = r[j, k] / (sum over k' of r[j, k'])          every neuron votes in proportion to its responses
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.plasticity.config import Readout

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NONE = -1


@dataclass(frozen=True, eq=False)
class Labels:
    """Attributes:
    responses: ``[neurons, K]`` mean spikes a sample of every class.
    owner: ``[neurons]`` the class that a neuron belongs to, -1 for one that stayed silent.
    """

    responses: Doubles
    owner: Ints


def assign(counts: npt.NDArray[Any], classes_of: Ints, classes: int) -> Labels:
    """Label neurons by their spikes ``[N, neurons]`` for labelled samples; a class without samples owns none."""
    return assign_sums(sums(counts, classes_of, classes), np.bincount(classes_of, minlength=classes))


def sums(counts: npt.NDArray[Any], classes_of: Ints, classes: int) -> Doubles:
    """Spikes ``[neurons, K]`` by class."""
    found = np.zeros((counts.shape[1], classes))
    for k in range(classes):
        found[:, k] = counts[classes_of == k].sum(axis=0)
    return found


def assign_sums(spikes: Doubles, samples: npt.NDArray[Any]) -> Labels:
    """Label neurons by their spikes ``[neurons, K]`` and the samples ``[K]`` of each class."""
    responses = spikes / np.maximum(samples, 1)
    owner = np.where(responses.any(axis=1), responses.argmax(axis=1), NONE)
    return Labels(responses, owner)


def matrix(labels: Labels, readout: Readout) -> Doubles:
    """The readout ``R``: ``[neurons, K]``; rows of silent neurons are 0."""
    classes = labels.responses.shape[1]
    if readout == "proportion":
        total = labels.responses.sum(axis=1, keepdims=True)
        shares: Doubles = np.divide(labels.responses, total, out=np.zeros_like(labels.responses), where=total > 0)
        return shares
    belongs: Doubles = (labels.owner[:, None] == np.arange(classes)).astype(np.float64)
    if readout == "mean":
        belongs /= np.maximum(belongs.sum(axis=0), 1)
    return belongs


def decide(counts: npt.NDArray[Any], readout: Doubles) -> Ints:
    """Classes ``[N]`` of spikes ``[N, neurons]``."""
    chosen: Ints = (counts @ readout).argmax(axis=1)
    return chosen
