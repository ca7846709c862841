"""``leanspike costs``: the account, its page and the command, on two trained programs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanspike import cli, ir
from leanspike.measure.account import COMPONENTS, account, document
from leanspike.measure.energy import models
from leanspike.measure.samples import Samples
from leanspike.report.costs import FILE, PAGE, build, rate_told, text, verdict
from tests.ir.small_programs import every_operation
from tests.measure.cost_programs import pixels, samples, spikes

TRAINED = Path(__file__).parents[1] / "targets" / "trained"


def of(program: ir.Program, name: str, instructions: float | None = None) -> dict[str, Any]:
    raw = samples(program, 12)
    labels = np.zeros(12, dtype=np.int64)
    return account(name, program, Samples("toys", raw, labels, np.arange(12)), instructions, timed=False)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    programs = [of(pixels(), "pixels", 5e4), of(spikes(held=False), "sparse"), of(every_operation(), "everything")]
    return document(programs, {"leanspike": "0", "command": "leanspike costs pixels.lsp"})


def test_every_energy_is_traceable_to_counts_and_cited_figures(told: dict[str, Any]) -> None:
    for program in told["programs"]:
        for name, variants in program["energy"].items():
            energy = variants["event"]
            if energy["nanojoules"] is None:
                assert energy["lacks"]
                continue
            total = sum(line["count"] * line["picojoules"] for line in energy["lines"]) / 1000
            assert energy["nanojoules"] == pytest.approx(total)
            assert sum(energy["components"].values()) == pytest.approx(total)
            assert sum(energy["layers"].values()) == pytest.approx(total)
            assert set(energy["components"]) <= set(COMPONENTS)
            assert all(figure["source"] for figure in told["models"][name]["figures"])
            assert told["models"][name]["leaves_out"]
    assert set(told["models"]) == set(models())


def test_counts_of_lines_are_the_executed_ones(told: dict[str, Any]) -> None:
    program = told["programs"][0]
    lines = {
        (line["layer"], line["item"]): line["count"] for line in program["energy"]["memory-45nm"]["event"]["lines"]
    }
    for row in program["counts"]["event"]["traffic"]:
        assert lines[row["layer"], f"{row['what']} {row['access']}"] == row["count"] == pytest.approx(sum(row["steps"]))


def test_what_cannot_be_said_is_not(told: dict[str, Any]) -> None:
    pixels_, sparse, everything = told["programs"]
    assert pixels_["energy"]["loihi-sop"]["event"]["lines"] == []
    assert pixels_["energy"]["loihi-sop"]["event"]["lacks"] == "mac"
    assert pixels_["energy"]["stm32l432-instructions"]["event"]["nanojoules"] == pytest.approx(5e4 * 0.252)
    assert sparse["energy"]["stm32l432-instructions"]["event"]["lacks"].startswith("instructions")
    assert "recurrent" in everything["comparison"]["reason"]
    assert everything["overhead"] is None
    assert any("recurrent" in sentence for sentence in verdict(told))


class Page(HTMLParser):
    """Ids, links and whatever a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("src", "href") and value and not value.startswith(("#", "data:")):
                self.fetched.append(value)
        assert tag != "script"


def test_the_page_is_self_contained_and_says_who_loses(told: dict[str, Any], tmp_path: Path) -> None:
    told = told | {"programs": told["programs"][1:]}
    path = build(told, tmp_path)
    assert path == tmp_path / PAGE
    assert json.loads((tmp_path / FILE).read_text()) == told
    html = path.read_text(encoding="utf-8")
    found = Page()
    found.feed(html)
    assert len(found.ids) == len(set(found.ids))
    assert not found.fetched
    assert "loses to the fair ANN in" in html
    assert "Horowitz" in html
    assert html.count("<svg") >= 6
    path.unlink()
    assert cli.main(["report", str(tmp_path)]) == 0
    assert path.read_text(encoding="utf-8") == html
    plain = re.sub(r"<[^>]+>", "", html)
    assert "leaves out" in plain


def test_the_table_for_a_terminal(told: dict[str, Any]) -> None:
    printed = text(told)
    assert "no figure" in printed
    assert "fair ANN nJ" in printed
    assert (rate_told(-0.1), rate_told(1.5), rate_told(0.05)) == ("no rate", "every rate", "5.0 %")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nets = [str(TRAINED / "mnist-mlp-t5.lsp"), str(TRAINED / "mnist-convnet-t4.lsp")]
    with np.load(TRAINED / "mnist-test-samples.npz") as kept:
        x, y = kept["x"], kept["y"]
    np.savez(tmp_path / "some.npz", x_train=x, y_train=np.arange(40) % 10, x_test=x, y_test=y)
    arguments = ["costs", *nets, "--samples", "20", "--untimed", "--json"]
    assert cli.main([*arguments, "--data", str(tmp_path / "some.npz")]) == 0
    told = json.loads(capsys.readouterr().out)
    mlp, convnet = told["programs"]
    assert (mlp["timesteps"], convnet["timesteps"], mlp["samples"]) == (5, 4, 20)
    assert mlp["accuracy"] == convnet["accuracy"] == 1
    assert mlp["overhead"]["latency"] is None
    assert set(convnet["comparison"]["models"]) == {"arithmetic-45nm", "memory-45nm", "dram-45nm"}
    assert "--untimed" in told["command"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["nowhere.lsp"], "nowhere.lsp"), ([str(TRAINED / "mnist-mlp-t5.lsp"), "--samples", "-3"], "--samples")],
)
def test_mistakes_are_one_clear_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["costs", *arguments, "--data", "digits", "--out", str(tmp_path / "o")]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert told.count("\n") == 1
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"kind": "costs", "schema": 99}', '{"kind": "costs", "schema": 1}']
)
def test_a_damaged_account_is_told(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text(content)
    assert cli.main(["report", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert FILE in told
    assert told.count("\n") == 1
    assert not (tmp_path / PAGE).exists()
