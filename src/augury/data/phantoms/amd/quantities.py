"""The random quantities of a pair of eyes, their photographs and B-scans. Append, never insert."""

from __future__ import annotations

from augury.data.phantoms.fundus.quantities import EYE, FIELDS, PHOTOGRAPH
from augury.data.phantoms.patients import Field, Plan

PLAN = Plan(
    patient=(*EYE, "scanner", "first", "fellow", "vessels", "tortuous", "thickness", "choroid", "pit"),
    eye=(*(f"own_{name}" for name in EYE), "flip_label", "other_label", "depth", "tilt", "bend"),
    image=(*PHOTOGRAPH, "scan", "along", "signal", "shadow0", "shadow1", "shadow2"),
    fields=FIELDS | {
        "layers": Field((4, 1, 12), change=0.5),
        "stroma": Field((2, 22, 26), change=0.6),
        "detail": Field((1, 30, 30), change=0.7),
    },
    eyes=2,
)  # fmt: skip
