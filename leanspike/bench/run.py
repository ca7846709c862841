"""Run the tables: prepare everybody, check that the work is equal, take turns, write the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from leanspike.bench import inference, memory, plots
from leanspike.bench.candidates import REFERENCE, Candidate
from leanspike.bench.page import page, section
from leanspike.bench.results import Row, agreement, surroundings, table_record
from leanspike.bench.tables import GROUPS, MEMORY_STEPS, TABLES, Settings, Table, left_out, quick
from leanspike.bench.worker import Worker
from leanspike.core.errors import ConfigError
from leanspike.core.files import make_folder, write_bytes, write_json, write_text

STEPS_A_TURN = 5
EPOCH_ROUNDS = 2
QUICK_SAMPLES = 1024

Say = Callable[[str], None]


def run(settings: Settings, out: Path | None, say: Say) -> dict[str, Any]:
    """Measure, and write ``benchmarks.json``, ``benchmarks.md`` and ``memory.svg``/``.png`` into ``out``.

    Args:
        say: gets a line of progress at a time.

    Raises:
        ConfigError: an unknown table, or no rounds.
        OutputError: ``out`` cannot be written.
    """
    _check(settings)
    if out is not None:
        make_folder(out)
    results: dict[str, Any] = {**surroundings(settings.threads), "rounds": settings.rounds, "quick": settings.quick}
    results["tables"] = []
    for record in _records(settings, say):
        results["tables"].append(record)
        say(section(record))
        if out is not None:
            _write(out, results)
    return results


def _check(settings: Settings) -> None:
    if settings.rounds < 1:
        raise ConfigError(f"{settings.rounds} rounds measure nothing", where="--rounds", remedy="give 1 or more")
    if settings.threads < 1:
        raise ConfigError(f"{settings.threads} threads cannot work", where="--threads", remedy="give 1 or more")
    names = [*(table.name for table in TABLES), *(setting.name for setting in inference.SETTINGS)]
    for asked in settings.only:
        if asked not in GROUPS and asked not in names:
            remedy = f"choose from {', '.join(GROUPS)} or {', '.join(names)}"
            raise ConfigError(f"there is no table {asked!r}", where="--only", remedy=remedy)


def _records(settings: Settings, say: Say) -> Iterable[dict[str, Any]]:
    def wanted(*names: str) -> bool:
        return not settings.only or any(name in settings.only for name in names)

    for table in TABLES:
        if wanted(table.group, table.name):
            say(f"{table.name}: {table.title}")
            yield _timed(quick(table) if settings.quick else table, settings, say)
    if wanted("memory"):
        for allocator, steps in MEMORY_STEPS.items():
            yield memory.table(allocator, (3, 6) if settings.quick else steps, settings, say)
    for setting in inference.SETTINGS:
        if wanted("inference", setting.name):
            say(f"{setting.name}: {setting.title}")
            with Worker(setting.threads) as worker:
                yield worker.ask(
                    "call", "leanspike.bench.inference", "measure", setting.name, settings.rounds, settings.quick
                )
    if wanted("kernels"):
        say("kernels")
        with Worker(settings.threads) as worker:
            rows = worker.ask("call", "leanspike.bench.kernels", "measure", settings.rounds, settings.quick)
        yield {
            "name": "kernels",
            "group": "kernels",
            "kind": "kernels",
            "title": "Our kernels against torch operations",
            "rows": rows,
        }


def _timed(table: Table, settings: Settings, say: Say) -> dict[str, Any]:
    rows = {c.name: Row(c.name, c.family, c.semantics) for c in table.candidates}
    density: list[float] = []
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for candidate in table.candidates:
            row = rows[candidate.name]
            row.reason = table.skipped.get(candidate.name) or left_out(candidate, settings.quick, settings.compiling)
            if row.reason is None:
                if candidate.host not in workers:
                    workers[candidate.host] = stack.enter_context(Worker(settings.threads))
                _prepare(candidate, table, workers[candidate.host], row, say)
        reference = rows[REFERENCE.name].losses if REFERENCE.name in rows else []
        for candidate in table.candidates:
            row = rows[candidate.name]
            if row.reason is None and table.kind == "coding":
                row.agreement = f"same mean rate; {candidate.semantics}"
            elif row.reason is None:
                row.agreement = agreement(candidate, row.losses, reference)
                if candidate.family == "ours":
                    density = workers[candidate.host].ask("density", candidate.name)
        active = [c for c in table.candidates if rows[c.name].reason is None]
        _rounds(table, active, rows, workers, settings, say)
    return table_record(table, list(rows.values()), density)


def _prepare(candidate: Candidate, table: Table, worker: Worker, row: Row, say: Say) -> None:
    say(f"  preparing {candidate.name}")
    try:
        prepared = worker.ask("prepare", candidate, table.work)
    except RuntimeError as error:
        row.reason = str(error)
        return
    row.losses, row.first_seconds = prepared.losses, prepared.first_seconds


def _rounds(
    table: Table,
    active: list[Candidate],
    rows: dict[str, Row],
    hosts: dict[str, Worker],
    settings: Settings,
    say: Say,
) -> None:
    rounds = min(settings.rounds, EPOCH_ROUNDS) if table.kind == "epoch" else settings.rounds
    for index in range(rounds):
        say(f"  round {index + 1} of {rounds}")
        for candidate in active:
            row = rows[candidate.name]
            if row.reason is None:
                try:
                    _turn(table.kind, candidate, hosts[candidate.host], row, settings.quick)
                except RuntimeError as error:
                    row.reason, row.rounds = str(error), []


def _turn(kind: str, candidate: Candidate, worker: Worker, row: Row, quick_run: bool) -> None:
    if kind == "epoch":
        row.add([worker.ask("epoch", candidate, QUICK_SAMPLES if quick_run else None)])
    elif kind == "passes":
        row.add_passes(worker.ask("passes", candidate.name, STEPS_A_TURN))
    else:
        row.add([seconds * 1e3 for seconds in worker.ask("steps", candidate.name, STEPS_A_TURN)])


def _write(out: Path, results: dict[str, Any]) -> None:
    write_json(out / "benchmarks.json", results)
    write_text(out / "benchmarks.md", page(results))
    for table in results["tables"]:
        if table["name"] == memory.PLOTTED:
            for suffix in ("svg", "png"):
                write_bytes(out / f"memory.{suffix}", plots.memory(table, suffix))


def failures(results: dict[str, Any]) -> list[str]:
    """Candidates that did other work than they should have: empty when all is well."""
    return [
        f"{table['name']}: {row['candidate']}: {row['agreement']}"
        for table in results["tables"]
        for row in table["rows"]
        if row.get("agreement", "").startswith("DIFFERS")
    ]
