"""The results as Markdown, for a terminal and for the repository."""

from __future__ import annotations

from typing import Any

HOW = (
    "All candidates of a table take turns in one run, a few steps a turn, each turn after an untimed step; the torch "
    "ones share one process, the JAX ones another (two thread pools in one process fight for the cores), and only one "
    "computes at a time, all with the same cores, number of threads and allocator settings (freed pages are kept, for "
    "everybody). Median of the rounds' medians, and the fastest single measurement; the first step, compiling "
    "included, stands apart. Compare ratios, never times from another day."
)


def figure(value: float | None) -> str:
    """Three significant digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with padded columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def _timing(table: dict[str, Any]) -> str:
    passes = table["kind"] == "passes"
    unit = table["unit"]
    head = ["candidate", *(["forward", "backward"] if passes else []), f"median ({unit})", f"min ({unit})", "x ours"]
    head += ["first step (s)", "equal work"]
    rows = []
    for row in sorted(table["rows"], key=lambda row: (row["median"] is None, row["median"])):
        if row["reason"]:
            rows.append([row["candidate"], *["-"] * (len(head) - 2), f"not measured: {row['reason']}"])
            continue
        cells = [row["candidate"], *([figure(row["forward"]), figure(row["backward"])] if passes else [])]
        cells += [figure(row[key]) for key in ("median", "minimum", "ratio_to_ours", "first_seconds")]
        rows.append([*cells, row["agreement"]])
    return grid(head, rows)


def _promises(promises: list[dict[str, Any]]) -> list[str]:
    lines = []
    for promise in promises:
        against = promise["against"] or "any peer"
        if promise["promised"] is None:
            lines.append(f"- against {against}: {figure(promise['reached'])}x, nothing promised")
            continue
        verdict = {None: "not measured", True: "kept", False: "NOT KEPT"}[promise["kept"]]
        lines.append(
            f"- promised {promise['promised']:g}x, against {against}: {figure(promise['reached'])}x, {verdict}"
        )
    return lines


def _memory(table: dict[str, Any]) -> str:
    head = ["candidate", *(f"T={steps}" for steps in table["timesteps"]), ""]
    rows = []
    for row in table["rows"]:
        reasons = "; ".join(sorted({reason for reason in row["reasons"] if reason}))
        rows.append([row["candidate"], *map(figure, row["megabytes"]), reasons and f"not measured: {reasons}"])
    return grid(head, rows)


def _kernels(table: dict[str, Any]) -> str:
    rows = [
        [row["kernel"], figure(row["ours"]), figure(row["torch"]), figure(row["ratio"]), f"{row['difference']:.1e}"]
        for row in table["rows"]
    ]
    return grid(["kernel", "leanspike (ms)", "torch (ms)", "x ours", "largest difference"], rows)


def section(table: dict[str, Any]) -> str:
    """One table with its title, notes and promises."""
    body = {"memory": _memory, "kernels": _kernels}.get(table["kind"], _timing)(table)
    parts = [f"## {table['title']}", "", body]
    if table.get("hidden_density"):
        parts += ["", "Ones in our layers: " + ", ".join(f"{share:.1%}" for share in table["hidden_density"]) + "."]
    if table.get("promises"):
        parts += ["", *_promises(table["promises"])]
    return "\n".join(parts) + "\n"


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    machine, versions = results["machine"], results["versions"]
    head = [
        "# Side by side with the peers",
        "",
        f"{results['created']}, {machine['cpu']}, {results['threads']} threads, {results['rounds']} rounds. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "",
        HOW,
        "",
    ]
    differences = {
        row["candidate"]: row["semantics"]
        for table in results["tables"]
        if table["kind"] in ("steps", "passes", "epoch")
        for row in table["rows"]
    }
    tail = ["## How each neuron computes", "", *(f"- {name}: {how}" for name, how in differences.items()), ""]
    return "\n".join([*head, *(section(table) for table in results["tables"]), *(tail if differences else [])])
