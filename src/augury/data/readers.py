"""From a file to pixels: (H, W) or (H, W, 3), uint8 or uint16. H height, W width.

The content decides what a file is, never its name. One channel stays one channel and 16 bits stay 16 bits; what had
to be changed (palette, CMYK, alpha, EXIF orientation) is said in `Picture.notes`. DICOM and NIfTI have rules of their
own: `dicom.greys` and `nifti`.

A file of many images is read by a member, counted from 0: "frame/3" of a DICOM, "page/2" of a TIFF, "slice/2/17" of a
NIfTI (axis, index; and of a fourth dimension "slice/2/17/0"), "train_images/17" of a MedMNIST .npz.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from augury.data import deep_colour, limits, medmnist
from augury.data.bounded import Bounded
from augury.data.limits import MAX_PIXELS as MAX_PIXELS
from augury.data.limits import MIN_SIDE as MIN_SIDE
from augury.data.picture import Picture as Picture
from augury.data.picture import UnreadableImage as UnreadableImage
from augury.errors import UserError

REVISION = 1  # raised whenever the pixels of some file would come out otherwise
FRAME, PAGE, SLICE = "frame", "page", "slice"  # how the members of DICOM, TIFF and NIfTI files begin

ALPHA = "had an alpha channel, which was dropped"
PALETTE = "had a palette, which was resolved"
INKS = "had other colours than RGB (CMYK, YCbCr), which were converted"
TURNED = "was turned upright as its EXIF orientation asks"

# The plugins are called directly: Image.open would warn of large images by a process-wide setting.
_OPENERS: dict[bytes, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"II+\0": TiffImagePlugin.TiffImageFile,
    b"MM\0+": TiffImagePlugin.TiffImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}
_OTHERS = {
    b"GIF8": "a GIF",
    b"RIFF": "a WebP or another RIFF file",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\0\0\0\x0cjP": "a JPEG 2000",
    b"version https://git-lfs": "a Git LFS pointer, so the file itself was not fetched",
}


def decode(path: Path, member: str | None = None, *, max_pixels: int | None = None) -> NDArray[Any]:
    """Pixels of one image: (H, W) or (H, W, 3), uint8 or uint16.

    Reads PNG, JPEG, TIFF, BMP, DICOM, NIfTI and MedMNIST's .npz; `member` names one image of a file that holds many.
    Raises UnreadableImage with the reason; an image of more than `max_pixels` (None: $AUGURY_MAX_PIXELS, else 100
    million) is refused by its header alone.
    """
    return read(path, member, max_pixels=max_pixels).pixels


def read(path: Path, member: str | None = None, *, max_pixels: int | None = None) -> Picture:
    """As `decode`, with what had to be changed."""
    limit = limits.max_pixels() if max_pixels is None else max_pixels
    try:
        if member is not None and member.partition("/")[0] not in (FRAME, PAGE, SLICE):
            return _checked(Picture(pixels=medmnist.image(path, member)), max_pixels=limit)
        with Bounded(path) as file:
            return _checked(_read_file(file, path, member, max_pixels=limit), max_pixels=limit)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UnreadableImage("there is no such file") from error
    except IsADirectoryError as error:
        raise UnreadableImage("is a folder, not an image") from error
    except PermissionError as error:
        raise UnreadableImage("may not be read (permission denied)") from error
    except MemoryError as error:
        raise UnreadableImage("is too large for this machine's memory") from error
    except Exception as error:  # a decoder fed with damaged bytes may raise anything at all
        raise UnreadableImage(f"is damaged or truncated ({_one_line(error)})") from error


def kind_of(start: bytes) -> str:
    """What a file is by its first 352 bytes: "dicom", "nifti", "gzip", "tiff", "image" or "" for anything else.

    >>> kind_of(bytes(128) + b"DICM"), kind_of(b"BM"), kind_of(b"words")
    ('dicom', 'image', '')
    """
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if start[128:132] == b"DICM" or (opener is None and _bare_dicom(start)):
        return "dicom"
    if start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0"):
        return "nifti"
    if opener is None:
        return "gzip" if start.startswith(b"\x1f\x8b") else ""
    return "tiff" if opener is TiffImagePlugin.TiffImageFile else "image"


def _bare_dicom(start: bytes) -> bool:
    """A first element of group 2 or 8, as DICOM has it without its preamble; little- or big-endian."""
    if len(start) < 12 or not (start[:3] == b"\0\x08\0" or (start[0] in (2, 8) and start[1] == 0)):
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or (start[3] == 0 and start[6:8] == b"\0\0" and start[0] == 8)


def _read_file(file: BinaryIO, path: Path, member: str | None, *, max_pixels: int) -> Picture:
    start = file.read(352)
    file.seek(0)
    kind = kind_of(start)
    if kind == "dicom":
        from augury.data.dicom import frames  # pydicom takes a while to import, and few sets need it

        return frames.read(file, frame=index_of(member, FRAME), max_pixels=max_pixels)
    if kind in ("nifti", "gzip"):
        from augury.data import nifti  # as does nibabel

        return nifti.read(path, member, max_pixels=max_pixels)
    if kind in ("tiff", "image"):
        return _read_image(file, path, start, member, max_pixels=max_pixels)
    raise UnreadableImage(f"{_what_else(start)}; expected PNG, JPEG, TIFF, BMP, DICOM or NIfTI")


def index_of(member: str | None, kind: str) -> int | None:
    """The number of a member of this kind, None without a member; UnreadableImage for one of another kind."""
    if member is None:
        return None
    name, _, index = member.partition("/")
    if name != kind or not index.isascii() or not index.isdigit():
        raise UnreadableImage(f"has no {member!r}; expected a member such as '{kind}/0'")
    return int(index)


def _read_image(file: BinaryIO, path: Path, start: bytes, member: str | None, *, max_pixels: int) -> Picture:
    opener = next(opener for magic, opener in _OPENERS.items() if start.startswith(magic))
    page = index_of(member, PAGE)
    size = file.seek(0, 2)
    file.seek(0)
    with opener(file) as image:
        limits.check_size(image.height, image.width, limit=max_pixels)
        _turn_to(image, page)
        limits.check_size(image.height, image.width, limit=max_pixels)
        if deep_colour.is_deep(image):
            pixels, notes = _without_alpha(deep_colour.decode(path, image, page=page or 0))
        else:
            pixels, notes = _pixels(image)
        share = size // (1 if page is None else max(1, getattr(image, "n_frames", 1)))
    return Picture(pixels=pixels, file_size=share, notes=notes)


def _turn_to(image: ImageFile.ImageFile, page: int | None) -> None:
    """Open the page of a TIFF; one that holds several is never read without saying which."""
    if page is None and isinstance(image, TiffImagePlugin.TiffImageFile) and image.n_frames > 1:
        raise UnreadableImage(f"holds {image.n_frames} pages; expected one of them, such as the member 'page/0'")
    if page:
        try:
            image.seek(page)
        except EOFError as error:
            raise UnreadableImage(f"has no page {page}; expected 0 to {getattr(image, 'n_frames', 1) - 1}") from error


def _pixels(image: ImageFile.ImageFile) -> tuple[NDArray[Any], tuple[str, ...]]:
    turned = image.getexif().get(0x0112, 1) not in (0, 1)
    upright = ImageOps.exif_transpose(image)  # loads the pixels; TIFF was turned while loading
    pixels, notes = _by_mode(upright)
    if _white_is_zero(image):
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels, (*notes, TURNED) if turned else notes


def _by_mode(image: Image.Image) -> tuple[NDArray[Any], tuple[str, ...]]:
    image.info.pop("transparency", None)  # else Pillow warns when a palette is resolved
    mode = image.mode
    if mode in ("L", "RGB"):
        return np.array(image), ()
    if mode == "1":
        return np.array(image.convert("L")), ()
    if mode in ("LA", "La"):
        return np.array(image.convert("LA"))[..., 0], (ALPHA,)
    if mode in ("RGBA", "RGBa", "RGBX"):
        colour = image if mode == "RGBX" else image.convert("RGBA")
        return np.array(colour)[..., :3], (ALPHA,)
    if mode in ("P", "PA"):
        return _resolve_palette(image), (PALETTE,)
    if mode in ("CMYK", "YCbCr", "HSV"):
        return np.array(image.convert("RGB")), (INKS,)
    if mode.startswith("I"):
        return _sixteen_bits(np.array(image)), ()
    raise UnreadableImage(f"has pixels of kind {mode!r}; expected grey or colour of 8 or 16 bits: convert it")


def _resolve_palette(image: Image.Image) -> NDArray[Any]:
    entries = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    grey = bool((entries == entries[:, :1]).all())
    colours = np.array(image.convert("RGB"))
    return colours[..., 0] if grey else colours


def _sixteen_bits(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    if pixels.min() < 0 or pixels.max() > 65535:
        raise UnreadableImage(
            f"has values from {pixels.min()} to {pixels.max()}; expected 0 to 65535: convert it to 16 bits"
        )
    return pixels.astype(np.uint16)


def _white_is_zero(image: Image.Image) -> bool:
    """TIFF 6.0 photometric interpretation 0. Pillow inverts 8 bits by itself and leaves 16 bits as they are."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.mode.startswith("I") and bool(image.tag_v2.get(262) == 0)


def _without_alpha(pixels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels, ()
    if pixels.shape[2] == 2:
        return pixels[..., 0], (ALPHA,)
    return pixels[..., :3], (ALPHA,)


def _checked(picture: Picture, *, max_pixels: int) -> Picture:
    pixels = picture.pixels
    limits.check_size(pixels.shape[0], pixels.shape[1], limit=max_pixels)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise UnreadableImage(f"has pixels of {pixels.dtype} {pixels.shape}; expected 8 or 16 bits, grey or colour")
    return picture


def _what_else(start: bytes) -> str:
    if not start:
        return "the file is empty"
    known = next((what for magic, what in _OTHERS.items() if start.startswith(magic)), None)
    if known is not None:
        return f"is {known}"
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
    return "is a text file, not an image" if printable else "is of an unknown format"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
