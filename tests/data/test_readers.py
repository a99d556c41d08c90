"""Decoding: what a file shows comes out, in its own depth and channels, whatever it is called."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from augury.data.readers import UnreadableImage, decode, read

GREY = (np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) % 251).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
DEEP = (np.arange(20 * 30, dtype=np.uint16) * 109).reshape(20, 30)
DEEP_COLOUR = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=-1)


def png(path: Path, pixels: np.ndarray, *, colour_type: int) -> Path:
    """A PNG of any depth and colour type, written by hand (W3C PNG, third edition): an independent encoder."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    lines = b"".join(b"\0" + row.tobytes() for row in big)
    header = struct.pack(">IIBBBBB", width, height, pixels.dtype.itemsize * 8, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_files_give_their_pixels_back(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path)
    picture = read(path)
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, pixels)
    assert picture.file_size == path.stat().st_size
    assert picture.notes == ()


def test_a_jpeg_is_close_and_keeps_its_channels(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    Image.fromarray(ramp).save(tmp_path / "grey.jpg", quality=95)
    Image.fromarray(np.stack([ramp] * 3, axis=-1)).save(tmp_path / "rgb.jpg", quality=95)
    assert np.abs(decode(tmp_path / "grey.jpg").astype(int) - ramp).max() <= 3
    assert decode(tmp_path / "rgb.jpg").shape == (64, 64, 3)


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "pillow.png")
    png(tmp_path / "own.png", DEEP, colour_type=0)
    Image.fromarray(DEEP).save(tmp_path / "x.tiff")
    tifffile.imwrite(tmp_path / "zlib.tiff", DEEP, compression="zlib")
    for name in ("pillow.png", "own.png", "x.tiff", "zlib.tiff"):
        assert decode(tmp_path / name).dtype == np.uint16, name
        assert np.array_equal(decode(tmp_path / name), DEEP), name


def test_sixteen_bits_of_colour_stay_too(tmp_path: Path) -> None:
    png(tmp_path / "rgb.png", DEEP_COLOUR, colour_type=2)
    alpha = np.full_like(DEEP, 40_000)
    png(tmp_path / "rgba.png", np.dstack([DEEP_COLOUR, alpha]), colour_type=6)
    tifffile.imwrite(tmp_path / "rgb.tiff", DEEP_COLOUR, photometric="rgb")
    tifffile.imwrite(
        tmp_path / "planes.tiff", np.moveaxis(DEEP_COLOUR, -1, 0), photometric="rgb", planarconfig="separate"
    )
    for name in ("rgb.png", "rgba.png", "rgb.tiff", "planes.tiff"):
        assert np.array_equal(decode(tmp_path / name), DEEP_COLOUR), name
    assert "alpha" in read(tmp_path / "rgba.png").notes[0]


def test_grey_with_alpha_of_sixteen_bits(tmp_path: Path) -> None:
    png(tmp_path / "la.png", np.dstack([DEEP, np.full_like(DEEP, 9)]), colour_type=4)
    assert np.array_equal(decode(tmp_path / "la.png"), DEEP)


def test_white_is_zero_means_the_same_at_both_depths(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "8.tiff", GREY, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "16.tiff", DEEP, photometric="miniswhite")
    assert np.array_equal(decode(tmp_path / "8.tiff"), 255 - GREY)
    assert np.array_equal(decode(tmp_path / "16.tiff"), 65535 - DEEP)


def test_alpha_is_dropped_and_said(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([COLOUR, GREY])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([GREY, GREY]), mode=None).save(tmp_path / "la.png")
    assert np.array_equal(decode(tmp_path / "rgba.png"), COLOUR)
    assert np.array_equal(decode(tmp_path / "la.png"), GREY)
    assert all("alpha" in read(tmp_path / name).notes[0] for name in ("rgba.png", "la.png"))


