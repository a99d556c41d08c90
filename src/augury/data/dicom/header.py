"""The header of a DICOM file (PS3.10), read without its pixels, and without a word of it reaching a log.

pydicom's warnings and log lines quote the values they are about, names among them, so both are off while it reads.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from augury.data.limits import check_unfolded, max_unfolded
from augury.data.picture import UnreadableImage
from augury.errors import UserError

_PIXELS, _FLOAT, _DOUBLE = 0x7FE00010, 0x7FE00008, 0x7FE00009
_PREAMBLE = 132
_LONG = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"UT", b"UC", b"UR")  # whose lengths have four bytes
STRANGE = "is written in another way (implicit or explicit) than it says; it was read as it is written"
NO_META = "had no DICOM file header; how it is encoded was found by looking"


@dataclass(frozen=True, kw_only=True, eq=False)
class Header:
    """What stands before the pixels. `file` is the file itself, or what it unfolds to where it is deflated."""

    dataset: Dataset
    file: BinaryIO
    syntax: UID
    pixel_bytes: int  # from the start of the pixels' value to the end of the file
    pixel_start: int
    deflated: bool
    strange: bool  # written in another way (implicit or explicit) than its transfer syntax says
    notes: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Number of frames, 1 where it is not said."""
        return count(self.dataset, "NumberOfFrames", default=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elements:
    """All elements before the pixels, whether there are pixels or not; `plain` is the file, unfolded, `place` in it."""

    dataset: Dataset
    plain: BinaryIO
    place: int  # where reading stopped
    deflated: bool


def elements(file: BinaryIO, *, max_pixels: int | None = None) -> Elements:
    """What stands before the pixels. To be called `in_our_words`."""
    plain = _unfolded(file, max_pixels=max_pixels)
    plain.seek(0)
    dataset = dcmread(plain, stop_before_pixels=True, force=True)
    return Elements(dataset=dataset, plain=plain, place=plain.tell(), deflated=plain is not file)


def parse(file: BinaryIO, *, max_pixels: int | None = None) -> Header:
    """The header of an opened file; UnreadableImage where it has none, or no pixels. To be called `in_our_words`."""
    return with_pixels(elements(file, max_pixels=max_pixels))


def with_pixels(read: Elements) -> Header:
    """The header of an image; UnreadableImage where there are no pixels, or none that could be an image's."""
    dataset, file = read.dataset, read.plain
    if _kind_of_file(dataset) == MediaStorageDirectoryStorage:
        raise UnreadableImage("is a DICOMDIR, an index of other files; it was left aside")
    syntax, notes = _syntax(dataset)
    start, implicit = _pixel_start(file, place=read.place, big=syntax == ExplicitVRBigEndian)
    strange = implicit != (syntax == ImplicitVRLittleEndian)
    end = file.seek(0, io.SEEK_END)
    return Header(
        dataset=dataset, file=file, syntax=syntax, pixel_start=start, pixel_bytes=max(0, end - start),
        deflated=read.deflated, strange=strange, notes=(*notes, STRANGE) if strange else notes,
    )  # fmt: skip

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Whoever opened the file closes it."""


def _kind_of_file(dataset: Dataset) -> str:
    return str(getattr(dataset, "file_meta", {}).get("MediaStorageSOPClassUID", "") or "")


def _syntax(dataset: Dataset) -> tuple[UID, tuple[str, ...]]:
    said = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", None)
    if said:
        return UID(str(said)), ()
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian, (NO_META,)
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian, (NO_META,)


def _pixel_start(file: BinaryIO, *, place: int, big: bool) -> tuple[int, bool]:
    """Where the value of the pixels begins, and whether their element is implicit; `place` is that of their tag."""
    file.seek(place)
    head = file.read(12)
    group, element = struct.unpack(">HH" if big else "<HH", head[:4]) if len(head) == 12 else (0, 0)
    tag = group << 16 | element
    if tag in (_FLOAT, _DOUBLE):
        raise UnreadableImage("has pixels of real numbers; expected whole ones of at most 16 bits: convert it")
    if tag != _PIXELS:
        raise UnreadableImage("is a DICOM file without pixels; expected an image: remove it from the set")
    implicit = head[4:6] not in (b"OB", b"OW", b"UN")  # an implicit length is even and can never look like these
    return place + (8 if implicit else 12), implicit


def _unfolded(file: BinaryIO, *, max_pixels: int | None) -> BinaryIO:
    """The file, or a plain one made of it where it is deflated (PS3.5, A.5), no longer than the limit."""
    file.seek(0)
    place = _PREAMBLE if file.read(_PREAMBLE)[128:] == b"DICM" else 0
    said, begin, end = _deflated(file, place=place)
    if not said:
        return file
    file.seek(0)
    content = file.read()
    plain = _inflate(content[end:], max_pixels=max_pixels)
    meta = content[:begin] + ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return io.BytesIO(meta + content[begin + len(DeflatedExplicitVRLittleEndian) : end] + plain)


def _deflated(file: BinaryIO, *, place: int) -> tuple[bool, int, int]:
    """Whether group 2 says so; where it says it, and where the group ends. It is explicit, little-endian (PS3.10, 7.1).

    It is walked here because pydicom would inflate without a limit. What cannot be walked is refused, lest it pass by.
    """
    found, begin = False, 0
    while True:
        file.seek(place)
        head = file.read(12)
        if head[:2] != b"\x02\0" or len(head) < 8:
            return found, begin, place
        kind = head[4:6]
        if not (kind.isalpha() and kind.isupper()) or kind == b"SQ":
            raise UnreadableImage("is damaged: its DICOM file header (group 2) cannot be read")
        long = kind in _LONG
        length = struct.unpack("<I", head[8:12])[0] if long else struct.unpack("<H", head[6:8])[0]
        value = place + (12 if long else 8)
        if head[2:4] == b"\x10\0":
            file.seek(value)
            found, begin = file.read(length).rstrip(b"\0 ") == DeflatedExplicitVRLittleEndian.encode(), value
        place = value + length


def _inflate(packed: bytes, *, max_pixels: int | None) -> bytes:
    most = max_unfolded(len(packed), limit=max_pixels)
    packer = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = packer.decompress(packed, most + 1)
    check_unfolded(len(plain), compressed=len(packed), limit=max_pixels)
    return plain


def count(dataset: Dataset, keyword: str, *, default: int | None = None) -> int:
    """A whole number of the header; UnreadableImage where it is absent (without a default) or none."""
    value = dataset.get(keyword)
    if value is None or value == "":
        if default is None:
            raise UnreadableImage(f"is a DICOM file without {keyword}; expected an image: remove it from the set")
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise UnreadableImage(f"has a {keyword} that is no whole number; expected one: repair its header") from error


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All numbers of an element, () where it is absent; those that are none become NaN."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    many = value if not isinstance(value, str) and hasattr(value, "__iter__") else [value]
    return tuple(_number(one) for one in many)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


class _Quiet:
    """Counts who reads, over all threads: the first turns pydicom's voice off, the last turns it on again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.stack = contextlib.ExitStack()

    def enter(self) -> None:
        with self.lock:
            self.readers += 1
            if self.readers == 1:
                self.stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                logging.getLogger("pydicom").disabled = True

    def leave(self) -> None:
        with self.lock:
            self.readers -= 1
            if self.readers == 0:
                self.stack.close()
                logging.getLogger("pydicom").disabled = False


_QUIET = _Quiet()


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """No warning and no log line of pydicom's in this block, in any thread, and no error that quotes the header.

    pydicom and the decoders raise anything, with what they found, which may be a name: only its kind is told.
    """
    _QUIET.enter()
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UnreadableImage("is too large for this machine's memory") from error
    except Exception as error:
        raise UnreadableImage(f"is damaged: it cannot be decoded ({type(error).__name__})") from None
    finally:
        _QUIET.leave()
