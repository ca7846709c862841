"""The recordings that scenes are composed of, and the writing of a whole set of scenes.

    DIR/train, DIR/val, DIR/test     scenes one after the other, 250 a recording; see :mod:`leanspike.detect.prophesee`
    DIR/scenes.json                  configuration, classes, licence, how many scenes and boxes

Scene i of a recording lasts from i d to (i + 1) d, and its boxes stand at (i + 1) d.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from leanspike import __version__
from leanspike.core.errors import DataError, OutputError
from leanspike.core.files import make_folder, write_json, writing
from leanspike.core.records import content_hash, to_dict
from leanspike.data import fetch
from leanspike.data.base import held_out
from leanspike.data.events import Events, Layout, decoded, nmnist
from leanspike.data.known import find
from leanspike.detect import prophesee
from leanspike.detect.scenes import PARTS, Digit, SceneConfig, compose
from leanspike.detect.windows import PAGE

SET = "n-mnist-small"
A_RECORDING = 250
_SIDE = 34
_NAME = re.compile(r"(Train|Test)/(\d)/(\d+)\.bin")


def digits(seed: int, validation: float) -> dict[str, tuple[Digit, ...]]:
    """The recordings of each part: test ones for ``test``; of the training ones, a stratified share for ``val``.

    Raises:
        DataError: N-MNIST is missing and cannot be fetched, or is damaged.
    """
    known = find(SET)
    form = fetch.present_form(known) or known.forms[0]
    (path,) = fetch.obtain(known, form).values()
    training, test = (read_digits(path, part) for part in ("Train", "Test"))
    held = held_out(np.array([digit.label for digit in training], dtype=np.int64), validation, seed)
    kept = {"val": held, "train": ~held}
    parts = {part: tuple(training[i] for i in np.flatnonzero(chosen)) for part, chosen in kept.items()}
    return {**parts, "test": test}


def read_digits(path: Path, part: str) -> tuple[Digit, ...]:
    """The recordings of ``Train`` or ``Test`` of a .zip of N-MNIST, in the order of their numbers.

    Raises:
        DataError: a damaged archive or recording, or none there.
    """
    found: list[tuple[int, Digit]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                told = _NAME.fullmatch(name)
                if told and told[1] == part:
                    events = decoded(nmnist.decode(archive.read(name)), f"{path}: {name}", Layout((_SIDE, _SIDE)))
                    found.append((int(told[3]), Digit(events, int(told[2]))))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
    if not found:
        raise DataError(f"holds no {part}/LABEL/NUMBER.bin", where=path)
    return tuple(digit for _, digit in sorted(found, key=lambda row: row[0]))


def write_scenes(
    config: SceneConfig,
    recordings: Mapping[str, Sequence[Digit]],
    out: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Compose and write all scenes; what the folder's page says.

    Args:
        recordings: by part, as :func:`digits` gives them.
        advance: told how many scenes were written since it was last called.

    Raises:
        OutputError: the folder is not empty or cannot be written; nothing half written stands there.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError("is no empty folder", where=out, remedy="choose another --out, or remove it")
    make_folder(out.parent)
    part_way = out.with_name(f".{out.name}.part-way")
    shutil.rmtree(part_way, ignore_errors=True)
    counts = {part: _write_part(config, recordings[part], part, part_way / part, advance) for part in PARTS}
    known = find(SET)
    facts: dict[str, Any] = {"leanspike": __version__, "classes": list(known.classes), "counts": counts}
    facts |= {"licence": known.licence, "source": known.citation}
    facts |= {"config": to_dict(config), "config_hash": content_hash(config)}
    write_json(part_way / PAGE, facts)
    with writing(out):
        part_way.replace(out)
    return facts


def _write_part(
    config: SceneConfig, recordings: Sequence[Digit], part: str, folder: Path, advance: Callable[[int], None]
) -> dict[str, int]:
    make_folder(folder)
    total, boxes = getattr(config, part), 0
    for start in range(0, total, A_RECORDING):
        numbers = range(start, min(start + A_RECORDING, total))
        scenes = [compose(recordings, config, part, number) for number in numbers]
        marks = [((i + 1) * config.window_us, scene.boxes) for i, scene in enumerate(scenes)]
        joined = _joined([scene.events for scene in scenes], config)
        prophesee.write_recording(folder, f"scenes-{start:06d}", joined, marks)
        boxes += sum(len(scene.boxes) for scene in scenes)
        advance(len(scenes))
    return {"scenes": total, "boxes": boxes, "recordings": len(recordings)}


def _joined(streams: Sequence[Events], config: SceneConfig) -> Events:
    """Scenes one after the other in time."""
    shifted = [replace(events, t=events.t + i * config.window_us) for i, events in enumerate(streams)]
    t, x, y, p = (np.concatenate([getattr(events, name) for events in shifted]) for name in ("t", "x", "y", "p"))
    return Events(t, x, y, p, config.side, config.side)
