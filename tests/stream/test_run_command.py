"""``leanspike run`` on streams: decisions as the reference makes them from any source, nothing dropped in silence."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eventful import HEIGHT, STEPS, WIDTH, columns, events, expected, program, series

from leanspike import cli, ir
from leanspike.stream import wire
from leanspike.stream.__main__ import main as replay

Captured = pytest.CaptureFixture[str]
TICKS, WINDOWS = 1_000, 20
AFRESH = ("--step-us", str(TICKS), "--reset-each-window")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.lsp"
    ir.save(program(), path, {"classes": ["a", "b", "c", "d"]})
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.npz"
    np.savez(path, **columns(sent()))
    return path


def sent() -> np.ndarray:
    return events(2_000, TICKS * STEPS * WINDOWS)


def told(captured: Captured, *arguments: object) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Decisions and the summary."""
    captured.readouterr()
    assert cli.main(["run", *map(str, arguments)]) == 0
    *decisions, last = [json.loads(line) for line in captured.readouterr().out.splitlines()]
    return decisions, last["summary"]


def refused(captured: Captured, *arguments: object) -> str:
    captured.readouterr()
    assert cli.main(["run", *map(str, arguments)]) == 2
    line = captured.readouterr().err.splitlines()[-1]
    assert line.startswith("leanspike: error: ")
    return line


def as_expected(decisions: list[dict[str, Any]], of: ir.Program | None = None) -> bool:
    trace = ir.run(of, frames()) if of else expected(sent(), TICKS, WINDOWS, program())
    assert [one["class"] for one in decisions] == trace.predictions.tolist()
    assert [one["steps"] for one in decisions] == trace.steps.tolist()
    return [one["scores"] for one in decisions] == trace.scores.tolist()


