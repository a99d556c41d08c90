"""The augmentation that a modality allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from augury.data.augmentation import Augmentation, preset
from augury.data.preparation.modalities import Modality


def allowed(name: str, modality: Modality, *, channels: int, asked: Mapping[str, Any]) -> Augmentation:
    """The preset of this name within the modality's bounds; `asked`, fields of Augmentation, stands above them.

    "none" is no augmentation whatever is asked; "light" stays as mild as it is. UserError for an unknown preset.
    """
    mild = preset(name)
    if name == "none":
        return mild
    bounds: dict[str, Any] = {} if name == "light" else dict(modality.adds)
    bounds |= {field: type(getattr(mild, field))(0) for field in modality.forbids}
    if modality.rotate is not None:
        widest = modality.rotate if "flip_vertical" in modality.adds else mild.rotate  # no way up: turned at will
        bounds["rotate"] = min(mild.rotate if name == "light" else widest, modality.rotate)
    if channels == 1:
        bounds["hue"] = 0.0
    return replace(mild, **{**bounds, **asked})
