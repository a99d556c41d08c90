"""Small files that ask for much: they must be refused in one clear line, or read within the limits.

All are made in milliseconds. A megabyte of zeros is deflated once, up to a full flush (RFC 1951, 3.2.4: an empty stored
block, after which nothing refers back), so that its kilobyte may be repeated as often as one likes.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import nibabel
import numpy as np

from fuzzing import spoil
from fuzzing.seeds import Kind

FILE = Kind(name="file", seeds=list, spoil=spoil.spoiled)
NPZ = Kind(name="npz listed", seeds=list, spoil=spoil.spoiled, listed=True)
CSV = Kind(name="csv", seeds=list, spoil=spoil.spoiled, listed=True)
JSON = Kind(name="datalist json", seeds=list, spoil=spoil.spoiled, listed=True)
COCO = Kind(name="coco json", seeds=list, spoil=spoil.spoiled, listed=True)
MEGA = 1 << 20
GIGA = 1000 * MEGA


@dataclass(frozen=True, kw_only=True)
class Bomb:
    """A hostile file, the member that is asked for, and a word of its refusal; None: it may be read as well."""

    name: str
    kind: Kind
    made: Callable[[], tuple[bytes, str | None]]
    says: str | None


def unfolding(start: bytes, zeros: int) -> bytes:
    """`start` and so many zeros behind it, as a bare deflate stream."""
    whole, rest = divmod(zeros, MEGA)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return first + _megabyte() * whole + last.compress(bytes(rest)) + last.flush()


def zlibbed(zeros: int) -> bytes:
    """So many zeros in zlib's wrapper, its checksum right (Adler-32 of n zeros: 1 and n)."""
    return b"\x78\xda" + unfolding(b"", zeros) + struct.pack(">HH", zeros % 65521, 1)


def zipped(name: str, start: bytes, zeros: int, *, said: int | None = None) -> bytes:
    """An archive of one member, `start` and zeros; `said`: the size that both headers claim for it."""
    body, size = unfolding(start, zeros), len(start) + zeros
    crc = functools.reduce(lambda crc, _: zlib.crc32(bytes(MEGA), crc), range(zeros // MEGA), zlib.crc32(start))
    crc = zlib.crc32(bytes(zeros % MEGA), crc)
    facts = struct.pack("<5H3I2H", 20, 0, 8, 0, 0, crc, len(body), size if said is None else said, len(name), 0)
    local = b"PK\3\4" + facts + name.encode() + body
    central = b"PK\1\2" + struct.pack("<H", 20) + facts + struct.pack("<3H2I", 0, 0, 0, 0, 0) + name.encode()
    return local + central + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(central), len(local), 0)


def gzipped(start: bytes, zeros: int) -> bytes:
    """In gzip's wrapper; its checksum is wrong, which nobody sees who does not read to the end."""
    return b"\x1f\x8b\x08" + bytes(7) + unfolding(start, zeros) + bytes(8)


def png(
    width: int, height: int, *, kind: int = 0, deep: bool = False, size: int | None = None, extra: bytes = b""
) -> bytes:
    """Pixels of zeros of a colour type (0 grey, 2 RGB); `size`: how many bytes unfold instead; `extra` chunks."""
    bits, samples = (16, 8)[not deep], 3 if kind == 2 else 1
    right = height * (1 + width * samples * bits // 8)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = chunk(b"IDAT", zlibbed(right if size is None else size))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + body + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@functools.cache
def _megabyte() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(bytes(MEGA)) + packer.flush(zlib.Z_FULL_FLUSH)


def volume(shape: tuple[int, ...], zeros: int) -> bytes:
    """A header of 8-bit voxels, gzipped with so many zeros behind it."""
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    return gzipped(header.binaryblock + bytes(4), zeros)


def lying_volume() -> bytes:
    """A header that promises 30,000^3 voxels and holds ten."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    return header.binaryblock + bytes(14)


def array(shape: tuple[int, ...]) -> bytes:
    """The header of an .npy file of 8-bit numbers."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def archive(shape: tuple[int, ...], zeros: int, *, said: int | None = None) -> bytes:
    """A MedMNIST file whose images are zeros."""
    return zipped("train_images.npy", array(shape), zeros, said=said)


def endless_header() -> bytes:
    """An array whose header, not its data, is 3 GB."""
    return zipped("train_images.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 3 * GIGA), 3 * GIGA)


def jpeg() -> bytes:
    """A header of 65,500 x 65,500 pixels and nothing behind it."""
    frame = struct.pack(">HBHHBBBB", 11, 8, 65500, 65500, 1, 1, 0x11, 0)
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + bytes(100) + b"\xff\xd9"


def tiff(side: int, *, size: int | None = None, samples: int = 1, bits: int = 8) -> bytes:
    """One deflated strip that grows to side x side; `size`: or to so many bytes."""
    body = zlibbed(side * side * samples * bits // 8 if size is None else size)
    place = 8 + len(body) + 2 * samples
    facts = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, samples, bits if samples == 1 else 8 + len(body)),
             (259, 3, 1, 8), (262, 3, 1, 1 if samples == 1 else 2), (273, 4, 1, 8), (277, 3, 1, samples),
             (278, 4, 1, side), (279, 4, 1, len(body))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *fact) for fact in facts)
    depths = struct.pack("<H", bits) * samples
    return b"II*\0" + struct.pack("<I", place) + body + depths + struct.pack("<H", len(facts)) + entries + bytes(4)


def endless_tiff() -> bytes:
    """A directory that names itself as the next one."""
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 16),
            (279, 4, 256)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return (
        b"II*\0" + struct.pack("<I", 264) + bytes(256) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 264)
    )


