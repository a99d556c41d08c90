"""Preparation for a modality: circles found, windows exact, records that lead back, guesses with evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augury.data.fingerprints import pixel_digest
from augury.data.importers import load
from augury.data.preparation.apply import apply
from augury.data.preparation.choice import choose
from augury.data.preparation.field_of_view import find_circle
from augury.data.preparation.guess import guess
from augury.data.preparation.modalities import MODALITIES
from augury.data.preparation.preparation import Preparation
from augury.data.preparation.texture import clahe, median_3x3
from augury.data.preparation.windows import HOUNSFIELD
from augury.data.readers import decode
from augury.data.sample import Manifest, Sample
from augury.data.store import applied, prepare
from augury.errors import UserError

RNG = np.random.default_rng(0)


def fundus(
    *, height: int, width: int, x: float, y: float, radius: float, cut: float = 0.0, frame: int = 0, deep: bool = False
) -> np.ndarray:
    """A lit disc with grain; `cut` of its height is missing above and below, `frame` lights the rest."""
    row, column = np.indices((height, width)) + 0.5
    inside = ((column - x) ** 2 + (row - y) ** 2 <= radius**2) & (np.abs(row - y) <= radius * (1 - cut))
    colour = np.array([200, 120, 60]) * np.clip(1.2 - 0.6 * np.hypot(column - x, row - y) / radius, 0, 1)[..., None]
    image = np.where(inside[..., None], colour + RNG.normal(0, 12, (height, width, 3)), frame)
    image = np.clip(image + RNG.integers(0, 6, (height, width, 1)), 0, 255)
    return (image * 257).astype(np.uint16) if deep else image.astype(np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        {"height": 200, "width": 200, "x": 100, "y": 100, "radius": 98},
        {"height": 400, "width": 600, "x": 290, "y": 205, "radius": 150},
        {"height": 300, "width": 300, "x": 150, "y": 150, "radius": 149, "cut": 0.2},
        {"height": 300, "width": 300, "x": 120, "y": 160, "radius": 160, "cut": 0.3},
        {"height": 200, "width": 300, "x": 150, "y": 100, "radius": 90, "frame": 30},
        {"height": 200, "width": 300, "x": 150, "y": 100, "radius": 90, "deep": True},
    ],
    ids=["centred", "aside", "cut", "beyond the frame", "grey frame", "16 bits"],
)
def test_the_field_of_view_is_found_within_two_percent(given: dict[str, float]) -> None:
    found = find_circle(fundus(**given))  # type: ignore[arg-type]
    assert found is not None
    wanted = np.array([given["x"], given["y"], given["radius"]])
    assert np.abs(np.array([found.x, found.y, found.radius]) - wanted).max() <= 0.02 * given["radius"]


def test_no_circle_where_there_is_none() -> None:
    square = np.zeros((200, 200), dtype=np.uint8)
    square[40:160, 40:160] = 180
    for pixels in (square, np.full((90, 90), 130, np.uint8), np.zeros((50, 50, 3), np.uint8), noise(64, 64)):
        assert find_circle(pixels) is None


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def test_the_circle_fills_the_store_and_all_outside_is_black() -> None:
    made = apply(
        fundus(height=300, width=460, x=210, y=150, radius=130, frame=20),
        Preparation(size=(64, 64), field_of_view=True, fit="pad", clahe=True),
        read={},
    )
    row, column = np.indices((64, 64)) + 0.5
    distance = np.hypot(row - 32, column - 32)
    assert made.pixels[distance > 32.5].max() == 0
    assert (made.pixels[distance < 31].max(axis=1) > 20).mean() > 0.99
    assert np.allclose(made.facts["field_of_view"], [210, 150, 130], atol=2)


def test_the_record_leads_from_a_point_of_the_file_to_the_store() -> None:
    """A bright dot is where crop and placed say, under every geometry."""
    image = fundus(height=300, width=460, x=210, y=150, radius=130) // 3
    image[96:106, 236:246] = 255  # about (241, 101)
    for asked in ({"fit": "stretch"}, {"fit": "pad"}, {"fit": "pad", "field_of_view": True}, {"crop_border": True}):
        made = apply(image, Preparation(size=(90, 120), **asked), read={})  # type: ignore[arg-type]
        (left, top, width, height), (x0, y0, wide, high) = made.facts["crop"], made.facts["placed"]
        x, y = x0 + (241 - left) * wide / width, y0 + (101 - top) * high / height
        lit = np.argwhere(made.pixels.min(axis=2) > 150) + 0.5
        assert np.abs(lit.mean(axis=0) - [y, x]).max() < 1.0, asked


def test_the_aspect_is_kept_by_padding_after_every_crop() -> None:
    disc = np.zeros((120, 300), dtype=np.uint8)
    row, column = np.indices(disc.shape)
    disc[np.hypot(row - 60, column - 150) < 50] = 200
    made = apply(disc, Preparation(size=(64, 64), fit="pad"), read={})
    lit = made.pixels > 100
    assert abs(int(lit.any(axis=0).sum()) - int(lit.any(axis=1).sum())) <= 1


@pytest.mark.parametrize("window", HOUNSFIELD)
def test_a_hounsfield_window_is_exact(window: str) -> None:
    """The reader keeps (HU + 1024) x 16; the window's ends are black and white and its level is half way."""
    width, level = HOUNSFIELD[window]
    hu = np.linspace(-1024, 3071, 4096).reshape(64, 64)
    read = {"slope": "0.0625", "intercept": "-1024", "unit": "HU"}
    pixels = np.rint((hu + 1024) * 16).astype(np.uint16)
    made = apply(pixels, Preparation(size=(64, 64), window=window), read=read)
    wanted = np.clip((hu - (level - width / 2)) / width, 0, 1) * 65535
    assert np.abs(made.pixels - wanted).max() <= 65535 * 0.5 * 0.0625 / width + 1
    assert made.facts["hounsfield"] == window


