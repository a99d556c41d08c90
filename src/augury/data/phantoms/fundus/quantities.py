"""The random quantities of a pair of eyes and their photographs.

The order is part of the seed: append, never insert.
"""

from __future__ import annotations

from augury.data.phantoms.patients import Field, Plan

EYES = ("right", "left")
EYE = (
    "disc_x", "disc_y", "disc_size", "disc_tall", "cup", "pigment", "redness", "xanthophyll", "tigroid", "reflex",
    "arcade", "nerve",
)  # fmt: skip
PHOTOGRAPH = (
    "centre_x", "centre_y", "turn", "light", "light_x", "light_y", "vignette", "haze", "focus", "hue", "exposure",
)  # fmt: skip
FIELDS = {
    "choroid": Field((2, 26, 26), change=0.5, own="eye"),
    "pigment": Field((2, 5, 5), change=0.5, own="eye"),
    "light": Field((1, 4, 4), change=0.9),
}
PLAN = Plan(
    patient=(*EYE, "scanner", "first", "fellow", "vessels", "tortuous"),
    eye=(*(f"own_{name}" for name in EYE), "flip_label", "other_label", "beading"),
    image=PHOTOGRAPH,
    fields=FIELDS,
    eyes=2,
)
