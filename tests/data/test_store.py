"""The pixel store: aligned with the manifest, faithful in depth and channels, complete or absent, quick to open."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data.fingerprints import pixel_digest
from augury.data.preparation.borders import crop_border
from augury.data.preparation.fitting import resize
from augury.data.readers import decode
from augury.data.sample import Manifest, Sample
from augury.data.store import Preparation, prepare
from augury.errors import UserError

RNG = np.random.default_rng(0)


def manifest_of(folder: Path, images: list[np.ndarray]) -> Manifest:
    samples = []
    for i, pixels in enumerate(images):
        path = folder / f"{i}.png"
        Image.fromarray(pixels).save(path)
        samples.append(
            Sample(row=path.name, id=pixel_digest(decode(path)), patient=path.name, group=path.name, image=path)
        )
    return Manifest(name="x", samples=tuple(samples), classes=())


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def deep(*shape: int) -> np.ndarray:
    return RNG.integers(0, 65536, shape, dtype=np.uint16)


def test_pixels_pass_unchanged_where_nothing_is_asked(tmp_path: Path) -> None:
    images = [noise(16, 24) for _ in range(50)]
    store = prepare(manifest_of(tmp_path, images), Preparation(size=(16, 24)), folder=tmp_path / "stores")
    assert store.pixels_NCHW.dtype == np.uint8
    assert np.array_equal(store.pixels_NCHW, np.stack(images)[:, None])
    assert not store.pixels_NCHW.flags.writeable


def test_grey_in_effect_is_one_channel_and_one_coloured_image_makes_three(tmp_path: Path) -> None:
    grey = [np.repeat(noise(16, 16, 1), 3, axis=2), noise(16, 16)]
    colour = noise(16, 16, 3)
    one = prepare(manifest_of(tmp_path, grey), Preparation(size=(16, 16)), folder=tmp_path)
    assert one.pixels_NCHW.shape == (2, 1, 16, 16)
    three = prepare(manifest_of(tmp_path, [*grey, colour]), Preparation(size=(16, 16)), folder=tmp_path)
    assert three.pixels_NCHW.shape == (3, 3, 16, 16)
    assert np.array_equal(three.pixels_NCHW[1], np.stack([grey[1]] * 3))
    assert np.array_equal(three.pixels_NCHW[2], np.moveaxis(colour, -1, 0))


def test_channels_can_be_asked_for(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(16, 16, 3), noise(16, 16)])
    one = prepare(listed, Preparation(size=(16, 16), channels=1), folder=tmp_path)
    luma = np.asarray(Image.open(tmp_path / "0.png").convert("L")).astype(int)
    assert one.pixels_NCHW.shape == (2, 1, 16, 16)
    assert np.abs(one.pixels_NCHW[0, 0].astype(int) - luma).max() <= 1
    three = prepare(manifest_of(tmp_path, [noise(16, 16)]), Preparation(size=(16, 16), channels=3), folder=tmp_path)
    assert three.pixels_NCHW.shape == (1, 3, 16, 16)


def test_sixteen_bits_stay_and_eight_bits_join_them_at_full_scale(tmp_path: Path) -> None:
    low, high = noise(16, 16), deep(16, 16)
    store = prepare(manifest_of(tmp_path, [low, high]), Preparation(size=(16, 16)), folder=tmp_path)
    assert store.pixels_NCHW.dtype == np.uint16
    assert np.array_equal(store.pixels_NCHW[0, 0], low.astype(np.uint16) * 257)
    assert np.array_equal(store.pixels_NCHW[1, 0], high)


def test_the_order_is_the_manifests_and_the_name_depends_on_what_is_inside(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(40, 30) for _ in range(60)])
    backwards = listed.subset(range(59, -1, -1))
    preparation = Preparation(size=(8, 8))
    first, second = prepare(listed, preparation), prepare(backwards, preparation)
    assert np.array_equal(first.pixels_NCHW[::-1], second.pixels_NCHW)
    digests = {first.digest, second.digest, prepare(listed, Preparation(size=(8, 9))).digest,
               prepare(listed, Preparation(size=(8, 8), fit="pad")).digest}  # fmt: skip
    assert len(digests) == 4


def test_opening_again_decodes_nothing(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(16, 16)])
    before = np.array(prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s").pixels_NCHW)
    (tmp_path / "0.png").unlink()
    again = prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s")
    assert np.array_equal(before, again.pixels_NCHW)
    assert again.record["bits"] == 8


def test_a_damaged_store_is_made_again(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(16, 16)])
    store = prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s")
    before = np.array(store.pixels_NCHW)
    (tmp_path / "s" / store.digest / "pixels.npy").write_bytes(b"")
    assert np.array_equal(prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s").pixels_NCHW, before)


def test_an_image_that_changed_is_not_passed_off_as_the_old_one(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(16, 16)])
    Image.fromarray(noise(16, 16)).save(tmp_path / "0.png")
    with pytest.raises(UserError, match="has changed"):
        prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s")
    (tmp_path / "0.png").unlink()
    with pytest.raises(UserError, match="no such file"):
        prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s")
    assert list((tmp_path / "s").iterdir()) == []


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    listed = manifest_of(tmp_path, [noise(16, 16) for _ in range(5)])
    prepare(listed, Preparation(size=(8, 8)), folder=tmp_path, progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 5) for i in range(1, 6)]


@pytest.mark.parametrize("pixels", [noise(128, 128), deep(128, 128), noise(128, 128, 3)], ids=["8", "16", "colour"])
def test_shrinking_does_not_alias(pixels: np.ndarray) -> None:
    """White noise averaged over 16 x 16 pixels loses nearly all its spread; picking pixels would keep it."""
    small = resize(pixels, (8, 8), fit="stretch")
    assert small.dtype == pixels.dtype
    assert small.shape == (8, 8, *pixels.shape[2:])
    assert small.std() < 0.15 * pixels.std()
    assert abs(small.mean() - pixels.mean()) < 0.03 * np.iinfo(pixels.dtype).max


def test_eight_and_sixteen_bits_resize_alike() -> None:
    pixels = noise(50, 70)
    wide = resize(pixels.astype(np.uint16) * 257, (20, 20), fit="stretch")
    assert np.abs(resize(pixels, (20, 20), fit="stretch") * 257.0 - wide).max() <= 2 * 257


def test_a_bright_edge_does_not_wrap_around() -> None:
    step = np.zeros((64, 64), dtype=np.uint16)
    step[:, 32:] = 65535
    small = resize(step, (17, 17), fit="stretch")
    assert small[:, :7].max() < 9000
    assert small[:, 10:].min() > 56000


@pytest.mark.parametrize(("shape", "size"), [((10, 40), (20, 20)), ((40, 10), (20, 20)), ((33, 21), (16, 16))])
def test_padding_keeps_the_aspect_ratio(shape: tuple[int, int], size: tuple[int, int]) -> None:
    padded = resize(np.full(shape, 200, dtype=np.uint8), size, fit="pad")
    rows, columns = np.flatnonzero(padded.any(axis=1)), np.flatnonzero(padded.any(axis=0))
    scale = min(size[0] / shape[0], size[1] / shape[1])
    assert padded.shape == size
    assert abs(len(rows) - shape[0] * scale) <= 0.5
    assert abs(len(columns) - shape[1] * scale) <= 0.5
    assert abs(rows[0] - (size[0] - 1 - rows[-1])) <= 1  # in the middle
    assert abs(columns[0] - (size[1] - 1 - columns[-1])) <= 1


def test_the_border_is_cut_and_an_empty_image_stays_whole() -> None:
    framed = np.zeros((30, 40), dtype=np.uint8)
    framed[5:20, 7:33] = noise(15, 26) // 2 + 64
    assert np.array_equal(crop_border(framed), framed[5:20, 7:33])
    assert crop_border(np.zeros((9, 9), dtype=np.uint8)).shape == (9, 9)


def test_clipping_spreads_the_middle_over_the_full_scale(tmp_path: Path) -> None:
    dim = (np.arange(400, dtype=np.uint16).reshape(20, 20) + 1000).astype(np.uint16)
    dim[0, 0] = 65535
    listed = manifest_of(tmp_path, [dim])
    store = prepare(listed, Preparation(size=(20, 20), clip=(1.0, 99.0)), folder=tmp_path / "s")
    assert store.pixels_NCHW.min() == 0
    assert store.pixels_NCHW.max() == 65535
    assert 0.4 * 65535 < np.median(store.pixels_NCHW) < 0.6 * 65535


def test_impossible_preparations_are_refused() -> None:
    with pytest.raises(UserError, match="--size"):
        Preparation(size=(0, 8))
    with pytest.raises(UserError, match="percentiles"):
        Preparation(size=(8, 8), clip=(60.0, 40.0))


def test_reopening_is_quick(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(16, 16)] * 2000)
    prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s")
    start = time.perf_counter()
    prepare(listed, Preparation(size=(8, 8)), folder=tmp_path / "s")
    assert time.perf_counter() - start < 1.0