def test_a_window_without_hounsfield_values_is_refused_with_the_way_out(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(20, 20)])
    with pytest.raises(UserError, match=r"'0.png' has no Hounsfield values.*preparation.window=null"):
        prepare(listed, Preparation(size=(8, 8), window="brain"), folder=tmp_path / "s")
    with pytest.raises(UserError, match="expected one of brain, lung"):
        Preparation(size=(8, 8), window="liver")
    with pytest.raises(UserError, match="one of the two"):
        Preparation(size=(8, 8), window="lung", clip=(1, 99))


def test_the_percentile_window_of_mri_does_not_see_the_air() -> None:
    """However much air surrounds the head, the head comes out the same."""
    head = RNG.integers(2000, 9000, (40, 40)).astype(np.uint16)
    asked = Preparation(size=(40, 40), clip=(0.5, 99.5), clip_over="foreground")
    alone = apply(head, asked, read={})
    around = np.zeros((120, 120), dtype=np.uint16)
    around[40:80, 40:80] = head
    made = apply(around, replace(asked, size=(120, 120)), read={})
    assert np.array_equal(made.pixels[40:80, 40:80], alone.pixels)
    assert made.facts["clip_values"] == alone.facts["clip_values"]
    assert alone.pixels.min() == 0
    assert alone.pixels.max() == 65535


def test_the_median_takes_away_single_specks_and_leaves_edges() -> None:
    step = np.zeros((20, 30), dtype=np.uint16)
    step[:, 15:] = 40000
    specked = step.copy()
    specked[5, 5], specked[9, 22] = 65535, 0
    assert np.array_equal(median_3x3(specked), step)
    colour = np.stack([step, step[::-1], step[:, ::-1]], axis=-1)
    assert np.array_equal(median_3x3(colour), colour)


