"""``leanspike report DIR``: (re)build the page from what the folder holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanspike.measure.records import Study

EXAMPLE = "example:\n  leanspike report runs/digits        writes runs/digits/report.html and prints the table\n"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report",
        help="(re)build the page from what a study's folder holds",
        description="Build report.html, one self-contained page, from the results.json of a study, finished or not.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the study's folder, which holds results.json")
    parser.add_argument("--json", action="store_true", help="print the page's path and the finding as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build the page, print the table and where the page is."""
    from leanspike.measure.records import FILE, load
    from leanspike.report import build, costs, detect_page
    from leanspike.report.finding import find
    from leanspike.report.overview import survey
    from leanspike.report.tables import text

    if (args.folder / costs.FILE).is_file() and not (args.folder / FILE).is_file():
        path = costs.rebuild(args.folder)
        print(json.dumps({"report": str(path)}) if args.json else f"report: {path}")
        return 0
    if (args.folder / detect_page.FILE).is_file() and not (args.folder / FILE).is_file():
        path = detect_page.write(args.folder)
        print(json.dumps({"report": str(path)}) if args.json else f"report: {path}")
        return 0
    study = load(args.folder)
    if study.configuration.get("kind") == "comparison":
        return _compared(study, args)
    if study.aims:
        return _tuned(study, args)
    overview = survey(study)
    path = build(args.folder)
    finding = find(overview).sentence
    if args.json:
        facts = {"report": str(path), "trials": len(study.trials), "planned": study.planned, "finding": finding}
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    print(text(study), end="")
    print(finding)
    if overview.missing:
        print(overview.missing)
    print(f"report: {path}")
    return 0


def _compared(study: Study, args: argparse.Namespace) -> int:
    from leanspike.report import build, comparison

    path, found = build(args.folder), comparison.survey(study)
    told = comparison.sentence(comparison.ranked(found))
    facts = {"report": str(path), "trials": len(study.trials), "planned": study.planned, "finding": told}
    print(json.dumps(facts, ensure_ascii=False) if args.json else f"{comparison.text(study)}report: {path}")
    return 0


def _tuned(study: Study, args: argparse.Namespace) -> int:
    from leanspike.report import build
    from leanspike.report.tuned import finding, survey, text

    path, tuned = build(args.folder), survey(study)
    facts = {"report": str(path), "trials": len(study.trials), "planned": study.planned, "finding": finding(tuned)}
    print(json.dumps(facts, ensure_ascii=False) if args.json else f"{text(tuned)}\nreport: {path}")
    return 0
