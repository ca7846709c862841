"""Who works on what: leases in the study's own database, so that no piece of work is done by two workers at once.

One row a piece of work: (study, key) is the primary key, so of any number of processes that insert it exactly one
succeeds. A row that exists is taken over only by ``UPDATE ... WHERE owner = <the one seen> AND beat = <the one seen>``,
which again exactly one process can win. The owner raises ``beat`` while it lives. It is taken for dead when

    it ran on this machine (same boot, same process namespace) and its process is gone, at once, or
    its beat has not moved for ``grace`` seconds of the observer's own monotonic clock; no two clocks are compared.

An owner that was only slow finds out at its next beat, and its result is then not accepted.

Optuna's own claim, ``set_trial_state_values(RUNNING)``, cannot serve: on SQLite it reads the state and writes it in two
statements, between which another process may read it, too. Its heartbeat gives a retried trial a new number, and
overlooks a worker that died before its first beat.
"""

from __future__ import annotations

import functools
import os
import socket
import time
import uuid
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

GRACE = 60.0  # seconds without a beat after which a worker of another machine is taken for dead
BEAT = 2.0  # seconds between two beats
FREE = ""

_metadata = sa.MetaData()
_leases = sa.Table(
    "leanspike_leases",
    _metadata,
    sa.Column("study", sa.String(128), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("owner", sa.String(256), nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("progress", sa.Float, nullable=False),
)


def create_table(engine: sa.Engine) -> None:
    """Make the table if it is not there."""
    _metadata.create_all(engine)


class Leases:
    """The leases of one study as one worker sees them.

    Args:
        owner: this worker's name, see :func:`own_name`.
        grace: seconds after which a silent worker of another machine is taken for dead.
    """

    def __init__(self, engine: sa.Engine, study: str, owner: str, grace: float = GRACE) -> None:
        self.engine, self.study, self.owner, self.grace = engine, study, owner, grace
        self._seen: dict[str, tuple[str, int, float]] = {}

    def acquire(self, key: str) -> bool:
        """Take the lease, if nobody alive has it; True for the one process that got it."""
        row = {"study": self.study, "key": key, "owner": self.owner, "beat": 0, "progress": 0.0}
        try:
            with self.engine.begin() as connection:
                found = connection.execute(sa.select(_leases.c.owner, _leases.c.beat).where(self._is(key))).first()
                if found is None:
                    connection.execute(sa.insert(_leases).values(row))
                    return True
        except IntegrityError:
            return False
        if not self._is_free(key, found.owner, found.beat):
            return False
        seen = self._is(key) & (_leases.c.owner == found.owner) & (_leases.c.beat == found.beat)
        return self._update(seen, owner=self.owner, beat=found.beat + 1, progress=0.0)

    def beat(self, key: str, progress: float = 0.0) -> bool:
        """Show that this worker lives; False if the lease is no longer its own."""
        return self._update(self._mine(key), beat=_leases.c.beat + 1, progress=progress)

    def release(self, key: str) -> None:
        """Give the lease back, if it is this worker's."""
        self._update(self._mine(key), owner=FREE, beat=_leases.c.beat + 1)

    def held(self) -> dict[str, float]:
        """Every lease that somebody holds, and how far that work is, 0..1."""
        with self.engine.connect() as connection:
            chosen = sa.select(_leases.c.key, _leases.c.progress).where(_leases.c.study == self.study)
            return {row.key: row.progress for row in connection.execute(chosen.where(_leases.c.owner != FREE))}

    def _is_free(self, key: str, owner: str, beat: int) -> bool:
        if owner == FREE or is_gone(owner):
            return True
        now = time.monotonic()
        seen_owner, seen_beat, since = self._seen.get(key, ("", -1, now))
        if (seen_owner, seen_beat) != (owner, beat):
            self._seen[key] = (owner, beat, now)
            return False
        return now - since > self.grace

    def _is(self, key: str) -> sa.ColumnElement[bool]:
        return (_leases.c.study == self.study) & (_leases.c.key == key)

    def _mine(self, key: str) -> sa.ColumnElement[bool]:
        return self._is(key) & (_leases.c.owner == self.owner)

    def _update(self, which: sa.ColumnElement[bool], **values: object) -> bool:
        with self.engine.begin() as connection:
            return connection.execute(sa.update(_leases).where(which).values(**values)).rowcount == 1


def own_name() -> str:
    """``machine|pid|start|nonce``: unique, and enough for a neighbour to see whether this process still runs."""
    return f"{machine()}|{os.getpid()}|{_started(os.getpid())}|{uuid.uuid4().hex[:8]}"


def is_gone(owner: str) -> bool:
    """Whether the worker surely runs no more: it was on this machine, and its process has ended."""
    where, pid, started, _ = owner.split("|")
    if where != machine() or not Path("/proc/self/stat").exists():
        return False
    return _started(int(pid)) != started


@functools.cache
def machine() -> str:
    """This machine since its boot and, in containers, this process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode():x}"


def _started(pid: int) -> str:
    """Start time of a living process in clock ticks since boot; empty for one that is dead or unknown."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]
