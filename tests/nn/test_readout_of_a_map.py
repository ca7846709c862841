"""Scores of an output layer that is a map: flat and channels last, for every readout."""

from __future__ import annotations

import pytest
import torch

from leanspike.nn import Output, readout
from leanspike.nn.readout import NAMES


@pytest.mark.parametrize("kind", NAMES)
def test_scores_of_a_map_are_those_of_its_places_in_a_row(kind: str) -> None:
    torch.manual_seed(0)
    potential, spikes = torch.randn(3, 2, 4, 5, 6), (torch.rand(3, 2, 4, 5, 6) < 0.4).float()
    flat = Output(*(x.movedim(2, -1).reshape(3, 2, 120) for x in (spikes, potential)), ())
    torch.testing.assert_close(readout(Output(spikes, potential, ()), kind), readout(flat, kind), rtol=0, atol=0)
    assert readout(flat, kind).shape == (2, 120)
