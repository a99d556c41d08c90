"""Colour images of 16 bits a channel, which Pillow would silently reduce to 8. H height, W width, C channels."""

from __future__ import annotations

import io
import lzma
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from augury.data import limits
from augury.data.picture import UnreadableImage

_TURNS: dict[int, tuple[int, bool]] = {  # EXIF 2.32, tag 0x0112: quarter turns anticlockwise, then mirror left-right
    1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False),
}  # fmt: skip
_BITS, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274  # TIFF 6.0 tags
_COLOUR_TYPE, _GREY_ALPHA = 25, 4  # where a PNG says its colour type, and grey with alpha
_UNPACKERS: dict[int, Any] = {8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor}
_PLAIN = (0, 1, 2)  # white is zero, black is zero, RGB


def is_deep(image: Image.Image) -> bool:
    """Whether an opened, not yet loaded file has several channels of more than 8 bits."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return any(";16" in str(tile[3]) for tile in image.tile) and not image.mode.startswith("I")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS, (1,))
        return len(bits) > 1 and max(bits) > 8
    return False


def decode(path: Path, image: Image.Image, *, page: int = 0) -> NDArray[np.uint16]:
    """All channels (of one page of a TIFF), alpha too, upright: (H, W, C) with C 2 to 4, uint16. ValueError else."""
    pixels = _tiff(path, image, page=page) if isinstance(image, TiffImagePlugin.TiffImageFile) else _png(path)
    if pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in (2, 3, 4):
        raise ValueError(
            f"pixels of {pixels.dtype} {pixels.shape}; expected 16 bits, grey or RGB, with or without alpha"
        )
    return _upright(pixels, image.getexif().get(_ORIENTATION, 1))


def _png(path: Path) -> NDArray[Any]:
    """Pillow keeps one byte of each pair: the first where it is told of big-endian samples, else the second."""
    content = path.read_bytes()
    if content[_COLOUR_TYPE] == _GREY_ALPHA:
        return _grey_alpha_png(content)
    pixels: NDArray[Any] = _one_byte(content, order="B").astype(np.uint16)
    pixels <<= 8  # in place: the largest image that is allowed has 600 MB
    pixels |= _one_byte(content, order="L")
    return pixels


def _one_byte(content: bytes, *, order: str) -> NDArray[Any]:
    with PngImagePlugin.PngImageFile(io.BytesIO(content)) as image:
        image.tile = [tile._replace(args=f"{image.mode};16{order}") for tile in image.tile]
        pixels: NDArray[Any] = np.array(image)
    return pixels


def _grey_alpha_png(content: bytes) -> NDArray[Any]:
    """Two samples of 16 bits are stored exactly as four of 8 bits (W3C PNG, section 9.2), so the header may say so."""
    header = b"IHDR" + content[16:24] + bytes([8, 6]) + content[26:29]
    disguised = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    with PngImagePlugin.PngImageFile(io.BytesIO(disguised)) as image:
        bytes_HW4 = np.array(image)
    pixels: NDArray[Any] = bytes_HW4[..., 0::2].astype(np.uint16) * 256 + bytes_HW4[..., 1::2]
    return pixels


def _tiff(path: Path, image: TiffImagePlugin.TiffImageFile, *, page: int) -> NDArray[Any]:
    import tifffile

    if image.tag_v2.get(_PHOTOMETRIC) not in _PLAIN:
        raise ValueError("16-bit colours other than RGB; save it as RGB")
    with tifffile.TiffFile(path) as file:
        found = file.pages[page]
        _check_segments(file.filehandle, found)
        pixels: NDArray[Any] = np.asarray(found.asarray())
        separate = int(getattr(found, "planarconfig", 1)) == 2
    return np.moveaxis(pixels, 0, -1) if separate else pixels


def _check_segments(file: Any, page: Any) -> None:
    """No strip or tile may unfold to more than its share of the pixels: tifffile itself knows no limit."""
    share = math.prod(page.chunks) * page.dtype.itemsize
    limits.check_unfolded(share, compressed=sum(page.databytecounts))
    unpacker = _UNPACKERS.get(int(page.compression))
    if unpacker is None:
        return
    most = 2 * share + 65_536
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        if len(unpacker().decompress(file.read(min(size, file.size)), most)) == most:
            raise UnreadableImage(
                f"has a strip or tile that unfolds to {most:,} bytes or more where its pixels take {share:,}: is it a "
                "decompression bomb? Write it anew"
            )


def _upright(pixels: NDArray[np.uint16], orientation: int) -> NDArray[np.uint16]:
    turns, mirrored = _TURNS.get(orientation, (0, False))
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
