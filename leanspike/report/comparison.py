"""The page and the table of a comparison: accuracies by set and model, ranks, and what an answer costs each model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from leanspike.measure.quality import Mean, mean_interval
from leanspike.measure.ranks import ALPHA, Ranking, ranking
from leanspike.measure.records import Study, TrialRecord
from leanspike.report.comparison_plots import costs_plot, ranks_plot
from leanspike.report.formats import interval, microseconds, number, percent, plural
from leanspike.report.single_page import Page, Table, write_page

NAMES = {
    "lif": "LIF",
    "rlif": "recurrent LIF",
    "alif": "ALIF",
    "lstm": "LSTM",
    "gru": "GRU",
    "cnn": "CNN",
    "1nn-dtw": "1-NN DTW",
}
SPIKING = ("lif", "rlif", "alif")
METHOD = (
    "Every network has the same number of trained parameters, as close as its width allows (the table says how many), "
    "sees the same series at the same number of steps, is tuned over the same number of settings with the same number "
    "of updates, and trained with the same optimizer for the same number of updates. 1-NN DTW has no parameters: its "
    "window is chosen by leave-one-out on the training set, and it has no seeds.",
    "Accuracy, spikes, operations and memory of the spiking networks (LIF, recurrent LIF, ALIF) are those of their "
    "integer programs, which every target executes spike for spike; operations are executed ones, and a zero costs "
    "nothing. The rivals were trained and tested in 32-bit floats; their operations are counts of their equations, "
    "priced as if 8-bit integers did, and activation functions are left out: both are in their favour.",
    "Energy of programs by every model is that of up to 64 test samples spread over the test set. A model that prices "
    "only spikes has no figure for multiplications, and says nothing where there are some.",
    "Ranks: on each set 1 is the best mean accuracy. Pairs are compared by Wilcoxon's signed ranks over the sets, with "
    "Holm's correction; models joined by a bar do not differ at the 5 % level.",
)


@dataclass(frozen=True)
class Cell:
    """One model on one set: the records of its seeds."""

    trials: tuple[TrialRecord, ...]

    @property
    def accuracy(self) -> Mean:
        """Mean over seeds with its interval."""
        return mean_interval([trial.accuracy for trial in self.trials if trial.accuracy is not None])

    def mean(self, figure: Callable[[TrialRecord], float | None]) -> float | None:
        """Mean of a figure over the trials that have it."""
        found = [value for trial in self.trials if (value := figure(trial)) is not None]
        return fmean(found) if found else None


@dataclass(frozen=True)
class Survey:
    """A comparison in order: its sets, its models, and the cells that have figures."""

    study: Study
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]

    @property
    def whole(self) -> tuple[str, ...]:
        """The sets on which every model has a figure."""
        return tuple(s for s in self.datasets if all((s, m) in self.cells for m in self.models))


def survey(study: Study) -> Survey:
    """The figures of a comparison."""
    models = tuple(study.configuration["models"])
    tested = [trial for trial in study.trials if trial.accuracy is not None]
    datasets = tuple(dict.fromkeys(trial.dataset for trial in tested))
    keys = dict.fromkeys((trial.dataset, trial.model) for trial in tested)
    cells = {k: Cell(tuple(t for t in tested if (t.dataset, t.model) == k)) for k in keys}
    return Survey(study, datasets, models, cells)


def ranked(found: Survey) -> Ranking | None:
    """The models' ranks over the sets that all of them have; None of one model, or of no set."""
    if len(found.models) < 2 or not found.whole:
        return None
    return ranking({m: [found.cells[s, m].accuracy.mean for s in found.whole] for m in found.models})


def sentence(order: Ranking | None) -> str:
    """What was found, in a sentence or two."""
    if order is None:
        return "Nothing to rank: too few figures are finished."
    told = ", ".join(f"{NAMES[m]} {rank:.2f}" for m, rank in zip(order.methods, order.ranks, strict=True))
    differing = [p for p in order.pairs if p.differs]
    pairs = "; ".join(f"{NAMES[p.first]} is better than {NAMES[p.second]} (p = {p.corrected:.3g})" for p in differing)
    verdict = pairs or f"no pair differs at the {percent(ALPHA, 0)} level"
    return f"Mean ranks over {plural(order.sets, 'set')}: {told}. After Holm's correction {verdict}."


def text(study: Study) -> str:
    """The accuracies, the ranks and the costs for a terminal."""
    found = survey(study)
    tables = [accuracy_table(found), cost_table(found)]
    lines = [line for table in tables for line in (*_aligned(table), "")]
    return "\n".join([*lines, sentence(ranked(found))]) + "\n"


def accuracy_table(found: Survey) -> Table:
    """Sets by models, mean and interval over seeds; the last rows are means over the sets that all models have."""
    columns = ("set", "train / test", "T", "classes", *(NAMES[m] for m in found.models))
    rows = []
    for name in found.datasets:
        any_ = next(cell.trials[0] for (s, _), cell in found.cells.items() if s == name)
        figures = [found.cells.get((name, m)) for m in found.models]
        shape = any_.parameters["samples"], any_.timesteps, any_.parameters["classes"]
        rows.append([name, *map(str, shape), *("not measured" if c is None else interval(c.accuracy) for c in figures)])
    if len(found.whole) > 1:
        means = [fmean(found.cells[s, m].accuracy.mean for s in found.whole) for m in found.models]
        rows.append([f"mean of {len(found.whole)}", "", "", "", *map(percent, means)])
    return Table("Accuracy", columns, rows, ("train / test",))


