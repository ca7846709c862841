"""A real Chromium for the report's tests, driven through its own driver; nothing is ever downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import example_fpga
import example_study
import pytest

from leanspike.report import build

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)


def missing(tool: str) -> NoReturn:
    """Skip by name on a developer's machine; fail where CI must have the tool."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{tool} is missing, and CI must have it")
    pytest.skip(f"needs {tool}")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium with an empty profile."""
    binary = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        missing("selenium (pip install selenium)")
    if binary is None or driver is None:
        missing("Chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    yield chromium
    chromium.quit()


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a finished page each: a whole study, a partial one, a search, one without a trial, tunes, lanes."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("whole", "partial", "search", "empty", "tune", "no-tune")}
    example_study.make(made["whole"])
    example_study.make(made["partial"], steps=(5,), seeds=1, planned=15)
    example_study.make_search(made["search"])
    example_study.write(made["empty"], [], 15)
    example_study.make_tune(made["tune"])
    example_study.make_tune(made["no-tune"], 0)
    for folder in made.values():
        build(folder)
    for name in ("lanes", "no-lanes"):
        made[name] = tmp_path_factory.mktemp(name)
        example_fpga.make(made[name], is_chosen=name == "lanes")
    return made
