"""Names of a program as identifiers of Verilog: letters, digits and ``_``, each once.

Every module and signal starts with a word that says what it is (``synapse_``, ``neurons_``, ``walk_``), so no name of a
program can meet a keyword.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def unique(names: Iterable[str]) -> dict[str, str]:
    """An ending of identifiers for every name: ``layer.1`` gives ``layer_1``, or ``layer_1_2`` where that is taken."""
    found: dict[str, str] = {}
    taken = set[str]()
    for name in names:
        word = re.sub(r"[^A-Za-z0-9_]", "_", name).strip("_") or "unnamed"
        word = re.sub(r"_{2,}", "_", word)
        free, count = word, 1
        while free in taken:
            count += 1
            free = f"{word}_{count}"
        taken.add(free)
        found[name] = free
    return found