def cost_table(found: Survey) -> Table:
    """Models by cost, means over the sets that all models have."""
    models_ = _energy_models(found)
    columns = ("model", "parameters", "MACs", "ACs", "spikes", "bytes", "latency p50", *(f"nJ, {m}" for m in models_))
    rows = [
        [NAMES[m], *(_cost(found, m, figure, show) for figure, show in (*FIGURES, *map(_energy, models_)))]
        for m in found.models
    ]
    return Table("What an answer costs, mean over the sets", columns, rows)


Show = Callable[[float | None], str]
Figure = tuple[Callable[[TrialRecord], float | None], Show]
FIGURES: tuple[Figure, ...] = (
    (lambda t: t.params, number),
    (lambda t: t.macs, number),
    (lambda t: t.acs, number),
    (lambda t: t.spikes_per_sample if t.model in SPIKING else 0.0, number),
    (lambda t: t.memory_bytes, number),
    (lambda t: None if t.latency_us is None else t.latency_us.p50, microseconds),
)


def _energy(model: str) -> Figure:
    return (lambda trial: (trial.energy_nj or {}).get(model), number)


def _cost(found: Survey, model: str, figure: Callable[[TrialRecord], float | None], show: Show) -> str:
    """The mean over the sets; no figure where one set lacks it, so that no mean leaves a hard set out."""
    values = [found.cells[s, model].mean(figure) for s in found.whole]
    kept = [value for value in values if value is not None]
    return show(fmean(kept)) if kept and len(kept) == len(values) else "no figure"


def _energy_models(found: Survey) -> list[str]:
    names = dict.fromkeys(name for cell in found.cells.values() for t in cell.trials for name in t.energy_nj or {})
    return [
        m for m in names if any((t.energy_nj or {}).get(m) is not None for c in found.cells.values() for t in c.trials)
    ]


def pair_table(order: Ranking) -> Table:
    """Every pair of models."""
    rows = [
        [
            f"{NAMES[p.first]} and {NAMES[p.second]}",
            f"{p.wins} / {p.draws} / {p.losses}",
            f"{p.p:.3g}",
            f"{p.corrected:.3g}",
            "yes" if p.differs else "no",
        ]
        for p in order.pairs
    ]
    return Table("Pairs of models", ("pair", "wins / draws / losses", "p", "p after Holm", "differs"), rows)


def choice_table(found: Survey) -> Table:
    """What the tuning chose."""
    keys = ("train.learning_rate", "encoder.kind", "model.dropout", "window")
    columns = ("set", "model", "parameters", "learning rate", "encoder", "dropout", "window")
    rows = []
    for (name, model), cell in found.cells.items():
        first = cell.trials[0]
        chosen = [first.parameters.get(key) for key in keys]
        rows.append([name, NAMES[model], str(first.params), *("" if v is None else str(v) for v in chosen)])
    return Table("What the tuning chose", columns, rows, ("model", "encoder"))


def write(path: Path, study: Study) -> Path:
    """Write the page atomically.

    Raises:
        OutputError: it cannot be written.
    """
    found = survey(study)
    order, config = ranked(found), study.configuration
    plots = [] if order is None else [ranks_plot(order, NAMES), costs_plot(_points(found))]
    tables = [accuracy_table(found), cost_table(found), *([] if order is None else [pair_table(order)])]
    missing = (study.planned or 0) - len(study.trials)
    facts = [
        ("parameters", number(float(config["size"])), "of every network"),
        ("seeds", str(config["seeds"]), "a figure"),
        ("settings", str(config["trials"]), "a model is tuned over"),
        ("updates", number(float(config["updates"])), f"of {config['run']['train']['batch_size']} series"),
    ]
    friedman = None if order is None else order.friedman
    reading = "" if friedman is None else f"Friedman's test that all models are alike: p = {friedman:.3g}."
    page = Page(
        kicker="Comparison",
        title="Networks of series at one size",
        summary=f"{', '.join(NAMES[m] for m in found.models)} on {plural(len(found.datasets), 'set')}",
        finding=sentence(order),
        facts=facts,
        heading="Ranks and costs",
        reading=reading,
        plots=plots,
        tables=[*tables, choice_table(found)],
        method=(*METHOD, f"Data: {study.split}."),
        command=study.command,
        configuration={**study.configuration, "machine": dict(study.machine)},
        warning=f"{plural(missing, 'planned trial')} did not finish." if missing > 0 else "",
    )
    return write_page(path, page)


def _points(found: Survey) -> list[tuple[str, float, float]]:
    """Name, operations and accuracy of every model, means over the sets that all have."""
    points = []
    for m in found.models:
        cells = [found.cells[s, m] for s in found.whole]
        operations = fmean((c.mean(lambda t: t.macs) or 0.0) + (c.mean(lambda t: t.acs) or 0.0) for c in cells)
        points.append((NAMES[m], operations, fmean(c.accuracy.mean for c in cells)))
    return points


def _aligned(table: Table) -> list[str]:
    rows: list[Sequence[str]] = [table.columns, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    return [table.title, *("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)]
