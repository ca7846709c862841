"""The cost page and the cost table: what programs execute and move, by which figures that is how much, and who wins."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from leanspike.core.errors import StudyError
from leanspike.core.files import write_text
from leanspike.measure.account import SCHEMA
from leanspike.report import costs_plots
from leanspike.report.formats import NOT_MEASURED, microseconds, number, percent, plural
from leanspike.report.html import render

FILE, PAGE = "costs.json", "costs.html"
PLAIN, MEMORY = "arithmetic-45nm", "memory-45nm"
Document = dict[str, Any]


def build(document: Document, folder: Path) -> Path:
    """Write ``folder/costs.json`` and ``folder/costs.html`` atomically, and return the page's path.

    Raises:
        OutputError: one of them cannot be written.
    """
    write_text(folder / FILE, _compact(document))
    write_text(folder / PAGE, page(document))
    return folder / PAGE


def rebuild(folder: Path) -> Path:
    """Write ``folder/costs.html`` again from ``folder/costs.json``.

    Raises:
        StudyError: the account is missing, damaged or foreign. OutputError: the page cannot be written.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_bytes())
        if (document["kind"], document["schema"]) != ("costs", SCHEMA):
            raise StudyError(f"has schema {document['schema']!r}", where=path, remedy=f"this reads costs {SCHEMA}")
        write_text(folder / PAGE, page(document))
    except OSError as error:
        raise StudyError(f"cannot be read ({error.strerror})", where=path) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        remedy = "make it again: leanspike costs FILE --out DIR"
        raise StudyError(f"is damaged or no account of costs ({error})", where=path, remedy=remedy) from error
    return folder / PAGE


def _compact(document: Document) -> str:
    """JSON with one line for each row of a table."""
    told = json.dumps(document, indent=1, allow_nan=False)
    told = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda row: re.sub(r"\s*\n\s*", " ", row[0]), told)
    return told + "\n"


def page(document: Document) -> str:
    """The page as text."""
    content = {
        "study": SimpleNamespace(leanspike=document["leanspike"]),
        "document": document,
        "programs": [_program(program, document) for program in document["programs"]],
        "verdict": verdict(document),
        "headings": HEADINGS,
        "rows": [summary(program) for program in document["programs"]],
        "fights": [row for program in document["programs"] for row in _fights(program)],
        "maps": costs_plots.maps(document),
        "energies": costs_plots.energies(document),
        "components": costs_plots.components(document),
        "steps": costs_plots.steps(document),
        "step_rows": [row for program in document["programs"] for row in _step_rows(program)],
        "sources": _sources(document),
        "title": _title(document),
    }
    return render("costs.html", **content)


HEADINGS = (
    *("Program", "T", "Coding", "Accuracy", "Rate", "MACs", "ACs", "Updates", "Moved"),
    *("nJ arithmetic", "nJ memory", "nJ DRAM", "Loihi"),
)


def summary(program: Document) -> list[str]:
    """A program's cells of the table, as headed by ``HEADINGS``."""
    counts = program["counts"]["event"]
    work = {
        kind: sum(row["count"] for row in counts["work"] if row["kind"] == kind) for kind in ("mac", "ac", "update")
    }
    bits = sum(row["count"] * row["bits"] for row in counts["traffic"])
    energy = program["energy"]
    rate = program["connection_rate"]
    return [
        program["name"],
        str(program["timesteps"]),
        program["encoding"],
        percent(program["accuracy"]),
        "no spikes" if rate is None else percent(rate, 1),
        *(number(work[kind]) for kind in ("mac", "ac", "update")),
        f"{number(bits / 8)}B",
        *(_nanojoules(energy[name]["event"]) for name in (PLAIN, MEMORY, "dram-45nm", "loihi-sop")),
    ]


def _nanojoules(told: Document) -> str:
    return number(told["nanojoules"]) if told["nanojoules"] is not None else "no figure"


def _title(document: Document) -> str:
    programs = document["programs"]
    if len(programs) == 1:
        return f"What {programs[0]['name']} costs"
    steps = sorted({program["timesteps"] for program in programs})
    return f"What {plural(len(programs), 'program')} cost, T = {', '.join(map(str, steps))}"


def verdict(document: Document) -> list[str]:
    """Who wins, plainly, a sentence for every model that prices both sides."""
    sentences = []
    for name in _judges(document):
        fought = [p for p in document["programs"] if name in p["comparison"]["models"]]
        lost = [p for p in fought if p["comparison"]["models"][name]["winner"]["fair"] == "ANN"]
        both = [p for p in lost if p["comparison"]["models"][name]["winner"]["equal_bits"] == "ANN"]
        won = [p["name"] for p in fought if p not in lost]
        cheaper = f"Cheaper than the fair ANN: {', '.join(won) or 'none'}."
        sentences.append(
            f"{document['models'][name]['title']}: the spiking network loses to the fair ANN in {len(lost)} of "
            f"{plural(len(fought), 'program')}, in {len(both)} also to the ANN of 8-bit activations. {cheaper}"
        )
    reasons = {p["comparison"]["reason"] for p in document["programs"]} - {""}
    return [*sentences, *(f"Not compared with an ANN: {reason}." for reason in sorted(reasons))]


def _judges(document: Document) -> list[str]:
    return list(dict.fromkeys(name for p in document["programs"] for name in p["comparison"]["models"]))


