"""Every test file of pydicom and nibabel is read as its own library reads it, or refused; the page in docs says so."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from augury.data import readers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def experiment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dicom_nifti_files", ROOT / "experiments" / "dicom_nifti_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_every_file_is_read_right_or_refused_as_the_page_says(
    experiment: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert experiment.main() == 0
    said = capsys.readouterr().out
    page = (ROOT / "docs" / "dicom-nifti.md").read_text(encoding="utf-8")
    if said.split("Every file")[0] == page.split("Every file")[0]:  # the same versions of both libraries
        assert said == page


def test_a_wrong_pixel_would_be_noticed(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = readers.read

    def off_by_two(*given: Any, **named: Any) -> readers.Picture:
        picture = honest(*given, **named)
        return replace(picture, pixels=picture.pixels ^ 2)

    monkeypatch.setattr(readers, "read", off_by_two)
    pydicoms = next(iter(experiment._roots()))
    lines = [experiment._line(pydicoms / "test_files" / name, pydicoms) for name in ("CT_small.dcm", "MR_small.dcm")]
    assert all(line.apart >= 2 for line in lines)
