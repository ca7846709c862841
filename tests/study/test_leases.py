"""No piece of work has two owners, whoever asks at once; what a dead worker held is to be had."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from leanspike.study.leases import Leases, create_table, is_gone, machine, own_name

ELSEWHERE = "another machine|1|1|x"


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'leases.db'}"
    url: str = request.getfixturevalue("postgresql")
    return url.replace("postgresql:", "postgresql+psycopg:")


def leases(address: str, owner: str = "", grace: float = 60.0, study: str = "study") -> Leases:
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    create_table(engine)
    return Leases(engine, study, owner or own_name(), grace)


def test_of_many_that_ask_at_once_one_gets_it(address: str) -> None:
    asking = [leases(address, study="race") for _ in range(8)]
    keys, won, gate = [f"trial {i}" for i in range(10)], list[tuple[str, str]](), threading.Barrier(8)

    def ask(mine: Leases) -> None:
        gate.wait()
        won.extend((key, mine.owner) for key in keys if mine.acquire(key))

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in asking]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for key, _ in won) == sorted(keys)


def test_of_many_that_take_over_one_gets_it(address: str) -> None:
    dead = leases(address, f"{machine()}|999999999|1|x", study="takeover")
    assert dead.acquire("trial 0")
    asking = [leases(address, study="takeover") for _ in range(8)]
    assert sum(mine.acquire("trial 0") for mine in asking) == 1
    assert not dead.beat("trial 0")


def test_released_is_free_and_progress_is_seen(address: str) -> None:
    one, two = leases(address, study="release"), leases(address, study="release")
    assert one.acquire("trial 0")
    assert one.beat("trial 0", 0.25)
    assert two.held() == {"trial 0": 0.25}
    assert not two.acquire("trial 0")
    two.release("trial 0")
    assert not two.acquire("trial 0")
    one.release("trial 0")
    assert two.held() == {}
    assert two.acquire("trial 0")


def test_a_silent_worker_elsewhere_is_given_its_time(address: str) -> None:
    far = leases(address, ELSEWHERE, study="grace")
    near = leases(address, grace=0.3, study="grace")
    assert far.acquire("trial 0")
    assert not near.acquire("trial 0")
    time.sleep(0.2)
    assert far.beat("trial 0")
    time.sleep(0.2)
    assert not near.acquire("trial 0")  # it beat since
    time.sleep(0.4)
    assert near.acquire("trial 0")
    assert not far.beat("trial 0")
    far.release("trial 0")
    assert near.beat("trial 0")


def test_only_a_worker_that_surely_ended_is_gone() -> None:
    name = own_name()
    assert not is_gone(name)
    assert not is_gone(ELSEWHERE)
    assert is_gone(f"{machine()}|{os.getpid()}|1|x")  # our process number, but another process
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    living = f"{machine()}|{child.pid}|{started}|x"
    assert not is_gone(living)
    child.kill()
    deadline = time.monotonic() + 5
    while not is_gone(living) and time.monotonic() < deadline:  # gone already as a zombie that nobody has waited for
        time.sleep(0.01)
    assert is_gone(living)
    child.communicate()
    assert is_gone(living)