def dicom(rows: int, columns: int, *, frames: int = 1, deflated: bool = False) -> bytes:
    """Deflated zeros of the size that the header names, or a header that lies."""

    def element(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        long = vr in (b"OB", b"OW")
        size = b"\0\0" + struct.pack("<I", len(value)) if long else struct.pack("<H", len(value))
        return struct.pack("<HH", *tag) + vr + size + value

    syntax = b"1.2.840.10008.1.2.1.99" if deflated else b"1.2.840.10008.1.2.1"
    meta = element((2, 0x10), b"UI", syntax)
    head = bytes(128) + b"DICM" + element((2, 0), b"UL", struct.pack("<I", len(meta))) + meta
    facts = [((0x28, 2), b"US", struct.pack("<H", 1)), ((0x28, 4), b"CS", b"MONOCHROME2"),
             ((0x28, 8), b"IS", str(frames).encode()), ((0x28, 0x10), b"US", struct.pack("<H", rows)),
             ((0x28, 0x11), b"US", struct.pack("<H", columns)), ((0x28, 0x100), b"US", struct.pack("<H", 8)),
             ((0x28, 0x101), b"US", struct.pack("<H", 8)), ((0x28, 0x102), b"US", struct.pack("<H", 7)),
             ((0x28, 0x103), b"US", struct.pack("<H", 0))]  # fmt: skip
    body = b"".join(element(*one) for one in facts)
    if not deflated:
        return head + body + element((0x7FE0, 0x10), b"OB", bytes(100))
    size = rows * columns * frames
    start = body + struct.pack("<HH", 0x7FE0, 0x10) + b"OB\0\0" + struct.pack("<I", size)
    return head + unfolding(start, size)


TEXT = b"Comment\0\0" + zlibbed(GIGA)
PROFILE = b"icc\0\0" + zlibbed(GIGA)
BOMBS = (
    Bomb(name="png of 400 million pixels", kind=FILE, made=lambda: (png(20_000, 20_000), None), says="at most"),
    Bomb(name="png of 2^31 - 1 columns", kind=FILE, made=lambda: (png(2**31 - 1, 8, size=GIGA), None), says="at most"),
    Bomb(name="png of 16 x 16 that unfolds to 3 GB", kind=FILE, made=lambda: (png(16, 16, size=3 * GIGA), None),
         says=None),
    Bomb(name="16-bit png just below the limit", kind=FILE, made=lambda: (png(9_900, 9_900, deep=True), None),
         says=None),
    Bomb(name="16-bit colour png just below the limit", kind=FILE,
         made=lambda: (png(9_900, 9_900, kind=2, deep=True), None), says=None),
    Bomb(name="png with a comment of 1 GB", kind=FILE, made=lambda: (png(16, 16, extra=chunk(b"zTXt", TEXT)), None),
         says=None),
    Bomb(name="png with a profile of 1 GB", kind=FILE, made=lambda: (png(16, 16, extra=chunk(b"iCCP", PROFILE)), None),
         says=None),
    Bomb(name="jpeg header of 65,500 x 65,500", kind=FILE, made=lambda: (jpeg(), None), says="at most"),
    Bomb(name="tiff strip of 900 million pixels", kind=FILE, made=lambda: (tiff(30_000), None), says="at most"),
    Bomb(name="tiff of 16 x 16 whose strip is 3 GB", kind=FILE, made=lambda: (tiff(16, size=3 * GIGA), None),
         says=None),
    Bomb(name="16-bit colour tiff of 16 x 16 whose strip is 3 GB", kind=FILE,
         made=lambda: (tiff(16, size=3 * GIGA, samples=3, bits=16), None), says=None),
    Bomb(name="tiff whose directory is its own successor", kind=FILE, made=lambda: (endless_tiff(), None), says=None),
    Bomb(name="nifti gz of 1,500^3", kind=FILE, made=lambda: (volume((1500,) * 3, 1500**3), "slice/2/700"),
         says="decompression bomb"),
    Bomb(name="nifti gz of 16^3 with 3 GB behind", kind=FILE, made=lambda: (volume((16,) * 3, 3 * GIGA), "slice/2/7"),
         says=None),
    Bomb(name="nifti gz of 30,000 volumes", kind=FILE,
         made=lambda: (volume((64, 64, 16, 30_000), 2 * GIGA), "slice/2/1/29999"), says="decompression bomb"),
    Bomb(name="nifti header of 30,000^3", kind=FILE, made=lambda: (lying_volume(), "slice/2/1"), says="at most"),
    Bomb(name="gzip of 3 GB, no volume", kind=FILE, made=lambda: (gzipped(b"", 3 * GIGA), "slice/2/1"), says=""),
    Bomb(name="gzip of 3,000 members", kind=FILE, made=lambda: (gzip.compress(bytes(MEGA)) * 3000, None), says=""),
    Bomb(name="npz of 2.5 GB, listed", kind=NPZ, made=lambda: (archive((2500, 1000, 1000), 2500 * 10**6), None),
         says="decompression bomb"),
    Bomb(name="npz header of 10^12 images", kind=NPZ, made=lambda: (archive((10**12, 28, 28), GIGA), None),
         says="decompression bomb"),
    Bomb(name="npz that says 1,000 bytes and holds 2.5 GB", kind=NPZ,
         made=lambda: (archive((2500, 1000, 1000), 2500 * 10**6, said=1000), None), says="train_images"),
    Bomb(name="npz that says 4 GB and holds 1,000 bytes", kind=NPZ,
         made=lambda: (archive((10, 10, 10), 872, said=2**32 - 2), None), says=None),
    Bomb(name="npz of ten small images with 3 GB behind", kind=NPZ,
         made=lambda: (archive((10, 16, 16), 3 * GIGA), None), says=None),
    Bomb(name="npz whose array header is 3 GB", kind=NPZ, made=lambda: (endless_header(), None), says="train_images"),
    Bomb(name="dicom of 65,535 x 65,535 without pixels", kind=FILE, made=lambda: (dicom(65535, 65535), None),
         says="at most"),
    Bomb(name="deflated dicom of 3 GB", kind=FILE,
         made=lambda: (dicom(10_000, 10_000, frames=30, deflated=True), "frame/0"), says="decompression bomb"),
    Bomb(name="json of a million brackets", kind=JSON, made=lambda: (b"[" * 1_000_000, None), says=""),
    Bomb(name="json number of a million digits", kind=COCO,
         made=lambda: (b'{"images": ' + b"9" * 1_000_000 + b"}", None), says=""),
    Bomb(name="coco of 200,000 boxes on nothing", kind=COCO, made=lambda: (_boxes(200_000), None), says=""),
    Bomb(name="csv cell of 50 MB", kind=CSV, made=lambda: (b"image,label\na.png," + b"x" * 50_000_000 + b"\n", None),
         says=None),
    Bomb(name="csv of 100,000 columns", kind=CSV, made=lambda: (b"image" + b",c" * 100_000 + b"\n", None), says=None),
)  # fmt: skip


def _boxes(count: int) -> bytes:
    boxes = [{"id": i, "image_id": i, "category_id": i, "bbox": [0, 0, 1, 1]} for i in range(count)]
    return json.dumps({"images": [], "categories": [], "annotations": boxes}).encode()
