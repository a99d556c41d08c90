"""The data page: complete, self-contained, bounded, private where asked, readable in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.studies.html_page import Page, stands_alone

from augury.app.cli import main
from augury.studies.check import examine
from augury.studies.data_page import build
from augury.studies.data_page.pictures import BOUND, MOST, montage

RNG = np.random.default_rng(3)


def noise(side: int = 32) -> np.ndarray:
    coarse = Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse) + RNG.normal(0, 25, (side, side)), 0, 255).astype(np.uint8)


def flawed(folder: Path) -> Path:
    """Two classes in a given split; a copy with another label across the split, a brighter copy, a broken file."""
    rows = ["image,label,patient,split,mask"]
    images = {f"{label}{i}": noise() for label in "ab" for i in range(12)}
    images |= {"b_copy": images["a0"], "a_near": np.clip(images["a1"] * 0.9 + 10, 0, 255).astype(np.uint8)}
    folder.mkdir()
    for i, (name, pixels) in enumerate(images.items()):
        Image.fromarray(pixels).save(folder / f"{name}.png")
        label, split = "<i>a</i>" if name[0] == "a" else "b", "test" if "_" in name else "train"
        mask = "small.png" if name == "b3" else ""
        rows.append(f"{name}.png,{label},p{i},{split},{mask}")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows.append("broken.png,b,p99,train,")
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(folder / "small.png")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_every_flaw_is_on_the_page_and_leads_to_its_place(tmp_path: Path) -> None:
    seen = examine(str(flawed(tmp_path / "set")))
    text = build(tmp_path / "out", seen).read_text()
    page = Page(text)
    said = (
        "LOOK FIRST",
        "1 file cannot be read",
        "is 9x9 pixels, its image 32x32",
        "1 pair of copies carry",
        "2 images of test have a twin in train",
    )
    for words in (*said, "broken.png", "b_copy.png", "a_near.png", "<i>a</i>", "identical", "prepared as generic"):
        assert words in page.text, words
    assert "<i>a" not in text
    stands_alone(text)


def test_no_images_means_no_pixel(tmp_path: Path) -> None:
    seen = examine(str(flawed(tmp_path / "set")))
    page = Page(build(tmp_path / "out", seen, images=False).read_text())
    assert page.pictures == []
    assert "b_copy.png" in page.text
    assert "No image of the set is in this page" in page.text


def test_one_image_without_a_label_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(noise()).save(tmp_path / "set" / "one.png")
    page = Page(build(tmp_path / "out", examine(str(tmp_path / "set"))).read_text())
    assert len(page.pictures) == 1
    assert "no label" in page.text


def test_the_page_of_many_classes_with_long_names_stays_in_its_bound(tmp_path: Path) -> None:
    names = [f"{'very long name ' * 12}{i}" for i in range(150)]
    for name in names:
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(RNG.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(
                tmp_path / "set" / name / f"{i}.png"
            )
    path = build(tmp_path / "out", examine(str(tmp_path / "set")))
    assert path.stat().st_size <= BOUND
    assert len(Page(path.read_text()).pictures) <= MOST


def test_the_montage_is_the_same_each_time_and_of_different_groups(tmp_path: Path) -> None:
    manifest = examine("phantom:brain?n=96&size=32&seed=4").manifest
    first, again = montage(manifest, seed=0), montage(manifest, seed=0)
    assert first == again
    for name, places in first:
        groups = {manifest[i].group for i in places}
        label = manifest.classes.index(name)
        assert all(manifest[i].label == label for i in places)
        assert len(groups) == min(len(places), len({s.group for s in manifest if s.label == label}))


def test_the_command_writes_both_files_and_says_how_it_would_prepare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = flawed(tmp_path / "set")
    assert main(["check", str(data), "--out", str(tmp_path / "out"), "--modality", "oct", "--no-images", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "out" / "check.json").read_text())
    assert found["preparation"]["modality"] == "oct"
    assert found["copies_with_other_labels"]["pairs"][0]["images"] == ["a0.png", "b_copy.png"]
    assert (tmp_path / "out" / "check.html").is_file()
    assert main(["check", str(data), "--modality", "pet"]) == 2
    assert "expected one of fundus, oct" in capsys.readouterr().err
    assert main(["check", str(data), "--set", "latent=3"]) == 2
    assert "preparation.FIELD=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 500)])
def test_a_real_browser_shows_it(browser: Callable[..., None], tmp_path: Path, scheme: str, width: int) -> None:
    path, shot = build(tmp_path / "out", examine(str(flawed(tmp_path / "set")))), tmp_path / "shot.png"
    dark = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    browser(path, f"--window-size={width},2400", f"--screenshot={shot}", *dark)
    seen = np.asarray(Image.open(shot).convert("L"), dtype=float)
    assert seen.shape == (2400, width)
    assert (np.median(seen) < 60) == (scheme == "dark")
    assert seen.std() > 10, "the page is blank"
    assert np.ptp(seen[:, -6:]) == 0, "something runs over the right edge"
