"""DICOM: each step of the way from stored numbers to pixels against an independent computation, and bad files."""

from __future__ import annotations

import io
import logging
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import MPEG2MPML, UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from augury.data import readers
from augury.data.dicom import frames
from augury.data.dicom.windows import Window
from augury.data.picture import Picture, UnreadableImage
from augury.errors import UserError

RNG = np.random.default_rng(0)
CT = "1.2.840.10008.5.1.4.1.1.2"
NAMES = ("Doe^Jane", "MRN-4711-X", "20011224", "1.2.826.0.1.99.7")


def dataset(stored: NDArray[Any], *, bits: int | None = None, **given: Any) -> FileDataset:
    """A small DICOM image of these stored numbers, (H, W), (H, W, 3) or (N, H, W) with NumberOfFrames."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(CT)
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    colour = stored.ndim == 3 and "NumberOfFrames" not in given
    made.Rows, made.Columns = stored.shape[-3:-1] if colour else stored.shape[-2:]
    made.SamplesPerPixel = 3 if colour else 1
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = stored.dtype.itemsize * 8
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    made.PixelData = stored.tobytes()
    for name, value in given.items():
        setattr(made, name, value)
    return made


def picture(made: FileDataset, *, window: Window | None = None, frame: int | None = None) -> Picture:
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return frames.read(file, window=window, frame=frame)


def why(made: FileDataset, **given: Any) -> str:
    with pytest.raises(UnreadableImage) as caught:
        picture(made, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def undone(shown: Picture) -> NDArray[Any]:
    values: NDArray[Any] = shown.pixels * float(shown.applied["slope"]) + float(shown.applied["intercept"])
    return values


def stored12(low: int = 0, high: int = 4096) -> NDArray[np.uint16]:
    return RNG.integers(low, high, (12, 10), dtype=np.uint16)


def test_hounsfield_units_survive_exactly_and_no_window_is_applied() -> None:
    stored = stored12()
    made = dataset(
        stored, bits=12, Modality="CT", RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="400"
    )
    shown = picture(made)
    assert shown.applied["unit"] == "HU"
    assert shown.applied["file_window"] == "40/400"
    assert "window" not in shown.applied
    np.testing.assert_array_equal(undone(shown), stored.astype(int) - 1024)
    assert shown.pixels.dtype == np.uint16


def test_hounsfield_units_beyond_the_scale_are_clipped_and_that_is_said() -> None:
    stored = np.full((8, 8), -2000, dtype=np.int16)
    stored[0, 0], stored[1, 1] = 5000, 300
    shown = picture(dataset(stored, Modality="CT", RescaleSlope="1", RescaleIntercept="0"))
    assert "clipped" in shown.applied
    assert any("clipped" in note for note in shown.notes)
    assert undone(shown)[1, 1] == 300
    assert undone(shown).min() == -1024


@pytest.mark.parametrize(("bits", "dtype"), [(12, "u2"), (16, "u2"), (10, "i2"), (16, "i2"), (8, "u1"), (5, "u1")])
def test_without_a_window_every_value_can_be_had_back(bits: int, dtype: str) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if dtype[0] == "i" else (0, 2**bits)
    stored = RNG.integers(low, high, (16, 9)).astype(dtype)
    shown = picture(dataset(stored, bits=bits, Modality="MR", RescaleSlope="0.5", RescaleIntercept="3"))
    np.testing.assert_allclose(undone(shown), stored * 0.5 + 3, rtol=0, atol=1e-9)
    assert shown.pixels.dtype == (np.uint8 if bits <= 8 else np.uint16)
    if bits == 16 and dtype == "u2":
        np.testing.assert_array_equal(shown.pixels, stored)


def test_a_negative_slope_turns_the_order_round() -> None:
    stored = stored12()
    shown = picture(dataset(stored, bits=12, Modality="MR", RescaleSlope="-2", RescaleIntercept="7"))
    np.testing.assert_allclose(undone(shown), stored * -2.0 + 7)
    assert np.all((shown.pixels == shown.pixels.max()) == (stored == stored.min()))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function: str) -> None:
    from pydicom.pixels import apply_voi_lut

    stored = stored12()
    made = dataset(
        stored, bits=12, Modality="MR", WindowCenter=["1800", "1"], WindowWidth=["900", "2"], VOILUTFunction=function
    )
    shown = picture(made)
    expected = apply_voi_lut(stored, made) / 4095.0 * 65535.0
    np.testing.assert_allclose(shown.pixels, expected, atol=0.51)
    assert shown.applied["window"] == "1800/900"
    assert shown.applied["window_from"] == "file, 1 of 2"
    assert ("slope" in shown.applied) == (function != "SIGMOID")


def test_an_asked_window_replaces_the_rule() -> None:
    stored = stored12()
    made = dataset(stored, bits=12, Modality="CT", RescaleSlope="1", RescaleIntercept="-1024")
    shown = picture(made, window=Window(center=40, width=400, function="linear_exact"))
    expected = np.clip((stored.astype(float) - 1024 - 40) / 400 + 0.5, 0, 1) * 65535
    np.testing.assert_allclose(shown.pixels, expected, atol=0.51)
    assert shown.applied["window_from"] == "argument"


def lut_item(levels: NDArray[np.uint16], *, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(levels), first, bits]
    item.add_new(0x00283006, "US", levels.tolist())
    return item


def test_lookup_tables_agree_with_pydicom() -> None:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    stored = RNG.integers(0, 300, (9, 9)).astype(np.uint16)
    levels = np.sort(RNG.integers(0, 1024, 256)).astype(np.uint16)
    made = dataset(stored, bits=12, Modality="CR", VOILUTSequence=[lut_item(levels, first=20, bits=10)])
    np.testing.assert_allclose(picture(made).pixels, apply_voi_lut(stored, made) / 1023.0 * 65535.0, atol=0.51)
    made = dataset(stored, bits=12, Modality="CR", ModalityLUTSequence=[lut_item(levels, first=20, bits=16)])
    np.testing.assert_array_equal(picture(made).pixels, apply_modality_lut(stored, made))


def test_monochrome1_is_inverted_and_can_be_undone() -> None:
    stored = stored12()
    made = dataset(stored, bits=12, Modality="DX", PhotometricInterpretation="MONOCHROME1")
    shown = picture(made)
    assert shown.applied["inverted"] == "yes"
    np.testing.assert_allclose(undone(shown), stored)
    assert shown.pixels.flat[stored.argmin()] == shown.pixels.max()


def test_bits_beyond_those_stored_are_not_pixels() -> None:
    stored = stored12()
    made = dataset(stored | np.uint16(0xF000), bits=12, Modality="MR")
    np.testing.assert_array_equal(picture(made).pixels, stored * 16)


def test_every_frame_takes_its_own_window() -> None:
    stored = RNG.integers(0, 4096, (3, 8, 8), dtype=np.uint16)
    parts = []
    for center in (500, 1000, 2000):
        window = Dataset()
        window.WindowCenter, window.WindowWidth = str(center), "100"
        part = Dataset()
        part.FrameVOILUTSequence = [window]
        parts.append(part)
    made = dataset(stored, bits=12, Modality="MR", NumberOfFrames="3", PerFrameFunctionalGroupsSequence=parts)
    for i, center in enumerate((500, 1000, 2000)):
        shown = picture(made, frame=i)
        assert shown.applied["window"] == f"{center}/100"
        assert shown.applied["frame"] == str(i)
    assert "3 frames" in why(made)
    assert "no frame 3" in why(made, frame=3)


def test_palettes_agree_with_pydicom() -> None:
    from pydicom.pixels import apply_color_lut

    made = pydicom.dcmread(str(get_testdata_file("examples_palette.dcm")))
    shown = readers.read(Path(str(get_testdata_file("examples_palette.dcm"))))
    np.testing.assert_array_equal(shown.pixels, apply_color_lut(made.pixel_array, made))


def test_planes_are_woven_together() -> None:
    colours = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    made = dataset(colours)
    made.PlanarConfiguration, made.PixelData = 1, np.moveaxis(colours, -1, 0).tobytes()
    np.testing.assert_array_equal(picture(made).pixels, colours)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "window of width 0": ({"WindowCenter": "40", "WindowWidth": "0"}, "absurd window"),
    "window of negative width": ({"WindowCenter": "40", "WindowWidth": "-5"}, "absurd window"),
    "window of NaN": ({"WindowCenter": "nan", "WindowWidth": "400"}, "finite"),
    "window function": ({"WindowCenter": "1", "WindowWidth": "4", "VOILUTFunction": "CURLY"}, "linear_exact"),
    "slope 0": ({"RescaleSlope": "0", "RescaleIntercept": "1"}, "slope of 0"),
    "slope infinite": ({"RescaleSlope": "inf", "RescaleIntercept": "1"}, "finite"),
    "too many rows": ({"Rows": 500}, "truncated"),
    "too many frames": ({"NumberOfFrames": "100000000"}, "truncated"),
    "32 bits": ({"BitsAllocated": 32, "BitsStored": 32}, "32 of 32 bits"),
    "more bits stored than there are": ({"BitsStored": 17}, "17 of 16"),
    "colours of ink": ({"PhotometricInterpretation": "CMYK"}, "'CMYK'"),
    "huge": ({"Rows": 60000, "Columns": 60000}, "AUGURY_MAX_PIXELS"),
    "table without data": ({"ModalityLUTSequence": [Dataset()]}, "lookup table"),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("name", BAD)
def test_bad_headers_are_refused_with_the_reason(name: str) -> None:
    given, words = BAD[name]
    made = dataset(stored12(), bits=12, Modality="MR")
    for key, value in given.items():
        setattr(made, key, value)
    assert words in why(made)


def test_a_window_that_is_not_used_does_no_harm() -> None:
    made = dataset(
        stored12(),
        bits=12,
        Modality="CT",
        RescaleSlope="1",
        RescaleIntercept="-1024",
        WindowCenter="1",
        WindowWidth="0",
    )
    assert picture(made).applied["unit"] == "HU"


@pytest.mark.parametrize("width", [0.0, -3.0, float("nan"), float("inf")])
def test_an_absurd_window_that_was_asked_for_is_the_users_mistake(width: float) -> None:
    with pytest.raises(UserError, match="correct it"):
        Window(center=40, width=width)


def test_without_pixels_and_with_an_unknown_encoding() -> None:
    made = dataset(stored12(), bits=12)
    made.file_meta.TransferSyntaxUID = MPEG2MPML
    made.PixelData = pydicom.encaps.encapsulate([made.PixelData])
    assert "MPEG2" in why(made)
    made = dataset(stored12(), bits=12)
    del made.PixelData
    assert "without pixels" in why(made)


def test_a_deflated_file_that_unfolds_too_far_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = dataset(np.zeros((64, 64), dtype=np.uint16), bits=12, Modality="MR")
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    assert frames.read(file).applied["deflated"] == "yes"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(40_000_000)) + packer.flush()
    start = file.getvalue()
    bomb = start[: start.index(b"\x02\x00\x12\x00")] + packed
    monkeypatch.setenv("AUGURY_MAX_PIXELS", "1000000")
    with pytest.raises(UnreadableImage, match="AUGURY_MAX_PIXELS"):
        frames.read(io.BytesIO(bomb))


def test_a_codestream_that_says_another_size_is_not_decoded() -> None:
    content = bytearray(Path(str(get_testdata_file("JPEG2000.dcm"))).read_bytes())
    place = content.index(b"\xff\x4f\xff\x51") + 8
    content[place : place + 4] = (2**31).to_bytes(4, "big")
    with pytest.raises(UnreadableImage, match="header says"):
        frames.read(io.BytesIO(bytes(content)))


def test_no_word_of_the_header_is_warned_logged_or_raised(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    made = dataset(stored12(), bits=12, Modality="MR", PatientID="MRN-4711-X")
    made.add_new(0x00100010, "PN", "Doe^Jane")
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    content = file.getvalue().replace(b"\x28\x00\x00\x01US\x02\x00", b"\x28\x00\x00\x01PN\x02\x00")
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableImage) as caught:
        frames.read(io.BytesIO(content))
    said = f"{caught.value} {caplog.text} {capfd.readouterr()}"
    assert not any(name in said for name in NAMES)
