"""The law of the layouts: a set that goes out and comes in again is the same set, as far as the layout keeps it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from augury.data import png
from augury.data.fingerprints import fingerprint
from augury.data.importers import load
from augury.data.layouts import LAYOUTS, amd, coco, writable, write, writing
from augury.data.sample import Box, Manifest, Sample

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # flushing thousands of small files costs minutes on a disk
SIDES = (16, 20)
KINDS = ("L8", "L16", "RGB8", "RGB16")
PLAIN = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TEXT = st.text(PLAIN, min_size=1, max_size=8).map(str.strip).filter(bool)
FOLDER = st.sampled_from(["benign", "日本", "a'b", "x, y", "no tumor", "É", "0", "10", "train", "#1;2"])
SAFE = st.text("abc019é日", min_size=1, max_size=4)
SPLIT = st.sampled_from(["train", "val", "test"])


@pytest.fixture(autouse=True, scope="module")
def quick_cache() -> Iterator[None]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGURY_CACHE", place)
        yield


@functools.cache
def pool() -> tuple[Path, dict[str, str]]:
    """A folder of images of every kind and size, with masks, and the ids of the images."""
    folder, rng, ids = Path(tempfile.mkdtemp()), np.random.default_rng(0), {}
    for side in SIDES:
        for kind in KINDS:
            for i in range(2):
                kinds = np.uint8 if kind.endswith("8") else np.uint16
                shape = (side, side + 3) if kind[0] == "L" else (side, side + 3, 3)
                pixels = rng.integers(0, np.iinfo(kinds).max, shape, dtype=kinds, endpoint=True)
                png.write(pixels, folder / f"{kind}_{side}_{i}.png")
                ids[f"{kind}_{side}_{i}.png"] = fingerprint(pixels, file_size=0).id
        for i in range(3):
            mask = np.zeros((side, side + 3), np.uint8)
            mask[4 * i : 4 * i + 3, 2:9] = 255
            png.write(mask, folder / f"mask_{side}_{i}.png")
        png.write(
            (mask > 0) * np.uint8(2) + np.uint8(1) * np.eye(side, side + 3, dtype=np.uint8), folder / f"map_{side}.png"
        )
    return folder, ids


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wants:
    """What a layout can hold, for the drawing of sets."""

    labels: st.SearchStrategy[str] = TEXT
    unlabelled: bool = True
    patients: st.SearchStrategy[str] = TEXT
    unknown: bool = True  # patients
    eyes: tuple[str | None, ...] = (None, "left", "right")
    modalities: st.SearchStrategy[str | None] = st.none() | TEXT
    splits: str = "any"  # "all", "whole" (all or none), "any"
    masks: tuple[str, ...] = ("mask", "mask_1", "vessels", "Drusen 2", "path")
    masked: bool = False  # every image
    alike: bool = False  # images of one kind and size
    colour: bool = True  # grey and colour in one set
    eye_each: bool = False  # one image an eye
    origins: tuple[str, ...] = ("real", "0a1b")


EASY = Wants()
WANTS = {
    "manifest": EASY,
    "monai": EASY,
    "imagefolder": Wants(splits="whole"),
    "coco": Wants(splits="whole"),
    "class_folders": Wants(labels=FOLDER, splits="whole", masks=("mask", "mask_1")),
    "busi": Wants(labels=FOLDER, unlabelled=False, masks=("mask", "mask_1", "mask_2")),
    "nnunet": Wants(masks=("mask", "mask_1"), masked=True, splits="whole", colour=False),
    "kaggle_retinopathy": Wants(patients=SAFE, unknown=False, eyes=("left", "right"), splits="whole", eye_each=True),
    "medmnist": Wants(splits="all", alike=True, unlabelled=False),
    "mmc_amd": Wants(
        labels=st.sampled_from(amd.CLASSES), unlabelled=False, patients=st.text("AB90", min_size=1, max_size=3),
        unknown=False, modalities=st.sampled_from(["cfp", "oct"]), splits="all",
    ),
    "dicom": Wants(origins=("0a1b", "made by \\ hand\n日", "x" * 99)),
}  # fmt: skip


NUMBER = st.floats(-9, 1e6, width=32)
SIZE = st.floats(0.015625, 1e4, width=32)
BOX = st.builds(Box, x=NUMBER, y=NUMBER, width=SIZE, height=SIZE, label=st.none() | TEXT, score=st.none() | NUMBER)
META = st.dictionaries(st.sampled_from(["level", "file_path", "site", "Scanner, No", "日", "set"]), TEXT, max_size=2)


def sets(wants: Wants) -> st.SearchStrategy[Manifest]:
    """Sets that the layout can hold. What must be alike in a whole set is taken from its first image."""
    one = st.fixed_dictionaries({
        "kind": st.sampled_from(KINDS), "side": st.sampled_from(SIDES), "which": st.integers(0, 1), "row": SAFE,
        "label": st.integers(0, 2) | (st.none() if wants.unlabelled else st.nothing()), "patient": wants.patients,
        "masks": st.lists(st.sampled_from(wants.masks), unique=True, max_size=2, min_size=int(wants.masked)),
        "a_map": st.booleans(), "boxes": st.lists(BOX, max_size=2).map(tuple), "eye": st.sampled_from(wants.eyes),
        "modality": wants.modalities, "text": st.none() | TEXT, "meta": META, "split": SPLIT,
        "no_split": st.booleans(), "no_patient": st.booleans(), "origin": st.sampled_from(wants.origins),
        "source": st.none() | st.just("f00d"),
    })  # fmt: skip
    names = st.lists(wants.labels, min_size=3, max_size=3, unique_by=str.casefold)
    return st.builds(_manifest, st.just(wants), st.lists(one, min_size=1, max_size=4), names)


def _manifest(wants: Wants, drawn: list[dict[str, Any]], names: list[str]) -> Manifest:
    samples = tuple(_sample(wants, i, one, drawn[0]) for i, one in enumerate(drawn))
    known = all(sample.patient != sample.row for sample in samples)
    return Manifest(name="drawn", samples=samples, classes=tuple(sorted(names)), patients_known=known)


def _sample(wants: Wants, i: int, one: dict[str, Any], first: dict[str, Any]) -> Sample:
    folder, ids = pool()
    kind, side = (first["kind"], first["side"]) if wants.alike else (one["kind"], one["side"])
    kind = kind if wants.colour or kind[0] == first["kind"][0] else first["kind"]
    name, row = f"{kind}_{side}_{one['which']}.png", f"{one['row']}/{i}"
    a_map = one["masks"] == ["mask"] and one["a_map"]
    masks = {
        mask: folder / (f"map_{side}.png" if a_map else f"mask_{side}_{k}.png") for k, mask in enumerate(one["masks"])
    }
    no_split = wants.splits != "all" and (one if wants.splits == "any" else first)["no_split"]
    patient = f"{one['patient']}{i}" if wants.eye_each else one["patient"]
    return Sample(
        row=row, id=ids[name], patient=row if wants.unknown and one["no_patient"] else patient, group="",
        image=folder / name, label=one["label"], masks=masks, split=None if no_split else one["split"],
        **{field: one[field] for field in ("boxes", "eye", "modality", "text", "meta", "origin", "source")},
    )  # fmt: skip


def facts(manifest: Manifest, layout: str, *, keep_rows: bool) -> list[tuple[Any, ...]]:
    """Every sample as what the layout keeps of it, sorted: files may be listed in another order."""
    keeps = LAYOUTS[layout].keeps - (set() if keep_rows else {"name"})
    rows = writing.rows_of(manifest, keep_rows=keep_rows)
    return sorted(
        (tuple((name, repr(_fact(row, name, layout))) for name in sorted(keeps)), sample.id)
        for row, sample in zip(rows, manifest, strict=True)
    )


def _fact(row: Any, name: str, layout: str) -> Any:
    if name == "masks" and layout == "nnunet":  # of several masks the area survives
        return int(sum((writing.mask_of(row, one) > 0).astype(int) for one in row.masks).astype(bool).sum())
    if name == "masks":
        masks = {one: writing.mask_of(row, one) for one in sorted(row.masks)}
        return {one: (mask.shape, hashlib.sha256(mask.tobytes()).hexdigest()) for one, mask in masks.items()}
    if name == "boxes" and layout == "coco":
        return tuple(dataclasses.replace(box, label=box.label or coco.NAMELESS) for box in row.boxes)
    if name == "split" and layout == "nnunet":
        return row.split or "train"
    return dict(sorted(row.meta.items())) if name == "meta" else getattr(row, name)


def there_and_back(manifest: Manifest, layout: str, *, keep_rows: bool) -> Manifest:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        written = write(manifest, Path(place, "out"), layout=layout, keep_rows=keep_rows)
        back = load(written.folder, no_patients=True)
        assert back.notes[0].startswith(f"layout {layout} (recognised)"), back.notes
        assert not back.unreadable
        assert facts(back, layout, keep_rows=keep_rows) == facts(manifest, layout, keep_rows=keep_rows)
        names = [path.name for path in written.folder.rglob("*")]
        assert not any(name.startswith(KINDS) for name in names), "a source file's name went out"
        return back


@pytest.mark.parametrize("layout", list(WANTS))
def test_a_set_that_goes_out_and_comes_in_is_the_same_set(layout: str) -> None:
    @settings(
        max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None,
        phases=(Phase.generate,),
    )  # fmt: skip
    @given(sets(WANTS[layout]), st.booleans())
    def law(manifest: Manifest, keep_rows: bool) -> None:
        if layout == "class_folders" and all(s.label is None for s in manifest) and manifest[0].split:
            return  # refused, below
        there_and_back(manifest, layout, keep_rows=keep_rows)

    law()


def test_every_layout_that_writes_is_under_the_law() -> None:
    assert sorted(WANTS) == sorted(writable())


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "layout"),
    [
        *(("busi", layout) for layout in ("manifest", "monai", "imagefolder", "coco", "class_folders", "busi")),
        ("eyepacs_256", "kaggle_retinopathy"), ("eyepacs_256", "manifest"), ("idrid_512", "monai"),
        ("idrid_512", "manifest"), ("busi", "nnunet"), ("busi", "medmnist"), ("eyepacs_256", "mmc_amd"),
        ("busi", "dicom"), ("eyepacs_256", "dicom"),
    ],
)  # fmt: skip
def test_real_sets_go_out_and_come_in(name: str, layout: str, real_data: Path) -> None:
    """Every image, mask, label, patient and eye. What a layout needs and the set has not is given to it first."""
    manifest = load(real_data / name, no_patients=True)
    if layout == "nnunet":
        manifest = manifest.subset([i for i, sample in enumerate(manifest) if sample.masks])
    if layout in ("medmnist", "mmc_amd"):
        samples = (dataclasses.replace(s, split="train", modality="cfp") for s in manifest)
        manifest = dataclasses.replace(manifest, samples=tuple(samples))
    if layout == "dicom":  # which is for what somebody drew
        manifest = dataclasses.replace(manifest, samples=tuple(dataclasses.replace(s, origin="0a1b") for s in manifest))
    if layout == "mmc_amd":
        manifest = dataclasses.replace(manifest, classes=(*amd.CLASSES, "dry")[: len(manifest.classes)])
    there_and_back(manifest, layout, keep_rows=False)
