"""Whole tunes of digits: goals on the program, the front's look at the test set, early stops, time, several workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from tunes import SPACE, tune_config

from leanspike import cli, data, ir
from leanspike.core.errors import StudyError
from leanspike.data import split
from leanspike.ir.counts import synapses
from leanspike.measure.program import measure
from leanspike.measure.records import Study, load
from leanspike.study.queue import trial_folder
from leanspike.study.storage import open_store, sqlite_url
from leanspike.tune import tune
from leanspike.tune.run import training_seconds
from leanspike.tune.winners import choose, on_front

DIGITS = data.load("digits")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    out = tmp_path_factory.mktemp("tune")
    return tune(tune_config(), out, trials=9, data=DIGITS), out


def test_goals_are_those_of_the_stored_program_on_validation_data(small: tuple[Study, Path]) -> None:
    study, out = small
    assert len(study.trials) == 9
    trial = study.trials[3]
    assert trial.number == 3
    program = ir.load(trial_folder(out, 3) / "program.lsp")
    _, validation = split(DIGITS, 0.1, 0)
    found = measure(program, ir.raw_samples(program, validation.x), validation.y, validation.numbers)
    assert trial.goals == {
        "accuracy": found.accuracy,
        "energy": pytest.approx(found.energy_nj["arithmetic-45nm"]),
        "bytes": found.footprint.array_bytes + found.footprint.state_bytes,
        "operations": pytest.approx(found.macs + found.acs),
        "spikes": pytest.approx(found.spikes_per_sample),
    }
    assert trial.validation_accuracy == found.accuracy


def test_only_the_front_has_seen_the_test_set(small: tuple[Study, Path]) -> None:
    study, _ = small
    costs = [(-t.goals["accuracy"], t.goals["energy"], t.goals["bytes"]) for t in study.trials if t.goals]
    for trial, cost in zip(study.trials, costs, strict=True):
        beaten = any(all(np.less_equal(other, cost)) and other != cost for other in costs)
        assert (trial.accuracy is None) == beaten
        assert (trial.measured_on, trial.energy_nj is None) == ((None, True) if beaten else ("program", False))
    assert any(trial.accuracy is None for trial in study.trials)


def test_the_chosen_program_lies_beside_the_page(small: tuple[Study, Path]) -> None:
    study, out = small
    assert study.chosen is not None
    best = max(t.goals["accuracy"] for t in study.trials if t.goals)
    near = [t for t in study.trials if t.goals and t.goals["accuracy"] >= best - 0.01]
    chosen = next(t for t in study.trials if t.number == study.chosen)
    assert chosen.goals is not None
    assert chosen.goals["energy"] == min(t.goals["energy"] for t in near if t.goals)
    assert ir.load(out / "program.lsp") == ir.load(trial_folder(out, study.chosen) / "program.lsp")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"Chosen is trial {study.chosen}" in page


def test_importances_are_shares_of_the_searched_settings(small: tuple[Study, Path]) -> None:
    study, _ = small
    assert study.importance is not None
    assert set(study.importance) <= {"accuracy", "energy", "bytes"}
    for shares in study.importance.values():
        assert set(shares) == {text.partition("=")[0] for text in SPACE}
        assert sum(shares.values()) == pytest.approx(1.0)
    assert study.importance["bytes"]["model.hidden"] > 0.9


def test_a_tune_goes_on_with_more_trials_and_keeps_the_old(tmp_path: Path) -> None:
    first = tune(tune_config(goals=["accuracy"]), tmp_path, trials=2, data=DIGITS)
    more = tune(tune_config(goals=["accuracy"]), tmp_path, trials=4, data=DIGITS)
    assert len(more.trials) == 4
    assert [t.goals for t in more.trials[:2]] == [t.goals for t in first.trials]
    assert more.planned == 4
    with pytest.raises(StudyError, match="holds another study"):
        tune(tune_config(), tmp_path, trials=2, data=DIGITS)


def test_silent_and_exploding_networks_are_stopped_early(tmp_path: Path) -> None:
    silent = tune_config("neuron.threshold=0.5,1000000.0", goals=["accuracy"])
    found = tune(silent, tmp_path / "silent", trials=8, data=DIGITS)
    stopped = {t.number for t in found.trials if t.stopped and t.stopped.startswith("silent: layer 1")}
    assert stopped == {t.number for t in found.trials if t.parameters["neuron.threshold"] > 1}
    assert 0 < len(stopped) < 8
    assert all(t.goals is None for t in found.trials if t.stopped)
    wild = tune_config("train.learning_rate=5e-3,1e38", goals=["accuracy", "bytes"])
    found = tune(wild, tmp_path / "wild", trials=8, data=DIGITS)
    assert any((t.stopped or "").startswith(("exploding", "silent", "saturated")) for t in found.trials)
    states = [t.state for t in open_store(sqlite_url(tmp_path / "wild"), wild).trials()]
    assert states.count(TrialState.PRUNED) == sum(t.stopped is not None for t in found.trials)


def test_a_tune_of_nothing_but_stopped_trials_is_an_error(tmp_path: Path) -> None:
    config = tune_config("neuron.threshold=1000000.0,2000000.0", goals=["accuracy"])
    with pytest.raises(StudyError, match=r"no trial finished \(2 failed or were stopped; the first one: silent"):
        tune(config, tmp_path, trials=2, data=DIGITS)
    assert len(load(tmp_path).trials) == 2


def test_the_time_is_kept_and_what_was_begun_goes_on(tmp_path: Path) -> None:
    config = tune_config(run={"train": {"epochs": 500}}, goals=["accuracy", "bytes"])
    started = time.monotonic()
    with pytest.raises(StudyError, match="no trial finished"):
        tune(config, tmp_path, trials=20, minutes=0.3, data=DIGITS)
    assert time.monotonic() - started < 60
    epoch = json.loads((trial_folder(tmp_path, 0) / "float" / "checkpoint.json").read_text())["epoch"]
    store = open_store(sqlite_url(tmp_path), config)
    assert len(store.trials()) == 20
    assert [t.number for t in store.trials([TrialState.RUNNING])] == [0]
    assert not store.leases.held()
    assert 1 <= epoch < 500


def test_time_is_left_for_the_end() -> None:
    assert training_seconds(20) == pytest.approx(20 * 60 * 0.92)
    assert training_seconds(2) == pytest.approx(100)
    assert training_seconds(0.2) == pytest.approx(6)


def test_what_is_compressed_is_judged_as_the_program_it_is(tmp_path: Path) -> None:
    space = ("compress.weights.bits=2,4", 'compress.membrane.bits="ternary"', "compress.prune.sparsity=0.5:0.8")
    study = tune(tune_config(*space), tmp_path, trials=2, data=DIGITS)
    for trial in study.trials:
        program = ir.load(trial_folder(tmp_path, trial.number or 0) / "program.lsp")
        bits = [program.arrays[op.weight].type.bits for op in synapses(program)]
        assert max(bits) == trial.parameters["compress.weights.bits"]
        codecs = [state.codec for state in program.states if state.codec]
        assert [(codec.lowest, codec.highest) for codec in codecs] == [(-1, 1)]
        left = sum(int((program.arrays[op.weight].values != 0).sum()) for op in synapses(program))
        assert left <= (1 - trial.parameters["compress.prune.sparsity"]) * (64 + 10) * 16 + 1


def test_choice_needs_to_be_near_the_best_and_cheap() -> None:
    config = tune_config(goals=["accuracy", "energy"], within=0.02)
    values = [(0.99, 9.0), (0.975, 5.0), (0.96, 1.0), (0.97, 6.0)]
    trials: list[FrozenTrial] = [create_trial(values=list(v)) for v in values]
    for number, trial in enumerate(trials):
        trial.number = number
    winners = on_front(trials, config)
    assert [t.number for t in winners] == [0, 1, 2]
    chosen = choose(winners, config)
    assert chosen is not None
    assert chosen.number == 1
    assert choose([], config) is None


def options(out: Path, *more: str) -> list[str]:
    fixed = ["train.batch_size=32", "model.hidden=[16]", "train.schedule=none", "train.epochs=2"]
    settings = [word for text in fixed for word in ("--set", text)]
    off = ["compress.weights.bits=0", "compress.membrane.bits=0", "compress.prune.sparsity=0.0", "timesteps=1,2"]
    space = [word for text in off for word in ("--search", text)]
    return ["tune", "digits", "--out", str(out), "--goals", "accuracy,operations", *settings, *space, *more]


def test_killed_with_9_and_started_again_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "leanspike", *options(tmp_path, "--trials", "6", "--workers", "2")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    for _ in range(1200):
        if any(tmp_path.glob("trials/*/float/checkpoint.json")):
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert cli.main(options(tmp_path, "--trials", "6", "--workers", "2")) == 0
    told = capsys.readouterr().out
    assert "Chosen is trial" in told
    study = load(tmp_path)
    assert sorted(t.number for t in study.trials if t.number is not None) == list(range(6))
    assert "--goals accuracy,operations" in study.command
    assert cli.main(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 6


def test_two_workers_share_postgresql(postgresql: str, tmp_path: Path) -> None:
    config = tune_config()
    study = tune(config, tmp_path, trials=6, workers=2, storage=postgresql)
    trials = open_store(postgresql, config).trials()
    assert len(study.trials) == len(trials) == 6
    assert all(len(t.user_attrs["claimed_by"]) == 1 for t in trials)
    assert not (tmp_path / "study.db").exists()


def test_optuna_dashboard_opens_a_tune(small: tuple[Study, Path]) -> None:
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        message = "needs optuna-dashboard (pip install 'leanspike[tune]')"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    import threading
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    storage = optuna.storages.RDBStorage(sqlite_url(small[1]))
    with make_server("127.0.0.1", 0, wsgi(storage), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        with urlopen(f"{address}/api/studies", timeout=30) as answer:
            (found,) = json.load(answer)["study_summaries"]
        with urlopen(f"{address}/dashboard", timeout=30) as page:
            assert b"<html" in page.read().lower()
        with urlopen(f"{address}/api/studies/{found['study_id']}", timeout=30) as answer:
            detail = json.load(answer)
        server.shutdown()
        thread.join()
    assert found["directions"] == ["maximize", "minimize", "minimize"]
    assert len(detail["trials"]) == 9
