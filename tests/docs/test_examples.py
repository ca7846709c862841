"""Every example in the README and the docs runs; every command in them is one that leanspike understands."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from leanspike import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("results/*.md")])
QUICK = "lower runs/digits", "show digits.lsp", "emit digits.lsp --target engine", "check digits.lsp --target engine"
RUN = ("neuron", "report", "study digits", "train digits", "data list", *QUICK)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> list[str]:
    """Every ``leanspike ...`` line of a code block, fenced or indented."""
    text = page.read_text(encoding="utf-8")
    code = [
        *re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.M | re.S),
        *re.findall(r"(?:^    .+\n)+", text, re.M),
    ]
    lines = [line.strip().removeprefix("$ ") for block in code for line in block.replace("\\\n", " ").splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith("leanspike ")]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=page_id)
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(exit_on_error=False)
    subparsers = found.add_subparsers(required=True)
    for name in cli.COMMANDS:
        importlib.import_module(f"leanspike.cli.{name}").register(subparsers)
    return found


ALL = sorted({line for page in PAGES for line in commands(page)})


@pytest.mark.parametrize("line", ALL)
def test_commands_are_understood(line: str) -> None:
    args = parser().parse_args(shlex.split(line)[1:])
    module = sys.modules[args.run.__module__]
    if hasattr(module, "configuration") and not getattr(args, "config", None):
        module.configuration(args)


def runnable(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    wanted = [line.strip() for line in lines if line.startswith("leanspike ")]
    return [line for line in wanted if line.removeprefix("leanspike ").startswith(RUN)]


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=page_id)
def test_quick_commands_run(page: Path, tmp_path: Path) -> None:
    for line in runnable(page):
        words = [sys.executable, "-m", *shlex.split(line, comments=True)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
