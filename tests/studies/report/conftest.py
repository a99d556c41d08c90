"""A finished study as the runner leaves it: phantom-like pictures, figures that hang together, nothing real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Results = dict[str, Any]
CLASSES = {"glioma": 826, "meningioma": 822, "no_tumor": 395, "pituitary": 827}
# arm: (macro AUROC, difference to the reference, half width, control, difference to the control, p, verdict, needed)
ARMS: dict[str, tuple[float, float, float, str | None, float | None, float, str, int | None]] = {
    "augmented": (0.9121, 0.0, 0.0, None, None, 1.0, "", None),
    "real": (0.8874, -0.0247, 0.011, None, None, 0.0004, "HURTS", None),
    "duplicated:1": (0.9149, 0.0028, 0.007, None, None, 0.61, "NO MEANINGFUL DIFFERENCE", None),
    "mixed:cgan:1": (0.9081, -0.0040, 0.012, "duplicated:1", -0.0068, 0.61, "NOT WORSE", None),
    "mixed:wgan_gp:0.5": (0.9162, 0.0041, 0.025, "duplicated:0.5", 0.0022, 0.61, "INCONCLUSIVE", 410),
    "sequential:wgan_gp:1": (0.9302, 0.0181, 0.0093, "duplicated:1", 0.0153, 0.0012, "HELPS", None),
    "generated:cgan": (0.7512, -0.1609, 0.021, "duplicated:1", -0.1637, 0.0001, "HURTS", None),
    "shuffled:wgan_gp": (0.8420, -0.0701, 0.017, "duplicated:1", -0.0729, 0.0001, "HURTS", None),
    "probe": (0.8956, -0.0165, 0.014, None, None, 0.042, "HURTS", None),
    "labels:0.25": (0.8413, -0.0708, 0.018, None, None, 0.0001, "HURTS", None),
}

SEVEN_ARMS = ("real", "generated:cgan", "mixed:cgan:1", "sequential:wgan_gp:1")


def est(value: float, half: float, n: int = 233, unit: str = "group") -> Results:
    return {"value": value, "low": round(value - half, 5), "high": round(value + half, 5), "n": n, "unit": unit}


def arm_metrics(auroc: float) -> Results:
    accuracy = auroc - 0.09
    found = {"auroc_macro": est(auroc, 0.014), "auprc_macro": est(auroc - 0.04, 0.02)}
    found |= {
        m: est(accuracy - 0.01 * i, 0.019) for i, m in enumerate(("accuracy", "balanced_accuracy", "f1_macro", "mcc"))
    }
    found |= {"brier": est(1 - auroc + 0.1, 0.012), "ece": est(0.041, 0.011)}
    for i, name in enumerate(CLASSES):
        found |= {
            f"sensitivity_{name}": est(accuracy - 0.02 * i, 0.03),
            f"specificity_{name}": est(0.95 - 0.01 * i, 0.01),
        }
    return found


def contrasts() -> Results:
    return {
        arm: {
            "difference": est(d, half),
            "versus_control": None if dc is None else est(dc, 1.05 * half),
            "control": control, "p_adjusted": p, "verdict": word, "leaning": "up" if d > 0 else "down",
            "patients_needed": needed,
        }
        for arm, (_, d, half, control, dc, p, word, needed) in ARMS.items()
        if arm != "augmented"
    }  # fmt: skip


def seven(arm: str, auroc: float) -> list[Results]:
    names = ("accuracy", "recall_micro", "recall_macro", "precision_micro", "precision_macro", "f1_micro", "f1_macro")
    gain = {"train": 0.05, "test": -0.09}
    return [
        {"arm": arm, "set": s} | {m: round(auroc + g - 0.002 * i, 4) for i, m in enumerate(names)}
        for s, g in gain.items()
    ]


def fidelity(kid: float, label: float) -> Results:
    return {
        "kid": est(kid, 0.004, 2870, "image") | {"floor": 0.0004, "ceiling": 0.182},
        "label_fidelity": est(label, 0.03),
        "label_fidelity_of_class": {name: label - 0.04 * i for i, name in enumerate(CLASSES)},
        "nearest": {"median_correlation": 0.83, "highest_correlation": 0.96},
    }


def full_results() -> Results:
    return {
        "schema": 1,
        "data": {"name": "phantom brain", "digest": "9f3c51d2ab40e817", "images": 2870, "patients": 233, "groups": 231,
                 "classes": CLASSES, "unlabelled": 12, "unreadable": [{"image": "x.png", "why": "truncated"}]},
        "question": "Do synthetic slices help a small network to tell four kinds of brain slice apart?",
        "preset": "standard",
        "headline": {"verdict": "HELPS", "arm": "sequential:wgan_gp:1",
                     "sentence": "Pretraining on synthetic slices, then fine-tuning on the real ones, raises the macro "
                     "AUROC by 0.018 over standard augmentation, and by 0.015 over seeing the real slices twice."},
        "primary": {"metric": "auroc_macro", "reference": "augmented", "control": "duplicated:1",
                    "smallest_effect": 0.02, "contrast": "sequential:wgan_gp:1"},
        "arms": {a: {"metrics": arm_metrics(row[0]), "seconds": 200 * row[0] * len(a)} for a, row in ARMS.items()},
        "contrasts": contrasts(),
        "gate": {"chosen": "sequential:wgan_gp:1", "level": 0.2, "lower_bound": 0.0061,
                 "reason": "Its gain on the validation folds is above zero with room to spare."},
        "leaks": {"patients_shared": 0, "duplicates_shared": 0, "duplicate_groups_kept_together": 300,
                  "given_split": {"test<-train": {"exact": 251, "near": 14, "patients": 88}}},
        "learning_curve": [{"share": s, "patients": round(187 * s), "estimate": est(v, h)} for s, v, h in
                           ((0.25, 0.8413, 0.022), (0.5, 0.8790, 0.018), (0.75, 0.8993, 0.015), (1.0, 0.9121, 0.014))],
        "worth_patients": {"sequential:wgan_gp:1": 84, "mixed:cgan:1": -31, "mixed:wgan_gp:0.5": None},
        "generators": {"cgan": fidelity(0.061, 0.71), "wgan_gp": fidelity(0.038, 0.86)},
        "table": [row for arm in SEVEN_ARMS for row in seven(arm, ARMS[arm][0])],
        "compute": {"seconds": 14882.0, "device": "cpu, 2 cores", "estimate_seconds": 15600.0, "steps": 187,
                    "workers": 2, "budget_seconds": 16200.0},
        "limits": ["Images are shown to the networks at 64 x 64 pixels; small lesions may vanish at that size"],
        "dropped": ["Ratio 2 was dropped", "The generator cvae was dropped: two generators fit into the budget"],
        "plan_hash": "4b1e77c09a3d52f6",
        "cross_checks": {arm: {"delong_p": row[5] * 0.7, "mcnemar_p": row[5] * 0.9} for arm, row in ARMS.items()},
    }  # fmt: skip


def slice_like(seed: int, *, size: int = 64, blur: float = 0.0) -> NDArray[np.uint8]:
    """A bright skull ring around a grey oval with folds and, mostly, a lesion: nothing that was ever a patient."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle = rng.normal(0, 0.15)
    u, v = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    radius = np.hypot(u / rng.uniform(0.66, 0.76), v / rng.uniform(0.8, 0.9))
    soft = 0.03 + blur
    tissue = (
        0.42
        + 0.07 * np.sin(9 * u + rng.uniform(0, 6)) * np.cos(11 * v + rng.uniform(0, 6))
        - 0.2 * np.exp(-(u**2 + (v * 0.5) ** 2) / 0.012)
    )
    lesion = np.exp(
        -(np.hypot(u - rng.uniform(-0.35, 0.35), v - rng.uniform(-0.4, 0.4)) ** 2) / rng.uniform(0.01, 0.04)
    )
    picture = np.where(radius < 0.93, tissue + rng.choice([0.0, 0.5]) * lesion, 0) + 0.75 * np.exp(
        -(((radius - 1) / soft) ** 2)
    )
    return (255 * np.clip(picture + rng.normal(0, 0.025, picture.shape), 0, 1)).astype(np.uint8)