def test_a_palette_becomes_colour_or_grey(tmp_path: Path) -> None:
    image = Image.fromarray(GREY // 64)
    grey, colour = image.copy(), image.copy()
    grey.putpalette([v for level in (0, 80, 160, 240) for v in (level,) * 3])
    colour.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    grey.save(tmp_path / "grey.png")
    colour.save(tmp_path / "colour.png", transparency=b"\x00\xff\x00")
    assert np.array_equal(decode(tmp_path / "grey.png"), GREY // 64 * 80)
    levels = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0], [0, 0, 200]], dtype=np.uint8)
    assert np.array_equal(decode(tmp_path / "colour.png"), levels[GREY // 64])
    assert "palette" in read(tmp_path / "colour.png").notes[0]


def test_inks_become_rgb(tmp_path: Path) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red.save(tmp_path / "inks.tiff")
    red.save(tmp_path / "inks.jpg", quality=95)
    for name in ("inks.tiff", "inks.jpg"):
        pixels = decode(tmp_path / name)
        assert pixels.shape == (16, 16, 3)
        assert pixels[8, 8, 0] > 230, name
        assert pixels[8, 8, 1:].max() < 25, name


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "x.png")
    assert np.array_equal(decode(tmp_path / "x.png"), np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_at_every_depth(tmp_path: Path, orientation: int) -> None:
    """What is stored is the upright image put through the inverse of each orientation (EXIF 2.32, tag 0x0112)."""
    store = {1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
             5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, 1), 7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
             8: lambda x: np.rot90(x, -1)}[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(store(COLOUR))).save(tmp_path / "x.png", exif=exif)
    Image.fromarray(np.ascontiguousarray(store(COLOUR))).save(tmp_path / "x.tiff", exif=exif)
    tags = [(274, "H", 1, orientation, False)]
    tifffile.imwrite(
        tmp_path / "deep.tiff", np.ascontiguousarray(store(DEEP_COLOUR)), photometric="rgb", extratags=tags
    )
    assert np.array_equal(decode(tmp_path / "x.png"), COLOUR)
    assert np.array_equal(decode(tmp_path / "x.tiff"), COLOUR)
    assert np.array_equal(decode(tmp_path / "deep.tiff"), DEEP_COLOUR)
    assert bool(read(tmp_path / "x.png").notes) == (orientation != 1)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.jpg")
    assert np.array_equal(decode(tmp_path / "x.jpg"), GREY)


def refusal(path: Path, **limits: int) -> str:
    with pytest.raises(UnreadableImage) as caught:
        decode(path, **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_refusal_says_why(tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    assert "text file" in refusal(file("a.png", b"hello, I am not an image\n"))
    assert "empty" in refusal(file("b.png", b""))
    assert "GIF" in refusal(file("c.png", b"GIF89a" + bytes(40)))
    assert "DICOM" in refusal(file("d.png", bytes(128) + b"DICM" + bytes(40)))
    assert "LFS" in refusal(file("e.png", b"version https://git-lfs.github.com/spec/v1\n"))
    assert "unknown format" in refusal(file("f.png", bytes(range(128, 256))))
    assert "no such file" in refusal(tmp_path / "absent.png")
    assert "a folder" in refusal(tmp_path)


def test_too_small_and_too_large_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY[:1, :1]).save(tmp_path / "tiny.png")
    Image.fromarray(GREY[:7]).save(tmp_path / "flat.png")
    Image.fromarray(GREY).save(tmp_path / "x.png")
    assert "1x1" in refusal(tmp_path / "tiny.png")
    assert "30x7" in refusal(tmp_path / "flat.png")
    assert "30x20" in refusal(tmp_path / "x.png", max_pixels=599)
    assert decode(tmp_path / "x.png", max_pixels=600).shape == (20, 30)


def test_twenty_thousand_pixels_square_are_refused_by_the_header(tmp_path: Path) -> None:
    """The file holds no pixels at all: only its header is looked at."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    idat = struct.pack(">I", 2) + b"IDAT" + b"\x78\x9c" + struct.pack(">I", zlib.crc32(b"IDAT\x78\x9c"))
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + idat)
    assert "20000x20000" in refusal(tmp_path / "huge.png")


def test_other_depths_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "float.tiff", GREY.astype(np.float32))
    tifffile.imwrite(tmp_path / "wide.tiff", GREY.astype(np.int32) * 1000)
    tifffile.imwrite(tmp_path / "pages.tiff", np.stack([GREY, GREY]), photometric="minisblack")
    assert "convert" in refusal(tmp_path / "float.tiff")
    assert "0 to 65535" in refusal(tmp_path / "wide.tiff")
    assert "2 pages" in refusal(tmp_path / "pages.tiff")


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tiff", "deep.png", "deep.tiff"])
def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    path = tmp_path / name
    if name == "deep.png":
        png(path, pixels.astype(np.uint16) * 257, colour_type=2)
    elif name == "deep.tiff":
        tifffile.imwrite(path, pixels.astype(np.uint16) * 257, photometric="rgb")
    else:
        Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert refusal(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    kind = data.draw(st.sampled_from(["png", "jpg", "tiff", "bmp"]))
    path = folder / f"x.{kind}"
    Image.fromarray(COLOUR).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(UnreadableImage):
        assert decode(path).dtype in (np.uint8, np.uint16)


def test_members_of_an_archive(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=np.zeros((5, 1), dtype=np.uint8))
    assert np.array_equal(decode(tmp_path / "x.npz", "train_images/3"), images[3])
    np.savez(tmp_path / "x.npz", train_images=255 - images, train_labels=np.zeros((5, 1), dtype=np.uint8))
    assert np.array_equal(decode(tmp_path / "x.npz", "train_images/3"), 255 - images[3])


@pytest.mark.real
def test_all_members_of_a_real_archive_are_quick(real_data: Path) -> None:
    path = real_data / "medmnist" / "breastmnist.npz"
    assert {decode(path, f"train_images/{i}").shape for i in range(100)} == {(28, 28)}
