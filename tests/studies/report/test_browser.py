"""The page in a real browser: light, dark, narrow, on paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augury.studies.report import build


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path).convert("L"), dtype=float)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 500)])
def test_screen(browser: Any, study: Any, results: dict[str, Any], tmp_path: Path, scheme: str, width: int) -> None:
    shot = tmp_path / "shot.png"
    dark = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    browser(build(study(results)), f"--window-size={width},2000", f"--screenshot={shot}", *dark)
    seen = pixels(shot)
    assert seen.shape == (2000, width)
    assert (np.median(seen) < 60) == (scheme == "dark")
    assert seen.std() > 10, "the page is blank"
    margin = seen[:, -6:]
    assert np.ptp(margin) == 0, "something runs over the right edge"


def test_paper(browser: Any, study: Any, results: dict[str, Any], tmp_path: Path) -> None:
    paper = tmp_path / "page.pdf"
    browser(build(study(results)), f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", paper.read_bytes())
    assert 4 <= len(boxes) <= 9
    assert all(abs(float(w) - 595) < 1.5 and abs(float(h) - 842) < 1.5 for w, h in boxes)
