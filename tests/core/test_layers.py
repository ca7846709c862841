"""Who may import whom: the table of the design, enforced on every file."""

from __future__ import annotations

import ast
from pathlib import Path

import leanspike

PACKAGE = Path(leanspike.__file__).parent
ALL = {
    "core", "data", "encode", "nn", "physics", "models", "train", "compress", "ir", "lower", "targets",
    "measure", "engine", "stream", "detect", "report", "study", "tune", "lean", "bench", "cli", "plasticity",
}  # fmt: skip
MAY_IMPORT = {
    "core": set(),
    "data": {"core"},
    "encode": {"core"},
    "nn": {"core"},
    "physics": {"core"},
    "ir": {"core"},
    "engine": {"core", "ir"},
    "stream": {"core", "data", "ir", "engine"},
    "targets": {"core", "ir", "engine"},
    "compress": {"core", "data", "encode", "nn", "models", "train", "ir"},
    "lower": {"core", "data", "encode", "nn", "train", "compress", "ir"},
    "measure": {"core", "ir", "engine", "targets"},
    "models": {"core", "nn"},
    "train": {"core", "data", "encode", "nn", "models"},
    "plasticity": {"core", "data", "ir", "train"},
    "detect": {"core", "data", "encode", "nn", "train", "compress", "ir", "lower", "engine", "measure"},
    "report": {"core", "measure"},
    "study": ALL,
    "tune": ALL,
    "lean": ALL,
    "bench": ALL,
    "cli": ALL,
}


def imported_layers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            names = [node.module or ""]
            if node.module == "leanspike":
                names = [f"leanspike.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("leanspike.")}
    return found & ALL


def test_every_package_stands_in_the_table() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == ALL == set(MAY_IMPORT)


def test_layers_import_only_what_they_may() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for layer, allowed in MAY_IMPORT.items()
        for path in (PACKAGE / layer).rglob("*.py")
        for other in sorted(imported_layers(path) - allowed - {layer})
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_called_utils() -> None:
    assert not list(PACKAGE.rglob("*util*.py"))