def frames() -> np.ndarray:
    found = np.zeros((WINDOWS * STEPS, HEIGHT, WIDTH, 2), dtype=np.uint8)
    found[sent()["t"] // TICKS, sent()["y"], sent()["x"], sent()["on"]] = 1
    return found.reshape(WINDOWS, STEPS, HEIGHT, WIDTH, 2)


def test_a_recording_is_decided_window_by_window(net: Path, recording: Path, capsys: Captured) -> None:
    decisions, summary = told(capsys, net, "--input", recording, *AFRESH)
    assert as_expected(decisions)
    assert [one["t_us"] for one in decisions] == [TICKS * STEPS * (n + 1) for n in range(WINDOWS)]
    assert decisions[0]["name"] in "abcd"
    assert summary["decisions"] == WINDOWS
    assert summary["steps"] == summary["computed_steps"] == WINDOWS * STEPS
    assert summary["events"] == 2_000
    assert summary["dropped"] == {}
    assert summary["stream_seconds"] == pytest.approx(1e-6 * TICKS * STEPS * WINDOWS)
    assert summary["real_time_factor"] > 0
    assert 0 < summary["latency_us"]["p50"] <= summary["latency_us"]["p99"] <= summary["latency_us"]["max"]


def test_a_confidence_exit_decides_early(net: Path, recording: Path, capsys: Captured) -> None:
    decisions, summary = told(capsys, net, "--input", recording, *AFRESH, "--exit-margin", 40)
    assert as_expected(decisions, program(exit_=ir.Exit(40)))
    assert summary["early"] > 0
    assert summary["computed_steps"] == sum(one["steps"] for one in decisions) < summary["steps"]


@pytest.mark.parametrize("kind", ["packets", "events-text"])
def test_standard_input(net: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    data = b"".join(wire.packed(sent(), most=300))
    if kind == "events-text":
        data = b"".join(b"%d %d %d %d\n" % row for row in zip(*columns(sent()).values(), strict=True))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    decisions, summary = told(capsys, net, "--input", "-", "--stream", kind, *AFRESH)
    assert as_expected(decisions)
    assert summary["dropped"] == {}


def test_packets_in_a_file_and_what_replay_writes(net: Path, recording: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "packets"
    command = [sys.executable, "-m", "leanspike.stream", recording, "--to", "-", "--speed", "0"]
    out.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert as_expected(told(capsys, net, "--input", out, *AFRESH)[0])


@pytest.mark.parametrize("form", ["raw", "text", "array", "packets", "numbers"])
def test_values_a_step_each(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    net = tmp_path / "series.lsp"
    ir.save(series(), net)
    raw = np.random.default_rng(4).integers(0, 256, (WINDOWS, STEPS, 1)).astype(np.uint8)
    steps, path = raw.reshape(-1, 1), tmp_path / "steps.npy"
    data = {"raw": steps.tobytes(), "packets": wire.packed_values(steps[:7]) + wire.packed_values(steps[7:], 7)}
    data["text"] = "".join(f"{value / 255:.6f}\n" for value in steps[:, 0]).encode()
    kind = {"raw": "values", "text": "values-text", "packets": "packets"}.get(form, "values")
    np.save(path, steps if form == "array" else steps / 255)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.get(form, b""))))
    given = "-" if form in data else path
    decisions, summary = told(capsys, net, "--input", given, "--stream", kind, "--reset-each-window")
    assert [one["scores"] for one in decisions] == ir.run(series(), raw).scores.tolist()
    assert summary["real_time_factor"] is None
    assert summary["dropped"] == {}


def test_damage_is_dropped_and_counted_and_the_rest_decided(
    net: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    packets = list(wire.packed(sent(), most=100))
    outside = sent()[:3].copy()
    outside["t"], outside["x"] = sent()["t"][999], 77
    late = sent()[:5]
    extra = [*wire.packed(outside, 0), *wire.packed(late, 0)]
    head = wire.HEAD.pack(b"LSE1", 0, 0, 1, 0, 10**15)
    data = b"".join(packets[:10]) + b"rubbish" + extra[0] + extra[1] + head + bytes(8)
    data += b"".join(packets[11:]) + packets[0][:50]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    decisions, summary = told(capsys, net, "--input", "-", "--stream", "packets", *AFRESH)
    assert summary["dropped"]["outside"] == 3
    assert summary["dropped"]["late"] == 5
    assert summary["dropped"]["ahead"] == 1
    assert summary["dropped"]["skipped_bytes"] == 7
    assert summary["dropped"]["cut_off"] == 50
    assert summary["events"] == 1_900
    assert len(decisions) == WINDOWS


def test_strict_stops_at_the_first_drop(net: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    data = b"1 1 1 1\n2 1 1 1\n3 9 9 1\n4 1 1 1\n"
    for options in ([], ["--strict"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        arguments = [net, "--input", "-", "--stream", "events-text", *AFRESH, *options]
        if options:
            assert "1 events outside the sensor" in refused(capsys, *arguments)
        else:
            assert told(capsys, *arguments)[1]["dropped"] == {"outside": 1}


def test_a_damaged_recording_is_decided_up_to_the_damage(net: Path, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "camera.bin"
    path.write_bytes(bytes([1, 2, 0x80, 0, 9]) * 10 + b"\1\2")
    _, summary = told(capsys, net, "--input", path, *AFRESH)
    assert summary["dropped"] == {"damaged": 1}
    assert "damaged at byte 50" in summary["notes"][0]
    assert summary["events"] == 10
    assert "damaged at byte 50" in refused(capsys, net, "--input", path, *AFRESH, "--strict")


def test_what_cannot_be_is_one_line(net: Path, recording: Path, tmp_path: Path, capsys: Captured) -> None:
    assert "--step-us: is needed for events" in refused(capsys, net, "--input", recording)
    assert "no address of this machine alone" in refused(capsys, net, "--input", "udp://192.0.2.1:5000", *AFRESH)
    assert "is no address" in refused(capsys, net, "--input", "udp://127.0.0.1", *AFRESH)
    assert "cannot be read" in refused(capsys, net, "--input", tmp_path / "none.raw", *AFRESH)
    overlapping = ("--step-us", 1000, "--hop", 1, "--exit-margin", 3)
    assert "windows do not overlap" in refused(capsys, net, "--input", recording, *overlapping)
    image = tmp_path / "array.npy"
    np.save(image, np.zeros((1, HEIGHT, WIDTH)))
    assert "--window: is for streams" in refused(capsys, net, "--input", image, "--window", 3)
    assert "give [N, 4, 5, 2], a row a step" in refused(capsys, net, "--input", image, "--stream", "values")
    packets = tmp_path / "packets"
    packets.write_bytes(next(wire.packed(sent())))
    assert "--speed" in refused(capsys, net, "--input", packets, *AFRESH, "--speed", 2)
    for option, wrong in (
        ("speed", "nan"),
        ("speed", "inf"),
        ("grace-ms", "inf"),
        ("max-gap-s", "nan"),
        ("step-us", 0),
    ):
        assert f"--{option}" in refused(capsys, net, "--input", recording, *AFRESH, f"--{option}", wrong)
    assert "cannot be written" in refused(capsys, net, "--input", recording, *AFRESH, "--out", tmp_path)
    stepwise = tmp_path / "stepwise.lsp"
    ir.save(program(stepwise=True), stepwise)
    assert "--reset-each-window" in refused(capsys, stepwise, "--input", recording, "--step-us", 1000)
    assert as_expected(told(capsys, stepwise, "--input", recording, *AFRESH)[0])
    assert "which are no events" in refused(capsys, _dense(tmp_path), "--input", recording, *AFRESH)


def _dense(folder: Path) -> Path:
    from dataclasses import replace

    found, path = program(), folder / "direct.lsp"
    raw = ir.Value("raw", (HEIGHT, WIDTH, 2), found.input.raw.type)
    ir.save(replace(found, input=replace(found.input, raw=raw, encoding=ir.Direct())), path)
    return path


def test_decisions_go_to_a_file(net: Path, recording: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "decisions.jsonl"
    assert cli.main(["run", str(net), "--input", str(recording), *AFRESH, "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    *decisions, last = [json.loads(line) for line in out.read_text().splitlines()]
    assert as_expected(decisions)
    assert last["summary"]["decisions"] == WINDOWS


def listening(net: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "leanspike", "run", str(net), "--input", "udp://127.0.0.1:0", *AFRESH, *options]
    found = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert found.stderr is not None
    port = re.search(r"listening on udp://127.0.0.1:(\d+)", found.stderr.readline())
    assert port, found.stderr.read()
    return found, int(port[1])


def to_port(port: int, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", port))


def test_udp_decides_and_counts_what_is_lost_or_malformed(net: Path) -> None:
    process, port = listening(net, "--grace-ms", "100000")
    packets = list(wire.packed(sent(), most=100))
    to_port(port, *packets[:7], b"junk", packets[3][:-1], *packets[9:], wire.end(2_000 + 55))
    out, _ = process.communicate(timeout=60)
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert process.returncode == 0
    assert summary["dropped"] == {"lost": 200 + 55, "malformed": 2}
    assert summary["events"] == 1_800
    assert summary["decisions"] == WINDOWS


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_silence_is_decided_by_the_clock_and_a_signal_ends_with_the_summary(
    net: Path, ended_by: signal.Signals
) -> None:
    process, port = listening(net, "--grace-ms", "1")
    few = sent()[:5]
    few["t"] = 0
    to_port(port, *wire.packed(few))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(ended_by)
    out, err = process.communicate(timeout=60)
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert [json.loads(line)["decision"] for line in lines] == [0, 1, 2]
    assert summary["interrupted"] is True
    assert summary["events"] == 5
    assert process.returncode == 0
    assert "Traceback" not in err


def test_replay_reaches_a_port_at_its_speed(net: Path, recording: Path) -> None:
    process, port = listening(net, "--grace-ms", "100000")
    start = time.perf_counter()
    assert replay([str(recording), "--to", f"udp://127.0.0.1:{port}", "--speed", "0.5", "--repeat", "2"]) == 0
    assert time.perf_counter() - start >= 0.2
    out, _ = process.communicate(timeout=60)
    *decisions, last = [json.loads(line) for line in out.splitlines()]
    assert last["summary"]["events"] == 4_000
    assert last["summary"]["dropped"] == {}
    assert as_expected(decisions[:WINDOWS])


def seen(command: list[str]) -> tuple[str, int]:
    """What a command writes to a terminal of 80 columns."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS="80", LINES="24")
        os.execv(command[0], command)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:
            break
        shown += piece
        if not piece:
            break
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_view_fits_a_terminal_and_is_silent_elsewhere(net: Path, recording: Path) -> None:
    command = [sys.executable, "-m", "leanspike", "run", str(net), "--input", str(recording), *AFRESH]
    command += ["--speed", "0.1", "--view"]
    shown, code = seen(command)
    assert code == 0
    assert "{" not in shown.replace("\x1b", "")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    lines = [line.rstrip("\r") for line in plain.split("\n")]
    assert max(len(line) for line in lines if not line.startswith("leanspike:")) <= 80
    last = shown[shown.rindex("\x1b[?1049l") :]
    assert last.count("\n") <= 26
    for word in ("eventful", "input", "s1", "decision 20", "events/s", "latency  p50", "dropped  nothing"):
        assert word in last, word
    assert shown.count("\x1b[H") > 3
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "\x1b" not in piped
    assert len(piped.splitlines()) == WINDOWS + 1
