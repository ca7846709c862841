"""The page of a detection run: its windows with boxes, COCO's measures named in full, and what the program costs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from leanspike.core.errors import DataError
from leanspike.core.files import write_text
from leanspike.report import detect_plots
from leanspike.report.formats import microseconds
from leanspike.report.html import render
from leanspike.report.single_page import Table

FILE, PICTURES, PAGE = "detection.json", "pictures.npz", "report.html"
_FORMS = {"float": "Trained network, floats", "quantised": "Quantised network", "program": "Program, integers"}
_REMEDY = "leanspike detect train DIR --out RUN makes it"


def read(folder: Path) -> dict[str, Any]:
    """What ``folder/detection.json`` holds.

    Raises:
        DataError: missing, damaged or foreign.
    """
    path = folder / FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path, remedy=_REMEDY) from error
    except ValueError as error:
        raise DataError(f"is damaged ({error})", where=path, remedy=_REMEDY) from error
    if not isinstance(found, dict) or (found.get("kind"), found.get("schema")) != ("detection", 1):
        raise DataError("is no detection result of schema 1", where=path, remedy=_REMEDY)
    return found


def write(folder: Path) -> Path:
    """Read what a run left and write ``folder/report.html`` atomically.

    Raises:
        DataError: results or pictures are missing, damaged or foreign. OutputError: the page cannot be written.
    """
    found = read(folder)
    try:
        with np.load(folder / PICTURES, allow_pickle=False) as content:
            events = content["events"]
        page = _page(found, events)
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"its results or pictures are damaged ({error})", where=folder, remedy=_REMEDY) from error
    write_text(folder / PAGE, page)
    return folder / PAGE


def _page(found: Mapping[str, Any], events: Any) -> str:
    study = SimpleNamespace(
        leanspike=found["leanspike"], created=None, command=found["command"], config_hash=found["config_hash"]
    )
    scenes = [
        detect_plots.scene(picture, counts, found["classes"])
        for picture, counts in zip(found["pictures"], events, strict=True)
    ]
    return render(
        "detect.html",
        study=study,
        versions=[("leanspike", found["leanspike"]), *found["versions"].items()],
        configuration=json.dumps(found["config"], indent=2, ensure_ascii=False),
        found=found,
        finding=_finding(found),
        facts=_facts(found),
        scenes=scenes,
        curves=[detect_plots.precision_recall(found["curves"]), detect_plots.history(found["training"])],
        quality=_quality(found),
        classes=_classes(found),
        layers=_layers(found["program"]),
        energy=_energy(found["program"]),
    )


def _finding(found: Mapping[str, Any]) -> str:
    quality, same = found["quality"]["program"], found["equality"]
    where = "every window" if same["equal"] == same["windows"] else f"{same['equal']:,} of {same['windows']:,} windows"
    return (
        f"AP50 {quality['ap50']:.3f} and mAP (IoU 0.50:0.95) {quality['map']:.3f} on {found['windows']:,} test windows "
        f"by the integer program; its boxes equal the quantised network's in {where}."
    )


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    quality, program = found["quality"]["program"], found["program"]
    size, time = program["footprint"], program["engine_us"]
    return [
        ("AP50", f"{quality['ap50']:.3f}", f"floats {found['quality']['float']['ap50']:.3f}"),
        ("mAP (0.50:0.95)", f"{quality['map']:.3f}", f"floats {found['quality']['float']['map']:.3f}"),
        ("Spikes a window", f"{program['spikes']:,.0f}", f"T = {program['steps']}"),
        ("Operations", f"{program['operations'] / 1e6:.2f} M", "accumulates a window"),
        ("Weights", f"{size['array_bytes'] / 1024:.1f} KiB", f"states {size['state_bytes'] / 1024:.1f} KiB"),
        ("Engine", microseconds(time["p50"]), f"one thread, p99 {microseconds(time['p99'])}"),
    ]


def _quality(found: Mapping[str, Any]) -> Table:
    keys, forms = ("map", "ap50", "ap75"), found["quality"].items()
    rows = [(_FORMS[form], *(f"{row[key]:.3f}" for key in keys)) for form, row in forms]
    return Table("Average precision", ("network", "mAP (IoU 0.50:0.95)", "AP50", "AP75"), rows)


def _classes(found: Mapping[str, Any]) -> Table:
    rows = [(row["class"], _share(row["map"]), _share(row["ap50"])) for row in found["quality"]["program"]["classes"]]
    return Table("By class, of the program", ("class", "AP (IoU 0.50:0.95)", "AP50"), rows)


def _share(value: float | None) -> str:
    return "no true box" if value is None else f"{value:.3f}"


def _layers(program: Mapping[str, Any]) -> Table:
    rates = iter(program["firing_rate"].items())
    rows = []
    for row in program["layers"]:
        name, rate = next(rates, ("membrane", None))
        fires = "never fires" if rate is None else f"{rate:.2%}"
        rows.append((row["layer"], f"{row['connections']:,.0f}", f"{row['operations']:,.0f}", name, fires))
    columns = ("synapses", "connections", "operations a window", "neurons behind", "firing rate")
    return Table("Layers", columns, rows, ("neurons behind",))


def _energy(program: Mapping[str, Any]) -> Table:
    told = {name: "not measured" if nj is None else f"{nj / 1000:,.2f}" for name, nj in program["energy_nj"].items()}
    return Table("Energy of a window by published figures", ("model", "µJ"), list(told.items()))
