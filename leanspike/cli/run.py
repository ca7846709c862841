"""``leanspike run net.lsp --input FILE|-|udp://127.0.0.1:PORT``: answers to samples, or decisions over a stream."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.cli import streams

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from leanspike.ir import Program

EXAMPLE = """example:
  leanspike run mnist.lsp --input digits.npy          [N, 1, 28, 28] bytes, or floats in [0, 1]
  leanspike run mnist.lsp --input seven.png           one grey or colour image of the right size
  camera | leanspike run mnist.lsp --input -          raw samples, one after the other, as bytes
  leanspike run nmnist.lsp --input cup.raw --step-us 20000 --view               a recording of events
  leanspike run nmnist.lsp --input udp://127.0.0.1:5005 --step-us 20000         packets of events, for ever
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="classify samples or a stream with a program",
        description="Run an integer program on samples with the engine and print a JSON line for each: its number, the "
        "class, the scores and the steps used. From standard input samples are raw: the bytes of each value in C "
        "order, images channels last, two bytes (little endian) a value where the raw type has more than 8 bits. "
        "A recording of events, a UDP port or --stream is a stream: one step after another, state kept, a line a "
        "decision and a summary at the end.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    parser.add_argument(
        "--input",
        required=True,
        metavar="FILE",
        help=".npy, .npz (array x), an image, - for raw bytes; of a stream a recording of events, - or udp://127.0.0.1:PORT",
    )
    streams.register(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer every sample as it comes."""
    import numpy as np

    from leanspike import ir
    from leanspike.engine import Engine

    program, origin = ir.load_with_origin(args.program)
    if streams.is_stream(args):
        return streams.run(args, program, origin)
    engine, names, number = Engine(program), origin.get("classes", []), 0
    for raw in _streamed(program) if args.input == "-" else [_read(program, Path(args.input))]:
        trace = engine.run(raw, np.arange(number, number + len(raw)))
        for i, chosen in enumerate(trace.predictions.tolist()):
            answer = {"sample": number + i, "class": chosen, "name": names[chosen] if chosen < len(names) else None}
            print(json.dumps({**answer, "scores": trace.scores[i].tolist(), "steps": int(trace.steps[i])}), flush=True)
        number += len(raw)
    return 0


def _streamed(program: Program) -> Iterator[npt.NDArray[Any]]:
    import numpy as np

    from leanspike.core.errors import DataError

    wanted = program.input.raw
    kind = wanted.type.dtype.newbyteorder("<")
    size = int(np.prod(wanted.shape)) * kind.itemsize
    while content := sys.stdin.buffer.read(size):
        if len(content) < size:
            what = f"ends in the middle of a sample: {len(content)} of {size} bytes"
            raise DataError(what, where="standard input", remedy=f"a sample is {list(wanted.shape)} of {kind}")
        yield np.frombuffer(content, kind).reshape(1, *wanted.shape).astype(wanted.type.dtype)


def _read(program: Program, path: Path) -> npt.NDArray[Any]:
    import numpy as np

    from leanspike.core.errors import DataError
    from leanspike.ir import raw_samples

    try:
        if path.suffix in (".npy", ".npz"):
            found: Any = np.load(path, allow_pickle=False)
            values: npt.NDArray[Any] = found["x"] if path.suffix == ".npz" else found
        else:
            values = _image(path, channels=program.input.raw.shape[-1])
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=path) from error
    except (ValueError, KeyError) as error:
        raise DataError(f"holds no samples ({error})", where=path, remedy="an array, or x in an .npz") from error
    sample = len(program.input.raw.shape)
    return raw_samples(program, values[None] if values.ndim == sample else values)


def _image(path: Path, channels: int) -> npt.NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
