"""From a file to pixels: (H, W) or (H, W, 3), uint8 or uint16. H height, W width.

The content decides what a file is, never its name. One channel stays one channel and 16 bits stay 16 bits; what had
to be changed (palette, CMYK, alpha, EXIF orientation) is said in `Picture.notes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from augury.data import deep_colour, medmnist
from augury.errors import UserError

REVISION = 1  # raised whenever the pixels of some file would come out otherwise
MAX_PIXELS = 100_000_000
MIN_SIDE = 8  # below it nothing can be seen, and such files are trackers or accidents
BUFFER = 1 << 18  # bytes: most files then cost one read

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
    b"\x1f\x8b": "a gzip archive",
    b"\0\0\0\x0cjP": "a JPEG 2000",
    b"version https://git-lfs": "a Git LFS pointer, so the file itself was not fetched",
}


class UnreadableImage(UserError):
    """A file that cannot be decoded. The text is the reason alone; whoever lists files adds the name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """Decoded pixels, the bytes of the file (0 for a member of an archive), and what had to be changed.

    `notes` say it to people; `applied` to programs: facts such as a slope, a window and where it came from.
    """

    pixels: NDArray[Any]
    file_size: int = 0
    notes: tuple[str, ...] = ()
    applied: Mapping[str, str] = field(default_factory=dict)


def decode(path: Path, member: str | None = None, *, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Pixels of one image: (H, W) or (H, W, 3), uint8 or uint16.

    Reads PNG, JPEG, TIFF and BMP; with `member` ("train_images/17") an image of a MedMNIST .npz.
    Raises UnreadableImage with the reason; an image of more than `max_pixels` is refused by its header alone.
    """
    return read(path, member, max_pixels=max_pixels).pixels


def read(path: Path, member: str | None = None, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """As `decode`, with what had to be changed."""
    try:
        if member is not None:
            return _checked(Picture(pixels=medmnist.image(path, member)), max_pixels=max_pixels)
        with path.open("rb", buffering=BUFFER) as file:
            return _checked(_read_file(file, path, max_pixels=max_pixels), max_pixels=max_pixels)
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


def _read_file(file: BinaryIO, path: Path, *, max_pixels: int) -> Picture:
    start = file.read(256)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        raise UnreadableImage(f"{_what_else(start)}; expected PNG, JPEG, TIFF or BMP")
    size = file.seek(0, 2)
    file.seek(0)
    with opener(file) as image:
        _check_size(image.height, image.width, max_pixels=max_pixels)
        if getattr(image, "n_frames", 1) > 1 and isinstance(image, TiffImagePlugin.TiffImageFile):
            raise UnreadableImage(f"holds {image.n_frames} pages; expected one image a file: save the pages apart")
        if deep_colour.is_deep(image):
            pixels, notes = _without_alpha(deep_colour.decode(path, image))
        else:
            pixels, notes = _pixels(image)
    return Picture(pixels=pixels, file_size=size, notes=notes)


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
    _check_size(pixels.shape[0], pixels.shape[1], max_pixels=max_pixels)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise UnreadableImage(f"has pixels of {pixels.dtype} {pixels.shape}; expected 8 or 16 bits, grey or colour")
    return picture


def _check_size(height: int, width: int, *, max_pixels: int) -> None:
    if min(height, width) < MIN_SIDE:
        raise UnreadableImage(f"is only {width}x{height} pixels; expected at least {MIN_SIDE}x{MIN_SIDE}")
    if height * width > max_pixels:
        raise UnreadableImage(f"has {width}x{height} pixels; expected at most {max_pixels:,} in all: scale it down")


def _what_else(start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start[128:132] == b"DICM":
        return "is a DICOM file"
    known = next((what for magic, what in _OTHERS.items() if start.startswith(magic)), None)
    if known is not None:
        return f"is {known}"
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
    return "is a text file, not an image" if printable else "is of an unknown format"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
