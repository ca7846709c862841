"""Decoders of other projects in a process of their own, with a time limit: a damaged file may bring them down.

    python -m leanspike.data.events.apart MODULE FILE        prints what the module's ``library_columns`` gives, as .npz

Seen on damaged files: HDF5's library goes round in circles, and faery's panics abort the process.
"""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from leanspike.core.errors import MissingTool
from leanspike.data.events import arrays
from leanspike.data.events.record import Columns

SECONDS = 30.0
_BYTES_A_SECOND = 10e6
_MISSING = 3


def decode(module: str, library: str, data: bytes, suffix: str) -> Columns:
    """What a library finds in a file, given as bytes.

    Args:
        module: of this package; its ``library_columns(path)`` gives arrays by name.
        library: its name, for people.
        suffix: what the library wants the file to be called.

    Raises:
        MissingTool: the library is not installed.
    """
    limit = SECONDS + len(data) / _BYTES_A_SECOND
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events{suffix}"
        path.write_bytes(data)
        command = [sys.executable, "-m", "leanspike.data.events.apart", module, str(path)]
        quiet = {**os.environ, "RUST_BACKTRACE": "0"}
        try:
            done = subprocess.run(command, capture_output=True, timeout=limit, check=False, env=quiet)
        except subprocess.TimeoutExpired:
            return arrays.nothing(f"{library} did not end in {limit:.0f} s")
    if done.returncode == _MISSING:
        raise MissingTool(f"the file needs {library}", remedy="pip install 'leanspike[events]'")
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        return arrays.nothing(f"{library} gave up: {told[-1] if told else f'signal {-done.returncode}'}")
    return arrays.decode(done.stdout)


def main(module: str, path: str) -> int:
    """The process of its own."""
    try:
        found = importlib.import_module(f"leanspike.data.events.{module}").library_columns(path)
    except ImportError:
        return _MISSING
    except Exception as error:  # whatever the library says, the other process tells it in one line
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    out = io.BytesIO()
    np.savez(out, **found)
    sys.stdout.buffer.write(out.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