def save(folder: Path, name: str, seed: int, *, blur: float = 0.0) -> str:
    Image.fromarray(slice_like(seed, blur=blur)).save(folder / name)
    return name


def write_gallery(folder: Path) -> None:
    folder.mkdir()
    grids, pairs = [], []
    for c, name in enumerate(CLASSES):
        for t, (title, blur) in enumerate((("real", 0.0), ("cgan", 0.06), ("wgan_gp", 0.03))):
            images = [save(folder, f"{title}_{name}_{i}.png", 1000 * t + 50 * c + i, blur=blur) for i in range(10)]
            grids.append({"title": title, "class": name, "images": images})
            if title != "real":
                near = [save(folder, f"near_{title}_{name}_{i}.png", 1000 * t + 50 * c + i) for i in range(2)]
                both = enumerate(zip(images, near, strict=False))
                found = {"generator": title, "class": name}
                pairs += [found | {"synthetic": s, "nearest": n, "correlation": 0.96 - i / 100} for i, (s, n) in both]
    (folder / "gallery.json").write_text(json.dumps({"grids": grids, "neighbours": pairs}))


Study = Callable[..., Path]


@pytest.fixture
def results() -> Results:
    """A full results.json, to be changed at will."""
    return full_results()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Writes a finished study's folder."""

    def write(results: Results, *, gallery: bool = True) -> Path:
        folder = tmp_path / "study"
        folder.mkdir(exist_ok=True)
        (folder / "results.json").write_text(json.dumps(results))
        (folder / "plan.json").write_text(json.dumps({"preset": "standard"}))
        versions = {"augury": "0.1.0", "python": "3.11.9", "torch": "2.15.0", "host": "secret-host"}
        (folder / "environment.json").write_text(json.dumps(versions))
        if gallery and not (folder / "gallery").exists():
            write_gallery(folder / "gallery")
        return folder

    return write
