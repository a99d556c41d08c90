"""An audit as the audit command leaves it, with made figures: one with everything, one without held-out images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from augury.studies.audit_page import Pair, Seen

CLASSES = ("benign", "<b>malignant</b>", "normal")


def estimate(value: float, half: float, n: int = 240, unit: str = "image") -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n, "unit": unit}


def share(value: float, n: int, unit: str = "image") -> dict[str, Any]:
    half = 1.96 * math.sqrt((value + 0.01) / n)
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n, "unit": unit}


def row(found: dict[str, Any] | None, floor: Any = None, ceiling: Any = None, refused: str | None = None) -> Any:
    return {"set": found, "floor": floor, "ceiling": ceiling, "refused": refused}


def full() -> dict[str, Any]:
    """Copies were found; every part is there."""
    return {
        "schema": 1, "verdict": "COPIES FOUND",
        "sentence": "The set holds near copies of training images: 2.25 % of 400 synthetic images (1.03 % to 4.23 %) "
        "match one so closely as 0.6 % of images that can be no copies would; treat the set as you treat the training "
        "images.",
        "set": {"name": "drawn_by_cgan", "digest": "5f0c9b7e", "images": 400, "origin": "0123456789abcdef",
                "classes": dict(zip(CLASSES, (180, 120, 100), strict=True)), "method": "cgan"},
        "train": {"name": "wards", "digest": "77aa", "images": 520, "groups": 310, "patients_known": True},
        "holdout": {"name": "wards, held out", "digest": "78bb", "images": 160, "groups": 95, "patients_known": True},
        "power": {
            "at": {"0.01": share(0.86, 200, "run"), "0.02": share(0.97, 200, "run"), "0.05": share(1.0, 200, "run"),
                   "0.2": share(1.0, 200, "run")},
            "kinds": {"noise": share(1.0, 100), "crop": share(0.96, 100), "flip": share(0.99, 100),
                      "brightness": share(0.98, 100), "autoencoder": share(0.71, 100)},
            "smallest": 0.01,
        },
        "tests": {
            "copies": {"p": 0.00002, "p_adjusted": 0.00008, "set": share(0.0225, 400), "holdout": share(0.006, 155),
                       "says": "the closest matches are no closer than those of controls"},
            "nearest_share": {"p": 0.031, "p_adjusted": 0.093, "set": estimate(0.53, 0.035, 95, "group"),
                              "holdout": estimate(0.5, 0.04, 95, "group"), "says": "as often near to held-out ones"},
            "membership": {"p": 0.4, "p_adjusted": 0.8, "set": estimate(0.51, 0.05, 95, "patient"), "holdout": None,
                           "says": "who was trained on cannot be told, by the generator's own score"},
        },
        "flagged": [
            {"image": f"images/{i:06d}.png", "train_image": f"a_ward/IMG_{i}.png", "score": 0.97 - i / 100,
             "correlation": 0.99, "why": "score above the threshold of 0.712"} for i in range(9)
        ],
        "metrics": {
            "resnet18 (ImageNet)": {
                "kid": row(estimate(0.0413, 0.009, 95, "group"), estimate(0.0011, 0.004, 95, "group"),
                           estimate(0.142, 0.02, 95, "group")),
                "frechet": row(None, refused="160 held-out images, at least 5 x 512 = 2,560 are needed"),
                "manifold_precision": row(share(0.71, 160), share(0.83, 160), share(0.12, 160)),
                "density": row(estimate(0.68, 0.09), estimate(0.98, 0.1), estimate(0.09, 0.04)),
                "c2st": row(estimate(0.87, 0.03, 95, "group"), estimate(0.51, 0.06, 95, "group"),
                            estimate(0.99, 0.008, 95, "group")),
                "manifold_recall": row(share(0.55, 160), share(0.81, 160), share(0.2, 160)),
                "coverage": row(share(0.6, 160), share(0.93, 160), share(0.1, 160)),
                "copies": row(share(0.0225, 400), share(0.006, 155)),
                "authenticity": row(share(0.41, 400), share(0.52, 160)),
                "membership_auroc_critic": row(estimate(0.51, 0.05, 95, "patient")),
                "label_fidelity": row(share(0.81, 400), share(0.87, 160), None),
            },
            "pixels": {
                "ks_mean": row(estimate(0.21, 0.06, 95, "group"), estimate(0.08, 0.04, 95, "group"),
                               estimate(0.11, 0.05, 95, "group")),
                "wasserstein_gradient": row(estimate(0.65, 0.15, 95, "group"), estimate(0.1, 0.06, 95, "group"),
                                            estimate(2.1, 0.3, 95, "group")),
            },
        },
        "by_class": {
            CLASSES[0]: {"label_fidelity": share(0.9, 180), "kid": row(estimate(0.05, 0.02, 45, "group"))},
            CLASSES[1]: {"refused": "21 training patients or groups, 30 are needed"},
            CLASSES[2]: {"label_fidelity": share(0.77, 100), "kid": row(None, refused="29 patients, 30 are needed")},
        },
        "canaries": {"planted": 20, "out": 1, "share": share(0.05, 20), "exposure_bits": 1.3, "decoys": 199,
                     "samples": 2080, "level": 0.41, "found": [0.2] * 20, "method": "cgan", "steps": 4000,
                     "images": 520, "seed": 0, "seconds": 381.0},
        "epsilon": {"epsilon": 8.0, "delta": 1e-5, "unit": "patient"},
        "released": {"dropped": 14, "first": "COPIES FOUND"},
        "versions": {"augury": "0.1.0", "torch": "2.15.0", "python": "3.11.2"}, "seconds": 74.2, "seed": 0,
        "encoders": {"resnet18 (ImageNet)": "weights from a file, fitted to photographs"}, "compared_at": [64, 64],
        "notes": ["the held-out images are those of the training data that the generator never saw"],
    }  # fmt: skip


def without_holdout() -> dict[str, Any]:
    """Nothing was held out: most of the audit is null."""
    facts = full()
    train_only = dict.fromkeys(("holdout", "power", "canaries", "epsilon", "released"))
    tests = {name: {"p": None, "p_adjusted": None, "set": None, "holdout": None,
                    "says": "Needs held-out images."} for name in ("nearest_share", "membership")}  # fmt: skip
    metrics = {"ours (internal)": {"kid": row(None, refused="no held-out images"), "vendi": row(estimate(0.82, 0.04))}}
    return facts | train_only | {
        "verdict": "NOT TESTABLE", "tests": tests, "flagged": [], "metrics": metrics, "by_class": {}, "versions": {},
        "sentence": "Whether the set holds copies cannot be told: 0 patients or groups were held out, at least 30 are "
        "needed; treat it as you treat the training images.",
    }  # fmt: skip


def blob(rng: np.random.Generator, side: int = 64) -> np.ndarray:
    """A smooth picture, for looks."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    picture = 90 * np.exp(-8 * (x**2 + y**2))
    for cx, cy, wide in rng.uniform((-0.3, -0.3, 20), (0.3, 0.3, 160), (6, 3)):
        picture += rng.uniform(-60, 90) * np.exp(-wide * ((x - cx) ** 2 + (y - cy) ** 2))
    return np.clip(picture + 50 + rng.normal(0, 4, (side, side)), 0, 255).astype(np.uint8)


