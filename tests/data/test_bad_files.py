"""Bad input ends in one clear line, or is listed as unreadable while the rest goes on."""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data.importers import load
from augury.data.sample import Manifest
from augury.data.store import Preparation, prepare
from augury.errors import UserError

RNG = np.random.default_rng(0)


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (24, 24), dtype=np.uint8)).save(path, format="PNG")
    return path


def classes(folder: Path) -> Path:
    """Two classes of four good images each."""
    for name in ("cat", "dog"):
        for i in range(4):
            picture(folder / name / f"good {i}.png")
    return folder


def mistake(data: Path | str, **given: tuple[str, ...]) -> str:
    with pytest.raises(UserError) as caught:
        load(data, no_patients=True, **given)
    assert "\n" not in str(caught.value), "one line"
    return str(caught.value)


def csv(folder: Path, text: str, *, images: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.csv").write_text(text, encoding="utf-8", newline="")
    for name in images:
        picture(folder / name)
    return folder


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("x")
    assert "no images" in mistake(tmp_path / "empty")
    assert "no images" in mistake(tmp_path / "words")
    assert "there is no" in mistake(tmp_path / "absent")
    assert "is a file" in mistake(picture(tmp_path / "one.png"))


def huge(path: Path) -> None:
    """20,000 x 20,000 pixels, all black, in 400 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    lines = b"".join(packer.compress(bytes(20_001 * 100)) for _ in range(200)) + packer.flush()
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b""))


def truncated(path: Path) -> None:
    picture(path)
    path.write_bytes(path.read_bytes()[:300])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncated, "truncated"),
    "one pixel": (lambda path: Image.new("L", (1, 1)).save(path), "1x1"),
    "huge": (huge, "20000x20000"),
    "text": (lambda path: path.write_text("I am not an image"), "text file"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "broken link": (lambda path: path.symlink_to(path.parent / "nowhere"), "no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_listed_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    make, why = BAD[name]
    classes(tmp_path)
    make(tmp_path / "cat" / "bad.png")
    manifest = load(tmp_path, no_patients=True)
    assert len(manifest) == 8
    assert [one.image for one in manifest.unreadable] == ["cat/bad.png"]
    assert why in manifest.unreadable[0].why
    assert prepare(manifest, Preparation(size=(8, 8))).pixels_NCHW.shape == (8, 1, 8, 8)


def test_only_bad_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_text("words")
    assert "none of the 2 images" in mistake(tmp_path)
    picture(tmp_path / "a.png")
    assert len(load(tmp_path, no_patients=True)) == 1


def odd_kinds(folder: Path) -> None:
    grey = RNG.integers(0, 256, (20, 31), dtype=np.uint8)
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(RNG.integers(0, 256, (33, 20, 3), dtype=np.uint8)).save(folder / "colour.png")
    Image.fromarray(RNG.integers(0, 256, (16, 16, 4), dtype=np.uint8)).save(folder / "alpha.png")
    Image.fromarray(RNG.integers(0, 256, (64, 16, 4), dtype=np.uint8), mode="CMYK").save(folder / "inks.jpg")
    Image.fromarray(RNG.integers(0, 65536, (20, 20), dtype=np.uint16)).save(folder / "deep.png")
    Image.fromarray(grey).convert("P", palette=Image.Palette.ADAPTIVE, colors=9).save(folder / "palette.png")


def test_kinds_sizes_and_channels_may_be_mixed(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    odd_kinds(tmp_path / "x")
    manifest = load(tmp_path, no_patients=True)
    assert len(manifest) == 6
    assert not manifest.unreadable
    said = " ".join(manifest.notes)
    assert all(word in said for word in ("alpha", "palette", "CMYK"))
    store = prepare(manifest, Preparation(size=(16, 16)))
    assert store.pixels_NCHW.shape == (6, 3, 16, 16)
    assert store.pixels_NCHW.dtype == np.uint16


TABLES: dict[str, tuple[str, str]] = {
    "no image column": ("photo,label\na.png,x\n", "'image'"),
    "empty file": ("", "empty"),
    "header only": ("image,label\n", "no rows"),
    "path leaves the folder": ("image\n../a.png\n", "line 2"),
    "path leaves by detour": ("image\nx/../../a.png\n", "leaves the folder"),
    "absolute path": ("image\n/etc/passwd\n", "leaves the folder"),
    "the folder itself": ("image\n.\n", "leaves the folder"),
    "nul in a path": ("image\na\0.png\n", "manifest.csv"),
    "mask leaves the folder": ("image,mask\na.png,../m.png\n", "leaves the folder"),
    "duplicate row": ("image,label\na.png,x\nb.png,x\na.png,x\n", "lines 2 and 4"),
    "duplicate under another spelling": ("image,label\na.png,x\n./a.png,y\n", "twice"),
    "no image named": ("image,label\na.png,x\n ,y\n", "line 3"),
    "too few cells": ("image,label\na.png,x\nb.png\n", "line 3"),
    "too many cells": ("image,label\na.png,x,y\n", "line 2"),
    "a column twice": ("image,label,label\na.png,x,y\n", "more than once"),
    "two columns could be the label": ("image,level,diagnosis\na.png,1,2\n", "'level' and 'diagnosis'"),
    "unknown split": ("image,split\na.png,holdout\n", "train, val or test"),
    "open quote": ('image,label\n"a.png,x\n', "CSV"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_wrong_table_is_one_clear_line(tmp_path: Path, name: str) -> None:
    text, said = TABLES[name]
    picture(tmp_path / "a.png")
    assert said in mistake(csv(tmp_path / "set", text))


def test_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    csv(tmp_path, "")
    (tmp_path / "manifest.csv").write_bytes("image,label\na.png,h\u00e4ufig\n".encode("latin-1"))
    assert "UTF-8" in mistake(tmp_path)


def test_a_missing_file_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    manifest = load(csv(tmp_path, "image,label\na.png,x\nb.png,y\ngone.png,x\n"), no_patients=True)
    assert [s.row for s in manifest] == ["a.png", "b.png"]
    assert [(one.image, "no such file" in one.why) for one in manifest.unreadable] == [("gone.png", True)]


def test_a_missing_mask_is_listed_and_its_image_stays(tmp_path: Path) -> None:
    manifest = load(csv(tmp_path, "image,mask\na.png,b.png\nb.png,gone.png\n"), no_patients=True)
    assert [sorted(s.masks) for s in manifest] == [["mask"], []]
    assert [one.image for one in manifest.unreadable] == ["gone.png"]


def test_a_path_that_is_a_folder_or_too_long(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    manifest = load(csv(tmp_path, f"image\na.png\nb.png\nx.png\n{'n' * 300}\n"), no_patients=True)
    assert len(manifest) == 2
    assert "a folder" in manifest.unreadable[0].why
    assert len(manifest.unreadable) == 2


def test_one_class_and_a_class_of_two_images_are_said(tmp_path: Path) -> None:
    one = load(csv(tmp_path / "one", "image,label\na.png,x\nb.png,x\n"), no_patients=True)
    assert any("nothing to tell apart" in note for note in one.notes)
    assert any("only 2 images" in note for note in one.notes)


def test_ten_thousand_classes(tmp_path: Path) -> None:
    rows = "".join(f"{i}.png,class {i}\n" for i in range(10_000))
    assert "10,000 different labels" in mistake(csv(tmp_path, f"image,label\n{rows}"))


def test_an_unknown_class(tmp_path: Path) -> None:
    csv(tmp_path, "image,label\na.png,x\nb.png,y\n")
    assert "unknown class 'y'" in mistake(tmp_path, classes=("x", "z"))


NAMES = (
    "with space.png",
    'it\'s "quoted".png',
    "new\nline.png",
    "häß – 日本.png",
    " lead.png",
    "semi;colon,.png",
    "%s{x}.png",
    "-rf.png",
)


def rows_of(manifest: Manifest) -> set[str]:
    return {s.row for s in manifest}


def test_any_name_that_is_text_works_in_folders_and_tables(tmp_path: Path) -> None:
    for name in NAMES:
        picture(tmp_path / "folders" / "häß 'x'\n" / name)
    in_folders = load(tmp_path / "folders", no_patients=True)
    assert rows_of(in_folders) == {f"häß 'x'\n/{name}" for name in NAMES}
    quoted = "".join('"' + name.replace('"', '""') + '",x\r\n' for name in NAMES)
    in_table = load(csv(tmp_path / "table", f"image,label\r\n{quoted}", images=NAMES), no_patients=True)
    assert rows_of(in_table) == set(NAMES)
    assert not in_table.unreadable


def test_a_name_that_is_not_text_is_listed(tmp_path: Path) -> None:
    classes(tmp_path)
    bad = os.fsencode(tmp_path / "cat") + b"/\xff\xfe.png"
    try:
        Path(os.fsdecode(bad)).write_bytes((tmp_path / "cat" / "good 0.png").read_bytes())
    except OSError:
        pytest.skip("this disk refuses such names by itself")
    manifest = load(tmp_path, no_patients=True)
    assert len(manifest) == 8
    assert "UTF-8" in manifest.unreadable[0].why
    assert manifest.unreadable[0].image.encode()


THREE = np.zeros((3, 9, 9), dtype=np.uint8)
ARCHIVES: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "other arrays": ({"x": np.zeros(3)}, "train_images"),
    "floats": ({"train_images": np.zeros((2, 28, 28))}, "float64"),
    "volumes": ({"train_images": np.zeros((2, 28, 28, 28), dtype=np.uint8)}, "volumes"),
    "too few labels": ({"train_images": THREE, "train_labels": np.zeros((2, 1), int)}, "one label"),
    "many targets": ({"train_images": THREE, "train_labels": np.zeros((3, 2), int)}, "one label"),
    "labels with fractions": ({"train_images": THREE, "train_labels": np.array([0.5, 1, 2])}, "whole"),
    "objects": ({"train_images": np.array([{}, 1], dtype=object)}, "plain numbers"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_wrong_archive_is_one_clear_line(tmp_path: Path, name: str) -> None:
    arrays, said = ARCHIVES[name]
    np.savez(tmp_path / "x.npz", **arrays)
    assert said in mistake(tmp_path / "x.npz")


def test_a_damaged_archive_is_one_clear_line(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    np.savez_compressed(tmp_path / "x.npz", train_images=images, train_labels=np.zeros(50, int))
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[:1000])
    assert "damaged" in mistake(tmp_path / "x.npz")
    (tmp_path / "x.npz").write_bytes(whole[:500] + bytes(200) + whole[700:])
    assert "train_images" in mistake(tmp_path / "x.npz")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True)
    if done.returncode != 0:
        pytest.skip("may not mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_under_store_and_cache(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = load(classes(tmp_path / "set"), no_patients=True)
    with pytest.raises(UserError, match="disk is full"):
        prepare(manifest, Preparation(size=(256, 256)), folder=disk)
    assert list(disk.iterdir()) == []
    (disk / "filler").write_bytes(bytes(250_000))
    monkeypatch.setenv("AUGURY_CACHE", str(disk / "cache"))
    assert "AUGURY_CACHE" in mistake(tmp_path / "set")


def test_a_read_only_disk_under_store_and_cache(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = load(classes(tmp_path / "set"), no_patients=True)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(UserError, match="read-only"):
        prepare(manifest, Preparation(size=(8, 8)), folder=disk / "stores")
    monkeypatch.setenv("AUGURY_CACHE", str(disk))
    assert "read-only" in mistake(tmp_path / "set")


def test_a_file_in_the_place_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("AUGURY_CACHE", str(tmp_path / "cache"))
    assert "AUGURY_CACHE" in mistake(classes(tmp_path / "set"))
