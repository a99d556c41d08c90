"""From encoded pixels to stored numbers, (H, W) or (H, W, 3): one decoder for each transfer syntax (PS3.5, section 10).

pydicom would take whichever decoder it finds first, and lossy JPEG differs between them. Here one is fixed, so that the
same file gives the same pixels on every machine.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array

from augury.data.dicom.header import Header, count
from augury.data.limits import check_size
from augury.data.picture import UnreadableImage

# Transfer syntax -> the name that pydicom gives the decoder; "" where there is nothing to decode.
DECODERS: dict[str, str] = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    uid.RLELossless: "pydicom",
}
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
GREYS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_FEWEST = 8  # bytes that a frame of an encapsulated file takes at least: its item's tag and length
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # the markers that state the size


def stored(header: Header, frame: int, *, max_pixels: int | None = None) -> NDArray[Any]:
    """The numbers of one frame as the file stores them; colours as RGB. UnreadableImage with the reason."""
    height, width = _shape(header, max_pixels=max_pixels)
    if not 0 <= frame < (frames := frames_of(header)):
        raise UnreadableImage(f"has no frame {frame}; expected 0 to {frames - 1}")
    plugin = _decoder(header)
    if plugin:
        _check_codestream(header, frame, height=height, width=width)
    header.file.seek(0)
    pixels: NDArray[Any] = pixel_array(
        dcmread(header.file, force=True) if header.strange else header.file, index=frame, decoding_plugin=plugin,
        transfer_syntax_uid=header.syntax,
    )  # fmt: skip
    if pixels.shape[:2] != (height, width):
        raise UnreadableImage(f"holds pixels of shape {pixels.shape}, its header says {height}x{width}: it is damaged")
    return np.ascontiguousarray(pixels)


def _shape(header: Header, *, max_pixels: int | None) -> tuple[int, int]:
    height, width = count(header.dataset, "Rows"), count(header.dataset, "Columns")
    check_size(height, width, limit=max_pixels)
    samples = count(header.dataset, "SamplesPerPixel", default=1)
    kind = str(header.dataset.get("PhotometricInterpretation", ""))
    if kind not in (GREYS if samples == 1 else COLOURS if samples == 3 else ()):
        raise UnreadableImage(
            f"has {samples} samples a pixel of the kind {kind[:20]!r}; expected one of {', '.join((*GREYS, *COLOURS))}"
        )
    bits = count(header.dataset, "BitsAllocated")
    used = count(header.dataset, "BitsStored", default=bits)
    if bits not in (1, 8, 16) or not 1 <= used <= bits:
        raise UnreadableImage(f"has {used} of {bits} bits a sample; expected 1, or at most 8 or 16: convert it")
    return height, width


def frames_of(header: Header) -> int:
    """Number of frames; UnreadableImage where the file is too short for so many."""
    frames, dataset = header.frames, header.dataset
    samples = count(dataset, "SamplesPerPixel", default=1)
    if header.syntax.is_encapsulated:
        expected = frames * _FEWEST
    else:
        stored = 2 if dataset.get("PhotometricInterpretation") == "YBR_FULL_422" else samples
        bits = frames * count(dataset, "Rows") * count(dataset, "Columns") * stored * count(dataset, "BitsAllocated")
        expected = (bits + 7) // 8
    if frames < 1 or header.pixel_bytes < expected:
        raise UnreadableImage(
            f"has {header.pixel_bytes:,} bytes of pixels where its header promises {frames} frames and at least "
            f"{expected:,} bytes: it is damaged or truncated"
        )
    return frames


def _decoder(header: Header) -> str:
    name = header.syntax.name if header.syntax.name != header.syntax else "an unknown one"
    if header.syntax not in DECODERS:
        raise UnreadableImage(
            f"is encoded as {str(header.syntax)[:64]!r} ({name}), which no decoder here takes; expected uncompressed, "
            "RLE, JPEG, JPEG-LS or JPEG 2000: convert it"
        )
    if header.syntax == uid.JPEGExtended12Bit and count(header.dataset, "BitsStored", default=8) > 8:
        raise UnreadableImage(
            "is encoded as JPEG Extended with 12 bits, for which there is no free decoder; expected 8 bits or "
            "another encoding: convert it"
        )
    return DECODERS[header.syntax]


def _check_codestream(header: Header, frame: int, *, height: int, width: int) -> None:
    """A frame that says another size than the header would make a decoder ask for any amount of memory."""
    header.file.seek(header.pixel_start)
    offsets = header.dataset.get("ExtendedOffsetTable"), header.dataset.get("ExtendedOffsetTableLengths")
    content = get_frame(
        header.file, frame, number_of_frames=header.frames, extended_offsets=None if None in offsets else offsets
    )
    said = size_of(content)
    if said is not None and said != (height, width):
        raise UnreadableImage(
            f"holds an image of {said[1]}x{said[0]} pixels where its header says {width}x{height}: it is damaged"
        )


def size_of(content: bytes) -> tuple[int, int] | None:
    """Height and width that a JPEG, JPEG-LS or JPEG 2000 codestream states; None for other content, RLE above all."""
    if content[:2] == b"\xff\xd8":
        return _jpeg_size(content)
    start = content.find(b"\xff\x4f\xff\x51", 0, 4096)  # ISO 15444-1, A.5.1: image and tile size
    if start < 0 or len(content) < start + 24:
        return None
    right, lower, left, upper = struct.unpack(">4I", content[start + 8 : start + 24])
    return lower - upper, right - left


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    place = 2  # ISO 10918-1, B.2.2: the frame header
    while place + 9 < len(content) and content[place] == 0xFF:
        if content[place + 1] == 0xFF:  # a fill byte
            place += 1
            continue
        if content[place + 1] in _JPEG_SIZES:
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return height, width
        place += 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
    return None
