"""Every target on programs of networks trained on MNIST, dense and convolutional: every spike and state compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leanspike import ir, targets
from leanspike.targets.conformance import Case, assert_equal

TRAINED = Path(__file__).parent / "trained"
PROGRAMS = {"mnist-mlp-t5": 40, "mnist-convnet-t4": 8}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("target", [name for name in targets.NAMES if name not in ("loihi", "spice")])
def test_equals_the_reference_in_every_step(target: str, program: str, tmp_path: Path) -> None:
    assert_equal(case(program), target, tmp_path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_know_their_digits(program: str) -> None:
    given = case(program)
    labels = np.load(TRAINED / "mnist-test-samples.npz", allow_pickle=False)["y"][: len(given.raw)]
    assert (ir.run(given.program, given.raw).predictions == labels).all()


def case(program: str) -> Case:
    loaded = ir.load(TRAINED / f"{program}.lsp")
    x = np.load(TRAINED / "mnist-test-samples.npz", allow_pickle=False)["x"][: PROGRAMS[program]]
    return Case(loaded, ir.raw_samples(loaded, x), np.arange(len(x)))
