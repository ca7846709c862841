"""What ``leanspike check --target loihi`` tells beside mismatches: approximations, and what they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.measure.samples import Samples
    from leanspike.targets import Artefact


def check(artefact: Artefact, samples: Samples) -> dict[str, Any]:
    """What Loihi's rules approximate, and how far the simulated network is off."""
    from leanspike.targets.loihi import agreement, mapped

    mapping = mapped(artefact.program)
    found = agreement(mapping, samples.raw, samples.numbers, samples.labels)
    return {"approximations": artefact.facts["warnings"], "agreement": asdict(found)}


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield from (f"approximated: {what}" for what in told["approximations"])
    found = told["agreement"]
    for row in found["layers"]:
        ours, theirs = row["spikes_program"], row["spikes_simulated"]
        share = row["differing"] / max(1, row["places"])
        yield f"{row['layer']}: {ours:,} spikes in the program, {theirs:,} simulated; {share:.4%} of places differ"
    places = sum(row["places"] for row in found["layers"])
    for row in found["rules"]:
        whole, added = (row[key] / max(1, places) for key in ("spikes_differing", "spikes_added"))
        differs = f"{row['decisions_differing']} decisions and {whole:.4%} of places differ"
        yield f"{row['rule']}: {differs}; {added:.4%} from the rule before"
    accuracies = f"{found['accuracy_program']:.2%} as program, {found['accuracy_simulated']:.2%} simulated (no chip)"
    yield f"accuracy {accuracies}; ends of range: {found['clipped']} voltages, {found['wrapped']} currents"
