"""Windows and lookup tables: what makes grey levels of values (PS3.3, C.11.1 and C.11.2). H height, W width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from augury.data.dicom.header import count, numbers
from augury.data.picture import UnreadableImage, number
from augury.errors import UserError

Function = Literal["linear", "linear_exact", "sigmoid"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Values around `center` over a range of `width`, in the file's own unit (Hounsfield units for CT)."""

    center: float
    width: float
    function: Function = "linear"

    def __post_init__(self) -> None:
        if why := self._absurd():
            raise UserError(f"got a window of center {self.center:g} and width {self.width:g}: {why}; correct it")

    def _absurd(self) -> str:
        if self.function not in get_args(Function):
            return f"expected the function linear, linear_exact or sigmoid, not {self.function[:20]!r}"
        if not math.isfinite(self.center) or not math.isfinite(self.width):
            return "expected finite numbers"
        least = "at least 1" if self.function == "linear" else "above 0"
        good = self.width >= 1 if self.function == "linear" else self.width > 0
        return "" if good else f"expected a width of {least}"

    def shade(self, value_HW: FloatArray) -> FloatArray:
        """Grey levels in [0, 1]: PS3.3, C.11.2.1.2.1 (linear), C.11.2.1.3.1 (sigmoid), C.11.2.1.3.2 (exact)."""
        if self.function == "sigmoid":
            with np.errstate(over="ignore"):
                return 1.0 / (1.0 + np.exp(-4.0 * (value_HW - self.center) / self.width))
        low, high = self.ends
        if high == low:  # a linear window of width 1 is a threshold
            return (value_HW > low).astype(np.float64)
        return np.clip((value_HW - low) / (high - low), 0.0, 1.0)

    @property
    def ends(self) -> tuple[float, float]:
        """The values that become black and white; a sigmoid has none, and these are where its tangent would reach."""
        if self.function == "linear":
            return self.center - 0.5 - (self.width - 1.0) / 2.0, self.center - 0.5 + (self.width - 1.0) / 2.0
        return self.center - self.width / 2.0, self.center + self.width / 2.0

    def __str__(self) -> str:
        return f"{number(self.center)}/{number(self.width)}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A lookup table: `level_K[0]` is for the value `first` and all below it. Levels have `bits` bits."""

    first: int
    bits: int
    level_K: NDArray[np.int64]

    def look_up(self, value_HW: NDArray[Any]) -> NDArray[np.int64]:
        """The level of each value, the ends for values beyond them."""
        index = np.rint(np.asarray(value_HW, dtype=np.float64)).astype(np.int64) - self.first
        found: NDArray[np.int64] = self.level_K[np.clip(index, 0, len(self.level_K) - 1)]
        return found


def table(item: Dataset, *, signed: bool) -> Table:
    """The lookup table of a sequence's item; UnreadableImage where it is not what it says."""
    descriptor = item.get("LUTDescriptor")
    if descriptor is None or len(descriptor) != 3 or "LUTData" not in item:
        raise UnreadableImage("has a lookup table without its three numbers or without its data: repair its header")
    entries, first, bits = (int(one) for one in descriptor)
    data = item.LUTData
    order = ">" if item.original_encoding[1] is False else "<"
    level_K = _levels(data, entries=entries % 65536 or 65536, order=order)
    if not 1 <= bits <= 16:
        raise UnreadableImage(f"has a lookup table of {bits} bits; expected 1 to 16: repair its header")
    start = first - 65536 if signed and first > 32767 else first
    return Table(first=start, bits=bits, level_K=level_K & (2**bits - 1))


def _levels(data: Any, *, entries: int, order: str) -> NDArray[np.int64]:
    """Of bytes, one or two for each entry, or of whole numbers."""
    if isinstance(data, bytes):
        whole = np.frombuffer(data, dtype=np.uint8 if len(data) < 2 * entries else f"{order}u2")
    else:
        whole = np.atleast_1d(np.asarray(data))
    if len(whole) < entries or whole.dtype.kind not in "iu":
        raise UnreadableImage(f"has a lookup table of {len(whole)} entries, {entries} promised: repair its header")
    return whole[:entries].astype(np.int64)


def file_windows(group: Dataset) -> list[tuple[float, float, str]]:
    """Center, width and function of every window that stands in a header (or in a frame's part of it), unchecked."""
    function = str(group.get("VOILUTFunction", "") or "LINEAR").strip().lower()
    centers, widths = numbers(group, "WindowCenter"), numbers(group, "WindowWidth")
    return [(center, width, function) for center, width in zip(centers, widths, strict=False)]


def checked(center: float, width: float, function: str) -> Window:
    """A window of a file's; UnreadableImage where it is absurd."""
    try:
        return Window(center=center, width=width, function=function)  # type: ignore[arg-type]
    except UserError as error:
        raise UnreadableImage(f"has an absurd window in its header ({error})") from error


def is_signed(dataset: Dataset) -> bool:
    """Whether the stored numbers may be negative."""
    return count(dataset, "PixelRepresentation", default=0) == 1
