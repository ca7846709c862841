"""NAME.loihi.json, NAME.loihi.npz and NAME.loihi.md: a mapped program as files, and back. No pickles.

json   what every population and connection is, what is approximated, cores by layer, limits and their sources;
       sealed as made from this program, with the SHA-256 of the npz
npz    population/NAME/{decay, threshold, bias, bias_exponent, start, core}     [n] integers
       connection/K/{sources, targets, weights}                                 [E] integers, sorted by target
md     the same for people, without the arrays
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from leanspike.core.errors import TargetError
from leanspike.core.files import write_bytes, write_text
from leanspike.ir import Program
from leanspike.ir.inttype import Ints
from leanspike.targets import seal
from leanspike.targets.loihi import cores, page
from leanspike.targets.loihi.approximations import Approximation
from leanspike.targets.loihi.compartment import Compartments, Connections
from leanspike.targets.loihi.cores import Placement
from leanspike.targets.loihi.mapping import Layer, Mapping
from leanspike.targets.loihi.paths import populations

VERSION = 1
NOTE = "simulated: no chip was used; cores, memory and axons are modelled from published limits"
_POPULATION = ("decay", "threshold", "bias", "bias_exponent", "start")
_CONNECTION = ("sources", "targets", "weights")
_NARROW = {"weights": np.int16, "core": np.int16}


def write(mapping: Mapping, placement: Placement, folder: Path) -> tuple[str, ...]:
    """Write the three files; their names.

    Raises:
        OutputError: the folder cannot be written.
    """
    name = f"{mapping.program.name}.loihi"
    packed = _packed(mapping, placement)
    told = json.dumps(_told(mapping, placement, hashlib.sha256(packed).hexdigest()), indent=1)
    write_bytes(folder / f"{name}.npz", packed)
    write_bytes(folder / f"{name}.json", seal.close(told.encode() + b"\n"))
    write_text(folder / f"{name}.md", page.rendered(mapping, placement, NOTE))
    return f"{name}.json", f"{name}.npz", f"{name}.md"


def _packed(mapping: Mapping, placement: Placement) -> bytes:
    arrays: dict[str, Ints] = {}
    for layer in mapping.layers:
        named = {key: getattr(layer.compartments, key) for key in _POPULATION}
        core = np.zeros(layer.compartments.size, dtype=np.int64)
        for number, of in enumerate(placement.cores[layer.name]):
            core[list(of.compartments)] = number
        arrays |= {f"population/{layer.name}/{key}": value for key, value in (named | {"core": core}).items()}
    for k, connection in enumerate(mapping.connections):
        arrays |= {f"connection/{k}/{key}": getattr(connection, key) for key in _CONNECTION}
    narrow = {key: value.astype(_NARROW.get(key.rpartition("/")[2], np.int32)) for key, value in arrays.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **narrow)  # type: ignore[arg-type]
    return buffer.getvalue()


def _told(mapping: Mapping, placement: Placement, digest: str) -> dict[str, Any]:
    return {
        "format": "leanspike-loihi",
        "version": VERSION,
        "note": NOTE,
        "seal": seal.open_seal("loihi", mapping.program),
        "arrays_sha256": digest,
        "program": mapping.program.name,
        "steps": mapping.program.steps,
        "steps_in_the_pipeline": mapping.steps,
        "exact": mapping.exact,
        "approximations": [dataclasses.asdict(found) for found in mapping.approximations],
        "populations": [
            {
                "name": layer.name,
                "kind": layer.of.keyword,
                "compartments": layer.compartments.size,
                "current_decay": layer.compartments.current_decay,
                "shift": layer.shift,
                "depth": layer.depth,
                "input": "a bias that the host computes for each sample" if layer.host else "spikes",
            }
            for layer in mapping.layers
        ],
        "connections": [
            {key: getattr(of, key) for key in ("source", "target", "shape", "exponent", "bits", "delay")}
            for of in mapping.connections
        ],
        "cores": [dataclasses.asdict(row) for row in placement.table],
        "neurocores": placement.total,
        "limits": cores.LIMITS,
    }


def read(folder: Path, program: Program) -> Mapping:
    """The mapping that the files of a program hold.

    Raises:
        TargetError: missing, foreign, damaged, or made from another program.
    """
    path, arrays = folder / f"{program.name}.loihi.json", folder / f"{program.name}.loihi.npz"
    told = json.loads(seal.read(path, "loihi", program))
    try:
        packed = arrays.read_bytes()
    except OSError as error:
        raise TargetError(f"cannot be read ({error.strerror})", where=arrays, remedy="emit it anew") from error
    if hashlib.sha256(packed).hexdigest() != told["arrays_sha256"]:
        raise TargetError(f"is damaged, or does not belong to {path.name}", where=arrays, remedy="emit it anew")
    with np.load(io.BytesIO(packed), allow_pickle=False) as held:
        values = {key: held[key].astype(np.int64) for key in held.files}
    of = {op.result.name: op for op in populations(program)}
    layers = []
    for row in told["populations"]:
        named = {key: values[f"population/{row['name']}/{key}"] for key in _POPULATION}
        compartments = Compartments(row["name"], **named, current_decay=row["current_decay"])
        host = row["input"] != "spikes"
        layers.append(Layer(of[row["name"]], row["shift"], row["depth"], host, compartments))
    connections = []
    for k, row in enumerate(told["connections"]):
        ends = {key: values[f"connection/{k}/{key}"] for key in _CONNECTION}
        connections.append(Connections(**(row | {"shape": tuple(row["shape"])}), **ends))
    approximations = tuple(Approximation(**found) for found in told["approximations"])
    return Mapping(program, tuple(layers), tuple(connections), approximations)
