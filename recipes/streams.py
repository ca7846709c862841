"""The figures of results/streams: accuracy over a stream, events a second, an hour of a simulated clock.

    python recipes/streams.py accuracy --out runs/streams     test recordings one after another, 3 seeds: accuracy.json
    python recipes/streams.py rate --out runs/streams         1 M events/s and more by step length, and UDP: rate.json
    python recipes/streams.py hour --out runs/streams         an hour at 1 M events/s, and of recordings: hour.json

Every figure is of ``leanspike run`` itself, in a process of its own on one thread, fed through a pipe (which holds the
feeder back) or UDP. Networks are trained and lowered in OUT. Expected: every window afresh has the accuracy of the
program; more than 1 M events/s by the wall clock at every step length; resident memory of the hour flat within 1 %.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from leanspike import __version__, ir
from leanspike.core.files import make_folder, write_json
from leanspike.data import fetch
from leanspike.data.events import Layout, decoded, nmnist
from leanspike.data.known import KNOWN
from leanspike.engine import EVENT
from leanspike.measure.quality import mean_interval
from leanspike.stream import wire
from leanspike.stream.sources import records

STEP_US, STEPS, SIDE = 20_000, 16, 34
WINDOW_US = STEP_US * STEPS
RATE, ROUNDS = 1_000_000, 3
RATE_STEPS = (20, 50, 100, 200, 500, 1_000, 5_000, 20_000)
STATES = {
    "every window afresh": "--reset-each-window",
    "readout afresh": "--reset-readout",
    "carried": "--max-gap-s=10",
}
MARGINS = (500, 1_000, 1_500, 2_000, 3_000)
Found = npt.NDArray[np.void]
Put = Callable[[bytes], object]


def leanspike(*words: str) -> None:
    """One command; its failure ends the recipe."""
    done = subprocess.run([sys.executable, "-m", "leanspike", *words], check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(done.returncode)


def program(out: Path, seed: int) -> Path:
    """Train for 30 epochs, tune for 10 and lower, unless that was done."""
    lowered, run, tuned = out / f"nmnist-{seed}.lsp", out / f"nmnist-{seed}", out / f"nmnist-{seed}-tuned"
    if not lowered.exists():
        config = str(Path(__file__).with_name("nmnist-small.toml"))
        leanspike("train", "n-mnist-small", "--config", config, "--seed", str(seed), "--out", str(run))
        leanspike("compress", str(run), "--out", str(tuned), "--epochs", "10", "--set", "train.learning_rate=1e-3")
        leanspike("lower", str(tuned), "-o", str(lowered))
    return lowered


def recordings() -> tuple[Found, list[int]]:
    """The 100 test recordings one after another, a window of 320 ms each, and their labels."""
    known = next(one for one in KNOWN if one.name == "n-mnist-small")
    (path,) = fetch.obtain(known, fetch.present_form(known) or known.forms[0]).values()
    rows = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if told := re.fullmatch(r"Test/(\d)/(\d+)\.bin", name):
                events = decoded(nmnist.decode(archive.read(name)), name, Layout((SIDE, SIDE)))
                rows.append((int(told[2]), int(told[1]), records(events.between(0, WINDOW_US))))
    rows.sort(key=lambda row: row[0])
    for place, (_, _, found) in enumerate(rows):
        found["t"] += place * WINDOW_US
    return np.concatenate([found for _, _, found in rows]), [label for _, label, _ in rows]


def random_second(seed: int = 0) -> Found:
    """A second of 1 M events anywhere on the sensor."""
    random, found = np.random.default_rng(seed), np.zeros(RATE, dtype=EVENT)
    found["t"] = np.arange(RATE)
    found["x"], found["y"] = random.integers(0, SIDE, RATE), random.integers(0, SIDE, RATE)
    found["on"] = random.integers(0, 2, RATE)
    return found


class Repeated:
    """Packets of a piece of a stream, to be sent again and again: only counts and times are written anew."""

    def __init__(self, events: Found, length_us: int) -> None:
        packets = list(wire.packed(events, most=8_000))
        self._data, self._count, self._length = bytearray(b"".join(packets)), len(events), length_us
        self._starts = np.cumsum([0, *map(len, packets)])[:-1]
        self._heads = [wire.HEAD.unpack_from(packet) for packet in packets]

    def turn(self, turn: int) -> bytes:
        """The piece as it comes for the ``turn``-th time, from 0."""
        for start, (*head, first, base) in zip(self._starts.tolist(), self._heads, strict=True):
            fields = (*head, first + turn * self._count, base + turn * self._length)
            wire.HEAD.pack_into(self._data, start, *fields)
        return bytes(self._data)

    def end(self, turns: int) -> bytes:
        """The end after so many turns."""
        return wire.end(turns * self._count)


def streamed(lowered: Path, decisions: Path, feed: Callable[[BinaryIO, int], None], *options: str) -> dict[str, Any]:
    """Run the program on what ``feed(pipe, process id)`` writes; the summary. Decisions go to a file."""
    words = ["run", str(lowered), "--input", "-", "--stream", "packets", "--out", str(decisions), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "leanspike", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        feed(process.stdin, process.pid)
        process.stdin.close()
        told = process.stderr.read().decode()
    if process.returncode:
        raise SystemExit(told)
    return summary_of(decisions)


def summary_of(decisions: Path) -> dict[str, Any]:
    """The last line."""
    with decisions.open("rb") as file:
        file.seek(max(0, decisions.stat().st_size - 8_192))
        last = file.read().splitlines()[-1]
    found: dict[str, Any] = json.loads(last)["summary"]
    return found


def classes(decisions: Path) -> Iterator[tuple[int, int]]:
    """The class and the steps used of every decision."""
    with decisions.open(encoding="utf-8") as file:
        for line in file:
            if '"summary"' not in line:
                told = json.loads(line)
                yield told["class"], told["steps"]


def accuracy(out: Path, seeds: int) -> None:
    """Recordings side by side, by what a window starts with, and with an exit."""
    found, labels = recordings()
    data = b"".join(wire.packed(found))
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(seeds):
        lowered = program(out, seed)
        told = {name: _decided(lowered, out, data, labels, option) for name, option in STATES.items()}
        for margin in MARGINS:
            name = f"every window afresh, exit at a lead of {margin:,}"
            told[name] = _decided(lowered, out, data, labels, "--reset-each-window", f"--exit-margin={margin}")
        for name, one in told.items():
            rows.setdefault(name, []).append(one)
    means = {
        name: {key: asdict(mean_interval([one[key] for one in ones])) for key in ones[0]} for name, ones in rows.items()
    }
    hashes = [ir.content_hash(ir.load(program(out, seed))) for seed in range(seeds)]
    write_json(
        out / "accuracy.json",
        {**_facts(), "programs": hashes, "recordings": len(labels), "means": means, "seeds": rows},
    )
    for name, mean in means.items():
        print(f"{name:<52} {100 * mean['accuracy']['mean']:.2f} %  {mean['mean_steps']['mean']:.2f} steps")


def _decided(lowered: Path, out: Path, data: bytes, labels: list[int], *options: str) -> dict[str, float]:
    decisions = out / "decisions.jsonl"
    streamed(lowered, decisions, lambda pipe, _: pipe.write(data), "--step-us", str(STEP_US), *options)
    told = list(classes(decisions))
    assert len(told) == len(labels)
    right = [chosen == label for (chosen, _), label in zip(told, labels, strict=True)]
    return {"accuracy": float(np.mean(right)), "mean_steps": float(np.mean([steps for _, steps in told]))}


def rate(out: Path, seconds: int) -> None:
    """How many events a second one core takes, and 1 M events/s in real time over UDP."""
    lowered, random, faster = program(out, 0), Repeated(random_second(), RATE), recordings()[0]
    faster["t"] //= 100
    looped = Repeated(faster, len(recordings()[1]) * WINDOW_US // 100)
    rows = []
    for step_us in RATE_STEPS:
        turns, options = max(2, seconds * min(step_us, 1_000) // 1_000), ("--step-us", str(step_us))
        rows.append(
            _row(
                "1 M random events/s", step_us, [_fed_at(lowered, out, random, turns, *options) for _ in range(ROUNDS)]
            )
        )
    options = ("--step-us", "200", "--reset-each-window")
    rows.append(
        _row("recordings 100 times as fast", 200, [_fed_at(lowered, out, looped, 50, *options) for _ in range(ROUNDS)])
    )
    rows.append(_row("1 M random events/s over UDP", 1_000, [_over_udp(lowered, out, random, seconds)]))
    write_json(out / "rate.json", {**_facts(), "program": ir.content_hash(ir.load(lowered)), "rows": rows})
    for row in rows:
        kept = f"{row['events_per_wall_second']:>12,.0f} events/s of wall clock"
        print(f"{row['stream']:<30}{row['step_us']:>6} us {kept}, {row['real_time_factor']} x, {row['dropped']}")


def _row(stream: str, step_us: int, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median round by the wall clock, which has the feeder in it."""
    for one in rounds:
        one["events_per_wall_second"] = one["events"] / one["wall_seconds"]
    chosen = sorted(rounds, key=lambda one: one["events_per_wall_second"])[len(rounds) // 2]
    every = [round(one["events_per_wall_second"]) for one in rounds]
    return {"stream": stream, "step_us": step_us, **chosen, "rounds": every}


def _fed_at(lowered: Path, out: Path, repeated: Repeated, turns: int, *options: str) -> dict[str, Any]:
    return streamed(lowered, out / "decisions.jsonl", _fed(repeated, turns), *options)


def _fed(repeated: Repeated, turns: int) -> Callable[[BinaryIO, int], None]:
    def feed(pipe: BinaryIO, _: int) -> None:
        for turn in range(turns):
            pipe.write(repeated.turn(turn))
        pipe.write(repeated.end(turns))

    return feed


def _over_udp(lowered: Path, out: Path, repeated: Repeated, seconds: int) -> dict[str, Any]:
    """Datagrams of 8,000 events when they are due, 125 a second."""
    import socket

    decisions = out / "udp.jsonl"
    words = ["run", str(lowered), "--input", "udp://127.0.0.1:0", "--step-us", "1000", "--grace-ms", "500"]
    command = [sys.executable, "-m", "leanspike", *words, "--out", str(decisions)]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        assert process.stderr is not None
        port = int(process.stderr.readline().decode().rsplit(":", 1)[1])
        begun, packets = time.perf_counter(), 0
        for turn in range(seconds):
            data = memoryview(repeated.turn(turn))
            for at in range(0, len(data), 24 + 8 * 8_000):
                time.sleep(max(0.0, begun + 0.008 * packets - time.perf_counter()))
                sender.sendto(data[at : at + 24 + 8 * 8_000], ("127.0.0.1", port))
                packets += 1
        time.sleep(0.5)
        sender.sendto(repeated.end(seconds), ("127.0.0.1", port))
        process.communicate()
    return summary_of(decisions)


def hour(out: Path, seconds: int) -> None:
    """Resident memory over a simulated hour: 1 M random events/s, and the recordings in a loop."""
    lowered, (found, labels) = program(out, 0), recordings()
    looped = Repeated(found, len(labels) * WINDOW_US)
    turns = seconds * 1_000_000 // (len(labels) * WINDOW_US)
    options = ("--step-us", str(STEP_US), "--reset-each-window")
    told, memory = _watched(lowered, out / "hour.jsonl", looped, turns, *options)
    passes = np.array([chosen for chosen, _ in classes(out / "hour.jsonl")]).reshape(turns, len(labels))
    right = (passes == np.array(labels)).mean(1)
    loop = {**told, "resident_kib": memory, "accuracy": float(right.mean()), "passes": turns}
    loop["passes_alike"] = bool((passes == passes[0]).all())
    told, memory = _watched(lowered, out / "hour.jsonl", Repeated(random_second(), RATE), seconds, "--step-us", "1000")
    write_json(out / "hour.json", {**_facts(), "program": ir.content_hash(ir.load(lowered)),
                                   "recordings": loop, "random": {**told, "resident_kib": memory}})  # fmt: skip
    for name, one in (("recordings", loop), ("random", {**told, "resident_kib": memory})):
        kib = [row[1] for row in one["resident_kib"]]
        told_rate = f"{one['events']:,} events, {one['real_time_factor']} x, dropped {one['dropped']}"
        print(f"{name}: {one['steps']:,} steps, {told_rate}, {min(kib[1:])} to {max(kib[1:])} KiB")


def _watched(
    lowered: Path, decisions: Path, repeated: Repeated, turns: int, *options: str
) -> tuple[dict[str, Any], list[tuple[float, int]]]:
    """The summary, and ``(share of the stream fed, resident KiB)`` some 60 times on the way."""
    memory: list[tuple[float, int]] = []

    def feed(pipe: BinaryIO, process: int) -> None:
        for turn in range(turns):
            pipe.write(repeated.turn(turn))
            if turn % max(1, turns // 60) == 0:
                status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
                memory.append((turn / turns, int(status.partition("VmRSS:")[2].split()[0])))
        pipe.write(repeated.end(turns))

    return streamed(lowered, decisions, feed, *options), memory


def _facts() -> dict[str, Any]:
    return {"schema": 1, "leanspike": __version__, "numpy": np.__version__, "step_us": STEP_US, "window": STEPS}


def main(words: list[str] | None = None) -> int:
    """Make one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("accuracy", "rate", "hour"))
    parser.add_argument("--out", type=Path, default=Path("runs/streams"), metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--seconds", type=int, metavar="S", help="of the stream: rate 20, hour 3600")
    args = parser.parse_args(words)
    out = make_folder(args.out).resolve()
    if args.part == "accuracy":
        accuracy(out, args.seeds)
    elif args.part == "rate":
        rate(out, args.seconds or 20)
    else:
        hour(out, args.seconds or 3_600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
