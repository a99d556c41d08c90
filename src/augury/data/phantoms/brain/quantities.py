"""The random quantities of a head, its tumour and its scan. The order is part of the seed: append, never insert."""

from __future__ import annotations

from augury.data.phantoms.patients import Field, Plan

MIMICS = 4  # at most, in a slice
PLAN = Plan(
    patient=(
        # head and brain
        "width", "length", "egg", "zoom", "atrophy", "ventricles", "asymmetry", "midline", "scalp", "skull", "pose",
        # acquisition
        "scanner", "sequence", "gray_white", "window", "enhancement",
        # lesion
        "level", "low_level", "place", "angle", "depth", "radius", "aspect", "lean", "visibility", "necrosis",
        "oedema", "atypical", "lobes", "side", "spacing",
        # things that look like lesions
        "mimics", "hyperintensity",
        # labels
        "flip_label", "other_label",
    ),
    image=(
        *("offset", "turn", "shift_x", "shift_y", "gain", "bias", "noise"),
        *(f"mimic{i}_{what}" for i in range(MIMICS) for what in ("angle", "radius", "size")),
    ),
    fields={
        "warp": Field((2, 5, 5), change=0.25),  # of the anatomy
        "bias": Field((1, 5, 5), change=0.2),  # of the coil
        "cortex": Field((1, 46, 5), change=0.6),  # around the head and towards its centre: sulci run mostly inwards
        "fine": Field((2, 18, 18), change=0.5),  # tissue texture, lesion outlines and oedema
    },
)  # fmt: skip
