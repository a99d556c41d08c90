"""What a model's or a set's folder says to a reader: card.md and samples.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from augury.conditions.pairs import Pairs, to_uint8
from augury.data.provenance import versions
from augury.data.sample import Manifest
from augury.generators.generator import Generator


def model_card(
    facts: Mapping[str, Any],
    manifest: Manifest,
    *,
    last: Sequence[Mapping[str, float]],
    more: Sequence[str] = (),
) -> str:
    """The card of a fitted model: what it is, what it saw, what it is not for; `more` are further lines."""
    groups = len(set(manifest.group_N.tolist()))
    patients = f"{len({s.patient for s in manifest})} patients" if manifest.patients_known else "patients not known"
    height, width = facts["preparation"]["size"]
    lines = [
        f"# {facts['method']}, fitted to {facts['data']}",
        "",
        f"- fitted on {len(manifest)} images ({patients}; {groups} groups) of the classes: {_counts(facts)}",
        f"- images of {height} x {width} pixels, {facts['preparation']['channels']} channel(s)",
        f"- {facts['steps']} steps of {facts['batch']} images, seed {facts['seed']}, revision {facts['revision']}",
        f"- last logged: {_values(last)}",
        *(f"- {line}" for line in more),
        f"- {', '.join(f'{name} {value}' for name, value in versions().items())}",
        "",
        "Nothing here was evaluated: a fit knows only its own training images. `augury study` compares methods on "
        f"held-out patients. {_memory(facts)} Not a medical device.",
    ]
    return "\n".join(lines) + "\n"


def _memory(facts: Mapping[str, Any]) -> str:
    if "dp" in facts:
        return "What the model can remember of anyone is bounded as said above, and no further."
    return (
        "The model remembers its training images to a degree that was not measured; treat it as you treat them."
        if "holdout" not in facts
        else "The model remembers its training images; the looks above do not prove that it does not; treat it as you "
        "treat them."
    )


def set_card(facts: Mapping[str, Any], *, source: Mapping[str, Any]) -> str:
    """The card of a synthetic set."""
    drawn = ", ".join(f"{name} {count}" for name, count in facts["counts"].items())
    lines = [
        f"# {facts['images']} synthetic images, drawn by {source['method']}",
        "",
        f"- classes: {drawn}",
        f"- drawn with seed {facts['seed']} from a model fitted to {source['data']} ({sum(source['counts'])} images)",
        *_steered(facts),
        *_private(source),
        f"- {', '.join(f'{name} {value}' for name, value in versions().items())}",
        "",
        "Synthetic: no image shows a patient. It was not audited whether images are copies of training images, so this "
        "set must not be called anonymous, and is to be shared no more widely than the training images.",
    ]
    return "\n".join(lines) + "\n"


def _steered(facts: Mapping[str, Any]) -> list[str]:
    """What was asked for beside classes: words, and whose maps; a steered image is not independent of its source."""
    lines = [f"- told the words: {facts['prompt']}"] if "prompt" in facts else []
    if "like" in facts:
        lines.append(
            f"- steered by the maps of real images of {facts['like']['data']} (edits: {facts['edit']}); the column "
            "`source` names each one, and an image counts as its source's patient's"
        )
    asked = [f"{name} {facts[name]}" for name in ("sampler", "steps", "guidance") if name in facts]
    return [*lines, *([f"- drawn with {', '.join(asked)}"] if asked else [])]


def _private(source: Mapping[str, Any]) -> list[str]:
    if "dp" not in source:
        return []
    dp = source["dp"]
    return [f"- from a differentially private model: epsilon {dp['epsilon']:.4g}, delta {dp['delta']:g}, {dp['unit']}"]


def sample_sheet(generator: Generator, train: Pairs, *, seed: int, columns: int = 8, rows: int = 12) -> Image.Image:
    """A sheet of samples: a row for each of the first `rows` classes, a black line between images.

    What each is told beside its label is that of a training image of its class.
    """
    labels = sorted(set(train.label_N.tolist()))[:rows]
    shown, random = len(labels), torch.Generator().manual_seed(seed)
    places = []
    for label in labels:
        of_class = torch.nonzero(train.label_N == label).flatten()
        places.append(of_class[torch.randint(len(of_class), (columns,), generator=random)])
    condition = train[torch.cat(places)][1].to(generator.device())
    pixels_BCHW = to_uint8(generator.sample(condition, seed=seed))
    framed = np.pad(pixels_BCHW, ((0, 0), (0, 0), (0, 1), (0, 1)))
    _, channels, height, width = framed.shape
    sheet = framed.reshape(shown, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    return _image(sheet.reshape(shown * height, columns * width, channels))


def _image(pixels_HWC: np.ndarray[Any, np.dtype[np.uint8]]) -> Image.Image:
    return Image.fromarray(pixels_HWC[..., 0] if pixels_HWC.shape[2] == 1 else pixels_HWC)


def _counts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(facts["classes"], facts["counts"], strict=True))


def _values(last: Sequence[Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in last[0].items()) if last else "nothing"
