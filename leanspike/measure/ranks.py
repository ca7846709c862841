"""Several methods on several data sets: ranks, whether they differ at all, and which pairs do.

    rank        on each set 1 is the best; equal accuracies share the mean of their ranks
    Friedman    chi^2 over the ranks: are all methods alike?
    Wilcoxon    signed ranks of the differences of a pair over the sets, two-sided; Holm's correction over all pairs
    cliques     groups of methods, neighbours by mean rank, no pair of which differs (p >= ALPHA after Holm)

J. Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7, 2006; pairs by Wilcoxon and Holm in
place of Nemenyi as in A. Benavoli, G. Corani, F. Mangili, Should we really use post-hoc tests based on mean-ranks?,
JMLR 17, 2016.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from leanspike.core.errors import DataError

ALPHA = 0.05


@dataclass(frozen=True)
class Pair:
    """Two methods: sets that the first one wins, draws, loses, and p before and after Holm's correction."""

    first: str
    second: str
    wins: int
    draws: int
    losses: int
    p: float
    corrected: float

    @property
    def differs(self) -> bool:
        """Whether the two differ."""
        return self.corrected < ALPHA


@dataclass(frozen=True)
class Ranking:
    """Methods by mean rank, the best first.

    Attributes:
        methods, ranks: names and mean ranks.
        sets: how many sets.
        friedman: p of the Friedman test; None of fewer than three methods or two sets.
        pairs: every pair, in the order of the methods.
        cliques: groups of two and more that do not differ, none within another.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    sets: int
    friedman: float | None
    pairs: tuple[Pair, ...]
    cliques: tuple[tuple[str, ...], ...]


def ranking(accuracy: Mapping[str, Sequence[float]]) -> Ranking:
    """Rank methods by their accuracies on the same sets, in the same order.

    Raises:
        DataError: fewer than two methods, no set, or unequally many sets.
    """
    lengths = {len(values) for values in accuracy.values()}
    if len(accuracy) < 2 or len(lengths) != 1 or 0 in lengths:
        raise DataError("ranks need two methods or more, each on the same sets", where="ranking")
    names = list(accuracy)
    table = np.array([accuracy[name] for name in names])
    means = stats.rankdata(-table, axis=0).mean(1)
    order = np.argsort(means, kind="stable")
    names, table = [names[i] for i in order], table[order]
    pairs = _pairs(names, table)
    alike = {(pair.first, pair.second) for pair in pairs if not pair.differs}
    friedman = None
    if len(names) > 2 and table.shape[1] > 1 and np.ptp(table, axis=0).any():
        friedman = float(stats.friedmanchisquare(*table).pvalue)
    return Ranking(
        tuple(names), tuple(map(float, means[order])), table.shape[1], friedman, tuple(pairs), _cliques(names, alike)
    )


def _pairs(names: list[str], table: npt.NDArray[np.float64]) -> list[Pair]:
    found = []
    for i, j in itertools.combinations(range(len(names)), 2):
        gap = table[i] - table[j]
        p = float(stats.wilcoxon(gap, zero_method="zsplit").pvalue) if gap.any() else 1.0
        found.append((names[i], names[j], int((gap > 0).sum()), int((gap == 0).sum()), int((gap < 0).sum()), p))
    corrected = holm([p for *_, p in found])
    return [Pair(*row, fixed) for row, fixed in zip(found, corrected, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the k-th smallest of m times m - k + 1, never below one before it, at most 1."""
    corrected, highest = [1.0] * len(p), 0.0
    for k, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, p[i] * (len(p) - k)))
        corrected[i] = highest
    return corrected


def _cliques(names: list[str], alike: set[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Longest runs of neighbours whose pairs all are alike."""
    found: list[tuple[str, ...]] = []
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and all((names[k], names[end]) in alike for k in range(start, end)):
            end += 1
        run = tuple(names[start:end])
        if len(run) > 1 and not any(set(run) <= set(other) for other in found):
            found.append(run)
    return tuple(found)
