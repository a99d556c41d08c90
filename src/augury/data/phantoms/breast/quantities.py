"""The random quantities of a breast, its lesion and its scan. The order is part of the seed: append, never insert."""

from __future__ import annotations

from augury.data.phantoms.patients import Field, Plan

MIMICS = 3  # fat lobules in the gland and shadows without a lesion, at most, in an image
SPICULES = 9
CALCIFICATIONS = 5
PLAN = Plan(
    patient=(
        # the breast
        "skin", "fat", "gland", "behind", "muscle", "density", "gland_echo", "fat_echo", "septa", "attenuation",
        # acquisition
        "scanner", "depth", "gain", "range",
        # lesion: what it is like
        "place_x", "place_z", "radius", "cyst", "echo", "contrast", "texture", "enhancement", "shadow", "halo",
        # lesion: which of its descriptors are suspicious
        "outline_sign", "aspect_sign", "spicule_sign", "margin_sign", "posterior_sign", "calcified",
        "lobes", "lobe_angle", "micro_angle",
        *(f"spicule{i}" for i in range(SPICULES)),
        # labels
        "flip_label", "other_label",
    ),
    image=(
        "shift_x", "shift_z", "cut", "aspect", "lean", "press", "gain_own", "tgc", "contact", "rib", "rib_x", "mimics",
        *(f"mimic{i}_{what}" for i in range(MIMICS) for what in ("x", "z", "size", "dark")),
        *(f"calcification{i}_{what}" for i in range(CALCIFICATIONS) for what in ("angle", "radius")),
    ),
    fields={
        "layers": Field((5, 1, 4), change=0.4),  # boundaries along the probe
        "lobules": Field((2, 9, 4), change=0.5),  # fat lobules and where there is gland
        "streaks": Field((2, 34, 7), change=0.7),  # fibres of gland and muscle
        "grain": Field((1, 26, 22), change=0.8),
        "contact": Field((1, 1, 7), change=0.8),
    },
)  # fmt: skip
