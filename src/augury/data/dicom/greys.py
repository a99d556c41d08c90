"""From stored numbers to grey levels. The rule, and all that it leaves for the record. H height, W width.

1. Stored numbers become values by the modality's lookup table or by rescale slope and intercept (PS3.3, C.11.1).
2. CT in Hounsfield units keeps them, and no window is applied: pixel = (HU + 1024) * 16 as uint16, hence from -1024 to
   3071.9 HU in steps of a sixteenth; what lies beyond is clipped, and that is said. A window for bone or lung is
   applied later, in the preparation, by `applied`'s slope and intercept.
3. Of other greys the first window (or VOI lookup table) of the file is applied, to full scale: 8 bits where at most 8
   are stored, else 16. One whose width is absurd makes the file unreadable: an image without it would differ from
   its neighbours for no reason that can be seen.
4. Without a window the range of the *stored* bits, not that of the image, is spread over full scale by a whole factor,
   so that images of a series stay comparable and every value can be had back exactly.
5. An explicit window replaces 2 to 4. MONOCHROME1 is inverted at the end, save where Hounsfield units are kept.

Wherever the way from value to pixel was linear, `applied` holds "slope" and "intercept": value = pixel * slope +
intercept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from augury.data.dicom.header import count, numbers
from augury.data.dicom.windows import Table, Window, checked, file_windows, is_signed, table
from augury.data.picture import UnreadableImage, number

HU_LOW, HU_STEPS = -1024, 16  # Hounsfield units of pixel 0, and pixels a unit
INVERTED = "was inverted, since MONOCHROME1 shows low values bright"
WINDOWED = "was shown through the first window of its own header"
TABLED = "was shown through the VOI lookup table of its own header"
HOUNSFIELD = f"was kept in Hounsfield units: pixel = (HU + {-HU_LOW}) * {HU_STEPS}"
CLIPPED = f"had values beyond {HU_LOW} to {65535 / HU_STEPS + HU_LOW:.1f} HU, which were clipped"
ASKED = "was shown through the window that was asked for"
_SPREAD = "had its {} stored bits spread over full scale by the factor {}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Values:
    """Values in the file's unit, and the range that they could take."""

    value_HW: NDArray[np.float64]
    low: float
    high: float
    bits: int  # stored, or those of the lookup table
    step: float  # between neighbouring values; 0 where a table made them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """Grey levels, what is said of them, and the facts."""

    pixels: NDArray[Any]
    notes: tuple[str, ...]
    applied: dict[str, str]


def show(stored_HW: NDArray[Any], dataset: Dataset, *, frame: int, window: Window | None) -> Shown:
    """Grey levels (H, W), uint8 or uint16, of the stored numbers of one frame, by the rule above."""
    groups = tuple(_groups(dataset, frame))
    values, applied = _values(stored_HW, dataset, groups)
    if window is not None:
        shown = _through(values, window, whence="argument", note=ASKED)
    elif applied.get("unit") == "HU":
        shown = _hounsfield(values, groups)
    else:
        shown = _as_the_file_asks(values, groups)
    shown = replace(shown, applied=applied | shown.applied)
    kept = window is None and applied.get("unit") == "HU"
    return _inverted(shown) if dataset.PhotometricInterpretation == "MONOCHROME1" and not kept else shown


def _groups(dataset: Dataset, frame: int) -> Iterator[Dataset]:
    """Where an element may stand: in the frame's own part, in that of all frames, in the file's (PS3.3, C.7.6.16)."""
    for name, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(name) or ()
        if index < len(items):
            for part in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                yield from items[index].get(part) or ()
    yield dataset


