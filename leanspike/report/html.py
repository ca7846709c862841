"""One self-contained page from a study's folder: no script, no network, the same bytes for the same results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from leanspike.core.files import write_text
from leanspike.measure.records import Study, load
from leanspike.report import early, frontier, layers, tradeoff, tune_page
from leanspike.report.finding import Finding, find
from leanspike.report.formats import plural
from leanspike.report.overview import Group, Overview, survey
from leanspike.report.samples import sample_sets
from leanspike.report.settings import settings
from leanspike.report.tables import table

FILE = "report.html"


@dataclass(frozen=True)
class Confusion:
    """Counts by true and predicted class, with the share of its row that each cell holds."""

    title: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[float, ...], ...]
    worst: str


def build(folder: Path) -> Path:
    """Read ``folder/results.json`` and write ``folder/report.html`` atomically.

    Raises:
        StudyError: the results are missing, damaged or foreign.
        OutputError: the page cannot be written.
    """
    path = folder / FILE
    write_text(path, page(load(folder), folder))
    return path


def page(study: Study, folder: Path) -> str:
    """The page as text; ``folder`` is where the details files of the trials lie."""
    if study.aims:
        template, content = "tune.html", tune_page.content(study)
    else:
        template, content = "report.html", _content(study, folder)
    common = {"study": study, "configuration": _pretty(study.configuration), "versions": _versions(study)}
    return render(template, **common, **content)


def render(template: str, **content: Any) -> str:
    """A page of the folder ``templates``; one that extends ``page.html`` takes ``study`` (anything with ``leanspike``,
    ``created``, ``command`` and ``config_hash``), ``configuration`` and ``versions``, and its own values."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leanspike.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return _tidy(environment.get_template(template).render(**content))


def _content(study: Study, folder: Path) -> dict[str, Any]:
    overview = survey(study)
    finding = find(overview)
    return {
        "overview": overview,
        "finding": finding,
        "facts_of": _facts_of(overview, finding),
        "summary": _summary(overview),
        "settings": settings(overview, finding.group),
        "tradeoffs": tradeoff.tradeoffs(overview),
        "fronts": frontier.fronts(overview),
        "early": early.early(overview),
        "rates": layers.rates(overview),
        "rate_table": layers.rate_table(overview),
        "samples": sample_sets(overview, folder, study.classes),
        "confusion": _confusion(finding.group, study.classes),
        "table": table(overview),
    }


def _tidy(content: str) -> str:
    """Numbers stay with their units, and no line is empty."""
    together = re.sub(r"(?<=[\d.]) (?=(?:%|µs|ms|s|nJ|points?)\b|%)", "\N{NO-BREAK SPACE}", content)
    return re.sub(r"\n{2,}", "\n", together.replace("T = ", "T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"))


def _facts_of(overview: Overview, finding: Finding) -> str:
    if finding.group is None:
        return ""
    return f"Row {finding.group.number} of the table" if overview.is_search else f"At T = {finding.group.timesteps}"


def _summary(overview: Overview) -> str:
    """What was run, in one line."""
    networks = list(dict.fromkeys(group.model for group in overview.groups))
    steps = sorted({group.timesteps for group in overview.groups})
    encoders = sorted({group.encoder for group in overview.groups})
    seeds = {trial.seed for trial in overview.study.trials}
    parts = [", ".join(networks[:3]) + (f" and {len(networks) - 3} more" if len(networks) > 3 else "")]
    parts += [f"{' and '.join(encoders)} coding"] if encoders else []
    parts += [f"T = {', '.join(map(str, steps))}"] if steps else []
    parts += [plural(len(seeds), "seed")] if seeds else []
    parts += [plural(len(overview.study.trials), "trial")]
    return " · ".join(part for part in parts if part)


def _confusion(group: Group | None, classes: tuple[str, ...]) -> Confusion | None:
    """The confusion matrices of the recommended group's seeds, added."""
    found = [trial for trial in group.trials if trial.confusion] if group else []
    if group is None or not found:
        return None
    counts: npt.NDArray[np.int64] = np.sum([np.array(trial.confusion) for trial in found], axis=0)
    names = classes if len(classes) == len(counts) else tuple(map(str, range(len(counts))))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    seeds = f"seed {found[0].seed}" if len(found) == 1 else f"{len(found)} seeds added"
    title = f"{group.label}, {group.model}, {seeds}"
    return Confusion(title, names, _rows(counts), _rows(shares), _worst(counts, names))


def _rows(values: npt.NDArray[Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def _worst(counts: npt.NDArray[np.int64], names: tuple[str, ...]) -> str:
    """The three most frequent mistakes, in words."""
    off = counts * (1 - np.eye(len(counts), dtype=np.int64))
    order = np.argsort(-off, axis=None, kind="stable")[:3]
    told = [
        f"{names[i]} read as {names[j]} ({off[i, j]})"
        for i, j in (divmod(int(k), len(off)) for k in order)
        if off[i, j]
    ]
    return f"Most frequent mistakes: {', '.join(told)}." if told else "Not one mistake."


def _versions(study: Study) -> list[tuple[str, str]]:
    """Machine and versions: the study's own, and those of the trials where all agree; else every value found."""
    found: dict[str, list[str]] = {"leanspike": [study.leanspike or "unknown"]}
    for source in (study.machine, *(trial.versions for trial in study.trials)):
        for key, value in source.items():
            values = found.setdefault(key, [])
            if str(value) not in values:
                values.append(str(value))
    return [(key, ", ".join(values)) for key, values in found.items()]


def _pretty(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, indent=2, ensure_ascii=False)
