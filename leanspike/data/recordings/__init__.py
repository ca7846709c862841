"""Sets of event recordings: known ones, a user's own, and images before a simulated camera, all as frames on disk.

A name may tell how recordings become frames, after a colon:

    n-mnist-small:by=count,frames=16            settings of :class:`leanspike.data.events.prepare.Preparation`
    events-of:mnist:frames=8,threshold=0.3      and of :class:`leanspike.data.generated.CameraConfig`
    my/recordings:frames=20,pool=4
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leanspike.core.errors import ConfigError, DataError
from leanspike.core.records import from_dict, parse_value, to_dict
from leanspike.data.base import Dataset
from leanspike.data.events.prepare import Preparation
from leanspike.data.generated import CameraConfig
from leanspike.data.recordings import folder, generated, sets, store
from leanspike.data.recordings.source import Source
from leanspike.data.remote import KnownSet

GENERATED = generated.PREFIX
_CAMERA = [field.name for field in dataclasses.fields(CameraConfig)]


def split_name(name: str) -> tuple[str, dict[str, Any]]:
    """A name or path, and the settings after its last colon.

    Raises:
        ConfigError: a setting without a value, or one that is named twice.
    """
    base, _, tail = name.rpartition(":")
    if not base or "=" not in tail or "/" in tail or Path(name).exists():
        return name, {}
    values: dict[str, Any] = {}
    for setting in tail.split(","):
        key, equals, value = setting.partition("=")
        if not equals or not key.strip() or key.strip() in values:
            raise ConfigError("expected KEY=VALUE[,KEY=VALUE], each key once", where=name)
        values[key.strip()] = parse_value(value)
    return base, values


def preparation(name: str) -> Preparation | None:
    """How the recordings of a data set of this name become frames; None where it is no set of recordings.

    Raises:
        ConfigError: a setting that is unknown or out of range.
    """
    base, values = split_name(name)
    if base.startswith(GENERATED):
        return _preparation(Preparation(), {key: value for key, value in values.items() if key not in _CAMERA})
    if known := sets.preparation(base):
        return _preparation(known, values)
    path = Path(base)
    return _preparation(Preparation(), values) if path.is_dir() and folder.is_one(path) else None


def load_known(known: KnownSet, name: str) -> Dataset:
    """A known set under ``name``, which may have settings.

    Raises:
        DataError: a file is missing and cannot be fetched, or is damaged. ConfigError: a setting that does not fit.
    """
    how = preparation(name) or Preparation()
    return store.load(sets.source(known), how, name)


def load_folder(root: Path, name: str) -> Dataset:
    """A user's own folder of class-named folders of event files.

    Raises:
        DataError: a damaged recording, or folders that do not fit. ConfigError: a setting that does not fit.
    """
    how = preparation(name) or Preparation()
    return store.load(folder.source(root), how, name)


def load_generated(name: str, load: Callable[[str], Dataset]) -> Dataset:
    """Images before the simulated camera.

    Args:
        name: ``events-of:IMAGES`` with or without settings.
        load: how the images are found.

    Raises:
        DataError: no images. ConfigError: a setting that does not fit.
    """
    return store.load(_generated(name, load), preparation(name) or Preparation(), name)


def make(name: str, load: Callable[[str], Dataset], out: Path) -> int:
    """Write images before the simulated camera as a folder of class-named folders of .bin files; see :mod:`.folder`.

    Returns:
        How many recordings there are.

    Raises:
        DataError, ConfigError: as of :func:`load_generated`, or the recordings do not fit the format.
        OutputError: the folder is there already, or cannot be written.
    """
    if not name.startswith(GENERATED):
        raise DataError("is no set that is made here", where=name, remedy=f"name images: {GENERATED}{name}")
    return folder.write(_generated(name, load), out)


def _generated(name: str, load: Callable[[str], Dataset]) -> Source:
    base, values = split_name(name)
    how = preparation(name) or Preparation()
    camera = from_dict(CameraConfig, {key: value for key, value in values.items() if key in _CAMERA})
    images = load(base.removeprefix(GENERATED))
    first = {key: getattr(images, key)[: how.train or None] for key in ("x_train", "y_train")}
    first |= {key: getattr(images, key)[: how.test or None] for key in ("x_test", "y_test")}
    return generated.source(dataclasses.replace(images, **first), camera)


def _preparation(start: Preparation, values: dict[str, Any]) -> Preparation:
    return from_dict(Preparation, to_dict(start) | values)
