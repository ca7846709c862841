"""What the commands on programs share: the samples that a program is run on."""

from __future__ import annotations

from typing import Any

from leanspike import data, ir
from leanspike.core.errors import ConfigError
from leanspike.core.records import require
from leanspike.measure.samples import Samples


def load_samples(program: ir.Program, origin: dict[str, Any], dataset: str | None, count: int) -> Samples:
    """The first ``count`` test samples (0: all) of ``dataset``, or of the data set the program was made from.

    Raises:
        ConfigError: no data set is named and the program does not tell one. DataError, ProgramError: they do not fit.
    """
    require(count >= 0, "--samples", count, "a whole number from 1 up, or 0 for all")
    name = dataset or origin.get("dataset")
    if not isinstance(name, str):
        raise ConfigError("the program does not tell its data set", where="--data", remedy="name one")
    found = data.load(name).test()
    chosen = slice(0, count or len(found))
    raw = ir.raw_samples(program, found.x[chosen])
    return Samples(name, raw, found.y[chosen], found.numbers[chosen])
