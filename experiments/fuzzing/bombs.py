"""Small files that ask for much: they must be refused, or read within the limits."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
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


@dataclass(frozen=True, kw_only=True)
class Bomb:
    """A hostile file and the member that is asked for."""

    name: str
    kind: Kind
    made: Callable[[], tuple[bytes, str | None]]


def png(side: int, *, deep: bool = False) -> bytes:
    """side x side pixels of zeros, a thousandth of that in bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, line = zlib.compressobj(9), bytes(side * (2 if deep else 1) + 1)
    body = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16 if deep else 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_png() -> bytes:
    """A small image with 400 MB of compressed comment."""
    small = png(16)
    body = b"Comment\0\0" + zeros(400)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return small[:33] + chunk + small[33:]


def zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, deflated."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def packed_volume(side: int) -> bytes:
    """side^3 voxels of zeros in a .nii.gz; the header says so."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((side, side, side))
    header.set_data_dtype(np.uint8)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(side):
            file.write(bytes(side * side))
    return stream.getvalue()


def lying_volume() -> bytes:
    """A header that promises 30,000^3 voxels and holds ten."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    return header.binaryblock + bytes(14)


def archive(count: int, side: int) -> bytes:
    """A MedMNIST file whose images are count x side x side zeros."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (count, side, side)})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("train_images.npy", "w") as file:
        file.write(head.getvalue())
        for _ in range(min(count, 4000)):
            file.write(bytes(side * side))
    return stream.getvalue()


def jpeg() -> bytes:
    """A header of 65,500 x 65,500 pixels and nothing behind it."""
    frame = struct.pack(">HBHHBBBB", 11, 8, 65500, 65500, 1, 1, 0x11, 0)
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + bytes(100) + b"\xff\xd9"


def tiff(side: int) -> bytes:
    """One deflated strip that grows to side x side."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(side)) for _ in range(side)) + packer.flush()
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 4, side), (279, 4, len(body))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + bytes(4)


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
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(start), *(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()]
    return head + b"".join(parts)


BOMBS = (
    Bomb(name="png of 400 million pixels", kind=FILE, made=lambda: (png(20_000), None)),
    Bomb(name="16-bit png just below the limit", kind=FILE, made=lambda: (png(9_900, deep=True), None)),
    Bomb(name="png with a comment of 400 MB", kind=FILE, made=lambda: (text_png(), None)),
    Bomb(name="jpeg header of 65,500 x 65,500", kind=FILE, made=lambda: (jpeg(), None)),
    Bomb(name="tiff strip of 900 million pixels", kind=FILE, made=lambda: (tiff(30_000), None)),
    Bomb(name="tiff whose directory is its own successor", kind=FILE, made=lambda: (endless_tiff(), None)),
    Bomb(name="nifti gz of 1,500^3", kind=FILE, made=lambda: (packed_volume(1500), "slice/2/700")),
    Bomb(name="nifti header of 30,000^3", kind=FILE, made=lambda: (lying_volume(), "slice/2/1")),
    Bomb(name="gzip of 3 GB, no volume", kind=FILE, made=lambda: (gzip.compress(bytes(1 << 20)) * 3000, "slice/2/1")),
    Bomb(name="npz of 2.5 GB, listed", kind=NPZ, made=lambda: (archive(2500, 1000), None)),
    Bomb(name="npz header of 10^12 images", kind=NPZ, made=lambda: (archive(10**12, 28), None)),
    Bomb(name="dicom of 65,535 x 65,535 without pixels", kind=FILE, made=lambda: (dicom(65535, 65535), None)),
    Bomb(name="deflated dicom of 3 GB", kind=FILE,
         made=lambda: (dicom(10_000, 10_000, frames=30, deflated=True), "frame/0")),
    Bomb(name="json of a million brackets", kind=JSON, made=lambda: (b"[" * 1_000_000, None)),
    Bomb(name="json number of a million digits", kind=COCO,
         made=lambda: (b'{"images": ' + b"9" * 1_000_000 + b"}", None)),
    Bomb(name="coco of 200,000 boxes on nothing", kind=COCO, made=lambda: (_boxes(200_000), None)),
    Bomb(name="csv cell of 50 MB", kind=CSV, made=lambda: (b"image,label\na.png," + b"x" * 50_000_000 + b"\n", None)),
    Bomb(name="csv of 100,000 columns", kind=CSV, made=lambda: (b"image" + b",c" * 100_000 + b"\n", None)),
)  # fmt: skip


def _boxes(count: int) -> bytes:
    boxes = [{"id": i, "image_id": i, "category_id": i, "bbox": [0, 0, 1, 1]} for i in range(count)]
    return json.dumps({"images": [], "categories": [], "annotations": boxes}).encode()
