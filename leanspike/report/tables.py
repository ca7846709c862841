"""The table of trials, once for the page, the terminal and Markdown.

Rows are groups; a single trial is a group of one, so that mean rows and per-seed rows share every column.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from leanspike.measure.records import Study
from leanspike.report.formats import NOT_MEASURED, interval, microseconds, number, percent, points, seconds
from leanspike.report.overview import Group, Overview, survey

DOES_NOT_APPLY = "\N{EN DASH}"
SPIKING_ONLY = ("Spikes", "Sparsity")


@dataclass(frozen=True)
class Column:
    """One column: its heading, what it means, and the cell of a group."""

    heading: str
    meaning: str
    cell: Callable[[Group], str]
    is_text: bool = False


@dataclass(frozen=True)
class Row:
    """A group's cells, and those of each of its trials."""

    group: Group
    cells: tuple[str, ...]
    seeds: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Table:
    """Columns that hold at least one measured figure, rows in order, and the names of the columns that hold none."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    unmeasured: tuple[str, ...]


def table(overview: Overview) -> Table:
    """The table of a study."""
    identity = _identity(overview)
    figures = _figures(overview)
    groups = overview.all_groups
    empty = [column for column in figures if all(column.cell(group) in _BLANK for group in groups)]
    columns = (*identity, *(column for column in figures if column not in empty))
    rows = tuple(
        Row(group, _cells(columns, group), tuple(_cells(columns, one) for one in _ones(group))) for group in groups
    )
    return Table(columns, rows, tuple(column.heading for column in empty))


def markdown(study: Study) -> str:
    """The mean rows as a Markdown table."""
    content = table(survey(study))
    rule = ["---" if column.is_text else "---:" for column in content.columns]
    lines = [[column.heading for column in content.columns], rule, *(row.cells for row in content.rows)]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def text(study: Study) -> str:
    """The mean rows as plain text in aligned columns."""
    content = table(survey(study))
    lines = [tuple(column.heading for column in content.columns), *(row.cells for row in content.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(
            cell.ljust(width) if column.is_text else cell.rjust(width)
            for cell, width, column in zip(line, widths, content.columns, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


_BLANK = (NOT_MEASURED, DOES_NOT_APPLY)


def _cells(columns: tuple[Column, ...], group: Group) -> tuple[str, ...]:
    return tuple(column.cell(group) for column in columns)


def _ones(group: Group) -> list[Group]:
    return [dataclasses.replace(group, trials=(trial,)) for trial in group.trials]


def _identity(overview: Overview) -> list[Column]:
    columns = [Column("#", "row, as in the plots", lambda group: str(group.number))] if overview.is_search else []
    if len({group.model for group in overview.groups}) != 1:
        columns.append(Column("Network", "kind and layer sizes", lambda group: group.model, is_text=True))
    if len({group.encoder for group in overview.groups}) > 1:
        columns.append(Column("Encoder", "how inputs become spikes", lambda group: group.encoder, is_text=True))
    columns.append(Column("T", "timesteps", lambda group: "ANN" if group.is_ann else str(group.timesteps)))
    for name in overview.varied:
        columns.append(Column(name, "setting of this trial", lambda group, name=name: _parameter(group, name)))  # type: ignore[misc]
    columns.append(Column("Seeds", "training runs, or the seed of one", _seeds))
    return columns


def _figures(overview: Overview) -> list[Column]:
    columns = [
        Column("Accuracy", f"test set, {_measured_on(overview)}; ± 95 % interval over seeds", lambda g: _accuracy(g)),
        Column("Floats", "test accuracy before lowering to integers", lambda g: percent(g.middle("float_accuracy"))),
        Column("Against ANN", "percentage points to the same-size ANN", lambda group: _gap(overview, group)),
        Column(
            "Latency p50",
            "one sample, median; programs on the engine, ANN in PyTorch",
            lambda group: microseconds(group.middle("latency_p50")),
        ),
        Column("Latency p99", "one sample, 99th percentile", lambda group: microseconds(group.middle("latency_p99"))),
        Column("Spikes", "spikes a sample, all layers", lambda group: number(group.middle("spikes_per_sample"))),
        Column("Sparsity", "silent (neuron, step) pairs", lambda group: percent(group.middle("sparsity"), 1)),
        Column("MACs", "multiply-accumulates a sample", lambda group: number(group.middle("macs"))),
        Column("ACs", "accumulates a sample, caused by spikes", lambda group: number(group.middle("acs"))),
        Column("Parameters", "trained numbers", lambda group: number(group.middle("params"))),
        Column("Memory", "bytes as stored", lambda group: number(group.middle("memory_bytes"))),
        *_energies(overview),
        Column(
            "Validation",
            "validation accuracy of the chosen epoch",
            lambda group: percent(group.middle("validation_accuracy")),
        ),
        Column("Training", "wall-clock time of one training", lambda group: seconds(group.middle("train_seconds"))),
    ]
    return [dataclasses.replace(column, cell=_applied(column)) for column in columns]


def _energies(overview: Overview) -> list[Column]:
    """A column for every energy model that has a figure for some trial."""
    tables = [trial.energy_nj or {} for group in overview.all_groups for trial in group.trials]
    names = dict.fromkeys(name for table in tables for name, value in table.items() if value is not None)
    columns = []
    for name in names or [""]:
        meaning = f"nanojoules a sample, arithmetic by the cited figures of the model {name}; without memory"
        cell = lambda group, key=f"energy:{name}": number(group.middle(key))  # noqa: E731
        columns.append(Column(f"nJ {name}" if name else "Energy", meaning, cell))
    return columns


def _applied(column: Column) -> Callable[[Group], str]:
    """Spike figures do not apply to an ANN: that is not the same as not measured."""

    def cell(group: Group) -> str:
        return DOES_NOT_APPLY if group.is_ann and column.heading in SPIKING_ONLY else column.cell(group)

    return cell


def _measured_on(overview: Overview) -> str:
    """Of what the figures of the spiking networks are."""
    found = {trial.measured_on for group in overview.groups if not group.is_ann for trial in group.trials}
    return "integer program" if found == {"program"} else "network of floats"


def _parameter(group: Group, name: str) -> str:
    return dict(group.parameters).get(name, DOES_NOT_APPLY)


def _seeds(group: Group) -> str:
    return f"seed {group.trials[0].seed}" if len(group.trials) == 1 else str(len(group.trials))


def _accuracy(group: Group) -> str:
    mean = group.mean("accuracy")
    return interval(mean) if mean else NOT_MEASURED


def _gap(overview: Overview, group: Group) -> str:
    ann, mine = overview.ann_of(group), group.middle("accuracy")
    theirs = ann.middle("accuracy") if ann else None
    if group.is_ann or ann is None:
        return DOES_NOT_APPLY
    return NOT_MEASURED if mine is None or theirs is None else points(mine - theirs)