def _values(stored_HW: NDArray[Any], dataset: Dataset, groups: tuple[Dataset, ...]) -> tuple[_Values, dict[str, str]]:
    bits = count(dataset, "BitsStored", default=count(dataset, "BitsAllocated"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed(dataset) else (0, 2**bits - 1)
    tables = [item for group in groups for item in group.get("ModalityLUTSequence") or ()]
    if tables:
        return _looked_up(stored_HW, table(tables[0], signed=low < 0))
    slope, intercept, said = _rescale(groups)
    ends = sorted((low * slope + intercept, high * slope + intercept))
    values = _Values(
        value_HW=stored_HW.astype(np.float64) * slope + intercept, low=ends[0], high=ends[1], bits=bits, step=abs(slope)
    )
    facts = {"rescale_slope": number(slope), "rescale_intercept": number(intercept)} if said else {}
    return values, facts | _unit(dataset, groups, said=said)


def _looked_up(stored_HW: NDArray[Any], lut: Table) -> tuple[_Values, dict[str, str]]:
    values = _Values(
        value_HW=lut.look_up(stored_HW).astype(np.float64), low=0, high=2**lut.bits - 1, bits=lut.bits, step=0.0
    )
    return values, {"modality_lut": f"{len(lut.level_K)} entries of {lut.bits} bits"}


def _rescale(groups: tuple[Dataset, ...]) -> tuple[float, float, bool]:
    """Slope and intercept, and whether they are said at all."""
    group = next((one for one in groups if "RescaleSlope" in one or "RescaleIntercept" in one), None)
    if group is None:
        return 1.0, 0.0, False
    slope = (*numbers(group, "RescaleSlope"), 1.0)[0]
    intercept = (*numbers(group, "RescaleIntercept"), 0.0)[0]
    if not math.isfinite(slope) or not math.isfinite(intercept) or slope == 0:
        raise UnreadableImage(
            f"has a rescale slope of {slope:g} and an intercept of {intercept:g}; expected finite numbers and a slope "
            "other than 0: repair its header"
        )
    return slope, intercept, True


def _unit(dataset: Dataset, groups: tuple[Dataset, ...], *, said: bool) -> dict[str, str]:
    """Hounsfield units need CT, a rescale, and no other unit; they are the default there (PS3.3, C.8.2.1.1.2)."""
    named = next((str(group.get("RescaleType")).strip() for group in groups if group.get("RescaleType")), "")
    if str(dataset.get("Modality", "")) == "CT" and said and named in ("", "HU", "US"):
        return {"unit": "HU"}
    return {"unit": named[:16]} if named else {}


def _hounsfield(values: _Values, groups: tuple[Dataset, ...]) -> Shown:
    pixels = np.rint((values.value_HW - HU_LOW) * HU_STEPS)
    clipped = bool(pixels.min() < 0 or pixels.max() > 65535)
    proposed = next((found for group in groups for found in file_windows(group)), None)
    return Shown(
        pixels=np.clip(pixels, 0, 65535).astype(np.uint16),
        notes=(HOUNSFIELD, CLIPPED) if clipped else (HOUNSFIELD,),
        applied={"slope": number(1 / HU_STEPS), "intercept": number(HU_LOW)}
        | ({"clipped": f"{HU_LOW}/{number(65535 / HU_STEPS + HU_LOW)}"} if clipped else {})
        | ({"file_window": f"{number(proposed[0])}/{number(proposed[1])}"} if proposed else {}),
    )


def _as_the_file_asks(values: _Values, groups: tuple[Dataset, ...]) -> Shown:
    tables = [item for group in groups for item in group.get("VOILUTSequence") or ()]
    if tables:
        return _through_table(values, table(tables[0], signed=values.low < 0), count=len(tables))
    windows = [found for group in groups for found in file_windows(group)]
    if windows:
        return _through(values, checked(*windows[0]), whence=f"file, 1 of {len(windows)}", note=WINDOWED)
    return _spread(values)


def _through(values: _Values, window: Window, *, whence: str, note: str) -> Shown:
    full = _full(values)
    facts = {"window": str(window), "window_function": window.function, "window_from": whence}
    low, high = window.ends
    if window.function != "sigmoid" and high > low and values.step:
        facts |= {"slope": number((high - low) / full), "intercept": number(low)}
    return Shown(pixels=_whole(window.shade(values.value_HW) * full, full), notes=(note,), applied=facts)


def _through_table(values: _Values, lut: Table, *, count: int) -> Shown:
    full = _full(values) if lut.bits <= 8 else 65535
    level_HW = lut.look_up(values.value_HW).astype(np.float64) * (full / (2**lut.bits - 1))
    facts = {"voi_lut": f"{len(lut.level_K)} entries of {lut.bits} bits, 1 of {count}"}
    return Shown(pixels=_whole(level_HW, full), notes=(TABLED,), applied=facts)


def _spread(values: _Values) -> Shown:
    full = _full(values)
    factor = full // (2**values.bits - 1)
    scale = factor / values.step if values.step else float(factor)
    pixels = _whole((values.value_HW - values.low) * scale, full)
    notes = (_SPREAD.format(values.bits, factor),) if factor > 1 else ()
    facts = {"slope": number(1 / scale), "intercept": number(values.low)} if values.step else {}
    return Shown(pixels=pixels, notes=notes, applied={"bits_stored": str(values.bits)} | facts)


def _inverted(shown: Shown) -> Shown:
    full = int(np.iinfo(shown.pixels.dtype).max)
    facts = dict(shown.applied)
    if "slope" in facts:
        slope, intercept = float(facts["slope"]), float(facts["intercept"])
        facts |= {"slope": number(-slope), "intercept": number(intercept + full * slope)}
    return Shown(pixels=full - shown.pixels, notes=(*shown.notes, INVERTED), applied=facts | {"inverted": "yes"})


def _full(values: _Values) -> int:
    return 255 if values.bits <= 8 else 65535


def _whole(level_HW: NDArray[np.float64], full: int) -> NDArray[Any]:
    return np.clip(np.rint(level_HW), 0, full).astype(np.uint8 if full == 255 else np.uint16)
