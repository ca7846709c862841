"""Names of a program as identifiers of C: letters, digits and ``_``, each once, none that C or a vendor's header owns.

Every identifier in the emitted files starts with the program's name, or with a word that says what it is
(``weights_``, ``spikes_``, ``dense_``), so no name in a program can meet a keyword, a macro or a reserved name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = """
add advance array bit conv2d count decided dense done encode hold integrate keep kept lif maxpool mix plus read rows
scale scatter scores set shared shift spikes state steps sumpool track value values weights
"""
KINDS = frozenset(_WORDS.split())
"""First words of the identifiers that the emitter itself makes."""
_HEADERS = """
alloca assert complex ctype endian errno features fenv float inttypes iso646 limits locale malloc math memory newlib
picolibc setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath
threads time uchar unistd wchar wctype
"""
HEADERS = frozenset(_HEADERS.split())
"""Headers of C and its libraries: a file of that name beside the source would be taken for them."""


def prefix(name: str) -> str:
    """The program's name as the start of identifiers and the name of the files: ``mnist-400`` gives ``mnist_400``."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    taken = word.split("_")[0] in KINDS or word.lower() in HEADERS
    return word if word[0].isalpha() and not taken else f"net_{word.lstrip('_')}"


def unique(names: Iterable[str]) -> dict[str, str]:
    """An ending of identifiers for every name: ``layer.1`` gives ``layer_1``, or ``layer_1_2`` where that is taken."""
    found: dict[str, str] = {}
    taken = set[str]()
    for name in names:
        word = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_") or "unnamed"
        free, count = word, 1
        while free in taken:
            count += 1
            free = f"{word}_{count}"
        taken.add(free)
        found[name] = free
    return found