@pytest.mark.parametrize("pixels", [noise(64, 64) // 4 + 90, (noise(64, 64).astype(np.uint16) * 40 + 20000)])
def test_clahe_raises_contrast_and_keeps_the_type(pixels: np.ndarray) -> None:
    made = clahe(pixels)
    assert made.dtype == pixels.dtype
    assert made.std() > 1.5 * pixels.std()
    assert len(np.unique(clahe(np.full((9, 9), 7, pixels.dtype)))) == 1


def test_clahe_leaves_hues_alone() -> None:
    image = fundus(height=80, width=80, x=40, y=40, radius=90)
    before, after = (np.asarray(Image.fromarray(x).convert("HSV"))[..., 0].astype(int) for x in (image, clahe(image)))
    assert np.median(np.abs(before - after)) <= 1


def manifest_of(folder: Path, images: list[np.ndarray], *, name: str = "x") -> Manifest:
    samples = []
    for i, pixels in enumerate(images):
        path = folder / f"{i}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(row=path.name, id=pixel_digest(decode(path)), patient=str(i), group=str(i), image=path))
    return Manifest(name=name, samples=tuple(samples), classes=())


def test_the_store_says_of_every_image_what_was_done(tmp_path: Path) -> None:
    images = [fundus(height=90, width=120, x=60, y=45, radius=40), noise(50, 100, 3)]
    listed = manifest_of(tmp_path, images)
    store = prepare(listed, Preparation(size=(32, 32), field_of_view=True, fit="pad"), folder=tmp_path / "s")
    first, second = applied(store)
    assert [first["row"], second["row"]] == ["0.png", "1.png"]
    assert first["placed"] == [0, 0, 32, 32]
    assert second == {"row": "1.png", "field_of_view": None, "crop": [0, 0, 100, 50], "placed": [0, 8, 32, 16]}


def test_a_fundus_set_is_known_by_its_looks_and_grey_noise_by_nothing(tmp_path: Path) -> None:
    eyes = [fundus(height=90, width=120, x=60, y=45, radius=40 + i) for i in range(4)]
    found = guess(manifest_of(tmp_path, eyes))
    assert found.modality == "fundus"
    assert "4 of 4 images" in found.because
    assert guess(manifest_of(tmp_path, [noise(40, 40)])).modality == "generic"


def test_what_the_data_say_stands_above_looks_and_several_modalities_are_generic(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [fundus(height=90, width=90, x=45, y=45, radius=40) for _ in range(4)])
    said = [replace(s, modality=word) for s, word in zip(listed, ("OCT", "oct", "OPT", "Oct"), strict=True)]
    assert guess(replace(listed, samples=tuple(said))).modality == "oct"
    mixed = [replace(s, modality=word) for s, word in zip(listed, ("OCT", "fundus", "OCT", "fundus"), strict=True)]
    found = guess(replace(listed, samples=tuple(mixed)))
    assert found.modality == "generic"
    assert "'fundus' for 2 of 4" in found.because


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("chest_xray", "xray"),
        ("retina-oct", "oct"),
        ("my retina", "fundus"),
        ("brain ct", "ct"),
        ("tr_us_t", "generic"),
    ],
)
def test_names_speak_and_organs_only_where_nothing_else_does(tmp_path: Path, name: str, wanted: str) -> None:
    assert guess(manifest_of(tmp_path, [noise(40, 40)], name=name)).modality == wanted


def test_a_phantom_brain_is_magnetic_resonance() -> None:
    found = choose(load("phantom:brain?n=24&size=32&seed=2"), named=None, asked={})
    assert found.modality == "mri"
    assert "--modality NAME" in found.words()[0]


def test_the_users_word_stands_above_the_modalitys(tmp_path: Path) -> None:
    listed = manifest_of(tmp_path, [noise(40, 40)])
    asked = choose(listed, named="mri", asked={"clahe": True, "fit": "stretch"})
    assert asked.preparation == {"clip": (0.5, 99.5), "clip_over": "foreground", "clahe": True}
    assert choose(listed, named="mri", asked={"window": "brain"}).preparation.get("clip") is None
    stand_in = choose(listed, named="ct", asked={})
    assert stand_in.preparation["clip"] == (0.5, 99.5)
    assert "percentiles stand in" in stand_in.words()[1]
    with pytest.raises(UserError, match=r"preparation.clah.*expected one of"):
        choose(listed, named=None, asked={"clah": True})
    with pytest.raises(UserError, match="expected one of fundus, oct"):
        choose(listed, named="petscan", asked={})


@pytest.mark.parametrize("name", MODALITIES)
def test_every_modalitys_preparation_is_one(name: str) -> None:
    assert Preparation(size=(8, 8), **MODALITIES[name].preparation).size == (8, 8)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("brain_tumor_mri", "mri"), ("busi", "ultrasound"), ("eyepacs_256", "fundus"), ("idrid_512", "fundus")],
)
def test_real_sets_are_known_with_and_without_their_names(real_data: Path, name: str, wanted: str) -> None:
    listed = load(real_data / name, no_patients=True)
    hidden = replace(
        listed, name="x", classes=(), samples=tuple(replace(s, row=str(i), label=None) for i, s in enumerate(listed))
    )
    assert guess(listed).modality == wanted
    assert "images looked at" in guess(hidden).because
    assert guess(hidden).modality == wanted
