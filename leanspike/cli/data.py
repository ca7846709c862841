"""``leanspike data``: what data there are, where they lie, and what a path is understood as."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.core.errors import DataError

if TYPE_CHECKING:
    from leanspike.data.base import Dataset
    from leanspike.data.remote import KnownSet

EXAMPLE = """examples:
  leanspike data list              the known sets, where each lies, its checksum's state
  leanspike data fetch mnist       download and verify (resumes what an earlier attempt left)
  leanspike data show digits       shape, classes, counts and range of values
  leanspike data show my/data.npz  the same for your own .npz, image folders or series pair
  leanspike data make events-of:digits:train=500,test=100 --out my/events     images before a simulated event camera
  leanspike data events cup.raw    what a recording of an event camera holds; any format
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``leanspike data``."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("data", help="list, fetch and look at data sets", epilog=EXAMPLE, formatter_class=raw)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="known sets, where they lie, licence, checksum")
    fetching = actions.add_parser("fetch", help="download a known set into the cache and verify it")
    fetching.add_argument("name", help="name of a known set")
    showing = actions.add_parser("show", help="what a set, or your own data, was understood as")
    showing.add_argument("name", metavar="NAME_OR_PATH", help="a known set, or a path to your own data")
    recording = actions.add_parser("events", help="what a recording of an event camera holds")
    recording.add_argument("file", type=Path, help="AEDAT 2, 3 or 4, EVT 2 or 3, DAT, ES, .bin, HDF5, NumPy, ...")
    recording.add_argument("--partial", action="store_true", help="of a damaged file, take the good part")
    making = actions.add_parser("make", help="write images before a simulated event camera as event files")
    making.add_argument(
        "name", metavar="events-of:IMAGES[:KEY=VALUE,...]", help="a set or path of images, and settings"
    )
    making.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder, which must not be there yet")
    for action in (listing, fetching, showing, recording, making):
        action.add_argument("--json", action="store_true", help="print JSON for a machine to read")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action; returns 0."""
    rows, table = _ACTIONS[args.action](args)
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        print(table)
    return 0


def _list(_: argparse.Namespace) -> tuple[Any, str]:
    from leanspike.data.known import KNOWN

    rows = [_state(known) for known in KNOWN]
    blocks = [
        f"{row['name']:<26} {row['train']:>6,} / {row['test']:<6,}  {_shape(row['shape']):<8}  {row['location']}\n"
        f"{'':<26} licence: {row['licence']}\n"
        f"{'':<26} checksum: {row['checksum']}" + (f"\n{'':<26} note: {row['note']}" if row["note"] else "")
        for row in rows
    ]
    head = f"{'name':<26} {'train':>6} / {'test':<6}  {'shape':<8}  where"
    return rows, "\n".join([head, *blocks])


def _state(known: KnownSet) -> dict[str, Any]:
    from leanspike.data import fetch

    form = fetch.present_form(known)
    location, checksum = "not here", f"not here; leanspike data fetch {known.name}"
    if not known.forms:
        location, checksum = "inside scikit-learn", "none (part of the package)"
    elif form:
        paths = [path for file in form.files if (path := fetch.locate(known, file))]
        location = ", ".join(sorted({str(path.parent) for path in paths}))
        try:
            fetch.obtain(known, form)
            unknown = any(not file.checksum for file in form.files)
            checksum = "none is published: not verified" if unknown else f"verified ({len(paths)} files)"
        except DataError as error:
            checksum = f"WRONG: {error.line()}"
    return {
        "name": known.name,
        "train": form.train if form else known.train,
        "test": form.test if form else known.test,
        "shape": list(known.shape),
        "location": location,
        "checksum": checksum,
        "licence": known.licence,
        "citation": known.citation,
        "note": form.note if form else "",
    }


def _fetch(args: argparse.Namespace) -> tuple[Any, str]:
    from leanspike.data import fetch
    from leanspike.data.known import find

    known = find(args.name)
    if not known.forms:
        return [], f"{known.name}: inside scikit-learn, nothing to fetch"
    paths = fetch.obtain(known, known.forms[0])
    lines = [f"{paths[file.name]}  {_verdict(file.checksum)}" for file in known.forms[0].files]
    return [str(path) for path in paths.values()], "\n".join(lines)


def _verdict(checksum: str) -> str:
    return f"verified ({checksum})" if checksum else "NOT verified: no checksum is published"


def _show(args: argparse.Namespace) -> tuple[Any, str]:
    from leanspike.data import load

    row = _summary(load(args.name))
    low, high = row["range"]
    counts = zip(row["classes"], row["train_counts"], row["test_counts"], strict=True)
    lines = [
        f"{row['name']}: {row['kind']} samples of shape {_shape(row['shape'])}, {row['dtype']}",
        f"values {low:.4g}..{high:.4g}, mean {row['mean']:.4f} (training set, as a network sees them)",
        f"samples: {row['train']:,} for training, {row['test']:,} for testing; {len(row['classes'])} classes",
        *(f"  {name}: {train:,} / {test:,}" for name, train, test in counts),
        f"source: {row['source']}",
        f"licence: {row['licence']}",
    ]
    return row, "\n".join(lines)


def _events(args: argparse.Namespace) -> tuple[Any, str]:
    from leanspike.data.events import Layout, read

    found = read(args.file, Layout(), partial=args.partial)
    seconds = found.duration_us / 1e6
    row = {
        "file": str(args.file),
        "events": len(found),
        "width": found.width,
        "height": found.height,
        "first": int(found.t[0]) if len(found) else None,
        "last": int(found.t[-1]) if len(found) else None,
        "seconds": seconds,
        "on": float(found.p.mean()) if len(found) else None,
        "notes": list(found.notes),
    }
    lines = [f"{args.file}: {len(found):,} events of {found.width} x {found.height} in {seconds:.6f} s"]
    if len(found):
        rate = f"{len(found) / seconds:,.0f} events a second" if seconds else "all at once"
        lines.append(f"{rate}, {found.p.mean():.1%} ON, times from {found.t[0]:,} to {found.t[-1]:,} us")
    return row, "\n".join([*lines, *(f"warning: {note}" for note in found.notes)])


def _make(args: argparse.Namespace) -> tuple[Any, str]:
    from leanspike.data import load, recordings

    count = recordings.make(args.name, load, args.out)
    return {"folder": str(args.out), "recordings": count}, f"{args.out}: {count:,} recordings of {args.name}"


_ACTIONS = {"list": _list, "fetch": _fetch, "show": _show, "events": _events, "make": _make}


def _summary(dataset: Dataset) -> dict[str, Any]:
    import numpy as np

    classes = len(dataset.classes)
    unit = 255.0 if dataset.x_train.dtype == np.uint8 else 1.0
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "shape": list(dataset.shape),
        "dtype": str(dataset.x_train.dtype),
        "range": [float(dataset.x_train.min()) / unit, float(dataset.x_train.max()) / unit],
        "mean": float(dataset.x_train.mean(dtype=np.float64)) / unit,
        "train": len(dataset.y_train),
        "test": len(dataset.y_test),
        "classes": list(dataset.classes),
        "train_counts": np.bincount(dataset.y_train[dataset.y_train >= 0], minlength=classes).tolist(),
        "test_counts": np.bincount(dataset.y_test[dataset.y_test >= 0], minlength=classes).tolist(),
        "source": dataset.source,
        "licence": dataset.licence,
    }


def _shape(shape: list[int]) -> str:
    return "x".join(map(str, shape))
