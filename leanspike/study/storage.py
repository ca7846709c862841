"""The study in its database: Optuna keeps trials, values and attributes; :mod:`leanspike.study.leases` who runs which.

A trial is a grid point, or a place in a search. It is added once, keeps its number for ever, and is finished once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from leanspike.core.errors import MissingTool, StudyError
from leanspike.measure.pareto import Goal
from leanspike.study.config import Kind, Point, identity
from leanspike.study.leases import Leases, create_table, own_name

ATTEMPTS = 6  # to open: of processes that create the tables at the same moment, all but one fail at first
FAILURES = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
OPEN = (TrialState.WAITING, TrialState.RUNNING)


class Plan(Protocol):
    """What a storage needs to know of a study: a name for its settings, and where its goals lie."""

    @property
    def hash(self) -> str:
        """Content hash: equal settings, equal hash."""

    @property
    def directions(self) -> tuple[Goal, ...]:
        """``max`` or ``min``, a goal each."""


@dataclass(frozen=True)
class Store:
    """An open study: Optuna's view of it and the leases of this process."""

    study: optuna.Study
    storage: RDBStorage
    leases: Leases

    def trials(self, states: Iterable[TrialState] | None = None) -> list[FrozenTrial]:
        """All trials in these states, by number."""
        return self.study.get_trials(deepcopy=False, states=None if states is None else tuple(states))

    def trial_id(self, number: int) -> int:
        """Optuna's database key of a trial."""
        study_id = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def note(self, number: int, key: str, value: Any) -> None:
        """Set a trial's attribute; finished trials take theirs through :meth:`annotate`."""
        self.storage.set_trial_user_attr(self.trial_id(number), key, value)

    def annotate(self, key: str, value: Any) -> None:
        """Set an attribute of the study, for what is learnt about a trial after it has finished."""
        self.study.set_user_attr(key, value)

    def add(self, kind: Kind, points: Iterable[Point]) -> None:
        """Add a waiting trial for every point that has none yet; the caller holds the lease ``plan``."""
        known = {trial.user_attrs["point"] for trial in self.trials()}
        for point in points:
            name = f"{kind} {identity(point)}"
            if name not in known:
                attributes = {"kind": kind, "point": name, "parameters": point}
                self.study.add_trial(optuna.create_trial(state=TrialState.WAITING, user_attrs=attributes))


def open_store(url: str, config: Plan) -> Store:
    """Open the study of this configuration, creating what is not there.

    Raises:
        StudyError: the storage cannot be reached or its address not understood.
        MissingTool: PostgreSQL's driver is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    target = _driver(url)
    for attempt in range(ATTEMPTS):
        try:
            return _open(target, config)
        except ImportError as error:
            raise MissingTool("needs psycopg", where="--storage", remedy="pip install 'leanspike[postgres]'") from error
        except FAILURES as error:
            cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
            if attempt == ATTEMPTS - 1 or isinstance(cause, ArgumentError) or _refused(cause):
                raise StudyError(_reason(cause), where=shown(url), remedy=REMEDY) from error
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def in_reach(url: str) -> Iterator[None]:
    """Turn a storage that fails while it is used (server stopped, disk full) into a :class:`StudyError`."""
    try:
        yield
    except FAILURES as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
        remedy = "start the same command again when it works: finished trials are kept"
        raise StudyError(_reason(cause), where=shown(url), remedy=remedy) from error


REMEDY = "expected --storage postgresql://USER:PASSWORD@HOST:PORT/DATABASE of a running server, or leave it out"


def shown(url: str) -> str:
    """An address without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "--storage"


def sqlite_url(folder: Path) -> str:
    """The address of a study's own database, ``folder/study.db``."""
    return f"sqlite:///{(folder / 'study.db').resolve()}"


def _open(target: sa.URL, config: Plan) -> Store:
    timeout = {"timeout": 60} if target.get_backend_name() == "sqlite" else {"connect_timeout": 10}
    options = {
        "connect_args": timeout,
        "poolclass": sa.NullPool,
    }  # a connection an operation: none is left open, or stale
    storage = RDBStorage(target.render_as_string(hide_password=False), options)
    create_table(storage.engine)
    name = f"leanspike {config.hash}"
    directions = [DIRECTIONS[goal] for goal in config.directions]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
    return Store(study, storage, Leases(storage.engine, name, own_name()))


def _driver(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise StudyError("is not an address", where="--storage", remedy=REMEDY) from error
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("postgresql", "sqlite"):
        raise StudyError("is neither PostgreSQL nor SQLite", where=shown(url), remedy=REMEDY)
    return parsed


def _refused(cause: BaseException | None) -> bool:
    words = ("connection", "unable to open", "password", "does not exist", "resolve", "readonly")
    return isinstance(cause, OperationalError) and any(word in str(cause.orig).lower() for word in words)


def _reason(cause: BaseException | None) -> str:
    text = str(getattr(cause, "orig", cause)).strip().splitlines()
    return f"the study's storage cannot be used ({text[0] if text else type(cause).__name__})"
