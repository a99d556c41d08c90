"""Well-formed files of every kind that is read, small, made here or taken from pydicom's and nibabel's own packages."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import tifffile
from PIL import Image

from fuzzing import spoil
from fuzzing.spoil import Spoil

LARGEST = 150_000  # bytes of a package's file that is taken for a seed
RNG = np.random.default_rng(5)
GREY = (np.add.outer(np.arange(33), np.arange(41)) * 3 % 256).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
DEEP = (GREY.astype(np.uint16) << 8) + 7


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One reader: its seeds, the file's name, how it is spoiled, and which members are asked for (None: the whole).

    `listed`: not pixels are read but the folder that holds the file (beside two images) is listed.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    spoil: Spoil
    members: tuple[str | None, ...] = (None,)
    listed: bool = False


def pngs() -> list[bytes]:
    palette = Image.fromarray(GREY).convert("P")
    alpha = Image.fromarray(np.dstack([COLOUR, GREY]))
    grey, colour, deep = (Image.fromarray(a) for a in (GREY, COLOUR, DEEP))
    return [_saved(one, "PNG") for one in (grey, colour, deep, palette, alpha, grey.convert("1"), grey.convert("LA"))]


def jpegs() -> list[bytes]:
    grey, colour = Image.fromarray(GREY), Image.fromarray(COLOUR)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    colour.save(stream, "JPEG", progressive=True, exif=exif)
    return [_saved(grey, "JPEG"), _saved(colour, "JPEG"), _saved(colour.convert("CMYK"), "JPEG"), stream.getvalue()]


def tiffs() -> list[bytes]:
    made = [_saved(Image.fromarray(GREY), "TIFF"), _saved(Image.fromarray(COLOUR), "TIFF")]
    for pixels, compression in ((DEEP, None), (DEEP, "zlib"), (np.stack([DEEP] * 3), "lzw"), (COLOUR, "packbits"),
                                (np.stack([COLOUR.astype(np.uint16)] * 2), "zlib"), (GREY, "jpeg")):  # fmt: skip
        made += _tiff(pixels, compression)
    return made


def bmps() -> list[bytes]:
    grey = Image.fromarray(GREY)
    return [_saved(one, "BMP") for one in (grey, Image.fromarray(COLOUR), grey.convert("P"), grey.convert("1"))]


def npzs() -> list[bytes]:
    made = []
    for save in (np.savez, np.savez_compressed):
        for images in (np.stack([GREY] * 3), np.stack([COLOUR] * 3), np.stack([DEEP] * 3)):
            stream = io.BytesIO()
            save(stream, train_images=images, train_labels=np.array([[0], [1], [1]]), test_images=images[:1])
            made.append(stream.getvalue())
    return made


def dicoms() -> list[bytes]:
    """pydicom's own files: every transfer syntax it ships, palettes, frames, odd and broken ones."""
    folder = Path(pydicom.__file__).parent / "data"
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc", ".json", ".txt"))
    return [p.read_bytes() for p in paths if 200 < p.stat().st_size <= LARGEST and b"DICM" in p.read_bytes()[:200]]


def volumes() -> list[bytes]:
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    shipped = [p.read_bytes() for p in sorted(folder.glob("*.nii")) if p.stat().st_size <= 2 * LARGEST]
    made = []
    for kind in (np.uint8, np.int16, np.float32):
        for shape in ((12, 10, 9), (12, 10, 9, 2), (12, 10)):
            values = RNG.integers(0, 200, shape).astype(kind)
            made.append(nibabel.Nifti1Image(values, np.diag([-2.0, 2, 3, 1])).to_bytes())
    values = RNG.integers(0, 200, (12, 10, 9)).astype(np.int16)
    return [*made, nibabel.Nifti2Image(values, np.eye(4)).to_bytes(), *shipped]


def packed_volumes() -> list[bytes]:
    return [gzip.compress(one, compresslevel=1) for one in volumes()]