def _fights(program: Document) -> list[list[str]]:
    """One row a model: both sides' energies, winner, break-even."""
    rows = []
    for name, told in program["comparison"]["models"].items():
        few, eight = told["fair"], told["equal_bits"]
        rows.append(
            [
                program["name"],
                name,
                number(told["nanojoules"]),
                number(eight["nanojoules"]),
                f"{number(few['nanojoules'])} ({few['bits']} bit)",
                _outcome(told, eight, told["winner"]["equal_bits"]),
                _outcome(told, few, told["winner"]["fair"]),
                percent(program["connection_rate"], 1),
                rate_told(few["break_even_rate"]),
                str(few["break_even_steps"]) if few["break_even_steps"] else "never",
            ]
        )
    return rows


def _outcome(told: Document, opponent: Document, winner: str) -> str:
    ratio = told["nanojoules"] / opponent["nanojoules"]
    return f"wins, {ratio:.2f}x" if winner == "SNN" else f"loses, {ratio:.2f}x"


def rate_told(rate: float) -> str:
    """A break-even rate in words."""
    return "no rate" if rate <= 0 else "every rate" if rate >= 1 else percent(rate, 1)


def _step_rows(program: Document) -> list[list[str]]:
    """What one more step costs, a row a model."""
    longer = program["overhead"]
    if longer is None:
        return []
    time = longer["latency"]
    more = NOT_MEASURED if time is None or time["twice"] <= time["steps"] else None
    if more is None:
        more = microseconds((time["twice"] - time["steps"]) / program["timesteps"])
    at = NOT_MEASURED if time is None else f"{microseconds(time['steps'])}, {microseconds(time['one_more'])}"
    return [
        [
            *(program["name"], name, number(found["updates"]), number(found["spikes"])),
            *(number(found["saved"]), number(found["reused"]), f"{number(longer['state_bits'] / 8)}B", at, more),
        ]
        for name, found in longer["energy"].items()
    ]


def _program(program: Document, document: Document) -> Document:
    """What the page shows of one program: its layers, counts side by side, and every line of every energy."""
    event, dense = (program["counts"][variant] for variant in ("event", "dense"))
    counted: dict[tuple[str, ...], list[float]] = {}
    for column, counts in enumerate((event, dense)):
        for row in (*counts["work"], *counts["traffic"]):
            what = row.get("kind") or f"{row['what']} {row['access']}"
            counted.setdefault((row["layer"], what, f"{row['bits']:.3g}"), [0.0, 0.0])[column] += row["count"]
    return {
        "name": program["name"],
        "facts": f"{program['samples']} test samples of {program['dataset']}, {program['timesteps']} steps, "
        f"{program['encoding']} coding, program {program['sha256'][:16]}",
        "layers": [_layer(row) for row in program["layers"]],
        "counts": [[*key, *(number(value) for value in values)] for key, values in counted.items()],
        "lines": [_lines(name, program) for name in document["models"] if program["energy"][name]["event"]["lines"]],
        "lacking": [
            f"{name} ({program['energy'][name]['event']['lacks']})"
            for name in document["models"]
            if program["energy"][name]["event"]["nanojoules"] is None
        ],
    }


def _layer(row: Document) -> list[str]:
    cells = [row["layer"], row["kind"], number(row["connections"]), number(row["operations"])]
    return [*cells, percent(row["share"], 1)]


def _lines(name: str, program: Document) -> Document:
    told = program["energy"][name]["event"]
    rows = [
        [
            *(line["layer"], line["item"], f"{line['count']:,.1f}", f"{line['picojoules']:.4g}", line["law"]),
            f"{line['nanojoules']:,.4g}",
        ]
        for line in told["lines"]
    ]
    return {
        "model": name,
        "total": f"{told['nanojoules']:,.4g}",
        "rows": rows,
        "beyond": percent(told["extrapolated"], 0),
    }


def _sources(document: Document) -> list[Document]:
    found = []
    for name, model in document["models"].items():
        rows = [[_operation(figure), f"{figure['picojoules']:g} pJ", figure["source"]] for figure in model["figures"]]
        found.append({"name": name, **model, "rows": rows})
    return found


def _operation(figure: Document) -> str:
    if figure["operation"] in ("add", "multiply"):
        return f"{figure['operation']}, {figure['bits']} bit"
    if figure["operation"] == "sram":
        return f"64 bits, SRAM of {figure['bytes'] // 1024} KB"
    names = {
        "dram": "64 bits, DRAM",
        "ac": "synaptic operation",
        "update": "neuron update",
        "instruction": "instruction",
    }
    return names[figure["operation"]]


def text(document: Document) -> str:
    """The tables for a terminal."""
    parts = [_table(HEADINGS, [summary(program) for program in document["programs"]])]
    fights = [row for program in document["programs"] for row in _fights(program)]
    if fights:
        parts.append(_table(FIGHT_HEADINGS, fights))
    steps = [row for program in document["programs"] for row in _step_rows(program)]
    if steps:
        parts.append(_table(STEP_HEADINGS, steps))
    parts.append("\n".join(verdict(document)))
    return "\n\n".join(parts) + "\n"


FIGHT_HEADINGS = (
    *("Program", "Model", "SNN nJ", "8-bit ANN nJ", "fair ANN nJ", "vs 8-bit", "vs fair"),
    *("rate", "breaks even below", "up to T"),
)
STEP_HEADINGS = (
    *("Program", "Model", "updates nJ", "spikes nJ", "zeros saved nJ", "reuse saved nJ", "state moved"),
    *("at T, T + 1", "a step"),
)


def _table(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows)]
    return "\n".join(lines)