def seen(facts: dict[str, Any]) -> Seen:
    """Beside such an audit: pairs of pictures, scores, statistics."""
    rng = np.random.default_rng(11)
    pairs = []
    for i in range(12):
        train, noise = blob(rng), rng.normal(0, 5, (64, 64))
        drawn = np.clip(train + noise, 0, 255).astype(np.uint8) if i < 9 else blob(rng)
        label = CLASSES[i % 3] if i % 4 else None
        pairs.append(Pair(synthetic=drawn, train=train, score=0.97 - 0.03 * i, flagged=i < 9, label=label))
    colour = np.stack([blob(rng)] * 3, axis=-1)
    pairs.append(Pair(synthetic=colour, train=colour[::-1], score=0.41, flagged=False, label=None))
    values = {"mean": (-0.3, 0.1), "sd": (0.4, 0.05), "gradient": (0.06, 0.01), "slope": (-2.4, 0.2)}
    return Seen(
        facts=facts, pairs=pairs if facts["holdout"] else [],
        score_S=np.concatenate([rng.normal(0.38, 0.08, 391), rng.uniform(0.73, 0.97, 9)]),
        control_C=rng.normal(0.37, 0.08, 310), threshold=0.712,
        values={name: (rng.normal(mean, sd, 160) if facts["holdout"] else np.empty(0), rng.normal(mean + sd, sd, 400))
                for name, (mean, sd) in values.items()},
    )  # fmt: skip