def tables() -> list[bytes]:
    header = "image,label,patient,eye,mask,split,site,age\n"
    rows = "a.png,x,p1,left,b.png,train,s1,40\nb.png,y,p2,od,,test,s2,50\n"
    return [(header + rows).encode(), rows.replace(",", ";").encode(), b"image\tlabel\na.png\tx\nb.png\ty\n",
            "\ufeffFile Name,Diagnosis\n\"a.png\",\"x, y\"\nb,z\n".encode()]  # fmt: skip


def datalists() -> list[bytes]:
    pairs = [{"image": "a.png", "label": 0, "fold": 1}, {"image": "b.png", "label": 1}]
    monai = {"training": pairs, "validation": [pairs[0]], "test": ["b.png"], "labels": {"0": "x", "1": "y"}}
    masked = {"training": [{"image": "a.png", "label": "b.png"}], "numTraining": 1}
    return [json.dumps(one).encode() for one in (monai, masked, {"training": pairs})]


def nnunets() -> list[bytes]:
    new = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": 1,
        "file_ending": ".png",
    }
    old = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "x"}, "numTraining": 1, "training":
           [{"image": "./imagesTr/a.png", "label": "./labelsTr/a.png"}], "test": ["./imagesTs/b.png"]}  # fmt: skip
    return [json.dumps(one).encode() for one in (new, old)]


def cocos() -> list[bytes]:
    images = [{"id": 1, "file_name": "a.png", "width": 41, "height": 33}, {"id": 2, "file_name": "b.png"}]
    boxes = [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [3, 4, 10.5, 9], "area": 94.5, "iscrowd": 0}]
    return [json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "lesion"}]}).encode()]


def metadata() -> list[bytes]:
    return [b"file_name,label,objects\na.png,x,\nb.png,y,\n", b"image,level\n10_left,0\n10_right,3\na,1\n"]


KINDS = (
    Kind(name="png", seeds=pngs, spoil=spoil.spoiled_png),
    Kind(name="jpeg", seeds=jpegs, spoil=spoil.spoiled),
    Kind(name="tiff", seeds=tiffs, spoil=spoil.spoiled, members=(None, "page/0", "page/1")),
    Kind(name="bmp", seeds=bmps, spoil=spoil.spoiled),
    Kind(name="npz", seeds=npzs, spoil=spoil.spoiled_zip, members=("train_images/1", "test_images/0")),
    Kind(name="npz listed", seeds=npzs, spoil=spoil.spoiled_zip, listed=True),
    Kind(name="dicom", seeds=dicoms, spoil=spoil.spoiled, members=(None, "frame/0", "frame/1")),
    Kind(name="nifti", seeds=volumes, spoil=spoil.spoiled, members=(None, "slice/2/1", "slice/0/3", "slice/2/1/1")),
    Kind(name="nifti gz", seeds=packed_volumes, spoil=spoil.spoiled_gzip, members=("slice/2/1", "slice/2/1/0")),
    Kind(name="csv", seeds=tables, spoil=spoil.spoiled_text, listed=True),
    Kind(name="metadata csv", seeds=metadata, spoil=spoil.spoiled_text, listed=True),
    Kind(name="datalist json", seeds=datalists, spoil=spoil.spoiled_json, listed=True),
    Kind(name="nnunet json", seeds=nnunets, spoil=spoil.spoiled_json, listed=True),
    Kind(name="coco json", seeds=cocos, spoil=spoil.spoiled_json, listed=True),
)
FILE_NAMES = {"csv": "manifest.csv", "metadata csv": "metadata.csv", "datalist json": "dataset.json",
              "nnunet json": "dataset.json", "coco json": "annotations.json", "npz listed": "set.npz"}  # fmt: skip


def _saved(image: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def _tiff(pixels: np.ndarray, compression: str | None) -> list[bytes]:
    """None where no encoder is installed."""
    stream = io.BytesIO()
    try:
        tifffile.imwrite(stream, pixels, compression=compression)
    except (ValueError, RuntimeError, ImportError, KeyError):
        return []
    return [stream.getvalue()]
