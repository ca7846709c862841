"""The page as a reader meets it: on a desk, on a phone, in the dark, on paper, and without a mouse."""

from __future__ import annotations

import base64
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

PAGES = ("whole", "partial", "search", "empty", "tune", "no-tune", "lanes", "no-lanes")
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const paint = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return Array.from(canvas.getImageData(0, 0, 1, 1).data); };
const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] / 255 + under[i] * (1 - top[3] / 255));
const backdrop = (node) => {
  const layers = [];
  for (let at = node; at instanceof Element; at = at.parentElement) {
    layers.push(paint(getComputedStyle(at).backgroundColor));
  }
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
};
const light = (rgb) => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const poor = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || ['TITLE', 'DESC', 'STYLE'].includes(node.tagName.toUpperCase())) continue;
  if (!node.checkVisibility()) continue;
  const style = getComputedStyle(node), under = backdrop(node);
  const ink = over(paint(node instanceof SVGElement ? style.fill : style.color), under);
  const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
  seen += 1;
  if ((a + 0.05) / (b + 0.05) < 4.5) poor.push([walker.currentNode.data.trim(), ink, under]);
}
return [seen, poor];
"""


def visit(browser: Any, folder: Path, *, width: int = 1280, scheme: str = "light", media: str = "") -> None:
    """Open the report as a screen of ``width`` CSS pixels; the logs then hold this page alone."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get((folder / "report.html").as_uri())
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 60).until(lambda seen: seen.execute_script("return document.readyState") == "complete")


def press(browser: Any, key: str) -> None:
    """One real key stroke, as from a keyboard."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(key).perform()


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_requested_and_nothing_complains(browser: Any, studies: dict[str, Path], page: str) -> None:
    visit(browser, studies[page])
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked[0] == (studies[page] / "report.html").as_uri()
    assert all(url.startswith("data:") for url in asked[1:])
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_screen(browser: Any, studies: dict[str, Path], page: str, width: int) -> None:
    visit(browser, studies[page], width=width)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    outside = browser.execute_script(
        """return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll > *') && !e.closest('svg *')
           && !e.matches('.skip') && e.getBoundingClientRect().right > innerWidth + 0.5)
           .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert outside == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(browser: Any, studies: dict[str, Path], page: str, scheme: str) -> None:
    visit(browser, studies[page], scheme=scheme)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    seen, poor = browser.execute_script(CONTRAST)
    assert seen > 40
    assert poor == []
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 150) == (scheme == "dark")


def test_the_contrast_check_can_fail(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["whole"])
    browser.execute_script("document.querySelector('h1').style.color = '#bbb'")
    assert len(browser.execute_script(CONTRAST)[1]) == 1


@pytest.mark.parametrize("page", PAGES)
def test_ids_are_unique_and_headings_are_in_order(browser: Any, studies: dict[str, Path], page: str) -> None:
    visit(browser, studies[page])
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert sorted(ids) == sorted(set(ids))
    links = browser.execute_script("return [...document.querySelectorAll('[href^=\"#\"]')].map(e => e.hash.slice(1))")
    assert set(links) <= set(ids)
    uses = browser.execute_script("return [...document.querySelectorAll('use')].map(e => e.href.baseVal.slice(1))")
    assert set(uses) <= set(ids)
    levels = browser.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_picture_has_a_name_and_says_its_numbers(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["whole"])
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    pictures = [node for node in nodes if node.get("role", {}).get("value") in ("image", "img", "graphics-document")]
    drawn = browser.execute_script("return document.querySelectorAll('svg, img').length")
    assert len(pictures) == drawn > 12
    assert all(node["name"]["value"].strip() for node in pictures)
    described = [node.get("description", {}).get("value", "") for node in pictures]
    assert sum(any(letter.isdigit() for letter in text) for text in described) >= 12
    accuracy = next(node for node in pictures if node["name"]["value"] == "Accuracy against timesteps")
    assert re.search(r"T\s=\s5: \d\d\.\d\d ± \d\.\d\d\s%", accuracy["description"]["value"])


def test_table_headers_have_a_scope(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["whole"])
    assert browser.execute_script("return document.querySelectorAll('th').length") > 30
    assert browser.execute_script("return document.querySelectorAll('th:not([scope])').length") == 0


def test_a_keyboard_reaches_and_opens_everything(browser: Any, studies: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(browser, studies["whole"])
    reached = []
    for _ in range(60):
        press(browser, Keys.TAB)
        tag, label = browser.execute_script(
            "const e = document.activeElement; return [e.tagName, e.getAttribute('aria-label') || e.textContent.trim()]"
        )
        if tag == "BODY":
            break
        reached.append(label)
        if tag == "SUMMARY":
            details = browser.execute_script("return document.activeElement.parentElement")
            before = details.get_property("open")
            press(browser, Keys.ENTER)
            assert details.get_property("open") is not before
            if before:
                press(browser, Keys.ENTER)
    assert reached[0] == "Skip to the results"
    for region in ("Firing rates", "Confusion matrix", "Table of trials", "Configuration"):
        assert region in reached
    assert sum(label.startswith("Rasters") for label in reached) == 4
    assert sum("show each" in label for label in reached) == 5


def test_seeds_show_when_their_row_is_opened(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["whole"])
    shown = "return [...document.querySelectorAll('tr.seed')].filter(e => e.checkVisibility()).length"
    assert browser.execute_script(shown) == 0
    browser.execute_script("document.querySelector('.trials details').open = true")
    assert browser.execute_script(shown) == 3


def test_a_scroll_region_scrolls_with_the_arrow_keys(browser: Any, studies: dict[str, Path]) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    visit(browser, studies["whole"], width=360)
    browser.execute_script("document.querySelector('.scroll:has(.trials)').focus()")
    for _ in range(5):
        press(browser, Keys.ARROW_RIGHT)
    WebDriverWait(browser, 5).until(lambda page: page.execute_script("return document.activeElement.scrollLeft") > 0)


def test_print_is_light_and_shows_what_was_folded(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["whole"], scheme="dark", media="print")
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.execute_script(
        "return [...document.querySelectorAll('tr.seed, section > details pre, section > details svg')]"
        ".every(e => e.checkVisibility() && e.getBoundingClientRect().height > 0)"
    )
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    pages = max(int(count) for count in re.findall(rb"/Count (\d+)", pdf))
    assert 4 <= pages <= 14


def test_a_tune_shows_its_fronts_its_choice_and_what_matters(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["tune"])
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    drawn = {n["name"]["value"]: n for n in nodes if n.get("role", {}).get("value") in ("image", "img")}
    fronts = ["Accuracy against energy", "Accuracy against bytes"]
    assert list(drawn) == [*fronts, *(f"What {aim} depends on" for aim in ("accuracy", "energy", "bytes"))]
    assert re.search(r"trial \d+: .*bytes, \d\d\.\d\d\s%", drawn[fronts[1]]["description"]["value"])
    rows = "return [...document.querySelectorAll('.trials tbody')].map(r => [r.className, r.textContent.trim()])"
    shown = browser.execute_script(rows)
    assert len(shown) == 40
    chosen = [text for name, text in shown if name == "chosen"]
    assert len(chosen) == 1
    assert "chosen" in chosen[0]
    assert sum("stopped: silent" in text for _, text in shown) == 8


def test_a_tune_prints(browser: Any, studies: dict[str, Path]) -> None:
    visit(browser, studies["tune"], scheme="dark", media="print")
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    outside = "return document.querySelector('.trials').getBoundingClientRect().right <= innerWidth + 1"
    assert browser.execute_script(outside)
