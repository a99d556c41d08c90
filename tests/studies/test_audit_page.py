"""The audit page: the verdict first, nothing hidden, self-contained, private where asked, readable in a browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.studies.audited import full, seen, without_holdout
from tests.studies.html_page import Page, stands_alone

from augury.studies.audit_page import build

BOUND = 2 * 2**20  # bytes


def page(facts: dict[str, Any], folder: Path, *, images: bool = True) -> tuple[str, Page]:
    text = build(folder, seen(facts), images=images).read_text()
    return text, Page(text)


def test_everything_that_was_found_is_on_the_page(tmp_path: Path) -> None:
    text, found = page(full(), tmp_path / "out")
    said = (
        "COPIES FOUND",
        full()["sentence"].replace(" %", "\u202f%"),
        "What it does not mean",
        "2.25 %", "0.483 to 4.02 %", "n = 400 images",  # the test for copies
        "The smallest share noticed in at least four audits of five: 1 % of the set (4 images).",
        "redrawn by a network", "71 %",
        "BEYOND CHANCE", "WITHIN CHANCE", "<0.001",
        "FLAGGED",
        "images/000003.png", "a_ward/IMG_3.png",
        "0.041", "0.032 to 0.050", "n = 95 groups",  # KID
        "160 held-out images, at least 5 x 512 = 2,560 are needed",
        "21 training patients or groups, 30 are needed", "29 patients, 30 are needed",
        "weights from a file", "that the generator never saw.", "64 × 64 pixels",
        "<b>malignant</b>",
        "1 of 20 marks came out", "1.3 bits",
        "Epsilon is 8 for each patient, except with a chance of 1 in 100\u202f000",
        "14 images were dropped",
        "torch 2.15.0", "1 min 14 s", "5f0c9b7e",
    )  # fmt: skip
    for words in said:
        assert words in found.text, words
    assert "<b>malignant" not in text
    assert len(found.pictures) == 26
    assert all(picture["alt"] for picture in found.pictures)
    assert len(text) < BOUND
    stands_alone(text)


def test_without_held_out_images_the_page_says_what_was_not_measured(tmp_path: Path) -> None:
    text, found = page(without_holdout(), tmp_path)
    said = (
        "NOT TESTABLE",
        "no copies were planted",
        "NOT TESTED",
        "No real images were held out",
        "No pair was kept",
        "No image was flagged",
        "no held-out images",
        "Nothing was measured by class",
        "None were planted",
        "the release filter, which drops",
        "none given",
    )
    for words in said:
        assert words in found.text, words
    stands_alone(text)


def test_an_audit_of_nothing_has_a_page(tmp_path: Path) -> None:
    bare = dataclasses.replace(
        seen(full()), facts={"schema": 1, "verdict": "NOT TESTABLE", "sentence": "No."}, pairs=[],
        score_S=np.empty(0), control_C=np.empty(0), values={},
    )  # fmt: skip
    found = Page(build(tmp_path, bare).read_text())
    assert "Not measured" in found.text
    assert "None" not in found.text.replace("None were planted", "").replace("None, as far", "")


def test_flags_that_chance_explains_are_called_so(tmp_path: Path) -> None:
    words = "no more flagged images here than chance allows"
    assert words not in page(full(), tmp_path)[1].text
    facts = full()
    facts["tests"]["copies"] |= {"p": 0.3, "p_adjusted": 0.9}
    assert words in page(facts, tmp_path)[1].text


def test_a_search_that_finds_no_share_says_so(tmp_path: Path) -> None:
    facts = full()
    facts["power"]["smallest"] = None
    text = page(facts, tmp_path)[1].text
    assert "even 20 % might have been missed" in text
    assert "No share that was tried would have been noticed" in text


def test_no_images_means_no_pixel(tmp_path: Path) -> None:
    _, found = page(full(), tmp_path, images=False)
    assert found.pictures == []
    assert "written without images" in found.text


@pytest.mark.parametrize("word", ["COPIES FOUND", "ELEVATED", "NO EVIDENCE OF COPYING", "NOT TESTABLE"])
def test_no_verdict_calls_the_set_anonymous(tmp_path: Path, word: str) -> None:
    _, found = page(full() | {"verdict": word, "sentence": "As it says."}, tmp_path)
    assert found.text.count("anonymous") == found.text.count("That the set is anonymous, or that no image was copied")
    assert word in found.text


def test_the_same_audit_gives_the_same_bytes(tmp_path: Path) -> None:
    assert page(full(), tmp_path)[0] == page(full(), tmp_path)[0]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 500)])
def test_a_real_browser_shows_it(browser: Callable[..., None], tmp_path: Path, scheme: str, width: int) -> None:
    shot = tmp_path / "shot.png"
    dark = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    browser(build(tmp_path, seen(full())), f"--window-size={width},3000", f"--screenshot={shot}", *dark)
    pixels = np.asarray(Image.open(shot).convert("L"), dtype=float)
    assert pixels.shape == (3000, width)
    assert (np.median(pixels) < 60) == (scheme == "dark")
    assert pixels.std() > 10, "the page is blank"
    assert np.ptp(pixels[:, -6:]) == 0, "something runs over the right edge"
