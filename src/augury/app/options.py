"""The options that mean the same for every command, and what their texts mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from augury.errors import UserError

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder with a manifest.csv, a CSV, a folder with one sub-folder per class, a MedMNIST .npz, "
        "a set in another layout of the field (--layout), or phantom:brain?n=600&seed=3",
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="NAME",
        help="How DATA lies on disk: manifest, mmc_amd, nnunet, coco, monai, imagefolder, kaggle_retinopathy, csv, "
        "medmnist, busi, dicom, nifti, modality_folders or class_folders; recognised, and said, if absent.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, words on standard error.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no words, only the result.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result on the same machine.")]
Size = Annotated[str | None, typer.Option("--size", metavar="P|HxW", help="Pixels: 64, or height x width as 64x96.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:1.")]
NoPatients = Annotated[
    bool, typer.Option("--no-patients", help="No patient ids are known: every image counts as a patient of its own.")
]
Modality = Annotated[
    str | None,
    typer.Option(
        "--modality",
        metavar="NAME",
        help="fundus, oct, mri, ct, xray, ultrasound, dermoscopy or generic; guessed and printed if absent.",
    ),
]
Slices = Annotated[
    str | None,
    typer.Option(
        "--slices",
        metavar="RULE",
        help="Of volumes: middle:8 (the default), every:3, all, mask; also ,axis:coronal and ,volume:0",
    ),
]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE.yaml", help="Settings of a YAML file.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override one setting; may be repeated.")
]


def size_of(text: str | None, *, default: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels.

    >>> size_of("64", default=(32, 32)), size_of("48x64", default=(32, 32)), size_of(None, default=(32, 32))
    ((64, 64), (48, 64), (32, 32))
    """
    if text is None:
        return default
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not all(8 <= side <= 2048 for side in size):
        raise UserError(f"--size got {text!r}, expected 8 to 2048 pixels; write --size 64 or --size 64x96")
    return size


def device_of(text: str) -> str:
    """The device's name, if it is there; UserError otherwise."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise UserError(f"--device got {text!r}, expected cpu, cuda or cuda:1; correct it")
    if text == "cpu":
        return text
    import torch

    number = int(text.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(f"--device got {text!r}, but torch finds {found} CUDA devices here; use --device cpu")
    return text
